"""The digests of files that were read before, in one SQLite file for the whole cache, shared by all drivers.

It only saves reading: without it, or if it cannot be used, files are read again.
"""
from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing

from .disk import insert_rows, is_damage, open_existing
from .locks import locked

FILE = ".inputs.sqlite3"
_AT_ONCE = 500
_PATIENCE = 5.0  # seconds for others to let go of the file
_MOST = 1_000_000  # rows; beyond that, all are forgotten


class Remembered:
    """Digests by path and stamp.

    Args:
        root: The cache's own directory, where the file is; it need not be there yet.
    """

    def __init__(self, root: str) -> None:
        self._path = os.path.join(root, FILE)
        self._known: dict[str, tuple[bytes, bytes, str]] = {}
        self._new: dict[str, tuple[bytes, bytes, str]] = {}

    def prepare(self, files: Iterable[str], directories: Iterable[str]) -> None:
        """Read what is known of these files, and of those below these directories, in one go; of others nothing is."""
        if not os.path.exists(self._path):
            return  # nothing is known yet
        asked = [os.fsencode(path) for path in files]
        groups = [asked[at : at + _AT_ONCE] for at in range(0, len(asked), _AT_ONCE)]
        wanted = [(f"path IN ({', '.join('?' * len(group))})", group) for group in groups]
        wanted += [("path > ? AND path < ?", [top + b"/", top + b"0"]) for top in map(os.fsencode, directories)]
        try:
            with closing(open_existing(self._path, timeout=_PATIENCE)) as connection:
                for where, values in wanted:  # 0 comes next after /
                    query = f"SELECT path, stamp, digest, shown FROM inputs WHERE {where}"
                    for path, stamp, digest, shown in connection.execute(query, values):
                        self._known[os.fsdecode(path)] = (stamp, digest, shown)
        except (sqlite3.Error, TypeError):  # damaged, or of another kind
            pass

    def recall(self, path: str, stamp: bytes) -> tuple[bytes, str] | None:
        """Give the digest that a file had when it had that stamp, with what was shown of it; None if nobody knows."""
        known = self._new.get(path) or self._known.get(path)
        return known[1:] if known is not None and known[0] == stamp else None

    def note(self, path: str, stamp: bytes, digest: bytes, shown: str) -> None:
        """Remember a digest, at the next `save`."""
        self._new[path] = (stamp, digest, shown)

    def save(self) -> None:
        """Write down what is new, if the cache is there and can be written to."""
        if not self._new or not os.path.isdir(os.path.dirname(self._path)):
            return
        new, self._new = self._new, {}
        self._known.update(new)
        rows = [(os.fsencode(path), *known) for path, known in new.items()]
        try:
            with locked(os.path.dirname(self._path)), closing(self._writable()) as connection, connection:
                if connection.execute("SELECT count(*) FROM inputs").fetchone()[0] > _MOST:
                    connection.execute("DELETE FROM inputs")
                insert_rows(connection, "INSERT OR REPLACE INTO inputs", rows)
        except (OSError, sqlite3.Error):
            pass  # a full disk, or a cache that may only be read

    def _writable(self) -> sqlite3.Connection:
        try:
            return _opened(self._path)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            os.unlink(self._path)
            return _opened(self._path)


def _opened(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_PATIENCE)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS inputs"
            " (path BLOB PRIMARY KEY, stamp BLOB, digest BLOB, shown TEXT) WITHOUT ROWID"
        )
    except BaseException:
        connection.close()
        raise
    return connection
