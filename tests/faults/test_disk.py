"""A hostile disk: full, failing, read-only, slow to show, with coarse clocks, moved, linked, and with odd names."""
from __future__ import annotations

import errno
import itertools
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from taskproc import Context, TaskBase
from taskproc.base.errors import CacheError
from taskproc.store import class_store
from tests.faults import census, graph
from tests.faults.killing import Stage, of_each_kind
from tests.faults.nursery import Nursery
from tests.faults.test_kill_points import check
from tests.support import PACKAGES, ScriptRunner, run_and_count, wait_for

ERRORS = [errno.ENOSPC, errno.EIO, errno.EROFS]


@pytest.mark.slow
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: errno.errorcode[error])
@pytest.mark.parametrize("store", ["tree", "packed"])
def test_disk_fails_from_a_call_on(nursery: Nursery, tmp_path: Path, store: str, error: int):
    stage = Stage(nursery, tmp_path, "thread", store, "cleared")
    points = of_each_kind(stage.calls())[2 * ERRORS.index(error) :: 17]
    check([problem for at in points for problem in stage.break_disk(at, error)], len(points))


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: errno.errorcode[error])
@pytest.mark.parametrize("backend", ["thread", "process", "prefix"])
@pytest.mark.parametrize("store", ["tree", "packed"])
def test_disk_fails_from_every_kind_of_call_on(
    nursery: Nursery, tmp_path: Path, backend: str, store: str, error: int
):
    stage = Stage(nursery, tmp_path, backend, store)
    points = of_each_kind(stage.calls())
    check([problem for at in points for problem in stage.break_disk(at, error)], len(points))


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "at"), [("process", 3), ("process", 20), ("prefix", 8), ("prefix", 12)])
def test_workers_disk_fails(nursery: Nursery, tmp_path: Path, backend: str, at: int):
    cache = tmp_path / "cache"
    shim = {
        "TP_FAULT_ROOT": str(cache), "TP_FAULT_ONLY": "bootstrap.py", "TP_FAULT_AT": str(at),
        "TP_FAULT_ERRNO": str(errno.ENOSPC),
    }  # fmt: skip
    broken = nursery.drive("first", cache, backend, env=shim)
    assert broken.status == 0 or "FailedTaskError" in broken.error, broken.output
    assert nursery.drive("first", cache, backend).answer == graph.ANSWER
    assert not nursery.strays(60)


@pytest.mark.slow
def test_results_show_late(nursery: Nursery, tmp_path: Path):
    site = tmp_path / "site"
    site.mkdir()
    late = {"TP_FAULT_HIDE": "2", "TP_FAULT_SITE": str(site)}
    driven = nursery.drive("first", tmp_path / "cache", "standin", env=late, timeout=240)
    assert driven.answer == graph.ANSWER, driven.output
    assert len(Path(f"{tmp_path}/cache.count").read_text().splitlines()) == 7


SCRIPT = """
import sys
from taskproc import TaskBase, Requires

class Up(TaskBase):
    def run_task(self):
        return {value}

class Main(TaskBase):
    up: Requires[int]
    def __init__(self):
        self.up = Up()
    def run_task(self):
        return self.up

if __name__ == "__main__":
    result, stats = Main().run_graph_with_stats(backend="thread")
    print(result, sum(stats["stats"].values()))
"""


@pytest.mark.slow
def test_clock_that_stands_still_hides_no_change_and_makes_none(run_script: ScriptRunner, tmp_path: Path):
    def run(value: int) -> str:
        script = run_script.write(SCRIPT.format(value=value), "script.py")
        for path in [script, *tmp_path.rglob("*")]:
            os.utime(path, (1e9, 1e9), follow_symlinks=False)
        return run_script.run([sys.executable, "-B", str(script)]).out.strip()

    assert run(1) == "1 2"
    assert run(2) == "2 2"
    assert run(2) == "2 0"
    run_script.write(SCRIPT.format(value=3), "script.py")  # edited, and undone before any run
    assert run(2) == "2 0"


def test_clock_that_jumps_hides_no_change_and_makes_none(cache: Path, either_store: str, monkeypatch):
    now = time.time()
    clock = itertools.cycle([now, now - 1e8, now + 1e8, 0.0])
    monkeypatch.setattr(time, "time", lambda: next(clock))
    monkeypatch.setattr(time, "strftime", lambda *words: next(names))
    names = iter(["20300101-000000", "20200101-000000", "19700101-000000", "20200101-000000", "20300101-000000"])
    assert graph.Top().run_graph(backend="thread") == graph.ANSWER
    assert run_and_count(graph.Top(), backend="thread") == (graph.ANSWER, 0)
    graph.Leaf(2).clear_task()
    assert run_and_count(graph.Top(), backend="thread") == (graph.ANSWER, 4)
    graph.Middle.clear_all_tasks()
    assert run_and_count(graph.Top(), backend="thread") == (graph.ANSWER, 3)
    assert run_and_count(graph.Top(), backend="thread") == (graph.ANSWER, 0)


def test_what_a_killed_driver_left_is_taken_over_on_another_machine(
    nursery: Nursery, tmp_path: Path, cache: Path, either_store: str, monkeypatch
):
    first = nursery.start("long", cache, "thread", env={"TP_STORE": either_store, "TP_FAULT_LONG": "600"})
    wait_for(lambda: Path(f"{cache}.count").exists(), "start of the task", 60)
    nursery.kill(first)
    nursery.finish(first)
    assert census.claims(cache) == (1, 1)
    shutil.copytree(cache, tmp_path / "moved", symlinks=True)
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    Context.cache_dir = tmp_path / "moved"
    assert graph.Long().run_graph(backend="thread") == "long"
    assert census.claims(tmp_path / "moved") == (0, 0)


