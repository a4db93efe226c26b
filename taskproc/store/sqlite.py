"""What SQLite's errors say about a file."""
from __future__ import annotations

import sqlite3

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
