"""Running a scheduler's clients: in a clean environment, with a deadline, safe from the terminal's Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable

from .scheduler import Answer, Command


class NoAnswer(Exception):
    """A command did not answer in time, or was abandoned: what it did is unknown."""


class Runner:
    """Runs commands, one answer each, from any thread.

    Args:
        cleans: Tells which variables must not reach a command.
        timeout: Seconds that a command may take.
    """

    def __init__(self, cleans: Callable[[str], bool], timeout: float = 60.0) -> None:
        self._cleans = cleans
        self._timeout = timeout
        self._lock = threading.Lock()
        self._alive: set[subprocess.Popen[str]] = set()
        self._closed = False

    def run(self, command: Command) -> Answer:
        """Run a command to its end.

        Raises:
            NoAnswer: It took too long, or the runner was closed meanwhile.
            FileNotFoundError: There is no such program.
        """
        process = self._start(command)
        try:
            out, err = process.communicate(command.stdin, timeout=self._timeout)
        except subprocess.TimeoutExpired:
            _kill(process)
            msg = f"{command.argv[0]} did not answer within {self._timeout:.0f} s"
            raise NoAnswer(msg) from None
        finally:
            with self._lock:
                self._alive.discard(process)
            _let_go(process)
        if self._closed and process.returncode < 0:
            msg = f"{command.argv[0]} was abandoned"
            raise NoAnswer(msg)
        return Answer(process.returncode, out, err)

    def close(self) -> None:
        """End what runs; whoever waits for it gets `NoAnswer`."""
        with self._lock:
            self._closed = True
            for process in self._alive:
                _kill(process)

    def environment(self, command: Command) -> dict[str, str]:
        """Give the environment that a command runs in, and that a job inherits."""
        kept = {name: value for name, value in os.environ.items() if not self._cleans(name)}
        return {**kept, **command.environment}

    def _start(self, command: Command) -> subprocess.Popen[str]:
        with self._lock:
            if self._closed:
                msg = f"{command.argv[0]} was not started: the run is closing"
                raise NoAnswer(msg)
            # A session of its own: Ctrl-C in the terminal must not tear a submission in the middle.
            process = subprocess.Popen(
                command.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self.environment(command),
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
            self._alive.add(process)
            return process


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _let_go(process: subprocess.Popen[str]) -> None:
    """Close our ends of its pipes and reap it: it has ended, or was killed."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    process.wait()
