"""Kept so that code written for 0.13 finds `Context` where it was."""
from __future__ import annotations

from .tasks.settings import Context

__all__ = ["Context"]
