"""One suite for all backends: a task gives the same result, output and errors wherever it runs."""
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
from taskproc.errors import PrefixError, ResultUnreadableError, TaskDefinitionError, TaskTimeoutError
from tests.conformance import tasks as t
from tests.conformance.conftest import Way
from tests.support import is_alive, wait_for

# --- results ---


def test_graph_is_computed_once(way: Way, either_store: str):
    assert way.count(t.Choose(4, 2)) == (6, 8)
    assert way.count(t.Choose(4, 2)) == (6, 0)


def test_work_is_done_where_the_backend_says(way: Way):
    assert (way.run(t.WhereItRan()) != os.getpid()) == way.apart


def test_result_of_none_is_cached_like_any_other(way: Way, either_store: str):
    assert way.count(t.Nothing()) == (None, 1)
    assert way.count(t.Nothing()) == (None, 0)


def test_constants_and_parts_of_results_arrive_in_every_shape(way: Way, either_store: str):
    assert way.run(t.Everything()) == (1, "deep", [2, 3, 10], {"const": 4, "task": 5, "part": 3})


def test_objects_of_own_classes_come_back(way: Way, either_store: str):
    assert way.run(t.GivesAnObject()) == t.OfAClass(7)


def test_big_results_come_back_and_go_on(way: Way, either_store: str):
    assert way.run(t.Length(t.Big(8))) == 8 << 20


def test_unicode_survives_in_arguments_results_and_output(way: Way, either_store: str):
    text = "žluťoučký 🐴\n'quoted' \"twice\" $HOME \\ \x00 \udc80"
    assert way.run(t.Value({text: [text]})) == {text: [text]}
    talk = t.Talks("žluťoučký 🐴")
    way.run(talk)
    assert talk.task_stdout.read_text(encoding="utf-8") == "žluťoučký 🐴\n"


def test_two_hundred_tasks_at_once(way: Way, either_store: str):
    count = 30 if way.name == "prefix" else 200
    assert way.count(t.Sum(*[t.Numbered(n) for n in range(count)])) == (sum(range(count)), count + 1)
    assert t.Numbered(0).task_stdout.read_text() == "0\n"
    assert not t.Numbered(1).task_stdout.exists()


def test_task_directory_is_empty_at_the_start_and_kept_for_downstream(way: Way, either_store: str):
    upstream = t.Files("note.txt")
    upstream.task_directory.joinpath("left-over").touch()
    assert way.run(t.Reads(upstream)) == "content"
    assert [path.name for path in upstream.task_directory.iterdir()] == ["note.txt"]


# --- output ---


def test_output_goes_to_the_tasks_own_files(way: Way, either_store: str, capfd):
    task = t.Talks()
    way.run(t.Sum(t.Quiet(), t.Quiet()))
    way.run(task)
    assert task.task_stdout.read_text() == "hello\n"
    assert task.task_stderr.read_text() == "hello\n"
    assert capfd.readouterr() == ("", "")


def test_silent_task_makes_no_logs(way: Way, either_store: str):
    way.run(t.Quiet())
    assert not t.Quiet().task_stdout.exists()
    assert not t.Quiet().task_stderr.exists()


def test_output_of_subprocesses_and_c_code_is_captured(way_apart: Way, either_store: str):
    task = t.TalksThroughOthers()
    way_apart.run(task)
    assert sorted(task.task_stdout.read_text().split("\n")) == ["", "buffered in C", "descriptor", "python", "shell"]
    assert task.task_stderr.read_text() == "shell\ndescriptor\n"


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
    assert "taskproc/worker.py" not in log
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


def test_worker_that_dies_fails_its_task_alone_with_the_signals_name(way_of_our_own: Way, either_store: str):
    others = [t.Sleeps(0.01, n) for n in range(20)]
    with pytest.raises(FailedTaskError) as caught:
        way_of_our_own.run(t.Sum(*others[:10], t.Dies("SIGKILL"), *others[10:]), on_error="continue")
    assert caught.value.task is t.Dies("SIGKILL")
    assert "SIGKILL" in str(caught.value)
    assert all(_has_result(task) for task in others)


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


def test_failed_attempts_are_tried_again(way: Way, either_store: str, tmp_path: Path):
    assert way.run(t.Flaky(str(tmp_path / "third time"), 3)) == 3


def test_retries_have_an_end(way: Way, tmp_path: Path):
    with pytest.raises(FailedTaskError, match="ValueError: 3"):
        way.run(t.Flaky(str(tmp_path / "never"), 99))
    assert (tmp_path / "never").read_text() == "xxx"


def test_timeout_ends_the_whole_process_tree(way: Way, tmp_path: Path):
    log = tmp_path / "pids"
    started = time.monotonic()
    with pytest.raises(FailedTaskError, match="longer than its timeout of 1 seconds") as caught:
        way.run(t.OutlivesItsTime(str(log)))
    assert time.monotonic() - started < 8
    assert isinstance(caught.value.exception, TaskTimeoutError)
    pids = [int(pid) for pid in log.read_text().split()]
    assert os.getpid() not in pids
    wait_for(lambda: not any(map(is_alive, pids)), "end of the processes")


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
    started = time.monotonic()
    with pytest.raises(FailedTaskError) as caught:
        way.run(task())
    assert isinstance(caught.value.exception, PrefixError)
    for part in shown:
        assert part in str(caught.value)
    assert time.monotonic() - started < 8


def test_prefix_that_fails_after_the_result_was_kept_is_a_warning(way: Way, caplog):
    assert way.count(t.PrefixFailsAfterwards()) == ("kept", 1)
    assert "exit status 9" in caplog.text
    assert way.count(t.PrefixFailsAfterwards()) == ("kept", 0)


def test_prefix_that_starts_several_workers_runs_the_task_once(way: Way, tmp_path: Path):
    assert way.run(t.PrefixRunsUsThrice(str(tmp_path / "log"))) == "once"
    assert (tmp_path / "log").read_text() == "ran\n"


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


def test_rate_limit_of_a_channel_holds(way: Way, tmp_path: Path):
    (tmp_path / "signs").mkdir()
    tasks = [t.Overlaps(str(tmp_path / "signs"), n) for n in range(6)]
    assert way.run(t.Sum(*tasks), rate_limits={"one-at-a-time": 1}) == 6


def test_interrupt_ends_what_runs_within_seconds(way_of_our_own: Way):
    tasks = [t.Sleeps(300, n) for n in range(6)]
    timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        way_of_our_own.run(t.Sum(*tasks))
    timer.join()
    assert time.monotonic() - started < 10
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
