"""What a task starts has the signals that any program has."""
from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator

import pytest

from taskproc import TaskBase


class StopsAProgram(TaskBase):
    """Stops a program of its own as one stops a recorder, and gives what stopped it."""

    def __init__(self, number: int):
        self.number = number

    def run_task(self) -> int:
        with subprocess.Popen(["sleep", "60"]) as program:
            program.send_signal(self.number)
            try:
                return -program.wait(10)
            except subprocess.TimeoutExpired:
                program.kill()
                return 0


class StopsAProgramBehindAPrefix(StopsAProgram, prefix_command="nice"):
    pass


@pytest.fixture(autouse=True)
def heard(cache: object) -> Iterator[None]:
    """Hear Ctrl-C, which a shell's script in the background does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE], ids=lambda n: n.name)
@pytest.mark.parametrize("backend", ["process", "prefix"])
def test_programs_of_a_task_can_be_stopped_by_signals(backend: str, number: signal.Signals):
    cls = StopsAProgramBehindAPrefix if backend == "prefix" else StopsAProgram
    assert cls(int(number)).run_graph(backend=backend) == number
