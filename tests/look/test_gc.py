"""`taskproc gc`: what may go goes, after asking; what a run needs stays."""
from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from taskproc import RequiresList, TaskBase
from taskproc.cli import main
from taskproc.look.garbage import Kept, Wish, choose, inventory
from taskproc.look.history import list_runs, read_run
from taskproc.runs.claims import Claims, standing
from taskproc.tasks.in_use import current_cache
from tests.support import run_and_count, wait_for

GATE = threading.Event()


class Part(TaskBase):
    def __init__(self, n: int) -> None:
        self.n = n

    def run_task(self) -> int:
        return self.n


class Main(TaskBase):
    parts: RequiresList[int]

    def __init__(self, n: int = 2) -> None:
        self.parts = [Part(i) for i in range(n)]

    def run_task(self) -> int:
        return sum(self.parts)


class Held(TaskBase):
    parts: RequiresList[int]

    def __init__(self) -> None:
        self.parts = [Part(7)]

    def run_task(self) -> None:
        assert GATE.wait(30)


class Inner(TaskBase):
    def run_task(self) -> Path:
        path = self.task_directory / "inner.txt"
        path.write_text("inner")
        return path


class Outer(TaskBase):
    def run_task(self) -> list[Path]:
        return [Inner().run_graph()]


def gc(*args: str | Path, answer: str = "", code: int = 0) -> str:
    ended: Result = CliRunner().invoke(main, ["gc", *map(str, args)], input=answer)
    assert ended.exit_code == code, ended.output
    return ended.output


def left() -> dict[str, int]:
    return {name.rpartition(".")[2]: len(kept) for name, kept in inventory(current_cache()).items() if kept}


