"""The guard in a worker's process."""
from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from taskproc import FailedTaskError, Requires, TaskBase
from taskproc.base.errors import TaskTimeoutError
from taskproc.store import files
from taskproc.testing import Bench, fresh_cache
from taskproc.work import watch, worker
from taskproc.work.handover import read_payload
from taskproc.work.worker import Attempt
from tests.support import wait_for

ROOT = Path(__file__).resolve().parents[2]

WORKER = f"""
import os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from taskproc.work import watch

start = watch.start_thread
watch.start_thread = lambda run, words: start(lambda: (time.sleep(0.5), run(*words)), ())  # as on a busy machine
watch.Watch(0, direct=sys.argv[1] == "direct")
print("watched", flush=True)
time.sleep(60)
"""


def start_worker(kind: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_a_worker_ends_whose_driver_goes_before_its_guard_has_begun_to_look() -> None:
    for kind in ("direct", "behind a prefix"):
        with start_worker(kind) as worker:
            assert worker.stdin is not None
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"watched\n"
            worker.stdin.close()
            assert worker.wait(timeout=20) == -9


def test_a_pipe_that_a_prefix_closed_from_the_start_says_nothing() -> None:
    program = f"import os, sys\nread, write = os.pipe()\nos.close(write)\nos.dup2(read, 0)\n{WORKER}".replace(
        "time.sleep(60)", "time.sleep(1.5)"
    )
    for kind, code in (("direct", -9), ("behind a prefix", 0)):
        done = subprocess.run([sys.executable, "-c", program, kind], capture_output=True, timeout=20, check=False)
        assert done.returncode == code


# As the first process of a container is, at its own hand.
UNKILLABLE = WORKER.replace("start = watch", "os.kill = lambda *_: None\nstart = watch")


def test_a_worker_that_the_kernel_spares_from_sigkill_ends_all_the_same() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", UNKILLABLE, "direct"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"watched\n"
        worker.stdin.close()
        assert worker.wait(timeout=20) == 128 + 9


class Warms(TaskBase):
    """Has its worker import this module, which takes its time, before any clock runs."""

    def run_task(self) -> int:
        return 1


class Overruns(TaskBase, timeout=1.0, store="packed"):
    """Prints without a flush, has the disk refuse its log for a while if told to, and never ends."""

    warmed: Requires[int]

    def __init__(self, trouble: bool):
        self.trouble = trouble
        self.warmed = Warms()

    def run_task(self) -> None:
        if self.trouble:
            from taskproc.work import worker

            def show() -> None:
                self.refusals += 1
                raise OSError(122, "Disk quota exceeded")

            assert worker.descriptors is not None
            self.refusals = 0
            worker.descriptors.show = show  # type: ignore[method-assign]  # what the guard calls
            wait_for(lambda: self.refusals, "look of the guard")
        print("what a person would like to know")
        time.sleep(600)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("trouble", [False, True], ids=["no trouble", "trouble with the disk"])
def test_guard_keeps_the_clock_whatever_becomes_of_the_log(trouble: bool) -> None:
    task = Overruns(trouble)
    with pytest.raises(FailedTaskError) as caught:
        task.run_graph(backend="process", max_workers=1)
    assert isinstance(caught.value.exception, TaskTimeoutError)
    if not trouble:
        assert task.task_stdout.read_text() == "what a person would like to know\n"


def test_directory_is_prepared_once_though_task_and_guard_want_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fresh_cache(tmp_path / "cache"), Bench("thread", [Warms()], options={}) as bench:
        attempt = Attempt(*read_payload(bench.jobs[0].payload()))
        prepare, gate = files.prepare, threading.Event()
        prepared: list[str] = []

        def slowly(directory: str, *others: Any) -> None:
            prepared.append(directory)
            assert gate.wait(60)
            prepare(directory, *others)

        monkeypatch.setattr(files, "prepare", slowly)
        threads = [threading.Thread(target=attempt.touch) for _ in range(2)]
        for thread in threads:
            thread.start()
        wait_for(lambda: prepared, "first thread")
        threads[1].join(0.3)  # time to do what it must not
        gate.set()
        for thread in threads:
            thread.join()
    assert len(prepared) == 1


def test_failure_that_the_guard_kept_is_not_wiped_by_the_task(tmp_path: Path) -> None:
    with fresh_cache(tmp_path / "cache"), Bench("thread", [Warms()], options={}) as bench:
        (job,) = bench.jobs
        attempt = Attempt(*read_payload(job.payload()))
        before, worker.at_hand = worker.at_hand, attempt
        try:
            watch._note_timeout(attempt.assignment._replace(timeout=1.0))
        finally:
            worker.at_hand = before
        attempt.touch()
        assert files.load_failure(str(job.directory), job.nonce) is not None
