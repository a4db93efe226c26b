"""What a driver writes into its SQLite tables, in two groups, and what is there afterwards."""
from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from taskproc.store.ids import IdTable
from taskproc.store.packed import PackedRows
from tests.support import provenance

GROUP = 300  # several pages of each table


def _digest(n: int) -> bytes:
    return n.to_bytes(16, "big")


def commit_rows(directory: str, group: int) -> None:
    """Keep one group of small results."""
    numbers = range(group * GROUP, (group + 1) * GROUP)
    meta = provenance().pack()
    PackedRows(directory).commit([(_digest(n), meta, str(n).encode() * 50) for n in numbers])


def read_rows(directory: str) -> list[int]:
    """Tell which results are there."""
    found = PackedRows(directory).values([_digest(n) for n in range(2 * GROUP)])
    assert all(value == str(int.from_bytes(key, "big")).encode() * 50 for key, value in found.items())
    return sorted(int.from_bytes(key, "big") for key in found)


def allot_ids(directory: str, group: int) -> None:
    """Allot the ids of one group of tasks."""
    IdTable(directory).allot([_digest(n) for n in range(group * GROUP, (group + 1) * GROUP)])


def read_ids(directory: str) -> list[int]:
    """Tell which tasks have an id, which is their number."""
    found = IdTable(directory).lookup([_digest(n) for n in range(2 * GROUP)])
    assert all(id == int.from_bytes(key, "big") for key, id in found.items())
    return sorted(found.values())


def at_once(directory: str, table: str) -> None:
    """Write a first group in the same moment as others."""
    while not os.path.exists(f"{directory}.now"):
        time.sleep(0)
    WHAT[table](directory, 0)


WHAT: dict[str, Callable[..., Any]] = {
    "at once": at_once,
    "rows": commit_rows,
    "read rows": read_rows,
    "ids": allot_ids,
    "read ids": read_ids,
}
