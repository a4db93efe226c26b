"""A lock on a directory, for the moments in which several drivers might make the same file in it."""
from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def locked(directory: str) -> Iterator[None]:
    """Hold a directory's lock, making the directory if need be; the lock ends with the process at the latest."""
    os.makedirs(directory, exist_ok=True)
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
