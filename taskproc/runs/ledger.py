"""A run on disk: its directory, the lock that shows that its driver lives, and the ledger of what it did."""
from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..store import files

NESTED = "-nested"  # ends the name of a run that a task started
_BUFFERED = 1 << 16
_LONG = 1 << 18  # bytes: longer ledgers are compressed in the end


class RunDirectory:
    """A run's own directory, `{cache}/taskproc/.runs/{run}`.

    Args:
        runs: The cache's directory of runs.
        root: The label of the task asked for.
        nested: Whether a task started this run.
    """

    def __init__(self, runs: str, root: str, *, nested: bool = False) -> None:
        now = time.time()
        # Names sort by time, also those of runs of one second.
        stamp = f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{int(now % 1 * 1000):03d}"
        self.run = f"{stamp}-{secrets.token_hex(4)}{NESTED if nested else ''}"
        self.path = f"{runs}/{self.run}"
        os.makedirs(self.path)
        self.context = f"{self.path}/context.pickle"
        self._lock = _locked(f"{self.path}/driver.lock")
        info = {
            "run": self.run,
            "root": root,
            "argv": sys.argv,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "pid_started": process_start(os.getpid()),
            "started": now,
        }
        Path(self.path, "run.json").write_text(json.dumps(info, indent=1), encoding="utf-8")

    def close(self, keep: bool) -> None:
        """Let go of the lock, and unless workers live on, remove what only they need."""
        if not keep:
            tidy(self.path)
        os.close(self._lock)


class Ledger:
    """The append-only account of a run, one JSON object a line.

    Args:
        path: `ledger.jsonl` in the run's directory.
    """

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        self._lines: list[str] = []
        self._size = 0
        self._lock = threading.RLock()

    def note(self, line: str) -> None:
        """Add one line, soon to be written."""
        with self._lock:
            self._lines.append(line)
            self._size += len(line)
        if self._size > _BUFFERED:
            self.flush()

    def write(self, entry: dict[str, Any]) -> None:
        """Add one entry, which is in the file when this returns."""
        self.note(json.dumps(entry))
        self.flush()

    def flush(self) -> None:
        """Write out what was added."""
        with self._lock:
            if not self._lines:
                return
            lines, self._lines, self._size = self._lines, [], 0
            data = memoryview(("\n".join(lines) + "\n").encode())
            while data:
                data = data[os.write(self._fd, data) :]

    def close(self) -> None:
        """Write out, and close."""
        self.flush()
        os.close(self._fd)


def tidy(path: str) -> None:
    """Remove from a run's directory what only its driver and its workers needed."""
    try:
        names = os.listdir(path)
    except FileNotFoundError:  # removed by hand
        return
    for name in names:
        if name in ("output", "apart") or name.startswith("classes-"):
            files.remove(f"{path}/{name}")
    _shrink(f"{path}/ledger.jsonl")


def _shrink(path: str) -> None:
    """Compress a long ledger that nobody will add to."""
    import gzip
    import shutil

    try:
        if os.path.getsize(path) < _LONG:
            return
        with open(path, "rb") as plain, gzip.open(f"{path}.gz", "wb", compresslevel=1) as packed:
            shutil.copyfileobj(plain, packed, _LONG)
    except OSError:  # no such file, or no room for another
        files.remove(f"{path}.gz")
    else:
        os.unlink(path)


def open_ledger(path: str) -> BinaryIO:
    """Open a ledger for reading, though it may have been compressed.

    Raises:
        OSError: There is none.
    """
    import gzip

    try:
        return open(path, "rb")
    except FileNotFoundError:
        return cast("BinaryIO", gzip.open(f"{path}.gz"))


def run_directories(runs: str) -> list[str]:
    """Name the directories of a cache's runs, the newest first.

    Args:
        runs: The cache's directory of runs, `{cache}/taskproc/.runs`.
    """
    try:
        with os.scandir(runs) as entries:
            names = [entry.name for entry in entries if os.path.exists(f"{entry.path}/run.json")]
    except OSError:
        return []
    return [f"{runs}/{name}" for name in sorted(names, reverse=True)]


def read_ledger(path: str) -> Iterator[dict[str, Any]]:
    """Read a ledger; a last line that was cut short is passed over."""
    try:
        with open(path, "rb") as file:
            for line in file:
                yield from parse_lines(line)
    except FileNotFoundError:
        return


class LedgerTail:
    """The whole lines of a growing ledger, each given once.

    Args:
        path: `ledger.jsonl` in the run's directory.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._at = 0
        self._file = -1

    def read(self) -> tuple[list[dict[str, Any]], bool]:
        """Give the entries that are new, and whether the file is another one than before."""
        try:
            with open_ledger(self._path) as file:
                number = os.fstat(file.fileno()).st_ino
                anew = self._at > 0 and (number != self._file or file.seek(0, os.SEEK_END) < self._at)
                if anew:
                    self._at = 0
                self._file = number
                file.seek(self._at)
                data = file.read()
        except (OSError, EOFError, zlib.error):
            return [], False
        whole = data.rfind(b"\n") + 1
        self._at += whole
        return parse_lines(data[:whole]), anew


def parse_lines(data: bytes) -> list[dict[str, Any]]:
    """Read lines of a ledger; what is none is passed over."""
    found = []
    for line in data.splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found


def driver_lives(path: str) -> bool:
    """Whether the driver of the run in this directory is still there.

    On its own machine a process tells by its number and start; elsewhere, or in doubt, the lock tells.
    """
    try:
        info = json.loads(Path(path, "run.json").read_text(encoding="utf-8"))
        if info["host"] == socket.gethostname() and process_start(info["pid"]) != info["pid_started"]:
            return False
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return _is_locked(f"{path}/driver.lock")


def workers_live(path: str) -> bool:
    """Whether a worker process that this run's driver started is still there."""
    return _is_locked(f"{path}/workers.lock")


def process_start(pid: int) -> int:
    """Give the start of a process in clock ticks since boot, as proc(5) has it in field 22; 0 if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        return int(stat[stat.rindex(b")") + 2 :].split()[19])
    except (OSError, ValueError, IndexError):
        return _exists(pid)


def _exists(pid: int) -> int:
    """Where there is no /proc, say at least whether a process has that number."""
    if os.path.isdir("/proc/self"):
        return 0
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return 0
    except PermissionError:
        pass
    return 1


def _locked(path: str) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def _is_locked(path: str) -> bool:
    try:
        fd, kind = os.open(path, os.O_RDWR | os.O_CLOEXEC), fcntl.LOCK_EX
    except OSError:
        try:  # on NFS, who may only read can only share a lock
            fd, kind = os.open(path, os.O_RDONLY | os.O_CLOEXEC), fcntl.LOCK_SH
        except OSError:
            return False
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(fd)