@pytest.fixture
def full(cache: Path, either_store: str) -> Path:
    """Give a cache with a complete graph."""
    assert graph.Top().run_graph(backend="thread") == graph.ANSWER
    return cache


@pytest.fixture(autouse=True)
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TP_FAULT_COUNT", str(tmp_path / "count"))


def test_moved_cache_is_as_good(full: Path, tmp_path: Path):
    shutil.move(full, tmp_path / "elsewhere")
    Context.cache_dir = tmp_path / "elsewhere"
    assert run_and_count(graph.Top()) == (graph.ANSWER, 0)
    graph.Middle(2, 3).clear_task()
    assert run_and_count(graph.Top(), backend="thread") == (graph.ANSWER, 2)


def test_copied_cache_is_as_good(full: Path, tmp_path: Path):
    shutil.copytree(full, tmp_path / "copy", symlinks=True, copy_function=shutil.copyfile)
    Context.cache_dir = tmp_path / "copy"
    assert run_and_count(graph.Top()) == (graph.ANSWER, 0)


def test_symbolic_link_to_a_cache_is_as_good(full: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(full)
    Context.cache_dir = tmp_path / "link"
    assert run_and_count(graph.Top()) == (graph.ANSWER, 0)
    graph.Middle(2, 3).clear_task()
    assert run_and_count(graph.Top(), backend="thread") == (graph.ANSWER, 2)


def in_a_namespace(mounts: str, code: str, env: dict[str, str]) -> str:
    """Run Python where something else is mounted; skip the test where that is not allowed."""
    unshare = shutil.which("unshare")
    words = [unshare or "unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c"]
    if unshare is None or subprocess.run([*words, mounts], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    done = subprocess.run(
        [*words, f'{mounts} && exec "$0" -c "$1"', sys.executable, code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*PACKAGES, str(Path(__file__).parents[2])]), **env},
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_cache_on_a_read_only_file_system_can_be_read(full: Path):
    code = "from tests.faults.graph import *; print(Top().run_graph_with_stats(), Leaf(2).get_task_result())"
    mounts = f"mount --bind {full} {full} && mount -o remount,bind,ro {full}"
    out = in_a_namespace(mounts, code, {"TP_CACHE_DIR": str(full)})
    assert out == f"({graph.ANSWER}, {{'stats': {{}}, 'generations': []}}) 2"


@pytest.mark.slow
def test_run_on_a_read_only_file_system_is_refused_in_one_sentence(full: Path):
    code = """
from tests.faults.graph import *
from taskproc import CacheError
try:
    Leaf(7).run_graph()
except CacheError as error:
    print(error)
"""
    mounts = f"mount --bind {full} {full} && mount -o remount,bind,ro {full}"
    out = in_a_namespace(mounts, code, {"TP_CACHE_DIR": str(full)})
    assert "Read-only file system" in out
    assert "\n" not in out


@pytest.mark.slow
@pytest.mark.parametrize("store", ["tree", "packed"])
@pytest.mark.parametrize("kilobytes", [64, 200, 320, 400])
def test_small_file_system_fills_up(tmp_path: Path, store: str, kilobytes: int):
    cache = tmp_path / "small"
    cache.mkdir()
    code = """
import os
from tests.faults.graph import *
from taskproc import TaskprocError
try:
    print(Top().run_graph(backend="thread"))
except TaskprocError as error:
    print("No space left" in str(error) or "full" in str(error) or error)
os.system("mount -o remount,size=20m " + os.environ["TP_CACHE_DIR"])
print(Top().run_graph(backend="thread") == ANSWER)
"""
    env = {"TP_CACHE_DIR": str(cache), "TP_STORE": store}
    out = in_a_namespace(f"mount -t tmpfs -o size={kilobytes}k,mode=755 none {cache}", code, env)
    assert out.splitlines() in (["True", "True"], [str(graph.ANSWER), "True"])


def class_named(name: str) -> Any:
    """Make a task class with this name."""

    def run_task(self: Any) -> str:
        return name[-5:]

    return type(TaskBase)(name, (TaskBase,), {"run_task": run_task, "__qualname__": name, "__module__": __name__})


@pytest.mark.parametrize("name", ["N" * 300, "Größe", "计算任务", "İstanbul", "\U0001d4afask", "é" * 250, "e\u0301"])
def test_class_names_may_be_long_and_of_any_script(cache: Path, either_store: str, name: str):
    task = class_named(name)()
    assert run_and_count(task, backend="thread") == (name[-5:], 1)
    assert run_and_count(task, backend="thread") == (name[-5:], 0)


def test_long_names_with_one_beginning_are_different_classes(cache: Path):
    first, second = class_named("N" * 300 + "first"), class_named("N" * 300 + "other")
    assert first().run_graph(backend="thread") == "first"
    assert second().run_graph(backend="thread") == "other"
    assert first().get_task_result() == "first"


def test_names_that_differ_in_case_are_refused_where_they_share_a_directory(cache: Path, monkeypatch):
    assert class_named("Train")().run_graph(backend="thread") == "Train"
    root = cache / "taskproc"
    listdir = os.listdir

    def ignoring_case(path: Any = ".") -> list[str]:
        return [name for name in listdir(path) if not name.endswith(".TRAIN")]

    monkeypatch.setattr(class_store.os, "listdir", ignoring_case)
    with pytest.raises(CacheError, match=r"TRAIN and .*Train differ only in upper and lower case"):
        class_named("TRAIN")().run_graph(backend="thread")
    assert root.exists()
