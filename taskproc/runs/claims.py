"""Which driver runs what: one table for all drivers of a cache, so that no task's attempt starts twice.

A driver claims tasks in groups, each in one SQLite transaction. A claim ends when its driver releases it; the claims
of a driver that died are taken over, once its workers, which end by themselves, are gone too.
"""
from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from ..base.errors import CacheError
from ..store.disk import delete_in, insert_rows, is_damage, open_existing
from ..store.locks import locked

FILE = "claims.sqlite3"
ORPHAN_GRACE = 10.0  # seconds for the workers of a dead driver to end


@dataclass(frozen=True)
class Claim:
    """Somebody's claim: by which run, for which attempt."""

    run: str
    nonce: str


class Standing(NamedTuple):
    """How the table stood before a run looked at results.

    Attributes:
        number: The number of the newest run that ever registered; -1 if that cannot be told.
        alone: Whether no run was in the table that may still compute something.
    """

    number: int
    alone: bool


class Claims:
    """The claims of one run.

    Args:
        runs: The cache's directory of runs.
        run: This run.
        before: How the table stood before this run looked at results.

    Attributes:
        alone: Whether nobody else can have computed anything since then: no run was there, and none has come.
    """

    def __init__(self, runs: str, run: str, before: Standing) -> None:
        self._runs = runs
        self.run = run
        self._connection = _connect(f"{runs}/{FILE}")
        self._dead: dict[str, float] = {}
        self._giving_back: set[bytes] = set()
        try:
            with self._transaction() as connection:
                self._number = connection.execute("INSERT INTO runs (run) VALUES (?)", (run,)).lastrowid
        except BaseException:
            self._connection.close()
            raise
        self.alone = before.alone and self._number == before.number + 1

    def acquire(self, wanted: Sequence[tuple[bytes, str]]) -> dict[bytes, Claim]:
        """Claim tasks, each for an attempt, and give the claims that others hold on some of them.

        Who asks `alone` after this learns of every run that may have done one of these tasks before: a run that comes
        later finds the claims.
        """
        self._giving_back.difference_update(digest for digest, _ in wanted)
        with self._transaction() as connection:
            self.alone = self.alone and _newest(connection) == self._number
            rows = [(digest, self.run, nonce) for digest, nonce in wanted]
            if insert_rows(connection, "INSERT OR IGNORE INTO claims", rows) == len(rows):
                return {}
            held = self.held(digest for digest, _ in wanted)
            connection.executemany(
                "UPDATE claims SET nonce = ? WHERE digest = ? AND run = ?",
                [(nonce, digest, self.run) for digest, nonce in wanted],
            )
        return {digest: claim for digest, claim in held.items() if claim.run != self.run}

    def held(self, digests: Iterable[bytes]) -> dict[bytes, Claim]:
        """Give the claims that stand on these tasks."""
        query = "SELECT run, nonce FROM claims WHERE digest = ?"
        found = {}
        for digest in digests:
            row = self._connection.execute(query, (digest,)).fetchone()
            if row is not None:
                found[digest] = Claim(*row)
        return found

    def take_over(self, attempts: Mapping[bytes, str], dead: str) -> set[bytes]:
        """Put this run in a dead one's place, all at once, where no other has: its attempts are ours to see to now.

        Args:
            attempts: The dead run's attempts by task.
            dead: The dead run.

        Returns:
            The tasks that are ours now.
        """
        query = "UPDATE claims SET run = ? WHERE digest = ? AND run = ? AND nonce = ?"
        with self._transaction() as connection:
            return {
                digest
                for digest, nonce in attempts.items()
                if connection.execute(query, (self.run, digest, dead, nonce)).rowcount
            }

    def drop(self, digests: Iterable[bytes], dead: str) -> None:
        """Remove a dead run's claims, of which nothing is left to see to."""
        with self._transaction() as connection:
            delete_in(connection, "DELETE FROM claims WHERE run = ? AND digest", digests, dead)

    def give_back(self, digests: Iterable[bytes]) -> None:
        """Give claims back, at the next `flush`."""
        self._giving_back.update(digests)

    @property
    def giving_back(self) -> bool:
        """Whether claims are about to be given back."""
        return bool(self._giving_back)

    def flush(self) -> None:
        """Remove the claims that were given back."""
        if self._giving_back:
            digests, self._giving_back = self._giving_back, set()
            with self._transaction() as connection:
                delete_in(connection, "DELETE FROM claims WHERE run = ? AND digest", digests, self.run)

    def is_dead(self, run: str) -> bool:
        """Whether a run's driver is gone, and its workers too, or out of time."""
        from . import ledger  # which a run that finds everything cached does not need

        path = f"{self._runs}/{run}"
        if ledger.driver_lives(path):
            self._dead.pop(run, None)
            return False
        since = self._dead.setdefault(run, time.monotonic())
        return not ledger.workers_live(path) or time.monotonic() - since > ORPHAN_GRACE

    def close(self, keep: bool = False) -> None:
        """End this run's part; with `keep`, its claims stand for a later run to find."""
        try:
            if not keep:
                with self._transaction() as connection:
                    connection.execute("DELETE FROM claims WHERE run = ?", (self.run,))
                    connection.execute("DELETE FROM runs WHERE run = ?", (self.run,))
        finally:
            self._connection.close()

    def runs(self) -> set[str]:
        """Name the runs in the table: those that live, and those that left something to see to."""
        return {row[0] for row in self._connection.execute("SELECT run FROM runs")}

    def dead_runs(self) -> list[str]:
        """Name the runs in the table that are dead."""
        return [run for run in sorted(self.runs() - {self.run}) if self.is_dead(run)]

    def of(self, run: str) -> dict[bytes, Claim]:
        """Give all claims of a run."""
        rows = self._connection.execute("SELECT digest, run, nonce FROM claims WHERE run = ?", (run,)).fetchall()
        return {digest: Claim(run, nonce) for digest, run, nonce in rows}

    def is_alone(self, dead: Sequence[str]) -> bool:
        """Whether no run but this one, and these dead ones, is in the table."""
        return self.runs() <= {self.run, *dead}

    def strike_out(self, dead: Iterable[str]) -> None:
        """Remove dead runs that hold no claims any more from the table."""
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM runs WHERE run = ? AND NOT EXISTS (SELECT 1 FROM claims WHERE run = ?)",
                [(run, run) for run in dead],
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # a full disk has ended it already
                self._connection.execute("ROLLBACK")
            raise


