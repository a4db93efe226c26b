"""A cache that an older taskproc wrote: its results count as missing, that is told once, and nothing crashes."""
from __future__ import annotations

import logging
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest

from taskproc import Context, Requires, TaskBase
from taskproc.store import files
from taskproc.store.meta import BODY_AT, META_SIZE, Meta
from tests.support import run_and_count

FORMER = struct.Struct("<16s16s16s16sdQQ")  # identity, source, upstreams, commit, seconds, memory, size


class Number(TaskBase):
    def __init__(self, n: int):
        self.n = n

    def run_task(self) -> int:
        return self.n


class Double(TaskBase):
    up: Requires[int]

    def __init__(self, n: int):
        self.up = Number(n)

    def run_task(self) -> int:
        return 2 * self.up


def former(meta: Meta, size: int) -> bytes:
    return FORMER.pack(meta.identity, meta.source, meta.upstreams, meta.commit, meta.seconds, meta.memory, size)


def write_back_to_former_format(cache: Path) -> int:
    """Rewrite all results of a cache as they were written before; gives their number."""
    number = 0
    for path in cache.glob(f"**/{files.RESULT}"):
        data = path.read_bytes()
        meta = Meta.of_head(data)
        assert meta is not None
        size = len(data) - META_SIZE + FORMER.size
        head = data[:10] + struct.pack("<HccH", 4 + FORMER.size, b"T", b"P", FORMER.size)
        path.write_bytes(head + former(meta, size) + data[BODY_AT:])
        number += 1
    for path in cache.glob("**/packed.sqlite3"):
        with closing(sqlite3.connect(path)) as connection, connection:
            for identity, meta in connection.execute("SELECT identity, meta FROM results").fetchall():
                row = former(Meta.unpack(meta), 0), identity
                connection.execute("UPDATE results SET meta = ? WHERE identity = ?", row)
                number += 1
    return number


@pytest.fixture
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_told_of_former", False)


def test_results_in_the_former_format_are_computed_again_and_that_is_told_once(
    either_store: str, untold: None, caplog: pytest.LogCaptureFixture
):
    assert run_and_count(Double(4)) == (8, 2)
    assert write_back_to_former_format(Path(Context.cache_dir)) == 2
    with caplog.at_level(logging.WARNING):
        assert run_and_count(Double(4)) == (8, 2)
    assert [record.getMessage() for record in caplog.records if "older taskproc" in record.getMessage()] == [
        "the cache holds results in the format of an older taskproc, which do not say all that is asked of them now; "
        "they are computed again"
    ]
    assert run_and_count(Double(4)) == (8, 0)


def test_result_in_the_former_format_is_never_read(either_store: str, untold: None):
    Double(4).run_graph()
    write_back_to_former_format(Path(Context.cache_dir))
    with pytest.raises(Exception, match=r"no result|older taskproc"):
        Double(4).get_task_result()
