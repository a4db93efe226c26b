"""Paths below a cache are pickled relative to it, however they are spelled, and come back where it is now."""
from __future__ import annotations

import collections
import dataclasses
import io
import os
import pickle
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from taskproc.base.lean import pickle as lean_pickle
from taskproc.store import files
from taskproc.store.files import ResultWriter
from taskproc.store.pickling import pickle_value
from taskproc.store.references import marks_of, resolve

INSIDE = "mod.Table/results/0/data/file"


@dataclasses.dataclass
class Held:
    path: Path


class Kind(type(Path())):  # type: ignore[misc]
    pass


class Text(str):
    __slots__ = ()


@pytest.fixture
def root(tmp_path: Path) -> str:
    directory = tmp_path / "real é'$(x)" / "taskproc"
    directory.mkdir(parents=True)
    os.symlink("real é'$(x)", tmp_path / "link")
    return str(tmp_path / "link" / "taskproc")


def written(root: str, value: Any) -> ResultWriter:
    return pickle_value(value, lambda: ResultWriter(f"{root}.tmp", 1, lambda: None), root)


def moved(root: str, value: Any) -> Any:
    """Pickle a value in one cache, and read it in another."""
    writer = written(root, value)
    assert not writer.marked
    assert writer.small is not None
    assert all(mark not in writer.small for mark in marks_of(root) if len(mark) > 20)
    return files.unpickle(writer.small, "Task", "/new/taskproc")


NEW = f"/new/taskproc/{INSIDE}"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda path: path, NEW),
        (Path, Path(NEW)),
        (PurePosixPath, PurePosixPath(NEW)),
        (Kind, Kind(NEW)),
        (Text, Text(NEW)),
        (lambda path: Held(Path(path)), Held(Path(NEW))),
        (lambda path: {path: [(path,)]}, {NEW: [(NEW,)]}),
        (lambda path: collections.OrderedDict(a={Path(path)}), collections.OrderedDict(a={Path(NEW)})),
        (lambda path: f"--in={path} --out={path}.new", f"--in={NEW} --out={NEW}.new"),
        (lambda path: f"{path}:{path}", f"{NEW}:{NEW}"),
        (lambda path: f"file://{path}", f"file://{NEW}"),
        (lambda path: os.path.realpath(path), NEW),
        (lambda path: Path(path).resolve(), Path(NEW)),
        (lambda path: path.replace("/taskproc/", "/./taskproc/../taskproc/"), NEW),
        (lambda path: f"{path}\n\udcff", f"{NEW}\n\udcff"),
    ],
)
def test_path_comes_back_where_the_cache_is(root: str, made: Any, expected: Any):
    found = moved(root, made(f"{root}/{INSIDE}"))
    assert found == expected
    assert type(found) is type(expected)


def test_what_has_no_name_comes_back_likewise(root: str):
    path = Path(root, INSIDE)
    assert moved(root, lambda: path)() == Path(NEW)


def test_objects_of_a_data_frame_come_back_likewise(root: str):
    numpy = pytest.importorskip("numpy")
    array = numpy.array([f"{root}/{INSIDE}", Path(root, INSIDE), 3], dtype=object)
    assert list(moved(root, array)) == [NEW, Path(NEW), 3]


@pytest.mark.parametrize(
    "value",
    [[1, "text", b"taskproc"], Path("/other/.cache/taskproc/a"), "taskproc", "mod/taskproc/results", f"/old/{INSIDE}"],
)
def test_anything_else_is_what_it_was(root: str, value: Any):
    writer = written(root, value)
    assert not writer.references or not writer.references.named
    assert pickle.loads(writer.small or b"") == value


def test_directory_with_a_longer_name_is_another_one(root: str):
    for path in (f"{root}2/{INSIDE}", f"/before{root}/{INSIDE}", f"a{root}/{INSIDE}"):
        assert pickle.loads(written(root, path).small or b"") == path


def test_relative_path_stays_one_and_is_noted(root: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(Path(root).parent)
    for path in (f"taskproc/{INSIDE}", Path("taskproc", INSIDE)):
        writer = written(root, path)
        assert writer.references is not None
        assert [*writer.references.named] == [INSIDE]
        assert pickle.loads(writer.small or b"") == path


@pytest.mark.parametrize("size", [0, 3 << 20])
def test_path_that_is_no_text_is_found_out(root: str, size: int):
    numpy = pytest.importorskip("numpy")
    path = f"{root}/{INSIDE}"
    for value in (os.fsencode(path), bytearray(bytes(size) + path.encode()), numpy.array([path] * (1 + size // 100))):
        writer = written(root, value)
        assert writer.marked
        writer.discard()


def test_plain_results_are_plain_pickles(root: str):
    value = [{"a": 1.5}, "text", list(range(1000))]
    assert (written(root, value).small or b"") == lean_pickle.dumps(value, 5)


def test_reference_needs_a_cache(root: str):
    data = written(root, f"{root}/{INSIDE}").small or b""
    with pytest.raises(pickle.UnpicklingError, match="persistent"):
        pickle.Unpickler(io.BytesIO(data)).load()
    assert resolve("/c", "x") == "/c/x"


def test_large_result_with_a_late_path_is_written_once_as_a_whole(root: str):
    value = [os.urandom(1 << 20), f"{root}/{INSIDE}"]
    writer = written(root, value)
    assert writer.small is None
    assert writer.references is not None
    assert [*writer.references.named] == [INSIDE]
    writer.discard()
    assert not os.path.exists(f"{root}.tmp")
