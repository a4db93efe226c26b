"""What tasks may do, over the backends of this machine; that these keep the contract is proved in `test_contract.py`.

The suite there is the one that every author of a backend inherits; here is what depends on the worker, not on the
backend, and what is promised for this machine alone.
"""
from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from taskproc import FailedTaskError, FailedTasksError
from taskproc.base.errors import PrefixError, ResultUnreadableError, TaskDefinitionError
from tests.conformance import tasks as t
from tests.conformance.conftest import Way
from tests.support import wait_for

# --- results ---


def test_result_of_none_is_cached_like_any_other(way: Way, either_store: str):
    assert way.count(t.Nothing()) == (None, 1)
    assert way.count(t.Nothing()) == (None, 0)


def test_constants_and_parts_of_results_arrive_in_every_shape(way: Way, either_store: str):
    assert way.run(t.Everything()) == (1, "deep", [2, 3, 10], {"const": 4, "task": 5, "part": 3})


def test_objects_of_own_classes_come_back(way: Way, either_store: str):
    assert way.run(t.GivesAnObject()) == t.OfAClass(7)


def test_task_directory_is_empty_at_the_start_and_kept_for_downstream(way: Way, either_store: str):
    upstream = t.Files("note.txt")
    upstream.task_directory.joinpath("left-over").touch()
    assert way.run(t.Reads(upstream)) == "content"
    assert [path.name for path in upstream.task_directory.iterdir()] == ["note.txt"]


# --- output ---


def test_much_output_is_kept_whole(way: Way):
    task = t.WritesMuch(64)
    assert way.run(task) == 64
    assert task.task_stdout.stat().st_size == 64 << 20


@pytest.mark.parametrize("how", ["stream", "descriptors"])
def test_task_may_close_its_output(way: Way, how: str):
    if how == "descriptors" and not way.apart:
        pytest.skip("the descriptors are the driver's")
    task = t.ClosesItsOutput(how)
    assert way.run(task) == "done"
    assert task.task_stdout.read_text() == "said before\n"
    after = t.Talks("still heard")
    way.run(after)
    assert after.task_stdout.read_text() == "still heard\n"


# --- failures ---


def test_failure_tells_task_arguments_cause_place_and_traceback(way: Way, either_store: str):
    with pytest.raises(FailedTaskError) as caught:
        way.run(t.Downstream(t.Fails("word")))
    error = caught.value
    assert error.task is t.Fails("word")
    assert isinstance(error.exception, ValueError)
    assert error.exception.args == ("word",)
    assert error.__cause__ is error.exception
    message = str(error)
    for part in ("Fails(word='word')", "ValueError: word", "{'word': 'word'}", "before the failure"):
        assert part in message
    assert str(error.directory) in message
    log = t.Fails("word").task_stderr.read_text()
    assert "in helper_that_raises" in log
    assert "taskproc/work/worker.py" not in log
    if way.apart:
        assert "in helper_that_raises" in str(error.exception.__cause__)


def test_failure_survives_pickling(way: Way):
    with pytest.raises(FailedTaskError) as caught:
        way.run(t.Fails("word"))
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.task.task_args == {"word": "word"}
    assert isinstance(again.exception, ValueError)


def test_exception_that_cannot_be_pickled_is_told_all_the_same(way: Way):
    with pytest.raises(FailedTaskError, match="1 and 2"):
        way.run(t.FailsOddly())


def test_failed_task_runs_again_next_time(way: Way):
    for _ in range(2):
        with pytest.raises(FailedTaskError):
            way.run(t.Fails())


def test_continue_runs_all_that_does_not_depend_on_a_failure(way: Way, either_store: str):
    good = [t.Value(n) for n in range(3)]
    root = t.Sum(t.Fails("1"), *good, t.Downstream(t.Fails("2")))
    with pytest.raises(FailedTasksError) as caught:
        way.run(root, on_error="continue")
    assert {failure.task for failure in caught.value.failures} == {t.Fails("1"), t.Fails("2")}
    assert "Fails(word='1')" in str(caught.value)
    assert "Fails(word='2')" in str(caught.value)
    assert [task.get_task_result() for task in good] == [0, 1, 2]


def test_stop_submits_nothing_more(way: Way):
    first = t.Fails()
    many = [t.Sleeps(0.02, n) for n in range(60)]
    with pytest.raises(FailedTaskError):
        way.run(t.Sum(first, *many))
    left = [task for task in many if not _has_result(task)]
    assert len(left) > 30


@pytest.mark.parametrize("how", ["segfault", "SIGTERM", "SIGABRT"])
def test_crash_names_its_signal(way_of_our_own: Way, how: str):
    with pytest.raises(FailedTaskError, match="SIGSEGV" if how == "segfault" else how):
        way_of_our_own.run(t.Dies(how))


def test_crash_in_the_callers_pool_is_told(cache: Path):
    from tests.conformance.conftest import make_pool

    with make_pool("process pool", 1) as pool:
        with pytest.raises(FailedTaskError, match="BrokenProcessPool"):
            t.Dies("SIGKILL").run_graph(executor=pool)


@pytest.mark.parametrize("code", [3, 0, None, "bye"])
def test_sys_exit_in_a_task_is_its_failure(way: Way, code: object):
    with pytest.raises(FailedTaskError, match=r"sys\.exit"):
        way.run(t.Exits(code))


def test_result_that_cannot_be_pickled_is_a_failure_in_one_sentence(way: Way, either_store: str):
    with pytest.raises(FailedTaskError, match="the result, of type lock, cannot be pickled"):
        way.run(t.GivesWhatCannotBePickled())


