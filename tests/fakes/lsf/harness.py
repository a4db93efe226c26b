"""The stand-in in the hands of a test: a state directory, its faults, its calls, and an end to its processes.

Take the fixture by importing it in a conftest: `from tests.fakes.lsf.harness import fake_lsf`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .state import State

BIN = Path(__file__).resolve().parents[1] / "bin"
FAULTS = frozenset(
    (  # noqa: SIM905
        "late_visibility lost_answer chatter refused down slow old_release forgotten held_back suspended "
        "unreachable memory_kill host_dies"
    ).split()
)


class Call(NamedTuple):
    """One call of one command."""

    time: float
    command: str
    argv: list[str]
    cwd: str
    pid: int


class FakeLsf:
    """One cluster of its own: `env` leads programs to it."""

    def __init__(self, directory: Path, **settings: object) -> None:
        self.directory = directory
        self.env = {
            # The interpreter of the tests comes before any other: its start is most of a command's time.
            "PATH": os.pathsep.join([str(BIN), str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
            "FAKE_LSF_DIR": str(directory),
            "FAKE_LSF_TERMINATE_INTERVAL": "0.3",
            **{name: str(value) for name, value in settings.items()},
        }
        self._state = State(directory)

    def run(self, *argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command of the stand-in and return what it printed; options are those of subprocess.run."""
        settings: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 60, **options}
        settings.setdefault("input", "")
        settings["env"] = {**os.environ, **self.env, **settings.get("env", {})}
        return subprocess.run([str(BIN / argv[0]), *argv[1:]], check=False, **settings)

    def inject(self, fault: str, **fields: object) -> None:
        """Put a fault in force; the package's docstring lists them and their fields."""
        if fault not in FAULTS:
            msg = f"{fault} is not a fault of the LSF stand-in; it has {', '.join(sorted(FAULTS))}."
            raise ValueError(msg)
        self._state.set_fault(fault, fields)
        self._state.ring()

    def clear(self, fault: str) -> None:
        """End a fault."""
        self._state.set_fault(fault, None)
        self._state.ring()

    def calls(self, command: str | None = None) -> list[Call]:
        """Return the calls so far, oldest first."""
        try:
            lines = (self.directory / "calls.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        calls = [Call(**json.loads(line)) for line in lines]
        return [call for call in calls if command in (None, call.command)]

    def states(self, job: int | str) -> list[str]:
        """Return the true states of a job's elements, whatever faults make the commands say."""
        return [row["stat"] for row in self._state.jobs("id = ?", int(job))]

    def wait(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Wait until a condition holds; fail the test when it does not."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f"The LSF stand-in did not get there in {seconds} s; {self._log()}")
            time.sleep(0.02)

    def close(self) -> None:
        """Kill every process of this cluster: daemon, jobs, commands that hang."""
        for _ in range(3):  # A daemon may have started a job between the look and the kill.
            for pid in self.processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if not self.processes():
                break
            time.sleep(0.05)
        self._state.close()

    def processes(self) -> list[int]:
        """Return the live processes of this cluster: its jobs, its commands and its daemon."""
        mark = f"FAKE_LSF_DIR={self.directory}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environ = (entry / "environ").read_bytes().split(b"\0")
                command = (entry / "cmdline").read_bytes()
                zombie = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                continue
            ours = (
                any(name.startswith(b"LSB_JOBID=") for name in environ) or str(BIN.parent).encode() in command
            )
            if mark in environ and ours and not zombie and int(entry.name) != os.getpid():
                found.append(int(entry.name))
        return found

    def _log(self) -> str:
        log = self.directory / "daemon.log"
        return log.read_text() if log.exists() else ""


@pytest.fixture
def fake_lsf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeLsf]:
    """Give one test an LSF of its own, with four slots; `fake_lsf.env[...] = ...` changes a setting."""
    cluster = FakeLsf(tmp_path_factory.mktemp("lsf"))
    yield cluster
    cluster.close()
