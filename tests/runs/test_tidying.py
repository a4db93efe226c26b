"""What a run filed for workers elsewhere goes when nobody needs it any more."""
from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from taskproc import RequiresList, TaskBase
from taskproc.runs.adoption import Orphans
from taskproc.runs.aftermath import tidy_up
from taskproc.runs.claims import Claims, standing
from taskproc.runs.ledger import Ledger, RunDirectory, open_ledger, parse_lines
from taskproc.runs.tidying import clear_sets, tidy
from taskproc.tasks.in_use import current_cache


class Step(TaskBase, prefix_command="env"):
    def __init__(self, n: int):
        self.n = n

    def run_task(self) -> int:
        return self.n


class Main(TaskBase):
    steps: RequiresList[int]

    def __init__(self) -> None:
        self.steps = [Step(n) for n in range(4)]

    def run_task(self) -> int:
        return sum(self.steps)


class Grows(TaskBase, expands=True):
    def run_task(self) -> list[Step]:
        return [Step(0), Step(1)]


def make_set(run: str, log: str | None = None) -> Path:
    """Make a set as a backend leaves it."""
    staged = Path(run, "cluster", "tp-0123456789ab")
    (staged / "ended").mkdir(parents=True)
    (staged / "log").mkdir()
    for name in ("jobs.json", "payloads", "job.sh", "id", "ended/element-0-0"):
        (staged / name).write_text("x")
    (staged / "log" / "0.txt").touch()
    if log is not None:
        (staged / "log" / "1.txt").write_text(log)
    return staged


def names(directory: Path) -> set[str]:
    return {os.path.relpath(path, directory) for path in directory.rglob("*")}


def register(runs: str, run: RunDirectory) -> Claims:
    """Enter a run in the table of claims."""
    return Claims(runs, run.run, standing(runs))


@pytest.mark.usefixtures("cache")
def test_a_run_leaves_nothing_of_what_it_filed() -> None:
    assert Main().run_graph(max_workers=2) == 6
    (run,) = [entry.path for entry in os.scandir(current_cache().runs) if entry.is_dir()]
    left = {"context.pickle", "driver.lock", "ledger.jsonl", "outline.json.gz", "run.json", "workers.lock"}
    assert names(Path(run)) == left


@pytest.mark.usefixtures("cache")
def test_a_run_that_grew_leaves_nothing_either() -> None:
    assert Grows().run_graph(max_workers=2) == [0, 1]
    (run,) = [entry.path for entry in os.scandir(current_cache().runs) if entry.is_dir()]
    left = {"context.pickle", "driver.lock", "ledger.jsonl", "outline.json.gz", "run.json", "workers.lock"}
    assert names(Path(run)) == left


def test_a_log_that_says_something_stays_with_the_script_that_wrote_it(tmp_path: Path) -> None:
    staged = make_set(str(tmp_path), "module: command not found")
    clear_sets(str(tmp_path))
    assert names(staged) == {"job.sh", "id", "log", "log/1.txt"}


def test_a_set_whose_logs_say_nothing_goes(tmp_path: Path) -> None:
    make_set(str(tmp_path))
    (tmp_path / "cluster" / "own").mkdir()
    clear_sets(str(tmp_path))
    assert names(tmp_path) == {"cluster", "cluster/own"}


def test_sets_stay_while_jobs_live_on(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path), "Main()")
    staged = make_set(run.path)
    run.close(keep=True)
    assert (staged / "payloads").exists()


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("others", [False, True], ids=["alone", "beside another driver"])
def test_what_a_killed_driver_filed_goes_once_nobody_may_follow_it(others: bool) -> None:
    cache = current_cache()
    os.makedirs(cache.runs)
    dead = RunDirectory(cache.runs, "Main()")
    left = register(cache.runs, dead)
    Ledger(f"{dead.path}/ledger.jsonl").close()
    staged = make_set(dead.path)
    dead.close(keep=True)  # as a kill does, the lock is free and nothing is removed
    left.close(keep=True)
    ours, theirs = RunDirectory(cache.runs, "Main()"), RunDirectory(cache.runs, "Main()")
    claims, of_theirs = register(cache.runs, ours), register(cache.runs, theirs)
    if not others:
        of_theirs.close()
    tidy_up(claims, Orphans(cache.runs), cache)
    assert staged.exists() is others
    if others:
        of_theirs.close()
        tidy_up(claims, Orphans(cache.runs), cache)
        assert not staged.exists()
    claims.close()
    for run in (ours, theirs):
        run.close(keep=False)


@pytest.mark.usefixtures("cache")
def test_a_long_ledger_is_compressed_once_and_stays(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text('{"kind": "run"}\n' * 30_000)
    for _ in range(2):
        tidy(str(tmp_path))
        assert names(tmp_path) == {"ledger.jsonl.gz"}
    with open_ledger(str(ledger)) as file:
        assert file.read().count(b"run") == 30_000


def test_a_ledger_goes_on_behind_what_a_full_disk_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(str(tmp_path / "ledger.jsonl"))
    ledger.write({"kind": "first"})
    write, room = os.write, [25]

    def write_what_fits(fd: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "no space left on device")
        size = write(fd, bytes(data)[: room[0]])
        room[0] -= size
        return size

    ledger.note('{"kind": "second"}')
    ledger.note('{"kind": "third"}')
    with monkeypatch.context() as full:
        full.setattr(os, "write", write_what_fits)
        with pytest.raises(OSError, match="no space"):
            ledger.flush()
    ledger.write({"kind": "fourth"})
    ledger.close()
    kinds = [entry["kind"] for entry in parse_lines((tmp_path / "ledger.jsonl").read_bytes())]
    assert kinds == ["first", "second", "third", "fourth"]
