"""What every test cluster shares: find its programs, start them, wait for them, see them gone.

A daemon runs in the foreground as our child, and dies with us: Linux sends it SIGTERM when the thread that
started it ends, so all are started from one thread that lives as long as this process.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

LOOPBACK = "127.0.0.1"

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Below the range from which Linux takes the ports of outgoing connections.
_PORTS = range(20_000, 32_000)
# sun_path holds 108 bytes, and munged appends to the name.
_SOCKET_PATH_BYTES = 100
_LOG_LINES = 15
_STOP_SECONDS = 10.0
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cluster-daemons")


class ClusterError(Exception):
    """Say in one sentence why a test cluster does not run, with the end of the log below it."""


class ClusterMissing(ClusterError):
    """Say which programs a test cluster needs and this machine lacks."""


class Daemon:
    """One server process in the foreground, with its output in a log file."""

    def __init__(self, name: str, command: Sequence[str | Path], log: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        self._command = [str(part) for part in command]
        self._env = dict(env)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id; the daemon has been started."""
        if self._process is None:
            msg = f"{self.name} was never started"
            raise ClusterError(msg)
        return self._process.pid

    @property
    def running(self) -> bool:
        """Tell whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process; its log goes on at the end of what is there."""
        if not self.running:
            self._process = _spawner.submit(self._spawn).result()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to a process that may be gone."""
        if self._process is not None:
            self._process.send_signal(number)

    def stop(self) -> None:
        """End the process politely, and after ten seconds without mercy."""
        if self._process is None:
            return
        # A process that was paused hears nothing until it goes on.
        for polite in (signal.SIGTERM, signal.SIGCONT):
            self._process.send_signal(polite)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def failure(self, what: str) -> ClusterError:
        """Build the error that says what went wrong, with the end of this daemon's log."""
        return ClusterError(f"{self.name} {what}; its log {self.log} ends:\n{tail(self.log)}")

    def wait_until(self, ready: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until `ready()`; `what` completes the sentence "the daemon did not …".

        Raises:
            ClusterError: The daemon ended, or was not ready in time.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise self.failure("ended at its start")
            if time.monotonic() > deadline:
                raise self.failure(f"did not {what} within {seconds:.0f} s")
            time.sleep(0.05)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *self._command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env, cwd=self.log.parent,
                start_new_session=True,
            )  # fmt: skip


def find_programs(cluster: str, names: Sequence[str]) -> dict[str, str]:
    """Find programs on PATH and in the system's own directories, where daemons usually are.

    Raises:
        ClusterMissing: At least one is not there.
    """
    found = {name: shutil.which(name, path=system_path()) for name in ("setpriv", *names)}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        names_missing = ", ".join(missing)
        msg = f"{cluster} is not installed: no {names_missing}; its packages are in tests/clusters/packages.txt"
        raise ClusterMissing(msg)
    return {name: path for name, path in found.items() if path is not None}


def system_path() -> str:
    """Return PATH with the system's own directories at its end."""
    return os.pathsep.join(filter(None, [os.environ.get("PATH"), _SYSTEM_PATH]))


def free_ports(count: int) -> list[int]:
    """Choose distinct TCP ports that nobody on this machine listens on."""
    chosen = random.SystemRandom().sample(_PORTS, len(_PORTS))
    return list(itertools.islice(filter(_is_free, chosen), count))


def require_short_path(path: Path) -> None:
    """Refuse a path too long for a Unix socket, before a daemon does it in its own words."""
    if len(os.fsencode(path)) > _SOCKET_PATH_BYTES:
        msg = f"{path} is too long for a Unix socket; choose a cluster directory with a shorter path"
        raise ClusterError(msg)


def tail(log: Path) -> str:
    """Return the last lines of a log, empty when there is none."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])


def processes_at(path: Path, program: str) -> list[psutil.Process]:
    """List the processes of one program that work in a directory or have a file open."""
    return [process for process in psutil.process_iter() if _is_at(process, path, program)]


def kill_trees(roots: Sequence[psutil.Process]) -> None:
    """Kill processes with all their descendants, and return when none is left.

    Each is stopped before its children are listed, so that none escapes by forking.
    """
    doomed = list(roots)
    for process in doomed:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
            doomed += process.children()
    for process in doomed:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + _STOP_SECONDS
    while any(map(_lives, doomed)) and time.monotonic() < deadline:
        time.sleep(0.01)


def _is_free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True


def _is_at(process: psutil.Process, path: Path, program: str) -> bool:
    try:
        # The name first: a look at open files costs more.
        if process.name() != program:
            return False
        places = [process.cwd(), *(file.path for file in process.open_files())]
        return any(Path(place).is_relative_to(path) for place in places)
    except psutil.Error:
        return False


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
