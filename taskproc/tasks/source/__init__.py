"""What a task class says, without how it is written: the normalised source of the class, its bases and its helpers.

Comments, blank lines, formatting and docstrings change nothing, and neither do the class keywords that say
where and how a task runs (`channel=`, `backend=`, `retries=` ...): a result does not depend on them.
"""
from __future__ import annotations

from .normal_form import MARK, same_source, source_diff, source_digest
from .reach import helper_texts
from .statements import class_statements

__all__ = ["normalised_source", "same_source", "source_diff", "source_digest"]


def normalised_source(cls: type, stop: type, *, helpers: bool = True) -> str | None:
    """Give the source of a class, of its bases (those of `stop` left out), and of what they use, as `ast` writes it.

    Bases of the standard library, and mixins of installed packages, are left out like all library code.

    Args:
        cls: The class.
        stop: Where its bases end: `TaskBase`.
        helpers: Whether to add the functions, classes and constants of the user's own modules that it reaches.

    Returns:
        None if there is no source to read: the class was typed at a prompt that keeps none, or made by
        `exec`.

    Example:
        >>> import fractions, numbers
        >>> print(normalised_source(fractions.Fraction, numbers.Rational)[:24])
        class Fraction(numbers.R
    """
    statements = class_statements(cls, stop)
    if not statements:
        return None
    texts = [statement.text for statement in statements]
    if helpers:
        texts += [MARK, *helper_texts(statements, stop)]
    return "\n\n".join(texts)
