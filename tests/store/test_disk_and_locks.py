"""What an error of SQLite says of a file, and who is alone in a directory."""
from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from taskproc.store.disk import is_damage
from taskproc.store.locks import locked


def noise(path: Path) -> None:
    path.write_bytes(b"noise" * 1000)


def torn(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE results (identity BLOB)")
        connection.executemany("INSERT INTO results VALUES (?)", [(bytes(3000),)] * 10)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))


def of_another_shape(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE results (other BLOB)")


def without_the_table(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("words_only", [False, True], ids=["by the code", "by the words"])
@pytest.mark.parametrize(
    ("make", "damaged"), [(noise, True), (torn, True), (of_another_shape, False), (without_the_table, False)]
)
def test_only_a_file_that_sqlite_calls_damaged_is_damaged(
    tmp_path: Path, make: Callable[[Path], None], damaged: bool, words_only: bool
) -> None:
    make(tmp_path / "table")
    with closing(sqlite3.connect(tmp_path / "table")) as connection, pytest.raises(sqlite3.DatabaseError) as raised:
        connection.execute("SELECT sum(length(identity)) FROM results").fetchall()
    error = type(raised.value)(str(raised.value)) if words_only else raised.value  # Python 3.10 knows no codes
    assert is_damage(error) is damaged


def is_held(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_a_directory_is_locked_by_a_file_in_it_which_machines_can_share(tmp_path: Path) -> None:
    with locked(str(tmp_path / "made")):
        assert is_held(tmp_path / "made" / ".lock")
    assert not is_held(tmp_path / "made" / ".lock")


def test_a_group_may_lock_what_one_of_it_made(tmp_path: Path) -> None:
    with umask(0o002), locked(str(tmp_path)):
        assert stat.S_IMODE((tmp_path / ".lock").stat().st_mode) == 0o664


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES])
def test_who_may_write_nothing_into_a_directory_needs_no_lock_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        raise OSError(error if flags & os.O_CREAT else errno.ENOENT, "refused", path)

    monkeypatch.setattr(os, "open", refuse)
    with locked(str(tmp_path)):
        assert not list(tmp_path.iterdir())


def test_who_may_not_write_to_the_lock_takes_it_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with locked(str(tmp_path)):
        pass
    open_file = os.open

    def read_only(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "refused", path)
        return open_file(path, flags, mode)

    monkeypatch.setattr(os, "open", read_only)
    with locked(str(tmp_path)):
        assert is_held(tmp_path / ".lock")
