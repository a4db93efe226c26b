"""Small results of one class in one SQLite file, written by drivers only, in groups."""
from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

from ..base.errors import CacheError
from . import files
from .disk import delete_in, insert_rows, is_damage, open_existing
from .files import DamagedResultError
from .locks import locked
from .meta import META_SIZE, Meta, read_notes

FILE = "packed.sqlite3"
_FEW = 200
_LOGGER = logging.getLogger(__name__)

Row = tuple[bytes, bytes, bytes]


class PackedRows:
    """The packed results of one class: identity digest -> provenance and pickled value.

    Args:
        directory: The class's directory. The file is made at the first commit.
        fsync: Whether a commit reaches the disk before it returns.
    """

    def __init__(self, directory: str, fsync: bool = False) -> None:
        self.path = f"{directory}/{FILE}"
        self.fsync = fsync
        self._connection: sqlite3.Connection | None = None
        self._stamp: tuple[int, int] | None = None
        self._lock = threading.RLock()

    def exists(self) -> bool:
        """Whether the class has a packed file."""
        return os.path.exists(self.path)

    def peek(self, digests: Sequence[bytes]) -> dict[bytes, Meta]:
        """Read the provenance of those that are there."""
        found = self._select("meta", digests)
        rows = [row for row in found if len(row[1]) == META_SIZE]
        if len(rows) != len(found):
            files.tell_of_former()
        metas = Meta.unpack_all(b"".join([meta for _, meta in rows]))
        return dict(zip([identity for identity, _ in rows], metas, strict=True))

    def values(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """Read the pickled values of those that are there, checked.

        Raises:
            DamagedResultError: A value is not what was written.
        """
        return {identity: value for identity, (_, value) in self.results(digests).items()}

    def results(self, digests: Sequence[bytes]) -> dict[bytes, tuple[Meta, bytes]]:
        """Read the provenance and the pickled values of those that are there, checked.

        Raises:
            DamagedResultError: A value is not what was written.
        """
        return {
            identity: (meta, value[: len(value) - meta.notes])
            for identity, (meta, value) in self._rows(digests).items()
        }

    def notes(self, digest: bytes) -> Any:
        """Read a result's notes; None if it has none, or they cannot be read."""
        return self.all_notes([digest]).get(digest)

    def all_notes(self, digests: Sequence[bytes]) -> dict[bytes, Any]:
        """Read the notes of those that have any, as far as they can be read."""
        found: dict[bytes, Any] = {}
        try:
            rows = self._rows(digests) if digests else {}
        except DamagedResultError:  # of one of them
            rows = {}
            if len(digests) > 1:
                return {key: notes for digest in digests for key, notes in self.all_notes([digest]).items()}
        for identity, (meta, value) in rows.items():
            try:
                if meta.notes:
                    found[identity] = read_notes(value[len(value) - meta.notes :])
            except ValueError:
                pass
        return found

    def _rows(self, digests: Sequence[bytes]) -> dict[bytes, tuple[Meta, bytes]]:
        """Read the provenance and the pickled values of those that are there, with their notes behind them."""
        found = {}
        for identity, meta, value, crc in self._select("meta, value, crc", digests):
            if len(meta) != META_SIZE:
                raise files.FormerResultError(f"{identity.hex()} in {self.path}")
            if zlib.crc32(value) != crc:
                raise DamagedResultError(f"{self.path} is damaged: the checksum of {identity.hex()} does not match")
            found[identity] = Meta.unpack(meta), value
        return found

    def commit(self, rows: Iterable[Row]) -> None:
        """Write a group of (identity, provenance, value) in one transaction."""
        made = int(time.time())
        with self._lock, self._open(create=True) as connection:
            written = [(identity, meta, value, zlib.crc32(value), made) for identity, meta, value in rows]
            insert_rows(connection, "INSERT OR REPLACE INTO results", written)

    def copy(self, identity: bytes, other: bytes, into: PackedRows) -> bool:
        """Keep a result under another identity too; whether it is there."""
        rows = self._rows([identity])
        into.commit([(other, meta._replace(identity=other).pack(), value) for meta, value in rows.values()])
        return bool(rows)

    def discard(self, digests: Iterable[bytes]) -> None:
        """Remove the rows of these tasks."""
        if self.exists():
            with self._lock, self._open() as connection:
                delete_in(connection, "DELETE FROM results WHERE identity", digests)

    def sizes(self) -> list[tuple[bytes, int, float]]:
        """Tell of every result: its identity, its size in bytes, and when it was made."""
        return [
            (identity, size + META_SIZE, float(made))
            for identity, size, made in self._select("length(value), made", None)
        ]

    def read_through(self) -> Iterator[tuple[bytes, Meta | None, bytes, bool]]:
        """Read every row: its identity, its provenance (None in a former format), its value with notes, and whether
        that is what was written. Nothing is put aside, whatever is found, and drivers may write meanwhile.

        Raises:
            DamagedResultError: The file is damaged.
        """
        if not self.exists():
            return
        query = "SELECT identity, meta, value, crc FROM results WHERE identity > ? ORDER BY identity LIMIT ?"
        last: bytes | None = b""
        try:
            with closing(open_existing(self.path, "rw")) as connection:  # only a writer can roll back what was killed
                while last is not None:
                    rows, last = connection.execute(query, (last, _FEW)).fetchall(), None
                    for identity, meta, value, crc in rows:
                        last = identity
                        known = Meta.unpack(meta) if len(meta) == META_SIZE else None
                        yield identity, known, value, isinstance(value, bytes) and zlib.crc32(value) == crc
        except (sqlite3.DatabaseError, TypeError) as error:
            raise DamagedResultError(f"{self.path} cannot be read: {error}") from error

    def compact(self) -> None:
        """Give the room of removed rows back to the disk."""
        if self.exists():
            with self._lock:
                self._open().execute("VACUUM")

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _select(self, columns: str, digests: Sequence[bytes] | None) -> Sequence[tuple[Any, ...]]:
        """Read columns of the rows of these tasks; None: of all."""
        if not self.exists():
            return []
        query = f"SELECT identity, {columns} FROM results"
        with self._lock:
            try:
                connection = self._open()
                if digests is None:
                    return connection.execute(query).fetchall()
                if len(digests) > _FEW:
                    wanted = set(digests)
                    return [row for row in connection.execute(query) if row[0] in wanted]
                query += " WHERE identity = ?"
                rows = (connection.execute(query, (digest,)).fetchone() for digest in digests)
                return [row for row in rows if row is not None]
            except sqlite3.DatabaseError as error:
                self._put_aside(error)
                return []

    def _open(self, create: bool = False) -> sqlite3.Connection:
        stamp = self._current_stamp()
        if self._connection is None or stamp != self._stamp:
            self.close()
            try:
                self._connection = self._connect()
            except sqlite3.DatabaseError as error:
                if not create:
                    raise
                self._put_aside(error)
                self._connection = self._connect()
            self._stamp = self._current_stamp()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        with locked(os.path.dirname(self.path)):
            connection = sqlite3.connect(self.path, timeout=60, check_same_thread=False)
            try:
                connection.execute("PRAGMA journal_mode = TRUNCATE")
                connection.execute(f"PRAGMA synchronous = {'FULL' if self.fsync else 'OFF'}")
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS results"
                    " (identity BLOB PRIMARY KEY, meta BLOB, value BLOB, crc INTEGER, made INTEGER) WITHOUT ROWID"
                )
            except BaseException:
                connection.close()
                raise
            return connection

    def _current_stamp(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _put_aside(self, error: sqlite3.DatabaseError) -> None:
        if not is_damage(error):
            msg = f"the packed results {self.path} cannot be used: {error}"
            raise CacheError(msg) from error
        self.close()
        aside = f"{self.path}.damaged"
        try:
            files.remove(aside)
            os.rename(self.path, aside)
            _LOGGER.warning("%s was damaged (%s): its results are computed again; see %s", self.path, error, aside)
        except OSError:
            _LOGGER.warning("%s is damaged (%s) and cannot be put aside; it is not used", self.path, error)
