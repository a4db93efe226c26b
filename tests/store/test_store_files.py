"""A result on disk: whole or not at all, readable by any gzip, with where it came from inside."""
from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskproc.base.errors import ResultUnreadableError
from taskproc.store import files
from taskproc.store.files import SPILL, DamagedResultError, ResultWriter
from taskproc.store.meta import BODY_AT, write_notes
from taskproc.store.pickling import pickle_value
from tests.support import ScriptRunner, provenance

META = provenance(identity=b"i" * 16, commit=b"c" * 16, seconds=1.5, memory=1234)
SMALL, LARGE = {"a": [1, 2]}, os.urandom(3 * SPILL)


def keep(path: Path, value: Any, level: int = 9) -> Path:
    """Write a result as a worker does."""
    writer = pickle_value(value, lambda: ResultWriter(f"{path}.tmp", level, lambda: None), "/cache")
    writer.finish(META, b"", fsync=True)
    os.replace(f"{path}.tmp", path)
    return path


@pytest.fixture(params=[SMALL, LARGE], ids=["small", "large"])
def value(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("level", [-1, 0, 1, 9])
def test_result_reads_back_with_its_provenance(tmp_path: Path, value: Any, level: int):
    path = keep(tmp_path / "r", value, level)
    assert files.load(str(path), "Task") == value
    meta = files.peek(str(path))
    assert meta is not None
    assert meta == META._replace(size=path.stat().st_size)


def test_any_gzip_reads_it(tmp_path: Path, value: Any):
    with gzip.open(keep(tmp_path / "r", value)) as file:
        assert pickle.load(file) == value


def test_nothing_is_none_and_not_an_error(tmp_path: Path):
    assert files.peek(str(tmp_path / "r")) is None
    assert files.peek(str(keep(tmp_path / "file", 1) / "below")) is None


@pytest.mark.parametrize("part", [0, 1, 20, 100, -1, -9], ids=lambda n: f"cut at {n}")
def test_cut_result_is_seen_by_a_peek(tmp_path: Path, value: Any, part: int):
    path = keep(tmp_path / "r", value)
    path.write_bytes(path.read_bytes()[:part])
    with pytest.raises(DamagedResultError):
        files.peek(str(path))


@pytest.mark.parametrize("size", range(880, 920))
def test_one_byte_less_is_seen_whether_or_not_a_glance_shows_the_end(tmp_path: Path, size: int):
    path = keep(tmp_path / "r", os.urandom(size))
    content = path.read_bytes()
    meta = files.peek(str(path))
    assert meta is not None
    assert meta.size == len(content)
    for wrong in (content[:-1], content + b"\0"):
        path.write_bytes(wrong)
        with pytest.raises(DamagedResultError):
            files.peek(str(path))


@given(st.integers(0, 10**6), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_changed_byte_is_never_trusted(tmp_path_factory: pytest.TempPathFactory, position: int, change: int):
    path = keep(tmp_path_factory.mktemp("bytes") / "r", {"key": list(range(300))})
    data = bytearray(path.read_bytes())
    header = BODY_AT
    position = header + position % (len(data) - header)
    data[position] ^= change
    path.write_bytes(data)
    try:
        assert files.load(str(path), "Task") == {"key": list(range(300))}  # bits that deflate does not use
    except DamagedResultError:
        pass


def test_changed_byte_of_a_large_result_is_never_trusted(tmp_path: Path):
    path = keep(tmp_path / "r", LARGE)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedResultError):
        files.load(str(path), "Task")


@pytest.mark.parametrize("content", [b"", b"hello", gzip.compress(b"x"), b"\0" * 300],
                         ids=["empty", "text", "gzip", "zeros"])
def test_file_of_somebody_else_is_no_result(tmp_path: Path, content: bytes):
    path = tmp_path / "r"
    path.write_bytes(content)
    with pytest.raises(DamagedResultError):
        files.peek(str(path))
    with pytest.raises(DamagedResultError):
        files.load(str(path), "Task")


class Unwelcome:
    def __init__(self, size: int = 0):
        self.data = bytes(size)

    def __setstate__(self, state: Any) -> None:
        msg = "not here"
        raise ImportError(msg)


@pytest.mark.parametrize("size", [0, 3 * SPILL], ids=["small", "large"])
def test_whole_result_that_cannot_be_unpickled_says_whose(tmp_path: Path, size: int):
    path = keep(tmp_path / "r", Unwelcome(size), 0)
    with pytest.raises(ResultUnreadableError, match=r"Train\(1\) cannot be unpickled here: ImportError: not here"):
        files.load(str(path), "Train(1)")


def test_what_pickle_cannot_do_cloudpickle_may(tmp_path: Path):
    path = keep(tmp_path / "r", lambda x: x + 1)
    assert files.load(str(path), "Task")(1) == 2


def test_what_nobody_can_pickle_leaves_no_file(tmp_path: Path):
    with pytest.raises(pickle.PicklingError, match="the result, of type tuple, cannot be pickled: TypeError"):
        keep(tmp_path / "r", (LARGE, threading.Lock()))
    assert not list(tmp_path.iterdir())


def test_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(self: ResultWriter, data: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ResultWriter, "_deflate", full)
    with pytest.raises(OSError, match="No space"):
        keep(tmp_path / "r", LARGE)
    assert not list(tmp_path.iterdir())


class TestInstanceDirectory:
    def test_it_is_emptied_but_for_attempts(self, tmp_path: Path):
        place = tmp_path / "7"
        (place / "data" / "deep").mkdir(parents=True)
        (place / files.RESULT).touch()
        (place / "attempt.running.x").touch()
        files.prepare(str(place), "{}", {"up": "Class/results/1"})
        assert sorted(path.name for path in place.iterdir()) == ["args.json", "attempt.running.x", "deps", "earlier"]
        assert os.readlink(place / "deps" / "up") == "../../../../Class/results/1"

    def test_many_links_become_one_file(self, tmp_path: Path):
        deps = {f"up.{n}": f"Class/results/{n}" for n in range(files.MOST_LINKS + 1)}
        files.prepare(str(tmp_path / "7"), "{}", deps)
        assert json.loads((tmp_path / "7" / files.DEPS_FILE).read_text()) == deps
        assert not (tmp_path / "7" / "deps").exists()

    def test_links_are_removed_and_never_followed(self, tmp_path: Path):
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "file").touch()
        place = tmp_path / "7"
        place.mkdir()
        (place / "data").symlink_to(outside)
        files.clean(str(place))
        assert (outside / "file").exists()
        assert not (place / "data").exists()

    def test_failure_is_read_by_its_own_attempt_only(self, tmp_path: Path):
        files.save_failure(str(tmp_path), "nonce", {"type": "E"}, b"pickle")
        assert files.load_failure(str(tmp_path), "nonce") == ({"nonce": "nonce", "type": "E"}, b"pickle")
        assert files.load_failure(str(tmp_path), "other") is None
        (tmp_path / files.FAILURE).write_text("{")
        assert files.load_failure(str(tmp_path), "nonce") is None


