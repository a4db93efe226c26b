"""`taskproc status` and `taskproc runs`, in this process, on caches with runs of every kind."""
from __future__ import annotations

import json
import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from taskproc import FailedTaskError, RequiresList, TaskBase
from taskproc.cli import main
from taskproc.look.history import RunReader, list_runs
from tests.support import wait_for

GATE = threading.Event()


class Step(TaskBase):
    def __init__(self, name: str) -> None:
        self.name = name

    def run_task(self) -> str:
        if self.name.startswith("bad"):
            raise ValueError("\x1b[2J<script>")
        return self.name


class Waits(TaskBase):
    def __init__(self, n: int) -> None:
        self.n = n

    def run_task(self) -> int:
        assert GATE.wait(30)
        return self.n


class Main(TaskBase):
    ups: RequiresList[Any]

    def __init__(self, *ups: TaskBase[Any]) -> None:
        self.ups = list(ups)

    def run_task(self) -> int:
        return len(self.ups)


def told(*args: str | Path, code: int = 0) -> str:
    """Run the command, and give what it printed."""
    ended = CliRunner().invoke(main, [str(arg) for arg in args])
    assert ended.exit_code == code, ended.output
    return ended.output


def told_json(*args: str | Path) -> Any:
    return json.loads(told(*args, "--json"))


@pytest.fixture
def going_on(cache: Path) -> Iterator[None]:
    """Have a run that goes on, with tasks that run, are queued, and wait for a rate limit."""
    GATE.clear()
    task = Main(Step("a"), *map(Waits, range(30)))
    limits = {f"{__name__}.Waits": 2}
    run = threading.Thread(target=lambda: task.run_graph(backend="thread", max_workers=4, rate_limits=limits))
    run.start()
    wait_for(lambda: list_runs(f"{cache}/taskproc/.runs"), "a run")
    reader = RunReader(list_runs(f"{cache}/taskproc/.runs")[0].directory)
    expected = {"done": 1, "running": 2, "waiting": 29}
    wait_for(lambda: reader.refresh() and sum(reader.counts().values(), Counter()) == expected, "tasks that run")
    yield
    GATE.set()
    run.join()


def test_status_of_a_run_that_goes_on(cache: Path, going_on: None) -> None:
    text = told("status", cache)
    assert "runs for " in text
    assert "1 done, 2 running, 29 waiting" in text
    assert "\nrunning:\n  Waits(n=0) on thread at " in text
    assert f"\n  28 tasks of {__name__}.Waits for rate limit {__name__}.Waits=2\n" in text
    assert "needs Waits(n=0) and 29 more" in text


def test_status_as_json(cache: Path, going_on: None) -> None:
    found = told_json("status", cache)
    assert (found["version"], found["cache"]) == (1, f"{cache}/taskproc")
    (run,) = found["runs"]
    assert set(run) == {
        "run", "root", "file", "argv", "host", "pid", "started", "ended", "status", "cached", "planned", "done",
        "failed", "counts", "classes", "tasks",
    }  # fmt: skip
    assert (run["status"], run["pid"], run["ended"]) == ("running", os.getpid(), None)
    assert run["counts"] == {"done": 1, "running": 2, "waiting": 29}
    assert run["classes"][f"{__name__}.Step"] == {"done": 1}
    running = next(task for task in run["tasks"] if task["state"] == "running")
    assert set(running) == {"task", "id", "label", "state", "why", "reason", "directory", "attempts"}
    assert set(running["attempts"][0]) == {
        "state", "submitted", "started", "ended", "backend", "host", "pid", "job", "seconds", "memory", "reason",
    }  # fmt: skip


def test_watching_ends_with_the_run(cache: Path, going_on: None) -> None:
    opener = threading.Timer(0.3, GATE.set)
    opener.start()
    lines = [json.loads(line) for line in told("status", cache, "--watch", "--json").splitlines()]
    assert lines[0]["runs"][0]["status"] == "running"
    assert lines[-1]["runs"][0]["status"] == "done"
    assert lines[-1]["runs"][0]["counts"] == {"done": 32}
    opener.join()


