"""What became of the tasks of a run, read from disk: while it goes on, after it, after a kill, from damaged files."""
from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskproc import FailedTaskError, Requires, RequiresList, TaskBase
from taskproc.look.history import Run, RunReader, TaskState, list_runs, read_run
from taskproc.runs import tidying
from taskproc.store import files
from taskproc.store.meta import BODY_AT
from tests.support import provenance, wait_for

GATE = threading.Event()


class Number(TaskBase, channel="slot"):
    def __init__(self, n: int) -> None:
        self.n = n

    def run_task(self) -> int:
        return self.n


class Gated(TaskBase, channel="slot"):
    def __init__(self, n: int) -> None:
        self.n = n

    def run_task(self) -> int:
        assert GATE.wait(30)
        return self.n


class Breaks(TaskBase, retries=1):
    up: Requires[int]

    def __init__(self) -> None:
        self.up = Number(1)

    def run_task(self) -> int:
        raise ValueError("<b>no</b>")


class Total(TaskBase):
    ups: RequiresList[int]

    def __init__(self, *ups: TaskBase[int]) -> None:
        self.ups = list(ups)

    def run_task(self) -> int:
        return sum(self.ups)


@pytest.fixture
def runs(cache: Path) -> str:
    """Give the directory of runs of a cache of the test's own."""
    GATE.clear()
    return f"{cache}/taskproc/.runs"


@pytest.fixture
def in_background() -> Iterator[Any]:
    """Run graphs in threads, which are let through the gate and waited for at the end."""
    threads: list[threading.Thread] = []

    def start(task: TaskBase[Any], **options: Any) -> None:
        threads.append(threading.Thread(target=lambda: task.run_graph(backend="thread", **options)))
        threads[-1].start()

    yield start
    GATE.set()
    for thread in threads:
        thread.join()


def by_label(reader: RunReader) -> dict[str, TaskState]:
    return {task.label: task for task in reader.tasks()}


def reasons(reader: RunReader) -> dict[str, str]:
    return {task.label: task.reason for task in reader.tasks()}


def newest(runs: str) -> Run:
    return list_runs(runs)[0]


def test_a_finished_run_tells_of_each_task(runs: str, either_store: str) -> None:
    Number(1).run_graph()
    Total(Number(1), Number(2)).run_graph(backend="process")
    run = newest(runs)
    assert (run.status, run.root, run.alive) == ("done", "Total(ups=(Number(n=1), Number(n=2)))", False)
    assert (run.cached, run.planned) == ({f"{__name__}.Number": 1}, {f"{__name__}.Number": 1, f"{__name__}.Total": 1})
    assert run.started <= (run.ended or 0) <= time.time()
    assert os.path.samefile(run.file, __file__)
    tasks = by_label(RunReader(run.directory))
    assert {label: task.state for label, task in tasks.items()} == {"Number(n=2)": "done", run.root: "done"}
    two = tasks["Number(n=2)"]
    assert (two.name, two.id, two.why) == (f"{__name__}.Number", 1, "no result")
    assert (tasks[run.root].why, tasks[run.root].upstreams) == ("no result", (two.node,))
    last = two.last
    assert last is not None
    assert (last.state, last.backend, last.host) == ("done", "process", run.host)
    assert last.pid not in (None, os.getpid())
    assert run.started <= (last.started or 0) <= (last.ended or 0) <= (run.ended or 0)
    assert (last.memory or 0) > 1000
    assert len(list_runs(runs)) == 2


def test_counts_of_a_finished_run(runs: str) -> None:
    Number(1).run_graph()
    Total(*map(Number, range(5))).run_graph(backend="thread")
    counts = RunReader(newest(runs).directory).counts()
    assert counts[f"{__name__}.Number"] == {"cached": 1, "done": 4}
    assert counts[f"{__name__}.Total"] == {"done": 1}


def test_a_failure_tells_its_reason_and_who_waits_for_it(runs: str) -> None:
    with pytest.raises(FailedTaskError):
        Total(Breaks()).run_graph(backend="thread", on_error="continue")
    run = newest(runs)
    tasks = by_label(RunReader(run.directory))
    assert run.status == "failed"
    failed = tasks["Breaks()"]
    assert (failed.state, failed.reason) == ("failed", "Breaks() failed: ValueError: <b>no</b>")
    assert [attempt.state for attempt in failed.attempts] == ["failed", "failed"]
    assert failed.attempts[0].reason == "<b>no</b>"
    assert os.path.isfile(f"{failed.directory}/failure.json")
    waiting = tasks["Total(ups=(Breaks(),))"]
    assert (waiting.state, waiting.reason) == ("waiting", "needs Breaks(), which failed")


