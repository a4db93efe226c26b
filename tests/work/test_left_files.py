"""What an attempt leaves is told apart by names and contents, and noted as far as a result names it."""
from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from taskproc.store.named_files import PRESENT, changes
from taskproc.work.left_files import LeftFiles

REST = "mod.Task/results/3/data"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    directory = tmp_path / REST
    directory.mkdir(parents=True)
    (directory / "a").write_text("one")
    (directory / "sub").mkdir()
    (directory / "sub/b").write_text("two")
    return directory


def left(tmp_path: Path, kind: str = "size") -> LeftFiles:
    return LeftFiles(str(tmp_path), REST, kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: (data / "a").write_text("ont"),
        lambda data: (data / "a").rename(data / "c"),
        lambda data: (data / "sub/b").rename(data / "b"),
        lambda data: (data / "sub/new").mkdir(),
        lambda data: (data / "sub/b").unlink(),
        lambda data: os.symlink("a", data / "link"),
        lambda data: ((data / "a").unlink(), os.symlink("sub/b", data / "a")),
    ],
    ids=["content", "name", "directory", "new directory", "removed", "link", "link instead of a file"],
)
def test_other_files_are_told_apart(data: Path, tmp_path: Path, change: Callable[[Path], object]):
    before = left(tmp_path).digest
    assert before == left(tmp_path, "content").digest
    change(data)
    assert left(tmp_path).digest not in (before, None)


def test_times_and_the_way_to_the_directory_make_no_difference(data: Path, tmp_path: Path):
    before = left(tmp_path).digest
    os.utime(data / "a", (1, 1))
    assert left(tmp_path).digest == before
    (tmp_path / REST).rename(tmp_path / "mod.Task/results/4")
    assert LeftFiles(str(tmp_path), "mod.Task/results/4", "size").digest == before


def test_what_a_link_leads_to_outside_counts_by_its_times(data: Path, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.write_text("large")
    os.symlink(outside, data / "link")
    before = left(tmp_path).digest
    os.utime(outside, (1, 1))
    assert left(tmp_path).digest != before


def test_nothing_left_is_no_difference_and_what_is_not_read_is_always_one(data: Path, tmp_path: Path):
    assert left(tmp_path, "exists").digest is None
    assert LeftFiles(str(tmp_path), "mod.Task/results/9/data", "exists").digest == b""
    assert LeftFiles(str(tmp_path), f"{REST}/sub/new", "size").digest == b""


def test_named_files_are_noted_and_what_becomes_of_them_is_told(data: Path, tmp_path: Path):
    noted = left(tmp_path).note([f"{REST}/a", REST, f"{REST}/later", "mod.Task/results/3/stdout.txt"])
    assert [*noted] == [f"{REST}/", f"{REST}/a", f"{REST}/sub/", f"{REST}/sub/b"]
    assert changes(str(tmp_path), noted, "content") == []
    (data / "sub/b").write_text("longer")
    (data / "a").unlink()
    (data / "new").write_text("")
    gone, longer = (f"{REST}/a", "is gone"), (f"{REST}/sub/b", "has 6 bytes instead of 3")
    assert changes(str(tmp_path), noted, "exists") == [gone]
    assert changes(str(tmp_path), noted, "size") == [gone, longer]
    assert changes(str(tmp_path), noted, "content") == [gone, longer, (f"{REST}/new", "was not there before")]


def test_content_is_read_where_times_differ(data: Path, tmp_path: Path):
    noted = left(tmp_path, "content").note([f"{REST}/a"])
    os.utime(data / "a", (1, 1))
    assert changes(str(tmp_path), noted, "content") == []
    (data / "a").write_text("eno")
    assert changes(str(tmp_path), noted, "size") == []
    assert changes(str(tmp_path), noted, "content") == [(f"{REST}/a", "has another content")]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("kind", ["size", "content"])
def test_pipes_and_links_to_nowhere_are_names_only(data: Path, tmp_path: Path, kind: str):
    os.mkfifo(data / "pipe")
    os.symlink("nowhere", data / "link")
    found = left(tmp_path, kind)
    noted = found.note([REST, f"{REST}/pipe", f"{REST}/link"])
    assert found.digest
    assert f"{REST}/pipe" not in noted
    assert f"{REST}/link" not in noted
    assert changes(str(tmp_path), noted, "content") == []
    (data / "a").unlink()
    os.mkfifo(data / "a")
    assert changes(str(tmp_path), noted, "content") == [(f"{REST}/a", "is no file now")]


def test_file_is_its_owners_also_through_a_link_to_an_upstream(data: Path, tmp_path: Path):
    other = tmp_path / "mod.Other/results/0"
    (other / "deps").mkdir(parents=True)
    os.symlink("../../../../mod.Task/results/3", other / "deps/up")
    noted = LeftFiles(str(tmp_path), "mod.Other/results/0/data", "size").note(["mod.Other/results/0/deps/up/data/a"])
    assert [*noted] == [f"{REST}/a"]


def test_files_reach_the_disk_with_the_result(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    os.mkfifo(data / "pipe")
    os.symlink("/nowhere", data / "link")
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    left(tmp_path).reach_disk()
    assert synced == [str(data / "a"), str(data / "sub"), str(data / "sub/b"), str(data)]


@pytest.mark.parametrize("kind", ["exists", "size", "content"])
@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 300, "a/b", "\n"])
def test_what_cannot_be_a_name_of_a_file_is_passed_over(data: Path, tmp_path: Path, kind: str, name: str):
    assert left(tmp_path, kind).note([f"{REST}/{name}", f"mod.Task/results/3/deps/{name}/data/x"]) == {}


def test_only_presence_is_noted_where_only_that_counts(data: Path, tmp_path: Path):
    assert left(tmp_path, "exists").note([REST, f"{REST}/a"]) == {REST: PRESENT, f"{REST}/a": PRESENT}
