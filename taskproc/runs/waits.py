"""What runs that tasks started wait for: the one place where a circle of tasks that wait for each other shows."""
from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing

from .claims import FILE
from .ledger import driver_lives

_TABLE = "CREATE TABLE IF NOT EXISTS waits (run TEXT, inside BLOB, digest BLOB)"
_INDEX = "CREATE INDEX IF NOT EXISTS waiting ON waits (inside)"


class Waits:
    """The part of one run, which a task started.

    Args:
        runs: The cache's directory of runs.
        run: This run.
        ancestors: The tasks that it is nested in, outermost first.
    """

    def __init__(self, runs: str, run: str, ancestors: Sequence[bytes]) -> None:
        self._runs = runs
        self._run = run
        self._ancestors = ancestors

    def circle(self, digests: Collection[bytes]) -> list[bytes]:
        """Write down what the run waits for now, and find out whether any of that waits for the run itself.

        A task waits for what the runs wait for that it started.

        Args:
            digests: The tasks that the run waits for, instead of those before.

        Returns:
            Tasks that wait for each other, from one that the run waits for to one of its own ancestors; mostly none.
        """
        behind: dict[bytes, bytes | None] = dict.fromkeys(digests)  # tasks, with who waits for them
        waiting = list(digests)
        with closing(self._connect()) as connection, connection:
            connection.execute("DELETE FROM waits WHERE run = ?", (self._run,))
            rows = [(self._run, self._ancestors[-1], digest) for digest in digests]
            connection.executemany("INSERT INTO waits VALUES (?, ?, ?)", rows)
            while waiting:
                task = waiting.pop()
                if task in self._ancestors:
                    return _path(behind, task)
                for run, wanted in connection.execute("SELECT run, digest FROM waits WHERE inside = ?", (task,)):
                    if wanted not in behind and driver_lives(os.path.join(self._runs, run)):
                        behind[wanted] = task
                        waiting.append(wanted)
        return []

    def forget(self) -> None:
        """Strike out the run, and those that died meanwhile."""
        with closing(self._connect()) as connection, connection:
            runs = {run for (run,) in connection.execute("SELECT DISTINCT run FROM waits")}
            over = [run for run in runs if run == self._run or not driver_lives(os.path.join(self._runs, run))]
            connection.executemany("DELETE FROM waits WHERE run = ?", [(run,) for run in over])

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(os.path.join(self._runs, FILE), timeout=120)
        connection.execute(_TABLE)
        connection.execute(_INDEX)
        return connection


def _path(behind: dict[bytes, bytes | None], task: bytes) -> list[bytes]:
    path = [task]
    while (before := behind[path[-1]]) is not None:
        path.append(before)
    return path[::-1]
