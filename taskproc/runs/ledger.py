"""A run on disk: its directory, the lock that shows that its driver lives, and the ledger of what it did."""
from __future__ import annotations

import errno
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

from ..base.private import FILE_MODE, make_directories
from .tidying import clear_sets, tidy

NESTED = "-nested"  # ends the name of a run that a task started
_BUFFERED = 1 << 16


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
        make_directories(self.path)
        self.context = f"{self.path}/context.pickle"
        self._lock = _locked(f"{self.path}/driver.lock")
        info = {
            "run": self.run,
            "root": root,
            "argv": sys.argv,
            **_place(),
            "pid": os.getpid(),
            "pid_started": process_start(os.getpid()),
            "started": now,
        }
        Path(self.path, "run.json").write_text(json.dumps(info, indent=1), encoding="utf-8")

    def close(self, keep: bool) -> None:
        """Let go of the lock, and unless workers live on, remove what only they need."""
        try:
            if not keep:
                tidy(self.path)
                clear_sets(self.path)
        finally:
            os.close(self._lock)


class Ledger:
    """The append-only account of a run, one JSON object a line.

    Args:
        path: `ledger.jsonl` in the run's directory.
    """

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
        self._lines: list[str] = []
        self._size = 0
        self._torn = ""  # what ends a line that was written in part
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
            if not self._lines or self._fd < 0:
                return
            lines, self._lines, self._size = self._lines, [], 0
            data = (self._torn + "\n".join(lines) + "\n").encode()
            written = 0
            try:
                while written < len(data):
                    written += os.write(self._fd, memoryview(data)[written:])
            except OSError:  # a full disk: what is not in the file, or not as a whole, may fit later
                whole = data.count(b"\n", len(self._torn), max(written, len(self._torn)))
                self._lines, self._torn = lines[whole:], "\n"
                raise
            self._torn = ""

    def close(self) -> None:
        """Write out, and close. What comes later is passed over: the file's number may be another file's by then."""
        with self._lock:
            self.flush()
            os.close(self._fd)
            self._fd = -1


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
    """Whether the driver of the run in this directory is still there; in doubt it is.

    Its lock tells, which its end sets free. A process that it forked may hold the lock on, so a driver whose lock is
    held is gone all the same if its process surely is.
    """
    return _is_locked(f"{path}/driver.lock") is not False and not _process_is_gone(path)


def workers_live(path: str) -> bool:
    """Whether a worker process that this run's driver started is still there; in doubt one is."""
    return _is_locked(f"{path}/workers.lock") is not False


def process_start(pid: int) -> int | None:
    """Give the start of a process in clock ticks since boot, as proc(5) has it in field 22.

    Returns:
        0 if there is no such process; None if there is one of which no more can be told.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        return int(stat[stat.rindex(b")") + 2 :].split()[19])
    except (OSError, ValueError, IndexError):
        pass
    try:  # there need not be a /proc, and it need not show the processes of others
        os.kill(pid, 0)
    except ProcessLookupError:
        return 0
    except PermissionError:
        pass
    return None


def _place() -> dict[str, str]:
    """Tell where process numbers mean what they mean here: machines share names, and containers share machines."""
    return {"host": socket.gethostname(), "boot": _boot_id(), "pid_namespace": _pid_namespace()}


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _pid_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _process_is_gone(path: str) -> bool:
    """Whether a run's driver was a process of this very place, and is none any more."""
    try:
        info = json.loads(Path(path, "run.json").read_text(encoding="utf-8"))
        if any(not value or info[name] != value for name, value in _place().items()):
            return False
        started, now = info["pid_started"], process_start(info["pid"])
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return False
    return now == 0 or (None not in (started, now) and started != now)


def _locked(path: str) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def _is_locked(path: str) -> bool | None:
    """Whether somebody holds a lock; None if that cannot be told."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
    try:
        return _refuses(fd, fcntl.LOCK_EX)
    finally:
        os.close(fd)


def _refuses(fd: int, kind: int) -> bool | None:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno == errno.EBADF and kind == fcntl.LOCK_EX:  # on NFS, who may only read can only share a lock
            return _refuses(fd, fcntl.LOCK_SH)
        return None
    return False
