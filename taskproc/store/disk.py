"""The disk under a cache: opening a database that is there, and what errors of SQLite and of the system say."""
from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..base.errors import CacheError, TaskprocError

if TYPE_CHECKING:
    from typing import Any, Literal

# The only results that say that the file is damaged: SQLITE_CORRUPT and SQLITE_NOTADB, and the words for them.
_DAMAGE, _DAMAGE_WORDS = (11, 26), ("malformed", "not a database")
_AT_ONCE = 128  # rows in a statement, whose values must not be more than 999 in an older SQLite


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file is damaged; any other may pass, and is no reason to put a file aside.

    >>> is_damage(sqlite3.DatabaseError("file is not a database"))
    True
    >>> is_damage(sqlite3.OperationalError("database or disk is full"))
    False
    """
    code = getattr(error, "sqlite_errorcode", None)  # from Python 3.11 on
    if code is not None:
        return code & 0xFF in _DAMAGE  # an extended code has its kind in its last byte
    return any(words in str(error) for words in _DAMAGE_WORDS)


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


def insert_rows(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Insert many rows by few statements; give the number of those inserted.

    Python's lock is let go of at every statement. While tasks run in threads, each time it takes long to come back.

    Args:
        connection: Where to.
        statement: What stands before VALUES: `INSERT OR IGNORE INTO claims`.
        rows: As wide as the table.
    """
    inserted = 0
    for begin in range(0, len(rows), _AT_ONCE):
        group = rows[begin : begin + _AT_ONCE]
        row = f"({', '.join('?' * len(group[0]))})"
        values = ", ".join([row] * len(group))
        inserted += connection.execute(f"{statement} VALUES {values}", list(chain.from_iterable(group))).rowcount
    return inserted


def delete_in(connection: sqlite3.Connection, statement: str, keys: Iterable[bytes], *others: object) -> None:
    """Delete the rows of many keys by few statements, as `insert_rows` inserts.

    Args:
        connection: Where from.
        statement: What stands before IN: `DELETE FROM claims WHERE run = ? AND digest`.
        keys: The keys.
        others: The statement's own values.
    """
    keys = list(keys)
    for begin in range(0, len(keys), _AT_ONCE):
        group = keys[begin : begin + _AT_ONCE]
        connection.execute(f"{statement} IN ({', '.join('?' * len(group))})", [*others, *group])


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