def run(task: TaskBase[Any]) -> None:
    task.run_graph(backend="thread")


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give this file as a task file."""
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    return Path(__file__)


def test_without_conditions_it_tells_sizes_and_removes_nothing(cache: Path, either_store: str) -> None:
    run(Main(3))
    told = gc()
    assert f"  {__name__}.Part  3 tasks, " in told
    assert f"  {__name__}.Main  1 task, " in told
    assert "say which" in told
    assert left() == {"Part": 3, "Main": 1}


def test_what_no_entry_point_reaches_goes(file: Path, either_store: str) -> None:
    run(Main(2))
    run(Main(5))
    assert left() == {"Part": 5, "Main": 2}
    assert "Of these may go" in gc(file, "--dry-run")
    assert "Nothing was removed" in gc(file, answer="n\n", code=1)
    assert left() == {"Part": 5, "Main": 2}
    gc(file, answer="y\n")
    assert left() == {"Part": 2, "Main": 1}
    assert run_and_count(Main(2), backend="thread")[1] == 0
    assert run_and_count(Main(5), backend="thread")[1] == 4
    assert "Nothing is to be removed" in gc(file, "-e", "Main(n=5)", "-e", "Main", "-y")


def test_an_entry_point_with_arguments(file: Path, cache: Path) -> None:
    run(Main(4))
    gc(file, "-e", "Main(n=3)", "-y")
    assert left() == {"Part": 3}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("None1", "has no None1"),
        ("Main(m=3)", "has no argument 'm'"),
        ("Main#3", "write an entry point with the names"),
        ("Main(n=", "names no task"),
    ],
)
def test_an_entry_point_that_is_none(file: Path, cache: Path, entry: str, message: str) -> None:
    run(Main())
    assert message in gc(file, "-e", entry, "-y", code=2)
    assert left() == {"Part": 2, "Main": 1}


def test_other_modules_stay_unless_all_is_said(file: Path, cache: Path) -> None:
    run(Main())
    (cache / "taskproc" / f"{__name__}.Main").rename(cache / "taskproc/other.Main")
    gc(file, "-e", "Held", "-y")
    assert left() == {"Main": 1}
    gc(file, "-e", "Held", "-y", "--all")
    assert left() == {}


def test_only_what_is_old_goes(cache: Path) -> None:
    run(Main(3))
    assert "Nothing is to be removed" in gc("--older-than", "1h", "-y")
    for path in (cache / f"taskproc/{__name__}.Part/results/0").iterdir():
        os.utime(path, (1, time.time() - 7200))
    gc("--older-than", "1h", "-y")
    assert left() == {"Part": 2, "Main": 1}
    assert "is not an age" in gc("--older-than", "soon", code=2)


def test_the_newest_of_each_class_stay(cache: Path, either_store: str) -> None:
    for n in range(4):
        run(Main(n))
    gc("--keep-last", "2", "-y")
    assert left() == {"Part": 2, "Main": 2}


def test_conditions_must_all_be_true() -> None:
    held = {"m.A": [Kept("m.A", bytes([n]), [n], False, 10, float(n)) for n in range(6)]}

    def chosen(**wish: Any) -> list[int]:
        return [kept.ids[0] for kept in choose(held, Wish(**wish))]

    assert chosen() == [0, 1, 2, 3, 4, 5]
    assert chosen(before=3) == [0, 1, 2]
    assert chosen(but_last=4) == [0, 1]
    assert chosen(before=3, but_last=4, unless={bytes([1])}) == [0]
    assert chosen(but_last=9) == []
    assert chosen(classes=["m.B"]) == []


def test_what_a_run_that_goes_on_may_need_stays(cache: Path) -> None:
    GATE.clear()
    run(Main())
    going_on = threading.Thread(target=lambda: run(Held()))
    going_on.start()
    wait_for(lambda: any(run.planned for run in list_runs(f"{cache}/taskproc/.runs") if run.alive), "a run")
    told = gc("--keep-last", "0", "-y")
    GATE.set()
    going_on.join()
    assert "For the sake of a run that goes on, these stay" in told
    assert set(left()) == {"Part", "Held"}


def test_a_run_that_has_not_said_what_it_needs_is_waited_for(cache: Path) -> None:
    GATE.clear()
    going_on = threading.Thread(target=lambda: run(Held()))
    going_on.start()
    wait_for(lambda: any(run.planned for run in list_runs(f"{cache}/taskproc/.runs")), "a run")
    ledger = Path(list_runs(f"{cache}/taskproc/.runs")[0].directory, "ledger.jsonl")
    wait_for(lambda: '"kind":"started"' in ledger.read_text(), "a task that runs")
    text = ledger.read_text()
    ledger.write_text("")
    assert not read_run(str(ledger.parent)).planned
    assert "has just begun" in gc("--keep-last", "0", "-y", code=1)
    ledger.write_text(text)
    GATE.set()
    going_on.join()


def test_what_a_job_without_a_driver_is_at_stays(cache: Path) -> None:
    run(Main(3))
    (cache / f"taskproc/{__name__}.Part/results/1/attempt.running.{0:032x}").touch()
    gc("--keep-last", "0", "-y")
    assert left() == {"Part": 1}
    assert run_and_count(Main(3), backend="thread")[1] == 3


def test_what_somebody_has_a_claim_on_stays(cache: Path, either_store: str) -> None:
    run(Main(3))
    runs = f"{cache}/taskproc/.runs"
    theirs = Claims(runs, "a run that left jobs", standing(runs))
    theirs.acquire([(Part(2)._task.digest, "nonce")])
    theirs.close(keep=True)
    gc("--keep-last", "0", "-y")
    assert left() == {"Part": 1}


def test_ids_of_what_was_removed_are_not_used_again(cache: Path) -> None:
    run(Main(3))
    gc("--keep-last", "0", "-y")
    assert left() == {}
    run(Part(9))
    assert Part(9).task_id == 3


def test_task_stays_whose_file_a_result_names_that_stays(file: Path, either_store: str) -> None:
    run(Outer())
    run(Part(3))
    gc(file, "-e", "Outer", "-y")
    assert left() == {"Outer": 1, "Inner": 1}
    assert run_and_count(Outer(), backend="thread")[1] == 0