def claimed(runs: str) -> set[bytes]:
    """Give the identity digests of all tasks that somebody has a claim on, whether alive or left by a dead driver."""
    path = f"{runs}/{FILE}"
    if not os.path.exists(path):
        return set()
    try:
        with closing(open_existing(path, timeout=120)) as connection:
            return {row[0] for row in connection.execute("SELECT digest FROM claims")}
    except sqlite3.DatabaseError as error:
        msg = f"the table of claims {path} cannot be read: {error}"
        raise CacheError(msg) from error


def standing(runs: str) -> Standing:
    """Tell how the table stands: to be asked before results are looked at."""
    path = f"{runs}/{FILE}"
    if not os.path.exists(path):
        return Standing(0, alone=True)
    try:
        with closing(open_existing(path, timeout=120)) as connection:
            return Standing(_newest(connection), connection.execute("SELECT 1 FROM runs").fetchone() is None)
    except sqlite3.DatabaseError:
        return Standing(-1, alone=False)  # in doubt, others are there


def _newest(connection: sqlite3.Connection) -> int:
    """Give the number of the newest run that ever registered, whether or not it has ended: 0 if none has."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'runs'").fetchone()
    return int(row[0]) if row else 0


def _connect(path: str) -> sqlite3.Connection:
    with locked(os.path.dirname(path)):
        try:
            return _opened(path)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                msg = f"the table of claims {path} cannot be used: {error}"
                raise CacheError(msg) from error
            # The table only coordinates drivers that live; without it the worst is that a task runs twice.
            os.replace(path, f"{path}.damaged")
            return _opened(path)


def _opened(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=120, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = TRUNCATE")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS claims (digest BLOB PRIMARY KEY, run TEXT, nonce TEXT) WITHOUT ROWID"
        )
        connection.execute(
            "CREATE TABLE IF NOT EXISTS runs (number INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT UNIQUE)"
        )
    except BaseException:
        connection.close()
        raise
    return connection
