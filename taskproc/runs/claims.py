"""Which driver runs what: one table for all drivers of a cache, so that no task's attempt starts twice.

A driver claims tasks in groups, each in one SQLite transaction. A claim ends when its driver releases it; the claims
of a driver that died are taken over, once its workers, which end by themselves, are gone too.
"""
from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

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


class Claims:
    """The claims of one run.

    Args:
        runs: The cache's directory of runs.
        run: This run.
    """

    def __init__(self, runs: str, run: str) -> None:
        self._runs = runs
        self.run = run
        self._connection = _connect(f"{runs}/{FILE}")
        self._dead: dict[str, float] = {}
        try:
            with self._transaction() as connection:
                self.number: int = connection.execute("INSERT INTO runs (run) VALUES (?)", (run,)).lastrowid or 0
                others = connection.execute("SELECT count(*) FROM runs WHERE run != ?", (run,)).fetchone()[0]
        except BaseException:
            self._connection.close()
            raise
        self._others: bool = others > 0

    def met_others(self, last_number: int) -> bool:
        """Whether another driver may have computed something since this run looked at the results.

        Args:
            last_number: What `last_number()` gave before it looked.
        """
        if not self._others:
            newest = self._connection.execute("SELECT max(number) FROM runs").fetchone()[0]
            self._others = (self.number, newest) != (last_number + 1, self.number)
        return self._others

    def acquire(self, wanted: Sequence[tuple[bytes, str]]) -> dict[bytes, Claim]:
        """Claim tasks, each for an attempt, and give the claims that others hold on some of them."""
        with self._transaction() as connection:
            rows = [(digest, self.run, nonce) for digest, nonce in wanted]
            if insert_rows(connection, "INSERT OR IGNORE INTO claims", rows) == len(rows):
                return {}
            held = self._held(digest for digest, _ in wanted)
            connection.executemany(
                "UPDATE claims SET nonce = ? WHERE digest = ? AND run = ?",
                [(nonce, digest, self.run) for digest, nonce in wanted],
            )
        return {digest: claim for digest, claim in held.items() if claim.run != self.run}

    def held(self, digests: Iterable[bytes]) -> dict[bytes, Claim]:
        """Give the claims that stand on these tasks."""
        return self._held(digests)

    def take_over(self, digests: Iterable[bytes], dead: str) -> None:
        """Remove a dead run's claims, so that they can be acquired."""
        with self._transaction() as connection:
            delete_in(connection, "DELETE FROM claims WHERE run = ? AND digest", digests, dead)

    def release(self, digests: Iterable[bytes]) -> None:
        """Give claims back."""
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
                "DELETE FROM runs WHERE run = ?1 AND NOT EXISTS (SELECT 1 FROM claims WHERE run = ?1)",
                [(run,) for run in dead],
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            if self._connection.in_transaction:  # a full disk has ended it already
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _held(self, digests: Iterable[bytes]) -> dict[bytes, Claim]:
        query = "SELECT run, nonce FROM claims WHERE digest = ?"
        found = {}
        for digest in digests:
            row = self._connection.execute(query, (digest,)).fetchone()
            if row is not None:
                found[digest] = Claim(*row)
        return found


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


def last_number(runs: str) -> int:
    """Give the number of the newest run that ever registered; 0 if none did."""
    path = f"{runs}/{FILE}"
    if not os.path.exists(path):
        return 0
    try:
        connection = open_existing(path, timeout=120)
    except sqlite3.DatabaseError:
        return -1  # in doubt, others have been there
    try:
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'runs'").fetchone()
        return int(row[0]) if row else 0
    except sqlite3.DatabaseError:
        return -1
    finally:
        connection.close()


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
