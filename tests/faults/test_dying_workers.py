"""Workers that die in ways of their own: out of memory, with a crowd of children, or never."""
from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from taskproc import FailedTaskError, RequiresList, TaskBase
from taskproc.base.errors import TaskTimeoutError
from tests.support import is_alive, wait_for


class Neighbour(TaskBase):
    def __init__(self, n: int):
        self.n = n

    def run_task(self) -> int:
        time.sleep(0.05)
        return self.n


class EatsMemory(TaskBase):
    """Asks for more memory than it may have."""

    def run_task(self) -> int:
        limit = 4 << 30
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        try:
            return len(bytearray(limit))
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class ExceedsItsCpuTime(TaskBase):
    """Is killed by the kernel, as by its OOM killer: with SIGKILL, and without a word."""

    def run_task(self) -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
        while True:
            pass


class LeavesChildren(TaskBase, timeout=2.0):
    """Starts children of children, some in sessions of their own, and never ends."""

    def __init__(self, log: str, count: int):
        self.log = log
        self.count = count

    def run_task(self) -> None:
        code = "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"
        with open(self.log, "w") as log:
            for n in range(self.count):
                child = subprocess.Popen([sys.executable, "-c", code], stdout=log, start_new_session=n % 2 == 0)
                log.write(f"{child.pid}\n")
                log.flush()
        time.sleep(600)


class HangsDeaf(TaskBase, timeout=1.0):
    """Hangs, and hears no signal that can be unheard."""

    def __init__(self, log: str):
        self.log = log

    def run_task(self) -> None:
        import signal

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            try:
                signal.signal(number, signal.SIG_IGN)
            except ValueError:  # in a thread of its own
                pass
        Path(self.log).write_text(str(os.getpid()))
        while True:
            time.sleep(600)


class ExitsSilently(TaskBase):
    def run_task(self) -> None:
        os._exit(0)


class All(TaskBase):
    parts: RequiresList[Any]

    def __init__(self, *parts: Any):
        self.parts = list(parts)

    def run_task(self) -> int:
        return len(self.parts)


@pytest.fixture(params=["process", "prefix"])
def backend(request: pytest.FixtureRequest, cache: Path) -> str:
    """Run the test on every backend whose workers are processes of our own."""
    name: str = request.param
    return name


def fail_among_neighbours(victim: TaskBase[Any], backend: str) -> FailedTaskError:
    """Run a task that dies among tasks that do not, and see that they are not disturbed."""
    neighbours = [Neighbour(n) for n in range(6)]
    with pytest.raises(FailedTaskError) as caught:
        All(*neighbours[:3], victim, *neighbours[3:]).run_graph(backend=backend, max_workers=2, on_error="continue")
    assert caught.value.task is victim
    assert [task.get_task_result() for task in neighbours] == list(range(6))
    return caught.value


@pytest.mark.slow
def test_out_of_memory_is_the_tasks_own_failure(backend: str):
    assert isinstance(fail_among_neighbours(EatsMemory(), backend).exception, MemoryError)


@pytest.mark.slow
def test_killed_by_the_kernel_names_the_signal(backend: str):
    assert "SIGKILL" in str(fail_among_neighbours(ExceedsItsCpuTime(), backend))


@pytest.mark.slow
def test_silent_exit_is_no_success(backend: str):
    assert "without a result" in str(fail_among_neighbours(ExitsSilently(), backend))


@pytest.mark.slow
def test_crowd_of_children_ends_with_the_task(backend: str, tmp_path: Path):
    log = tmp_path / "pids"
    error = fail_among_neighbours(LeavesChildren(str(log), 12), backend)
    assert isinstance(error.exception, TaskTimeoutError)
    pids = [int(word) for word in log.read_text().split()]
    assert len(pids) >= 12
    wait_for(lambda: not any(map(is_alive, pids)), "end of the children")


@pytest.mark.slow
def test_deaf_worker_is_ended(backend: str, tmp_path: Path):
    log = tmp_path / "pid"
    error = fail_among_neighbours(HangsDeaf(str(log)), backend)
    assert isinstance(error.exception, TaskTimeoutError)
    wait_for(lambda: not is_alive(int(log.read_text())), "end of the worker")


@pytest.mark.slow
def test_no_worker_is_left_after_a_run_in_which_some_died(backend: str, tmp_path: Path):
    fail_among_neighbours(ExitsSilently(), backend)
    wait_for(lambda: not [p for p in psutil.Process().children() if "bootstrap.py" in " ".join(p.cmdline())], "end")
