"""What a task class says, without how it is written: the normalised source of the class, its bases and its helpers.

Comments, blank lines, formatting, docstrings, annotations and the messages of assertions change nothing, and neither do
the class keywords that say where and how a task runs (`channel=`, `backend=`, `retries=` ...): a result does not depend
on them.
"""
from __future__ import annotations

from .normal_form import MARK, same_source, source_diff, source_digest, what_changed
from .reader import SourceReader, normalised_source

__all__ = ["MARK", "SourceReader", "normalised_source", "same_source", "source_diff", "source_digest", "what_changed"]
