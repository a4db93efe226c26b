"""What mbatchd would know: submissions, jobs, events, signals to deliver, and the faults in force.

One SQLite file in the state directory; every change is one transaction, so that many commands and the daemon
may run at once. Times are seconds since the epoch.
"""

from __future__ import annotations

import fcntl
import fnmatch
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .names import parse_indices, reference

HOST = "fakehost01"
SUBMIT_HOST = "fakelogin01"
PENDING = ("PEND", "PROV", "WAIT", "PSUSP")
STARTED = ("RUN", "USUSP", "SSUSP", "UNKWN", "ZOMBI")
FINISHED = ("DONE", "EXIT")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS submissions (id INTEGER PRIMARY KEY AUTOINCREMENT, spec TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER, idx INTEGER, name TEXT, queue TEXT, slots INTEGER, array_limit INTEGER, runlimit REAL,
    stat TEXT, submitted REAL, started REAL, ended REAL, pid INTEGER,
    raw INTEGER, exit_code INTEGER, signal INTEGER, reason TEXT, cpu REAL, fault TEXT, lost_until REAL,
    PRIMARY KEY (id, idx)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_stat ON jobs (stat, id, idx);
CREATE TABLE IF NOT EXISTS events (id INTEGER, idx INTEGER, at REAL, text TEXT);
CREATE INDEX IF NOT EXISTS events_of ON events (id, idx);
CREATE TABLE IF NOT EXISTS signals (id INTEGER, idx INTEGER, at REAL, number INTEGER, reason TEXT);
"""

Fault = dict[str, Any]


def setting(name: str, default: float) -> float:
    """Read a number from the environment."""
    return float(os.environ.get(name) or default)


class State:
    """The state directory, open in one process."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for part in ("faults", "spool", "mail"):
            (directory / part).mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(directory / "state.db", timeout=60, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        self._create()

    def _create(self) -> None:
        """Make the tables once; only one process at a time may change the journal's mode."""
        with (self.directory / "create.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.db.execute("SELECT 1 FROM sqlite_master").fetchone():
                self.db.execute("PRAGMA journal_mode=WAL")
                self.db.executescript(_SCHEMA)
        self.db.execute("PRAGMA synchronous=OFF")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the state for one change, or for a look that must agree with itself."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield self.db
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    # Jobs

    def add(self, spec: dict[str, Any], indices: list[int]) -> int:
        """Record a submission and its jobs; the id is LSF's job id."""
        now = time.time()
        with self.transaction() as db:
            job = db.execute("INSERT INTO submissions (spec) VALUES (?)", [json.dumps(spec)]).lastrowid
            assert job is not None
            if spec["script"] is not None:
                self.script(job).write_text(spec["script"])
            stat = "PSUSP" if spec["hold"] else "PEND"
            rows = [
                (
                    job,
                    index,
                    f"{spec['name']}[{index}]" if index else spec["name"],
                    spec["queue"],
                    spec["slots"],
                    spec["array_limit"],
                    spec["runlimit"],
                    stat,
                    now,
                )
                for index in indices or [0]
            ]
            db.executemany(
                "INSERT INTO jobs (id, idx, name, queue, slots, array_limit, runlimit, stat, submitted)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
        return job

    def spec(self, job: int) -> dict[str, Any]:
        """Return what was asked for when the job was submitted."""
        row = self.db.execute("SELECT spec FROM submissions WHERE id = ?", [job]).fetchone()
        return dict(json.loads(row["spec"]))

    def script(self, job: int) -> Path:
        """Return where a script from standard input is kept."""
        return self.directory / "spool" / f"{job}.sh"

    def jobs(self, where: str = "1", *arguments: object) -> list[sqlite3.Row]:
        """Return jobs in the order of their ids and indices."""
        return self.db.execute(f"SELECT * FROM jobs WHERE {where} ORDER BY id, idx", arguments).fetchall()

    def events(self, job: sqlite3.Row) -> list[sqlite3.Row]:
        """Return a job's history, oldest first."""
        return self.db.execute(
            "SELECT at, text FROM events WHERE id = ? AND idx = ? ORDER BY at, rowid", [job["id"], job["idx"]]
        ).fetchall()

    def change(self, job: sqlite3.Row, **values: object) -> None:
        """Set columns of one job."""
        columns = ", ".join(f"{name} = ?" for name in values)
        self.db.execute(
            f"UPDATE jobs SET {columns} WHERE id = ? AND idx = ?", [*values.values(), job["id"], job["idx"]]
        )

    def log(self, job: sqlite3.Row, text: str) -> None:
        """Add an event that `bhist -l` tells."""
        self.db.execute("INSERT INTO events VALUES (?, ?, ?, ?)", [job["id"], job["idx"], time.time(), text])

    def send(self, job: sqlite3.Row, number: int, reason: str | None, delay: float = 0) -> None:
        """Ask the daemon to deliver a signal to a job's processes."""
        self.db.execute(
            "INSERT INTO signals VALUES (?, ?, ?, ?, ?)",
            [job["id"], job["idx"], time.time() + delay, number, reason],
        )

    # Faults

    def fault(self, name: str) -> Fault | None:
        """Return a fault in force, without using it up."""
        try:
            return {"name": name, **json.loads((self.directory / "faults" / f"{name}.json").read_text())}
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def use(self, name: str, command: str | None = None) -> Fault | None:
        """Return a fault that strikes now, and count the use against its `times`."""
        fault = self.fault(name)
        if fault is None or (command and command not in fault.get("commands", [command])):
            return None
        if "times" not in fault:
            return fault
        with self.transaction():
            fault = self.fault(name)
            if fault:
                self.use_up(name, fault)
        return fault

    def use_up(self, name: str, fault: Fault) -> None:
        """Count a use against the fault's `times`; the caller holds the transaction."""
        if "times" in fault:
            self.set_fault(name, {**fault, "times": fault["times"] - 1} if fault["times"] > 1 else None)

    def set_fault(self, name: str, fault: Fault | None) -> None:
        """Put a fault in force, or end it."""
        path = self.directory / "faults" / f"{name}.json"
        if fault is None:
            path.unlink(missing_ok=True)
            return
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(fault))
        part.replace(path)

    # The daemon

    def wake_daemon(self) -> None:
        """Let the daemon look at the state; start one when none is alive."""
        with (self.directory / "daemon.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.ring()
                return
        with (self.directory / "daemon.log").open("ab") as log:
            subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("mbatchd.py")), str(self.directory)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )

    def close(self) -> None:
        """Let go of the file."""
        self.db.close()

    def ring(self) -> None:
        """Wake the daemon, if there is one."""
        try:
            bell = os.open(self.directory / "bell", os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return  # There is none, or it is just starting, and then it looks anyway.
        try:
            os.write(bell, b".")
        except BlockingIOError:
            pass
        finally:
            os.close(bell)


def matches(fault: Fault, job: sqlite3.Row) -> bool:
    """Say whether a fault is meant for a job."""
    wanted = fault.get("jobs")
    return wanted is None or any(_names(str(text), job) for text in wanted)


def _names(text: str, job: sqlite3.Row) -> bool:
    number, bracket, rest = text.partition("[")
    if number.isdigit():
        return job["id"] == int(number) and (not bracket or job["idx"] in parse_indices(rest.rstrip("]")))
    return fnmatch.fnmatchcase(job["name"], text.replace("[", "[[]"))


def label(job: sqlite3.Row) -> str:
    """Name a job as the commands do."""
    return reference(job["id"], job["idx"])
