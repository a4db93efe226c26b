"""The states of inputs: what counts of files, directories, tables, variables and packages, and when they are read."""
from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from taskproc.base.errors import InputError
from taskproc.tasks.outside import look, stamp_of, value_of

LONG_AGO = time.time_ns() - 3_600_000_000_000


class Counting:
    """A memory that says what was read."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[bytes, bytes, str]] = {}
        self.read: list[str] = []

    def recall(self, path: str, stamp: bytes) -> tuple[bytes, str] | None:
        known = self.known.get(path)
        return known[1:] if known is not None and known[0] == stamp else None

    def note(self, path: str, stamp: bytes, digest: bytes, shown: str) -> None:
        self.read.append(Path(path).name)
        self.known[path] = (stamp, digest, shown)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be an hour later, so that what was just written was not written just now."""
    now = time.time_ns
    monkeypatch.setattr("taskproc.tasks.contents.time.time_ns", lambda: now() + 3_600_000_000_000)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    for name, text in {"a.csv": "1", "sub/b.csv": "2", ".hidden": "3"}.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    (top / "empty").mkdir()
    return top


def state(kind: str, path: Path, *key: str) -> bytes:
    return look((kind, str(path), *key)).digest


def test_file_is_read_once_as_long_as_it_is_as_it_was(tmp_path: Path):
    path, memory = tmp_path / "in.csv", Counting()
    path.write_text("one")
    first = look(("file", str(path)), memory)
    assert look(("file", str(path)), memory) == first
    assert memory.read == ["in.csv"]
    path.touch()
    touched = look(("file", str(path)), memory)
    assert touched.digest == first.digest
    assert memory.read == ["in.csv", "in.csv"]


def test_change_of_the_same_size_is_seen_though_the_time_is_put_back(tmp_path: Path):
    path, memory = tmp_path / "in.csv", Counting()
    path.write_text("one")
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    first = look(("file", str(path)), memory)
    path.write_text("two")
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    assert look(("file", str(path)), memory).digest != first.digest


def test_file_that_was_modified_just_now_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    path, memory = tmp_path / "in.csv", Counting()
    path.write_text("one")
    first = look(("file", str(path)), memory)
    path.write_text("two")
    assert look(("file", str(path)), memory).digest != first.digest
    assert first.stamp == b""
    assert memory.read == []


def test_directory_is_its_names_and_contents(tree: Path, tmp_path: Path):
    first = state("dir", tree)
    copied = tmp_path / "copy"
    shutil.copytree(tree, copied)
    (copied / "a.csv").touch()
    (copied / "a.csv").chmod(0o600)
    assert state("dir", copied) == first
    for change in (
        lambda: (copied / "a.csv").write_text("4"),
        lambda: (copied / "a.csv").rename(copied / "c.csv"),
        lambda: (copied / ".hidden").write_text("4"),
        lambda: (copied / "sub/b.csv").unlink(),
        lambda: (copied / "empty").rmdir(),
        lambda: (copied / "more").mkdir(),
        lambda: (copied / "dangling").symlink_to("nowhere"),
    ):
        before = state("dir", copied)
        change()
        assert state("dir", copied) != before


def test_what_links_lead_to_counts(tree: Path, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "far.csv").write_text("1")
    (tree / "linked").symlink_to(elsewhere)
    (tree / "round").symlink_to(tree)
    first = look(("dir", str(tree)))
    assert first.shown == "4 files, 4 bytes"
    (elsewhere / "far.csv").write_text("2")
    assert look(("dir", str(tree))).digest != first.digest


def test_link_out_and_up_is_not_followed_and_no_by_product_counts(tree: Path):
    (tree / "sub/up").symlink_to("../..")
    first = look(("dir", str(tree)))
    (tree.parent / "beside.csv").touch()
    (tree / "__pycache__").mkdir()
    (tree / "__pycache__/a.pyc").touch()
    (tree / ".cache/taskproc/.runs").mkdir(parents=True)
    assert look(("dir", str(tree))).digest == first.digest


def test_stamp_of_a_directory_tells_of_all_files_below(tree: Path):
    seen = look(("dir", str(tree)))
    assert seen.stamp == stamp_of(seen) != b""
    (tree / "sub/b.csv").touch()
    assert stamp_of(seen) != seen.stamp


