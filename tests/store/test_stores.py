"""The two stores, and the ids that tie tasks to directories, through damage and rivals."""
from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import pytest

from taskproc import Requires, TaskBase
from taskproc.base.errors import CacheError, ResultNotFoundError
from taskproc.store import ids
from taskproc.store.class_store import ClassStore
from taskproc.store.ids import IdTable
from taskproc.store.packed import PackedRows
from tests.support import provenance, run_and_count


def digest(n: int) -> bytes:
    return n.to_bytes(16, "big")


@pytest.fixture
def table(tmp_path: Path) -> Any:
    made = IdTable(str(tmp_path / "Class"))
    yield made
    made.close()


class TestIds:
    def test_nothing_is_made_by_looking(self, table: IdTable, tmp_path: Path):
        assert table.lookup([digest(1)]) == {}
        assert not list(tmp_path.iterdir())

    def test_ids_count_up_and_stay(self, table: IdTable, tmp_path: Path):
        assert table.allot([digest(n) for n in range(3)]) == {digest(n): n for n in range(3)}
        assert table.allot([digest(5), digest(1)]) == {digest(5): 3, digest(1): 1}
        other = IdTable(str(tmp_path / "Class"))
        assert other.lookup([digest(5), digest(9)]) == {digest(5): 3}
        other.close()

    def test_ids_are_never_used_twice_though_many_are_allotted_at_once(self, tmp_path: Path):
        found: list[dict[bytes, int]] = []

        def allot(start: int) -> None:
            table = IdTable(str(tmp_path / "Class"))
            for at in range(start, start + 40, 10):
                found.append(table.allot([digest(n) for n in range(at, at + 20)]))
            table.close()

        threads = [threading.Thread(target=allot, args=(start,)) for start in (0, 20, 1000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        everything: dict[bytes, set[int]] = {}
        for allotted in found:
            for key, id in allotted.items():
                everything.setdefault(key, set()).add(id)
        assert all(len(ids) == 1 for ids in everything.values())
        assert len({id for ids in everything.values() for id in ids}) == len(everything)

    def test_reserved_ids_are_not_given_to_others(self, table: IdTable):
        first = table.reserve(10)
        assert table.allot([digest(1)]) == {digest(1): first + 10}
        table.assign({digest(2): first + 3})
        assert table.lookup([digest(2)]) == {digest(2): first + 3}

    def test_table_removed_by_hand_is_forgotten(self, table: IdTable, tmp_path: Path):
        table.allot([digest(n) for n in range(3)])
        shutil.rmtree(tmp_path / "Class")
        assert table.lookup([digest(1)]) == {}
        assert table.allot([digest(1)]) == {digest(1): 0}

    def test_a_table_never_unpickles(self, table: IdTable, tmp_path: Path):
        import pickle

        class Evil:
            def __reduce__(self) -> Any:
                return os.mkdir, (str(tmp_path / "pwned"),)

        table.allot([digest(1)])
        with sqlite3.connect(tmp_path / "Class" / "id_table" / "cache.db") as connection:
            evil = (pickle.dumps(Evil()), digest(1).hex())
            connection.execute("UPDATE Cache SET mode = 4, value = ? WHERE key = ?", evil)
        connection.close()
        for attempt in (lambda: IdTable(str(tmp_path / "Class")).lookup([digest(1)]), lambda: table.allot([digest(1)])):
            try:
                attempt()
            except Exception as error:
                assert "id" in str(error)  # noqa: PT017
        assert not (tmp_path / "pwned").exists()


class TestWhatAKilledDriverLeft:
    def test_directory_without_result_and_noted_id_is_removed(self, tmp_path: Path):
        store = ClassStore(str(tmp_path / "Class"))
        first = store.ids.reserve(2)
        directory = Path(store.instance_directory(first))
        directory.mkdir(parents=True)
        (directory / "result.pkl.gz.0.tmp").write_bytes(b"half of it")
        store.remove_abandoned(lambda: False)
        assert directory.exists(), "somebody may still note its id"
        store.remove_abandoned(lambda: True)
        assert not directory.exists(), "though the class has no packed file yet"
        store.close()

    def test_directory_with_a_noted_id_stays(self, tmp_path: Path):
        store = ClassStore(str(tmp_path / "Class"))
        store.allot([digest(1)])
        store.ids.reserve(1)
        Path(store.instance_directory(0)).mkdir(parents=True)
        store.remove_abandoned(lambda: True)
        assert Path(store.instance_directory(0)).exists()
        store.close()


@pytest.fixture
def rows(tmp_path: Path) -> Any:
    made = PackedRows(str(tmp_path / "Class"))
    yield made
    made.close()


def row(n: int, value: bytes = b"value") -> tuple[bytes, bytes, bytes]:
    return digest(n), provenance(identity=digest(n), seconds=0.1).pack(), value


class TestPackedRows:
    def test_groups_are_kept_and_replaced(self, rows: PackedRows):
        rows.commit([row(1), row(2)])
        rows.commit([row(2, b"newer")])
        assert rows.values([digest(1), digest(2), digest(3)]) == {digest(1): b"value", digest(2): b"newer"}
        assert set(rows.peek([digest(n) for n in range(300)])) == {digest(1), digest(2)}
        rows.discard([digest(1)])
        assert set(rows.peek([digest(1), digest(2)])) == {digest(2)}

    def test_removed_file_is_an_empty_one(self, rows: PackedRows):
        rows.commit([row(1)])
        os.unlink(rows.path)
        assert rows.peek([digest(1)]) == {}
        rows.commit([row(2)])
        assert set(rows.peek([digest(1), digest(2)])) == {digest(2)}

    def test_damaged_file_is_put_aside_with_a_warning(self, rows: PackedRows, caplog: pytest.LogCaptureFixture):
        rows.commit([row(1)])
        rows.close()
        Path(rows.path).write_bytes(b"garbage" * 1000)
        again = PackedRows(os.path.dirname(rows.path))
        assert again.peek([digest(1)]) == {}
        again.close()
        assert "was damaged" in caplog.text
        assert Path(f"{rows.path}.damaged").exists()


UNUSABLE = [
    "database or disk is full",
    "disk I/O error",
    "attempt to write a readonly database",
    "database is locked",
    "locking protocol",
    "interrupted",
    "an error that nobody has heard of",
]


@pytest.mark.parametrize("words", UNUSABLE)
class TestDiskThatCannotBeUsed:
    def test_packed_file_is_not_taken_for_damaged(self, rows: PackedRows, monkeypatch: pytest.MonkeyPatch, words: str):
        rows.commit([row(1)])
        rows.close()
        monkeypatch.setattr(rows, "_connect", lambda: fail(words))
        with pytest.raises(CacheError, match=words):
            rows.peek([digest(1)])
        assert Path(rows.path).exists()

    def test_id_table_is_not_taken_for_damaged(self, table: IdTable, monkeypatch: pytest.MonkeyPatch, words: str):
        table.allot([digest(1)])
        table.close()
        monkeypatch.setattr(ids, "_diskcache", lambda directory: fail(words))
        with pytest.raises(CacheError, match=words):
            table.allot([digest(2)])
        assert Path(table._path).exists()


def fail(words: str) -> NoReturn:
    raise sqlite3.OperationalError(words)


class Value(TaskBase):
    def __init__(self, value: Any):
        self.value = value

    def run_task(self) -> Any:
        return self.value


class Double(TaskBase):
    up: Requires[Any]

    def __init__(self, value: Any):
        self.up = Value(value)

    def run_task(self) -> Any:
        return self.up * 2


class Talks(TaskBase, store="packed"):
    def run_task(self) -> int:
        print("hello")
        return 1


def thread(task: TaskBase[Any]) -> tuple[Any, int]:
    return run_and_count(task, backend="thread")


@pytest.mark.usefixtures("cache")
class TestCaches:
    def test_tree_makes_a_directory_for_each_task(self, cache: Path):
        thread(Double(1))
        assert [path.name for path in cache.glob(f"taskproc/{Value.task_name}/results/*")] == ["0"]

    def test_packed_makes_no_directory_for_a_small_quiet_result(self, cache: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("TP_STORE", "packed")
        thread(Double(1))
        assert not list(cache.glob("taskproc/*/results/*"))
        assert (cache / "taskproc" / Value.task_name / "packed.sqlite3").exists()

    def test_packed_makes_one_when_something_needs_it(self, cache: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("TP_STORE", "packed")
        big = "x" * (1 << 20)
        thread(Double(big))
        thread(Talks())
        assert Talks().task_stdout.read_text() == "hello\n"
        assert thread(Double(big)) == (big * 2, 0)
        assert thread(Talks()) == (1, 0)

    def test_one_cache_may_hold_both(self, monkeypatch: pytest.MonkeyPatch):
        thread(Double(1))
        monkeypatch.setenv("TP_STORE", "packed")
        assert thread(Double(1)) == (2, 0)
        assert thread(Double(2)) == (4, 2)
        Value(1).clear_task()
        assert thread(Double(1)) == (2, 2)
        monkeypatch.setenv("TP_STORE", "tree")
        assert thread(Double(2)) == (4, 0)
        Value(2).clear_task()
        assert thread(Double(2)) == (4, 2)
        assert thread(Double(2)) == (4, 0)

    @pytest.mark.parametrize("damage", [b"", b"garbage", None], ids=["empty", "garbage", "cut"])
    def test_damaged_result_is_told_and_computed_again(
        self, cache: Path, damage: bytes | None, caplog: pytest.LogCaptureFixture
    ):
        thread(Double(1))
        (path,) = cache.glob(f"taskproc/{Value.task_name}/results/*/result.pkl.gz")
        path.write_bytes(path.read_bytes()[:-3] if damage is None else damage)
        assert thread(Double(1)) == (2, 2)
        assert "it is computed again" in caplog.text
        assert thread(Double(1)) == (2, 0)

    @pytest.mark.parametrize("task", [Value, Double])
    def test_result_damaged_inside_is_computed_again_when_read(self, cache: Path, task: type[TaskBase[Any]]):
        data = os.urandom(1 << 18)
        thread(Double(data))
        Double(data).clear_task()
        (path,) = cache.glob(f"taskproc/{Value.task_name}/results/*/result.pkl.gz")
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        result, _ = thread(task(data))
        assert result == (data if task is Value else data * 2)

    def test_packed_value_that_is_not_what_was_written_is_computed_again(
        self, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ):
        monkeypatch.setenv("TP_STORE", "packed")
        assert thread(Value(5)) == (5, 1)
        (path,) = cache.rglob("packed.sqlite3")
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE results SET value = ?", (pickle.dumps(6, 5),))
        assert thread(Value(5)) == (5, 1)
        assert "the checksum of" in caplog.text
        assert "computed again" in caplog.text

    def test_instance_directory_of_another_task_is_not_trusted(self, cache: Path):
        thread(Value(1))
        thread(Value(2))
        one, two = (Path(f"{cache}/taskproc/{Value.task_name}/results/{Value(n).task_id}") for n in (1, 2))
        shutil.copy(one / "result.pkl.gz", two / "result.pkl.gz")
        assert thread(Value(2)) == (2, 1)

    def test_times_of_files_say_nothing(self, cache: Path):
        thread(Double(1))
        for number, path in enumerate(sorted(cache.rglob("*"), reverse=True)):
            os.utime(path, (number, number), follow_symlinks=False)
        assert thread(Double(1)) == (2, 0)

    def test_lost_id_table_is_made_anew_from_the_results(self, cache: Path):
        ids = {n: thread(Value(n)) and Value(n).task_id for n in range(3)}
        shutil.rmtree(cache / "taskproc" / Value.task_name / "id_table")
        assert thread(Value(7)) == (7, 1)
        assert {n: Value(n).task_id for n in range(3)} == ids
        assert Value(7).task_id not in ids.values()

    def test_garbage_in_the_id_table_is_repaired(self, cache: Path, caplog: pytest.LogCaptureFixture):
        thread(Value(1))
        from taskproc.store import cache as stores

        stores._class_stores.pop(str(cache / "taskproc" / Value.task_name)).close()
        (cache / "taskproc" / Value.task_name / "id_table" / "cache.db").write_bytes(b"garbage" * 1000)
        assert thread(Value(1))[0] == 1
        assert "was damaged" in caplog.text

    def test_no_result_says_where_it_looked(self, cache: Path):
        with pytest.raises(ResultNotFoundError, match=str(cache)):
            ClassStore(str(cache / "x")).load(digest(1), "Train(1)")


def test_a_table_is_opened_while_others_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    before, refusals = ids._diskcache, iter([True, True])

    def refusing(directory: str) -> Any:
        if next(refusals, False):
            raise sqlite3.OperationalError("database is locked")
        return before(directory)

    monkeypatch.setattr(ids, "_diskcache", refusing)
    with closing(IdTable(str(tmp_path / "Class"))) as table:
        assert table.allot([digest(1)])