def test_a_run_that_goes_on_tells_what_runs_and_what_waits_for_what(runs: str, in_background: Any) -> None:
    in_background(Total(*map(Gated, range(9))), rate_limits={"slot": 2}, max_workers=4)
    wait_for(lambda: list_runs(runs), "a run")
    reader = RunReader(newest(runs).directory)
    wait_for(lambda: gated(reader) == 2, "two that run")
    assert reader.run.status == "running"
    wait_for(lambda: reader.refresh() or by_label(reader)["Gated(n=8)"].reason == "rate limit slot=2", "the limit")
    tasks = list(reader.tasks())
    assert [task.state for task in tasks] == ["running"] * 2 + ["waiting"] * 8
    first = tasks[0].last
    assert first is not None
    assert first.backend == "thread"
    assert first.started
    assert first.ended is None
    assert tasks[-1].reason == "needs Gated(n=0) and 8 more"
    GATE.set()
    wait_for(lambda: reader.refresh() and reader.run.status == "done", "the end")
    assert {task.state for task in reader.tasks()} == {"done"}


def gated(reader: RunReader) -> int:
    """Count the gated tasks that run; the run's outline may not be written yet."""
    reader.refresh()
    return reader.counts().get(f"{__name__}.Gated", Counter())["running"]


def test_more_than_a_backend_takes_waits_for_a_place_there(runs: str, in_background: Any) -> None:
    in_background(Total(*map(Gated, range(67))), max_workers=1)
    wait_for(lambda: list_runs(runs), "a run")
    reader = RunReader(newest(runs).directory)
    wait_for(lambda: gated(reader), "one that runs")
    states = [(task.state, task.reason) for task in reader.tasks()][:67]
    assert states[:64] == [("running", ""), *[("queued", "")] * 63]
    assert states[64:] == [("waiting", "a free place on its backend")] * 3


def test_what_another_run_computes_is_told(runs: str, in_background: Any) -> None:
    in_background(Total(Gated(1)))
    wait_for(lambda: list_runs(runs), "a run")
    first = RunReader(newest(runs).directory)
    wait_for(lambda: gated(first), "the first run")
    in_background(Total(Gated(1), Number(3)))
    wait_for(lambda: len(list_runs(runs)) == 2, "the second run")
    second = RunReader(next(run.directory for run in list_runs(runs) if run.id != first.run.id))
    expected = f"run {first.run.id} computes it"
    wait_for(lambda: second.refresh() and reasons(second).get("Gated(n=1)") == expected, "the reason")
    GATE.set()
    wait_for(lambda: second.refresh() and second.run.status == "done", "its end")
    assert by_label(second)["Gated(n=1)"].state == "cached"