@pytest.mark.parametrize(
    ("name", "text", "other"),
    [
        ("p.json", '{"train": {"lr": 1, "on": [null]}, "test": 2}', '{"test": 3, "train":\n{"lr": 1, "on": [null]}}'),
        ("p.toml", "test = 2\n[train]\nlr = 1\nday = 2026-01-02", "# so\ntest = 3\n[train]\nlr = 1\nday = 2026-01-02"),
        ("p.yaml", "train: {lr: 1, day: 2026-01-02}\ntest: 2", "test: 3\ntrain:\n  lr: 1\n  day: 2026-01-02\n"),
    ],
    ids=["json", "toml", "yaml"],
)
def test_table_counts_and_what_is_beside_it_does_not(tmp_path: Path, name: str, text: str, other: str):
    if name.endswith("yaml"):
        pytest.importorskip("yaml", reason="taskproc does without it")
    path = tmp_path / name
    path.write_text(text)
    seen = look(("file", str(path), "train"))
    assert value_of(seen)["lr"] == 1
    assert value_of(look(("file", str(path), "train.lr"))) == 1
    path.write_text(other)
    assert look(("file", str(path), "train")).digest == seen.digest
    path.write_text(text.replace("1", "7", 1))
    assert look(("file", str(path), "train")).digest != seen.digest


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (("file", "missing.csv"), "file missing.csv is not there \\(looked for at /.*/missing.csv\\)"),
        (("dir", "missing"), "directory missing is not there"),
        (("file", "tree"), r"file tree is a directory; write InputDir\('tree'\)"),
        (("dir", "tree/a.csv"), r"directory tree/a.csv is a file; write InputFile\('tree/a.csv'\)"),
        (("file", "p.json", "x"), "file p.json has no 'x'; it has a, b"),
        (("file", "p.json", "a.1"), "file p.json has no 'a.1'"),
        (("file", "bad.json", "x"), "file bad.json cannot be read: .*line 1"),
        (("file", "bad.toml", "x"), "file bad.toml cannot be read"),
        (("file", "bad.yaml", "x"), "file bad.yaml cannot be read"),
        (("env", "TP_TEST_MISSING"), "variable TP_TEST_MISSING is not set in the environment; set it, or say EnvVar"),
        (("package", "no-such-package"), "package no-such-package is not installed for this Python"),
    ],
)
def test_what_is_missing_is_told(tree: Path, monkeypatch: pytest.MonkeyPatch, spec: Any, words: str):
    monkeypatch.chdir(tree.parent)
    Path("p.json").write_text('{"a": [1], "b": 2}')
    for name in ("bad.json", "bad.toml", "bad.yaml"):
        Path(name).write_text("{[")
    if spec[1] == "bad.yaml":
        pytest.importorskip("yaml", reason="taskproc does without it")
    with pytest.raises(InputError, match=words):
        look(spec)


def test_yaml_without_its_reader_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    (tmp_path / "p.yaml").write_text("a: 1")
    with pytest.raises(InputError, match="YAML, which is read by PyYAML; install that"):
        look(("file", str(tmp_path / "p.yaml"), "a"))


def test_variables_differ_by_their_text(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TP_TEST", raising=False)
    absent = look(("env", "TP_TEST", None))
    assert (absent.value, value_of(absent)) == (None, None)
    monkeypatch.setenv("TP_TEST", "")
    assert look(("env", "TP_TEST", None)).digest != absent.digest
    monkeypatch.setenv("TP_TEST", "a")
    assert look(("env", "TP_TEST", "b")).value == "a"
    assert look(("env", "TP_TEST", None)).shown == "'a'"


def test_value_of_a_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch):
    for name, value in ("HUB_TOKEN", "xyz"), ("ACCESS_KEY", "xyz"), ("DATABASE", "db://me:xyz@host"):
        monkeypatch.setenv(name, value)
        assert look(("env", name)).shown == ""


def test_package_is_found_by_either_name():
    assert look(("package", "python-dotenv")).shown == look(("package", "dotenv")).shown
