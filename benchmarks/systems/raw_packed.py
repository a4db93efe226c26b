"""A limit: a bare pool that gets tasks in chunks, while the parent commits their results to SQLite in groups."""
from __future__ import annotations

import os
import pickle
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from pathlib import Path

from benchmarks.work import Work, combine

CHUNK = 200

Results = list[tuple[int, int, bytes]]


def run(work: Work, place: Path) -> int:
    """Run the graph wave by wave."""
    place.mkdir(exist_ok=True)
    table = sqlite3.connect(place / "results.sqlite3", isolation_level=None)
    table.execute("PRAGMA journal_mode = TRUNCATE")
    table.execute("PRAGMA synchronous = OFF")
    table.execute("CREATE TABLE results (node INTEGER PRIMARY KEY, value BLOB)")
    values: dict[int, int] = {}
    workers = int(os.environ["BENCHMARK_WORKERS"])
    with ProcessPoolExecutor(workers) as pool:
        for wave in work.waves():
            running = {
                pool.submit(make, [(node, [values[up] for up in work.upstreams(node)]) for node in chunk])
                for chunk in _chunks(wave, min(CHUNK, -(-len(wave) // workers)))
            }
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                _commit(table, done, values)
    table.close()
    return values[work.nodes - 1]


def make(chunk: Sequence[tuple[int, Sequence[int]]]) -> Results:
    """Run a chunk of tasks."""
    found = []
    for node, inputs in chunk:
        value = combine(node, inputs)
        found.append((node, value, pickle.dumps(value)))
    return found


def _commit(table: sqlite3.Connection, done: set[Future[Results]], values: dict[int, int]) -> None:
    table.execute("BEGIN")
    for future in done:
        for node, value, pickled in future.result():
            values[node] = value
            table.execute("INSERT INTO results VALUES (?, ?)", (node, pickled))
    table.execute("COMMIT")


def _chunks(wave: Sequence[int], size: int) -> Iterator[list[int]]:
    nodes = iter(wave)
    while chunk := list(islice(nodes, size)):
        yield chunk
