"""The disk under a cache: opening a database that is there, and what errors of SQLite and of the system say."""
from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..errors import CacheError, TaskprocError

if TYPE_CHECKING:
    from typing import Literal

# Words of the errors that say nothing against the file: result codes BUSY, IOERR, CANTOPEN, READONLY, FULL, NOMEM.
_NOT_ITS_FAULT = ("locked", "disk I/O", "unable to open", "readonly", "full", "out of memory")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file is damaged, and not that it cannot be used at the moment.

    >>> is_damage(sqlite3.DatabaseError("file is not a database"))
    True
    >>> is_damage(sqlite3.OperationalError("database or disk is full"))
    False
    """
    if not isinstance(error, sqlite3.OperationalError):
        return isinstance(error, sqlite3.DatabaseError)
    return not any(words in str(error) for words in _NOT_ITS_FAULT)


def open_existing(path: str, mode: Literal["ro", "rw"] = "ro", timeout: float = 60.0) -> sqlite3.Connection:
    """Open a database that is there, and make none; its path need not be UTF-8.

    Args:
        path: The file.
        mode: Whether to write, too.
        timeout: Seconds to wait for others to let go of it.

    Raises:
        sqlite3.OperationalError: It is not there, or cannot be opened.
    """
    return sqlite3.connect(f"file:{quote(os.fsencode(path))}?mode={mode}", uri=True, timeout=timeout)


@contextmanager
def disk_errors(directory: str) -> Iterator[None]:
    """Say in one sentence that a directory cannot be used as it should.

    Raises:
        CacheError: Instead of any error of the operating system or of SQLite.
    """
    try:
        yield
    except TaskprocError:
        raise
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        msg = f"the cache {directory} cannot be written to: {reason}"
        raise CacheError(msg) from error
