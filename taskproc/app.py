"""Kept for code written for 0.13, where the command was `taskproc.app:main`."""
from __future__ import annotations

from .cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main(prog_name="taskproc")
