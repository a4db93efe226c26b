"""Results are pickles: a cache that others may write to is refused, and nothing but a result is ever unpickled."""
from __future__ import annotations

import contextlib
import gzip
import os
import pickle
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from taskproc import TaskBase
from taskproc.base.errors import CacheError, UntrustedCacheError
from taskproc.cli import main
from taskproc.store import cache as stores
from taskproc.tasks.settings import Context
from tests.support import ScriptRunner, run_and_count


class Trusted(TaskBase):
    def run_task(self) -> str:
        return "ours"


TASK_FILE = """
from taskproc import TaskBase

class Main(TaskBase):
    def run_task(self):
        return 3
"""


class Bomb:
    """Leaves a file behind when somebody unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def full(cache: Path) -> Path:
    """Give a cache with a result."""
    assert Trusted().run_graph() == "ours"
    return cache


@pytest.mark.parametrize("inner", ["", "taskproc", "taskproc/.runs", f"taskproc/{__name__}.Trusted"])
def test_cache_that_everybody_may_write_to_is_refused(full: Path, inner: str):
    (full / inner).chmod(0o777)
    for use in (Trusted().run_graph, Trusted().get_task_result):
        with pytest.raises(UntrustedCacheError, match=r"everybody may write to .*chmod o-w.*--trust-cache"):
            use()


def test_cache_of_another_user_is_refused(full: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.stat(full).st_uid + 1)
    status = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **how: _owned_by(status(path, **how), 12345))
    with pytest.raises(UntrustedCacheError, match="belongs to another user"):
        Trusted().run_graph()


def _owned_by(status: os.stat_result, uid: int) -> os.stat_result:
    return os.stat_result([*status[:4], uid, *status[5:]])


def test_cache_is_trusted_when_told(full: Path, monkeypatch: pytest.MonkeyPatch):
    full.chmod(0o777)
    monkeypatch.setenv("TP_TRUST_CACHE", "1")
    assert run_and_count(Trusted()) == ("ours", 0)
    monkeypatch.delenv("TP_TRUST_CACHE")
    with pytest.raises(UntrustedCacheError):
        Trusted().run_graph()
    monkeypatch.setattr(Context, "_assigned", {**Context._assigned, "trust_cache": True})
    assert run_and_count(Trusted()) == ("ours", 0)


def test_command_refuses_and_can_be_told(full: Path, run_script: ScriptRunner):
    script = run_script.write(TASK_FILE, "t.py")
    full.chmod(0o777)
    command = [sys.executable, "-m", "taskproc", str(script), "--no-progress"]
    refused = run_script.run(command, check=False)
    assert refused.code == 1
    assert "--trust-cache" in refused.err
    assert "Traceback" not in refused.err
    assert run_script.run([*command, "--trust-cache"]).code == 0


def test_group_may_share_a_cache_and_a_sticky_directory_may_hold_one(full: Path):
    full.chmod(0o1777)
    (full / "taskproc").chmod(0o775)
    assert run_and_count(Trusted()) == ("ours", 0)


def test_what_a_run_makes_has_the_modes_of_the_umask(cache: Path):
    before = os.umask(0o027)
    try:
        Trusted().run_graph()
    finally:
        os.umask(before)
    assert not [path for path in [cache, *cache.rglob("*")] if path.lstat().st_mode & 0o027 and not path.is_symlink()]


@pytest.mark.parametrize("backend", ["process", "prefix", "thread"])
def test_with_a_umask_of_nothing_a_run_makes_nothing_that_everybody_may_replace(run_script: ScriptRunner, backend: str):
    text = f"""
    import os
    from taskproc import FailedTaskError, TaskBase
    os.umask(0)
    class Large(TaskBase):
        def run_task(self):
            self.task_directory
            return os.urandom(100_000)
    class Small(TaskBase, store="packed"):
        def run_task(self):
            return 1
    class Fails(TaskBase):
        def run_task(self):
            raise ValueError
    for task in (Large(), Small(), Fails()):
        try:
            task.run_graph(backend={backend!r})
        except FailedTaskError:
            pass
    """
    run_script(text)
    run_script(text)
    cache = run_script.cache
    open_to_all = [
        path for path in [cache, *cache.rglob("*")] if path.lstat().st_mode & 0o002 and not path.is_symlink()
    ]
    assert {path.name for path in open_to_all} <= {"run.json", "outline.json.gz", "jobs.json", "stderr.txt"}


def test_looking_unpickles_nothing(
    full: Path, tmp_path: Path, run_script: ScriptRunner, monkeypatch: pytest.MonkeyPatch
):
    script = run_script.write(TASK_FILE, "t.py")
    run_script.run([sys.executable, "-m", "taskproc", str(script), "--no-progress"])
    (result,) = full.glob("taskproc/*Main/results/0/result.pkl.gz")
    head = result.read_bytes()[:104]
    result.write_bytes(head + gzip.compress(pickle.dumps(Bomb(tmp_path / "exploded")))[10:])
    (result.parent / "failure.pkl").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    monkeypatch.chdir(tmp_path)
    file = str(script)
    looks = [
        ["status"], ["status", "--json"], ["runs"], ["why", file], ["logs", "Main", "--file", file], ["graph", file],
        ["report"], ["gc", file, "--dry-run"], ["run", "--dry-run", file], ["clear", file, "--yes"],
    ]  # fmt: skip
    for words in looks:
        ended = CliRunner().invoke(main, words, prog_name="taskproc")
        assert ended.exit_code == 0, (words, ended.output)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("key", ["next", "identity"])
def test_the_id_table_is_no_way_in(full: Path, tmp_path: Path, key: str):
    directory = full / "taskproc" / f"{__name__}.Trusted"
    Trusted.clear_all_tasks()
    digest = Trusted()._task.digest.hex()
    stores._class_stores.pop(str(directory)).close()  # another process, which knows nothing yet
    bomb = pickle.dumps(Bomb(tmp_path / "exploded"))
    with closing(sqlite3.connect(directory / "id_table/cache.db")) as connection, connection:
        connection.execute(
            "UPDATE Cache SET mode = 4, value = ? WHERE key = ?", (bomb, "next" if key == "next" else digest)
        )
        if key == "next":  # as for a new task, which needs the counter
            connection.execute("DELETE FROM Cache WHERE key = ?", (digest,))
        connection.execute("UPDATE Settings SET value = ? WHERE key LIKE 'disk%'", (bomb,))
    with contextlib.suppress(CacheError):
        Trusted().run_graph()
    assert not (tmp_path / "exploded").exists()
