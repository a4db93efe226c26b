"""Measures one process: wall seconds, and the peak memory of that process alone."""
from __future__ import annotations

import os
import re
import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_LOOKS = 0.05  # seconds between looks at the memory
_PEAK = re.compile(rb"VmHWM:\s*(\d+) kB")


class BenchmarkError(Exception):
    """Something went wrong, or gave a wrong answer."""


class TimedOut(BenchmarkError):
    """It took longer than it may."""


@dataclass(frozen=True)
class Run:
    """What one process took.

    Attributes:
        seconds: From its start to its end.
        cpu: Seconds of processor time, its own and that of its children that it waited for.
        memory: Its peak memory in MB, without its children's; as far as it was seen, every 50 ms.
        output: What it printed.
    """

    seconds: float
    cpu: float
    memory: float
    output: str


def measure(command: Sequence[str], *, cwd: Path, output: Path, environment: Mapping[str, str], cap: float) -> Run:
    """Run a command to its end.

    Raises:
        TimedOut: It took longer than `cap` seconds, and was ended with all that it had started.
        BenchmarkError: Its exit status was not 0.
    """
    with output.open("wb") as file:
        cpu_before = _cpu_of_children()
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=cwd, env={**_usual_environment(), **environment},
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        look = _Look(process, began + cap)
        try:
            process.wait()  # with a timeout it would look ever more rarely, and round short times up
            seconds = time.perf_counter() - began
        finally:
            look.close()
            if process.poll() is None:
                _end(process)
    if look.timed_out:
        raise TimedOut(f"took more than {cap:g} s")
    said = output.read_text(errors="replace")
    if process.returncode:
        end = "\n".join(said.splitlines()[-15:])
        raise BenchmarkError(f"{' '.join(command)} ended with status {process.returncode}:\n{end}")
    return Run(seconds, _cpu_of_children() - cpu_before, look.memory, said)


class _Look:
    """Looks at a process from a thread: at its memory, and at the clock, to end it when its time is up."""

    def __init__(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        self.memory = 0.0
        self.timed_out = False
        self._process = process
        self._deadline = deadline
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self.memory = max(self.memory, _peak(self._process.pid))
            if time.perf_counter() > self._deadline:
                self.timed_out = True
                _kill_tree(self._process.pid)
                return
            if self._closed.wait(_LOOKS):
                return


def _usual_environment() -> dict[str, str]:
    """Give our own environment, without what would have every process compile its modules anew."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _peak(pid: int) -> float:
    try:
        found = _PEAK.search(Path(f"/proc/{pid}/status").read_bytes())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process with all that it started."""
    _kill_tree(process.pid)
    process.wait()


def _kill_tree(pid: int) -> None:
    try:
        tree = [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return
    for member in tree:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
