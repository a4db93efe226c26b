"""Directories and files to which not everybody may write, even where the umask would let them.

Results and payloads are pickles: who may write them may run code as their reader. Groups are for the umask to decide.
"""
from __future__ import annotations

import os

DIRECTORY_MODE = 0o775
FILE_MODE = 0o664


def make_directories(path: str) -> None:
    """Make a directory, and those above it that are missing; it may be there already."""
    try:
        os.mkdir(path, DIRECTORY_MODE)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
    except FileNotFoundError:
        make_directories(os.path.dirname(path) or os.curdir)
        make_directories(path)


def opener(path: str, flags: int) -> int:
    """Open a file for `open(path, "wb", opener=opener)`."""
    return os.open(path, flags, FILE_MODE)
