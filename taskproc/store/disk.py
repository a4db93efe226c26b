"""What the errors of SQLite and of the operating system say about a cache."""
from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import CacheError, TaskprocError

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