def test_status_of_a_failed_run_escapes_what_tasks_say(cache: Path) -> None:
    with pytest.raises(FailedTaskError):
        Main(*(Step(f"bad{n}") for n in range(12))).run_graph(backend="thread", on_error="continue")
    text = told("status", cache)
    assert "failed after" in text
    assert f"Step(name='bad0'): ValueError: \\x1b[2J<script>\n    {cache}/taskproc/{__name__}.Step/results/0" in text
    assert "... and 2 more (--all shows them)" in text
    assert "and 11 more, which failed" in text
    assert "\x1b" not in text
    assert "bad11" in told("status", cache, "--all")


def test_status_of_one_run(cache: Path) -> None:
    Step("a").run_graph(backend="thread")
    Step("b").run_graph(backend="thread")
    newest, oldest = [run.id for run in list_runs(f"{cache}/taskproc/.runs")]
    assert "Step(name='b') is done" in told("status", cache)
    assert "Step(name='a') is done" in told("status", cache, "--run", oldest)
    assert "has no run that begin with 'x'" in told("status", cache, "--run", "x", code=2)
    assert "has 2 runs that begin with '2'" in told("status", cache, "--run", "2", code=2)
    assert newest in told("status", cache)


class Nests(TaskBase):
    def run_task(self) -> str:
        return Step("inner").run_graph(backend="thread")


def test_runs_that_tasks_start_are_shown_by_name_only(cache: Path) -> None:
    Nests().run_graph(backend="thread")
    assert "Nests() is done" in told("status", cache)
    nested = list_runs(f"{cache}/taskproc/.runs")[0]
    assert nested.id.endswith("-nested")
    assert "Step(name='inner') is done" in told("status", cache, "--run", nested.id)
    assert len(told("runs", cache).splitlines()) == 2


def test_a_cache_is_found_by_its_directory_or_by_a_task_file(cache: Path, tmp_path: Path) -> None:
    Step("a").run_graph(backend="thread")
    for place in (cache, cache / "taskproc"):
        assert "is done" in told("status", place)
    assert "is done" in told("status")
    assert "is done" in told("status", Path(__file__))
    other = tmp_path / "other.py"
    other.write_text("raise SystemExit('it ran')")
    assert told("status", other) == f"There is no run of other.py in {cache}/taskproc.\n"
    assert told_json("status", other)["runs"] == []
    assert "is no cache: it has no directory named taskproc" in told("status", tmp_path, code=2)
    assert "there is no file" in told("status", tmp_path / "none.py", code=2)


def test_a_cache_from_another_machine(cache: Path, tmp_path: Path) -> None:
    Main(Step("a")).run_graph(backend="thread")
    (run,) = list_runs(f"{cache}/taskproc/.runs")
    info = {**json.loads(Path(run.directory, "run.json").read_text()), "host": "far", "pid": 1, "pid_started": 5}
    Path(run.directory, "run.json").write_text(json.dumps(info))
    moved = tmp_path / "moved"
    shutil.move(cache, moved)
    for result in moved.rglob("result.pkl.gz"):
        result.write_bytes(b"nothing that can be unpickled")
    (found,) = told_json("status", moved)["runs"]
    assert (found["host"], found["status"], found["counts"]) == ("far", "done", {"done": 2})
    assert all(task["directory"].startswith(f"{moved}/taskproc/") for task in found["tasks"])
    assert "Main(ups=(Step(name='a'),))" in told("runs", moved)


def test_runs_are_listed_the_newest_last(cache: Path) -> None:
    assert told("runs") == f"There is no run in {cache}/taskproc.\n"
    Step("a").run_graph(backend="thread")
    with pytest.raises(FailedTaskError):
        Main(Step("a"), Step("bad")).run_graph(backend="thread")
    first, second = told("runs", cache).splitlines()
    assert "done" in first
    assert first.endswith("Step(name='a')  (1 ran)")
    assert "failed" in second
    assert second.endswith("(1 failed, 1 cached)")
    listed = told_json("runs", cache)["runs"]
    assert [run["status"] for run in listed] == ["done", "failed"]
    assert listed[1]["failed"] == {f"{__name__}.Step": 1}
