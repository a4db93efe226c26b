"""The id table of a class: identity digest -> a small number, allotted in batches and never used twice.

It is a diskcache `Cache` whose disk stores whole numbers and refuses to unpickle anything. Reading all ids goes past
diskcache, by one query on its documented table, since one call per key costs a re-check of 100,000 tasks seconds.
"""
from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..base.errors import CacheError
from . import files
from .disk import is_damage, open_existing
from .locks import locked

_NEXT = "next"
_FEW = 50
_PATIENCE = 3.0  # seconds for others to let go of a table that is being opened


class IdTable:
    """The ids of one class's tasks.

    Args:
        directory: The class's directory in the cache. Nothing is made before an id is allotted.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._path = f"{directory}/id_table/cache.db"
        self._known: dict[bytes, int] = {}
        self._next = -1  # the counter when all ids were last read; -1: never
        self._table: Any = None
        self._stamp: tuple[int, int] | None = None
        self._looked = False  # whether results without a noted id were looked for
        self._unnoted: dict[bytes, int | None] = {}

    def lookup(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        """Give the ids of those tasks that have one."""
        self._forget_if_replaced()
        missing = [digest for digest in digests if digest not in self._known]
        if missing and self._stamp is not None:
            self._read(missing)
            if not self._looked and any(digest not in self._known for digest in missing):
                self._find_unnoted()
        known = self._known
        return {digest: known[digest] for digest in digests if digest in known}

    def known(self, digest: bytes) -> int:
        """Give the id of a task as far as it was looked up; -1 if it has none."""
        return self._known.get(digest, -1)

    def look_up_all(self) -> None:
        """Look up all tasks that have directories, at once, and not again until somebody is to `look_again`."""
        if self._looked:
            return
        self._forget_if_replaced()
        self._looked = True
        if self._stamp is not None:
            self._find_unnoted()

    def look_again(self) -> None:
        """Look at the directories, too, when an id is missing: another driver may have died since the last look."""
        self._looked = False

    def present(self) -> set[int]:
        """List the instance directories."""
        try:
            return {int(name) for name in os.listdir(f"{self._directory}/results") if name.isdecimal()}
        except OSError:
            return set()

    def has_unnoted(self) -> bool:
        """Whether ids were ever set aside that nobody has noted."""
        self._forget_if_replaced()
        if self._stamp is None:
            return False
        self._read(None)
        return self._next > len(self._known)

    def by_id(self) -> dict[int, bytes]:
        """Give the tasks' identity digests by id, those of results that nobody noted included."""
        self._forget_if_replaced()
        if self._stamp is not None:
            self._read(None)
        known = {id: digest for digest, id in self._known.items()}
        unknown = self.present().difference(known)
        return known | {id: digest for digest, id in self._identities(unknown).items()}

    def unnoted(self, present: set[int]) -> set[int]:
        """Tell which of these directories have neither a noted id nor a result."""
        self._forget_if_replaced()
        if self._stamp is None:
            return set()
        self._read(None)
        left = present.difference(self._known.values())
        return left.difference(self._identities(left).values())

    def note_found(self) -> None:
        """Note the ids of results that their driver had no time to note."""
        if self._unnoted:
            self.assign(self._unnoted)
            self._unnoted = {}

    def allot(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        """Give the ids of all these tasks, new ones to those that have none."""
        found = self.lookup(digests)
        if len(found) < len(digests):
            self.assign(dict.fromkeys(digest for digest in digests if digest not in found))
            found = {digest: self._known[digest] for digest in digests}
        return found

    def reserve(self, number: int) -> int:
        """Set ids aside for tasks that may come to need one; give the first of them."""
        with self._transaction() as table:
            first: int = table.get(_NEXT, default=0)
            table.set(_NEXT, first + number)
        if self._next == first:
            self._next = first + number
        return first

    def assign(self, wanted: dict[bytes, int | None]) -> None:
        """Note ids: the reserved ones given, and new ones where None is given."""
        with self._transaction() as table:
            following: int = table.get(_NEXT, default=0)
            others_came = following != self._next
            for digest, id in wanted.items():
                key = digest.hex()
                # An id that was set aside is noted without a trace in the counter.
                known = table.get(key) if others_came or id is not None else None
                if known is None:
                    if id is None:
                        id = following
                    following = max(following, id + 1)
                    table.set(key, id)
                    known = id
                self._known[digest] = known
            table.set(_NEXT, following)
        if not others_came:
            self._next = following

    def rename(self, digest: bytes, other: bytes) -> None:
        """Give the id of a task to another identity of it."""
        with self._transaction() as table:
            id = table.pop(digest.hex(), default=None)
            if id is not None and table.get(other.hex()) is None:
                table.set(other.hex(), id)
        self._known.pop(digest, None)

    def close(self) -> None:
        """Let go of the file."""
        if self._table is not None:
            self._table.close()
            self._table = None

    def _read(self, missing: Sequence[bytes] | None) -> None:
        """Read the ids of a few tasks, or all at once; None: all."""
        try:
            # Not read-only, because only a writer can roll back what a killed driver left half done.
            connection = open_existing(self._path, "rw")
        except sqlite3.OperationalError as error:
            raise self._unusable(error) from error
        try:
            if missing is not None and len(missing) <= _FEW:
                query = "SELECT key, value FROM Cache WHERE key = ? AND raw = 1"
                for digest in missing:
                    self._note(connection.execute(query, (digest.hex(),)))
            else:
                self._note(connection.execute("SELECT key, value FROM Cache WHERE raw = 1"))
                self._next = self._known.pop(b"", -1)
        except sqlite3.DatabaseError as error:
            if "no such table" in str(error):  # as it is while another driver makes it
                return
            if not is_damage(error):
                raise self._unusable(error) from error
            self._repair()
        finally:
            connection.close()

    def _note(self, rows: Iterable[tuple[Any, Any]]) -> None:
        known = self._known
        for key, id in rows:
            if type(id) is not int:
                continue
            if key == _NEXT:
                known[b""] = id
            else:
                try:
                    known[bytes.fromhex(key)] = id
                except (ValueError, TypeError):
                    continue

    def _find_unnoted(self) -> None:
        """Learn the ids of results whose driver died between their commit and its note of the id it had set aside."""
        self._looked = True
        present = self.present()
        if present:
            if self._stamp is not None:  # else the table was damaged, and has just been put aside
                self._read(None)
            for identity, id in self._identities(present.difference(self._known.values())).items():
                if identity not in self._known:
                    self._known[identity] = id
                    self._unnoted[identity] = id

    def _identities(self, ids: Iterable[int]) -> dict[bytes, int]:
        """Tell whose results lie in these directories."""
        found: dict[bytes, int] = {}
        for id in sorted(ids):
            try:
                meta = files.peek(f"{self._directory}/results/{id}/{files.RESULT}")
            except files.DamagedResultError:
                continue
            if meta is not None:
                found[meta.identity] = id
        return found

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        table = self._open()
        try:
            with table.transact(retry=True):
                yield table
        finally:
            # diskcache connects each thread anew; nobody else could close the connection of one that has ended.
            if threading.current_thread() is not threading.main_thread():
                table.close()

    def _open(self) -> Any:
        self._forget_if_replaced()
        if self._table is None:
            # Two drivers that make the table at once would break it for each other.
            with locked(self._directory):
                if self._open_table():
                    self._recover()
        return self._table

    def _open_table(self) -> bool:
        """Open the table; whether it is a new one."""
        new = _stamp(self._path) is None
        directory = os.path.dirname(self._path)
        try:
            self._table = _opened(directory)
        except (sqlite3.DatabaseError, OSError) as error:
            if not isinstance(error, sqlite3.DatabaseError) or not is_damage(error):
                raise self._unusable(error) from error
            self._repair()
            new = True
            self._table = _opened(directory)
        self._stamp = _stamp(self._path)
        return new

    def _unusable(self, error: Exception) -> CacheError:
        return CacheError(
            f"the id table {self._path} cannot be used: {error}. If that does not pass, remove "
            f"{os.path.dirname(self._path)}: it is made anew from the results."
        )

    def _repair(self) -> None:
        """Put a table that cannot be read aside; the next one is made from the instance directories."""
        import logging

        self.close()
        aside = f"{self._directory}/id_table.damaged"
        files.remove(aside)
        try:
            os.rename(os.path.dirname(self._path), aside)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise CacheError(f"{self._path} is damaged and cannot be put aside: {error.strerror}") from error
        logging.getLogger(__name__).warning("%s was damaged; it is made anew from the results", self._path)
        self._known.clear()
        self._unnoted.clear()
        self._next = -1
        self._stamp = None

    def _recover(self) -> None:
        """Take the ids of results that are there without a table."""
        present = self.present()
        if present:
            self.reserve(max(present) + 1)
            self.assign(dict(self._identities(present)))

    def _forget_if_replaced(self) -> None:
        """Forget all when somebody removed the directory by hand, which is a legal way to clear it."""
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self.close()
            self._known.clear()
            self._unnoted.clear()
            self._looked = False
            self._next = -1
            self._stamp = stamp


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class _AsItIs(str):
    """A path in which diskcache finds no variable to expand: a `$` in a directory's name is a `$`."""

    def __contains__(self, part: object) -> bool:
        return part != "$" and isinstance(part, str) and super().__contains__(part)

    def __str__(self) -> str:
        return self


def _opened(directory: str) -> Any:
    """Open the table, again if another's write refuses it: SQLite does not wait where that might last for ever."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return _diskcache(directory)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _diskcache(directory: str) -> Any:
    from diskcache import Cache, Disk

    class NumberDisk(Disk):  # type: ignore[misc]  # diskcache has no types
        """Keys are text, values are whole numbers; nothing is ever unpickled or read from a file."""

        def put(self, key: Any) -> Any:
            return key, True

        def get(self, key: Any, raw: Any) -> Any:
            return key

        def store(self, value: Any, read: Any, key: Any = None) -> Any:
            return 0, 1, None, int(value)

        def fetch(self, mode: Any, filename: Any, value: Any, read: Any) -> int:
            if mode != 1 or type(value) is not int:
                raise CacheError(f"the id table {directory} holds something that is not an id; remove it")
            return value

    return Cache(
        _AsItIs(directory),
        disk=NumberDisk,
        eviction_policy="none",
        cull_limit=0,
        statistics=0,
        sqlite_journal_mode="truncate",
        sqlite_synchronous=0,
        sqlite_mmap_size=0,
    )