# ------------------------------------------------------------------------------- a ledger written by hand


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Give the directory of a run without a driver, with an empty ledger."""
    directory = tmp_path / "taskproc/.runs/20260102-030405-00000000"
    directory.mkdir(parents=True)
    info = {"run": directory.name, "root": "Main()", "host": "elsewhere", "pid": 7, "started": 100.0}
    (directory / "run.json").write_text(json.dumps(info))
    (directory / "ledger.jsonl").write_text('{"kind":"run","cached":{},"planned":{"m.A":2}}\n')
    return directory


def add(directory: Path, *entries: dict[str, Any] | str) -> None:
    with open(directory / "ledger.jsonl", "a", encoding="utf-8") as file:
        for entry in entries:
            file.write(entry if isinstance(entry, str) else json.dumps(entry) + "\n")


def about(kind: str, node: int = 0, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "time": 101.0, "node": node, "task": "m.A", "id": node, "nonce": f"{node:032x}", **more}


def test_a_driver_that_died_leaves_its_running_tasks_lost(written: Path) -> None:
    add(written, {"kind": "worker", "worker": 0, "backend": "process", "host": "n1", "pid": 9})
    add(written, about("started", worker=0, started=100.5))
    reader = RunReader(str(written))
    assert reader.run.status == "died"
    assert reader.run.ended is None
    (task,) = reader.tasks()
    assert (task.state, task.reason, task.label) == ("lost", "its driver died", "A#0")
    assert task.last is not None
    assert (task.last.host, task.last.pid, task.last.started) == ("n1", 9, 100.5)
    assert reader.counts() == {"m.A": {"lost": 1}}


def test_a_job_that_outlives_its_driver_is_shown_as_it_is(written: Path) -> None:
    add(written, {"kind": "accepted", "nonce": f"{0:032x}", "id": "77_0", "time": 101})
    add(written, {"kind": "submitted", "time": 101, "backend": "slurm", "nodes": [0], "nonces": [f"{0:032x}"]})
    add(written, about("waiting", reason="Priority"))
    instance = written.parent.parent / "m.A/results/0"
    instance.mkdir(parents=True)
    mark = instance / f"attempt.queued.{0:032x}"
    mark.touch()
    (queued,) = RunReader(str(written)).tasks()
    assert queued.last is not None
    assert (queued.state, queued.last.job, queued.last.backend) == ("queued", "77_0", "slurm")
    mark.rename(instance / f"attempt.running.{0:032x}")
    (running,) = RunReader(str(written)).tasks()
    assert running.state == "running"
    assert "the next run follows it" in running.reason
    shutil.rmtree(instance)
    (lost,) = RunReader(str(written)).tasks()
    assert lost.state == "lost"


def test_a_lost_attempt_is_followed_by_another(written: Path) -> None:
    add(written, about("started"), about("lost", reason="the node rebooted"))
    add(written, {"kind": "submitted", "time": 102, "backend": "slurm", "nodes": [0]})
    add(written, about("done", seconds=2, memory=3))
    add(written, {"kind": "end", "time": 103, "status": "done"})
    (task,) = RunReader(str(written)).tasks()
    told = [(attempt.state, attempt.reason) for attempt in task.attempts]
    assert told == [("lost", "the node rebooted"), ("done", "")]
    assert (task.state, task.attempts[1].seconds) == ("done", 2.0)


def test_an_interrupted_run_leaves_what_ran_cancelled_and_the_rest_waiting(written: Path) -> None:
    add(written, about("started"), {"kind": "limited", "time": 1, "nodes": [1]})
    add(written, {"kind": "end", "time": 103, "status": "interrupted"})
    tasks = list(RunReader(str(written)).tasks())
    assert [(task.state, task.reason) for task in tasks] == [
        ("cancelled", "the run ended"), ("waiting", "the run ended before its turn"),
    ]  # fmt: skip


def test_damaged_and_unknown_lines_are_passed_over(written: Path) -> None:
    add(written, "\x00\x01\n", "[1]\n", '{"kind":"done"}\n', '{"kind":"done","node":"x"}\n', "{" * 5000 + "\n")
    add(written, {"kind": "from the future"}, {"kind": "submitted", "nodes": 5}, about("done", seconds="x"))
    add(written, about("done", 1, seconds=1, memory=2), '{"kind":"done","time":101')
    reader = RunReader(str(written))
    assert reader.counts()["m.A"]["done"] == 1


def test_a_line_is_read_once_it_is_whole(written: Path) -> None:
    whole = json.dumps(about("done", seconds=1, memory=2)) + "\n"
    add(written, whole[:40])
    reader = RunReader(str(written))
    assert list(reader.tasks()) == []
    assert not reader.refresh()
    add(written, whole[40:])
    assert reader.refresh()
    assert [task.state for task in reader.tasks()] == ["done"]


def test_a_long_ledger_is_compressed_and_read_as_before(written: Path) -> None:
    add(written, *(about("done", node, seconds=1, memory=2) for node in range(3000)))
    reader = RunReader(str(written))
    before = list(reader.tasks())
    add(written, {"kind": "end", "time": 103, "status": "done"})
    tidying.tidy(str(written))
    assert {path.name for path in written.iterdir()} == {"run.json", "ledger.jsonl.gz"}
    assert (written / "ledger.jsonl.gz").stat().st_size < 100_000
    assert reader.refresh()
    assert list(reader.tasks()) == before
    assert not reader.refresh()
    assert list(RunReader(str(written)).tasks()) == before
    assert read_run(str(written)).status == "done"
    (written / "ledger.jsonl.gz").write_bytes(b"damaged")
    assert list(RunReader(str(written)).tasks()) == []
    assert read_run(str(written)).status == "died"


def test_a_job_that_ended_after_its_driver_is_done(written: Path) -> None:
    add(written, about("started"))
    (lost,) = RunReader(str(written)).tasks()
    assert lost.state == "lost"
    instance = Path(lost.directory)
    instance.mkdir(parents=True)
    (instance / files.RESULT).write_bytes(provenance(size=BODY_AT).header())
    (done,) = RunReader(str(written)).tasks()
    assert (done.state, done.reason) == ("done", "")


def test_a_ledger_that_is_replaced_is_read_anew(written: Path) -> None:
    add(written, about("done", seconds=1, memory=2))
    reader = RunReader(str(written))
    other = written / "other"
    other.write_text(json.dumps(about("failed", 1, reason="x")) + "\n")
    other.rename(written / "ledger.jsonl")
    assert reader.refresh()
    assert [task.state for task in reader.tasks()] == ["failed"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"argv": 5, "pid": "x", "started": null}'])
def test_a_damaged_description_hides_no_run(written: Path, text: str) -> None:
    (written / "run.json").write_text(text)
    (written / "outline.json.gz").write_bytes(b"\x1f\x8b damaged")
    assert [run.id for run in list_runs(str(written.parent))] == [written.name]
    assert list(RunReader(str(written)).tasks()) == []


def test_no_runs(tmp_path: Path) -> None:
    assert list_runs(f"{tmp_path}/none") == []
    assert read_run(f"{tmp_path}/none").status == "died"


def test_nothing_on_disk_changes_by_reading(runs: str) -> None:
    Total(*map(Number, range(3))).run_graph(backend="thread")
    root = Path(runs).parent
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    RunReader(newest(runs).directory).counts()
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


# ------------------------------------------------------------------------------- how many are kept


def test_only_the_newest_runs_are_kept(runs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TP_KEEP_RUNS", "3")
    for n in range(5):
        Number(n).run_graph(backend="thread")
    assert [run.root for run in reversed(list_runs(runs))] == ["Number(n=2)", "Number(n=3)", "Number(n=4)"]


class Nests(TaskBase):
    def run_task(self) -> int:
        return sum(Number(n).run_graph(backend="thread") for n in range(4))


def test_runs_that_tasks_start_are_counted_apart(runs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TP_KEEP_RUNS", "2")
    Nests().run_graph(backend="thread")
    Number(9).run_graph(backend="thread")
    kept = [(run.root, run.id.endswith("-nested")) for run in reversed(list_runs(runs))]
    assert kept == [("Nests()", False), ("Number(n=2)", True), ("Number(n=3)", True), ("Number(n=9)", False)]


def test_a_run_that_goes_on_is_kept_however_old(runs: str, monkeypatch: pytest.MonkeyPatch, in_background: Any) -> None:
    monkeypatch.setenv("TP_KEEP_RUNS", "1")
    in_background(Gated(1))
    wait_for(lambda: list_runs(runs), "a run")
    oldest = newest(runs).id
    for n in range(2):
        Number(n).run_graph(backend="thread")
    assert len(list_runs(runs)) == 2
    assert list_runs(runs)[1].id == oldest


def test_what_was_returned_in_a_run_stands_behind_what_returned_it_and_before_what_needs_it(cache: Path) -> None:
    assert Gathers().run_graph(backend="thread") == [0, 1]
    (directory,) = [run.directory for run in list_runs(str(cache / "taskproc" / ".runs"))]
    tasks = {task.label: task for task in RunReader(directory).tasks()}
    assert list(tasks) == ["Returns()", "Returned(n=0)", "Returned(n=1)", "Gathers()"]
    node = {label: task.node for label, task in tasks.items()}
    assert list(tasks["Returned(n=0)"].upstreams) == [node["Returns()"]]
    assert sorted(tasks["Gathers()"].upstreams) == sorted(node[label] for label in list(tasks)[:3])
    assert read_run(directory).planned[Returned.task_name] == 2


class Returned(TaskBase):
    def __init__(self, n: int):
        self.n = n

    def run_task(self) -> int:
        return self.n


class Returns(TaskBase, expands=True):
    def run_task(self) -> list[Returned]:
        return [Returned(0), Returned(1)]


class Gathers(TaskBase):
    parts: Requires[list[int]]

    def __init__(self) -> None:
        self.parts = Returns()

    def run_task(self) -> list[int]:
        return self.parts
