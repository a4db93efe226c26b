"""Digests of input files are remembered by all drivers of a cache, and what cannot be read is forgotten."""
from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from taskproc.store.remembered import FILE, Remembered

STAMP, DIGEST = b"12 1 1 7", bytes(range(16))


def known(root: Path, *files: str, directories: tuple[str, ...] = ()) -> Remembered:
    memory = Remembered(str(root))
    memory.prepare(files, directories)
    return memory


def keep(root: Path, *files: str) -> None:
    memory = Remembered(str(root))
    for file in files:
        memory.note(file, STAMP, DIGEST, "shown")
    memory.save()


def test_digest_is_given_for_the_same_stamp_only(tmp_path: Path):
    keep(tmp_path, "/a")
    memory = known(tmp_path, "/a", "/b")
    assert memory.recall("/a", STAMP) == (DIGEST, "shown")
    assert memory.recall("/a", b"13 1 1 7") is None
    assert memory.recall("/b", STAMP) is None


def test_files_below_a_directory_come_with_it(tmp_path: Path):
    inside, outside = [f"/data/{n}" for n in range(3)], ["/data", "/data-2/x", "/dat/x", "/data0"]
    keep(tmp_path, *inside, *outside, "/data/\udcff")
    memory = known(tmp_path, directories=("/data",))
    assert [memory.recall(path, STAMP) is not None for path in [*inside, "/data/\udcff"]] == [True] * 4
    assert [memory.recall(path, STAMP) for path in outside] == [None] * 4


def test_nothing_is_made_where_there_is_no_cache_or_nothing_new(tmp_path: Path):
    keep(tmp_path / "missing", "/a")
    Remembered(str(tmp_path)).save()
    assert list(tmp_path.iterdir()) == []


def test_many_files_are_asked_for_at_once(tmp_path: Path):
    files = [f"/{n}" for n in range(2500)]
    keep(tmp_path, *files)
    assert all(known(tmp_path, *files).recall(file, STAMP) for file in files)


def test_damaged_file_is_made_anew(tmp_path: Path):
    (tmp_path / FILE).write_bytes(b"no database, and long enough to be taken for one" * 100)
    assert known(tmp_path, "/a").recall("/a", STAMP) is None
    keep(tmp_path, "/a")
    assert known(tmp_path, "/a").recall("/a", STAMP) == (DIGEST, "shown")


def test_table_of_another_kind_is_no_error(tmp_path: Path):
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("CREATE TABLE inputs (other TEXT)")
    connection.close()
    keep(tmp_path, "/a")
    assert known(tmp_path, "/a").recall("/a", STAMP) is None


def test_cache_that_may_only_be_read_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*args: object, **how: object) -> sqlite3.Connection:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr("taskproc.store.remembered.sqlite3.connect", refuse)
    keep(tmp_path, "/a")


def test_many_drivers_remember_at_once(tmp_path: Path):
    threads = [threading.Thread(target=keep, args=(tmp_path, *[f"/{n}/{k}" for k in range(50)])) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = [f"/{n}/{k}" for n in range(8) for k in range(50)]
    assert all(known(tmp_path, *files).recall(file, STAMP) for file in files)