def test_result_that_cannot_be_read_back_says_whose(way: Way, either_store: str):
    with pytest.raises((ResultUnreadableError, FailedTaskError), match=r"GivesWhatCannotBeRead.*no way back"):
        way.run(t.GivesWhatCannotBeRead())
    with pytest.raises(FailedTaskError, match=r"cannot be unpickled here.*no way back"):
        way.run(t.Downstream(t.GivesWhatCannotBeRead()))


def test_attribute_that_cannot_be_pickled_is_named(way: Way):
    with pytest.raises(FailedTaskError, match=r"self\.lock is a lock") as caught:
        way.run(t.HoldsWhatCannotBePickled())
    assert isinstance(caught.value.__cause__, (TaskDefinitionError, Exception))


def test_part_that_is_not_there_is_named(way: Way):
    with pytest.raises(FailedTaskError, match=r"Value.*\['b'\].*has no 'b'"):
        way.run(t.Downstream(t.Value({"a": 1})["b"]))


# --- retries and timeouts ---


def test_retries_have_an_end(way: Way, tmp_path: Path):
    with pytest.raises(FailedTaskError, match="ValueError: 3"):
        way.run(t.Flaky(str(tmp_path / "never"), 99))
    assert (tmp_path / "never").read_text() == "xxx"


def test_task_within_its_timeout_is_like_any_other(way: Way, either_store: str):
    assert way.count(t.InTime()) == ("in time", 1)
    assert t.InTime().task_stdout.read_text() == "in time\n"
    assert way.count(t.InTime()) == ("in time", 0)


# --- prefix commands ---


def test_prefix_stands_before_the_worker_and_its_output_before_the_tasks(way: Way, either_store: str):
    task = t.Prefixed("callee says")
    assert way.count(task) == ("yes", 1)
    assert task.task_stdout.read_text() == "=== caller log ===\ncaller\n=== callee log ===\ncallee says\n"
    assert task.task_stderr.read_text() == "=== caller log ===\noops\n=== callee log ===\ncallee says\n"
    assert way.count(task) == ("yes", 0)


@pytest.mark.parametrize(
    ("task", "shown"),
    [
        (t.PrefixFails, ["exit status 3", "no such queue", "echo no such queue >&2; exit 3;"]),
        (t.PrefixNotFound, ["was not found", "no-such-command-anywhere"]),
        (t.PrefixForgetsUs, ["without running the task", "submitted", "echo submitted; true"]),
    ],
    ids=["fails", "not found", "exits 0 without running us"],
)
def test_prefix_that_does_not_run_the_task_is_shown_with_its_output(way: Way, task: type, shown: list[str]):
    with pytest.raises(FailedTaskError) as caught:
        way.run(task())
    assert isinstance(caught.value.exception, PrefixError)
    for part in shown:
        assert part in str(caught.value)


def test_prefix_that_fails_after_the_result_was_kept_is_a_warning(way: Way, caplog):
    assert way.count(t.PrefixFailsAfterwards()) == ("kept", 1)
    assert "exit status 9" in caplog.text
    assert way.count(t.PrefixFailsAfterwards()) == ("kept", 0)


# --- graphs within tasks, limits, interrupts ---


@pytest.mark.parametrize("max_workers", [1, 2])
def test_task_may_run_a_graph_of_its_own(way: Way, max_workers: int):
    if way.pooled:
        from tests.conformance.conftest import make_pool

        with make_pool(way.name, max_workers) as pool:
            assert t.Sum(t.Nests(2), t.Nests(1)).run_graph(executor=pool) == 7
    else:
        root = t.Sum(t.Nests(2), t.Nests(1), t.Nests(0), t.Value(1))
        assert root.run_graph(backend=way.name, max_workers=max_workers) == 10


@pytest.mark.parametrize("kind", [t.NestsBehindAPrefix, t.NestsInTime], ids=["prefix", "timeout"])
def test_task_in_a_process_of_its_own_may_run_a_graph_too(way: Way, kind: type[t.Nests]):
    if way.pooled:
        pytest.skip("nothing waits in a pool")
    assert t.Sum(kind(1), kind(0), t.Value(1)).run_graph(backend=way.name, max_workers=1) == 6


@pytest.fixture
def pythons_own_interrupt():
    """Let SIGINT raise KeyboardInterrupt, whatever a library did to it that another test imported."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("pythons_own_interrupt")
def test_interrupt_ends_what_runs(way_of_our_own: Way):
    tasks = [t.Sleeps(300, n) for n in range(6)]
    timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        way_of_our_own.run(t.Sum(*tasks))
    timer.join()
    assert time.monotonic() - started < 150  # half of what a task takes
    import psutil

    wait_for(lambda: not [p for p in psutil.Process().children() if _is_worker(p)], "end of the workers")


def test_passed_pool_stays_open(cache: Path):
    with ThreadPoolExecutor(1) as pool:
        assert t.Choose(4, 2).run_graph(executor=pool) == 6
        assert pool.submit(int, "1").result() == 1


def _has_result(task: t.TaskBase) -> bool:
    try:
        task.get_task_result()
    except FileNotFoundError:
        return False
    return True


def _is_worker(process: object) -> bool:
    import psutil

    assert isinstance(process, psutil.Process)
    try:
        return "bootstrap.py" in " ".join(process.cmdline())
    except psutil.Error:
        return False