@pytest.mark.parametrize(
    ("content", "found"),
    [(b'{"a": 1}', {"a": 1}), (b'{"a": "\xff"}', {"a": "\ufffd"}), (b'{"a": ', {}), (b"[1]", {}), (b"[" * 100_000, {})],
    ids=["whole", "not UTF-8", "cut", "no object", "too deep"],
)
def test_object_that_cannot_be_read_is_empty(tmp_path: Path, content: bytes, found: dict[str, Any]):
    (tmp_path / "o.json").write_bytes(content)
    assert files.read_object(str(tmp_path / "o.json")) == found
    assert files.read_object(str(tmp_path / "none.json")) == {}


LOCKED = """
    import sys
    from taskproc import TaskBase

    class Locks(TaskBase):
        def run_task(self) -> int:
            inner = self.task_directory / "modules" / "inner"
            inner.mkdir(parents=True)
            for place in (inner, inner.parent, self.task_directory):
                (place / "file").write_text("x")
                place.chmod(0o000 if place.name == "inner" else 0o555)
            return 1

    if __name__ == "__main__":
        print(Locks().run_graph(backend="thread"))
        if sys.argv[1] == "again":
            (Locks().task_directory.parent / "result.pkl.gz").unlink()
            print(Locks().run_graph(backend="thread"))
        elif sys.argv[1] == "clear":
            Locks().clear_task()
        else:
            Locks.clear_all_tasks()
"""


def without_roots_power(argv: list[str]) -> list[str]:
    """Have modes of files count, which root's processes may pass over."""
    if os.geteuid() != 0:
        return argv
    if shutil.which("setpriv") is None:
        pytest.skip("root needs setpriv to be an ordinary user")
    powers = "-dac_override,-dac_read_search,-fowner"
    return ["setpriv", "--bounding-set", powers, "--inh-caps", powers, *argv]


@pytest.mark.parametrize("how", ["again", "clear", "clear all"])
def test_directories_that_a_task_made_read_only_do_not_stand_in_the_way(run_script: ScriptRunner, how: str):
    script = run_script.write(LOCKED, "locks.py")
    done = run_script.run(without_roots_power([sys.executable, str(script), how]))
    assert done.out == ("1\n1\n" if how == "again" else "1\n")
    run_script.run(["chmod", "-R", "u+rwX", str(run_script.cache)])


def test_file_in_a_directory_that_is_closed_to_us_is_not_removed_by_opening_it(tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "file").touch()
    closed.chmod(0o555)
    try:
        code = f"from taskproc.store.files import remove; remove({str(closed / 'file')!r})"
        done = subprocess.run(
            without_roots_power([sys.executable, "-c", code]), capture_output=True, text=True, check=False
        )
        assert "PermissionError" in done.stderr
        assert (closed / "file").exists()
    finally:
        closed.chmod(0o755)


@pytest.mark.parametrize("size", [10, 200_000], ids=["few", "more than one extra field holds"])
def test_notes_stand_behind_the_value_and_any_gzip_passes_them_over(tmp_path: Path, value: Any, size: int):
    notes = {"files": ["é\udc80" * size]}
    data = write_notes(notes)
    writer = pickle_value(value, lambda: ResultWriter(f"{tmp_path}/tmp", 9, lambda: None), "/cache")
    writer.finish(META._replace(notes=len(data)), data, fsync=False)
    path = str(tmp_path / "tmp")
    assert files.load_notes(path) == notes
    assert files.load(path, "Task") == value
    files.verify(path)
    with gzip.open(path) as file:
        assert pickle.load(file) == value


def test_result_without_notes_has_none(tmp_path: Path):
    assert files.load_notes(str(keep(tmp_path / "r", SMALL))) is None
    assert files.load_notes(str(tmp_path / "none")) is None
