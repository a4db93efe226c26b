"""A lock on a directory, for the moments in which several drivers might make the same file in it."""
from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..base.errors import CacheError
from ..base.private import FILE_MODE, make_directories

FILE = ".lock"  # in the directory; nobody removes it


@contextmanager
def locked(directory: str) -> Iterator[None]:
    """Hold a directory's lock, making the directory if need be; the lock ends with the process at the latest.

    A file in it is locked, since NFS keeps locks on directories from no other machine. Who may not make that file can
    make no other there, and has nothing to be alone for.
    """
    make_directories(directory)
    fd = _open(f"{directory}/{FILE}")
    try:
        if fd is not None:
            _lock(fd)
        yield
    finally:
        if fd is not None:
            os.close(fd)


def _open(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except IsADirectoryError as error:
        msg = f"{path} is a directory, and should be the file that taskproc locks; remove it"
        raise CacheError(msg) from error
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _lock(fd: int) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        fcntl.flock(fd, fcntl.LOCK_SH)  # on NFS, who may only read can only share a lock
