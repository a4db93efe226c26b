"""A limit: a bare pool of processes or threads, one submit per task, whose workers leave the files that we leave.

That is a directory per task, `args.json`, a gzipped pickle that is renamed into place, and links to what it needed.
Nothing is looked up, nothing is claimed, nothing could go on after a kill.
"""
from __future__ import annotations

import gzip
import json
import os
import pickle
import queue
from collections.abc import Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

from benchmarks.work import Work, combine

_MOST_LINKS = 1000  # as taskproc has it; beyond, one file lists them


def run(work: Work, place: Path) -> int:
    """Run the graph through the pool."""
    results = place / "results"
    results.mkdir(parents=True)
    with _pool() as pool:
        return _drive(work, pool, str(results))


def make(node: int, inputs: Mapping[int, int], results: str) -> int:
    """Run one task, and leave its files."""
    value = combine(node, inputs.values())
    directory = f"{results}/{node}"
    os.mkdir(directory)
    _write(f"{directory}/args.json", json.dumps({"node": node}).encode())
    if len(inputs) > _MOST_LINKS:
        _write(f"{directory}/deps.json", json.dumps({f"leaves.{up}": f"{results}/{up}" for up in inputs}).encode())
    elif inputs:
        os.mkdir(f"{directory}/deps")
        for at, up in enumerate(inputs):
            os.symlink(f"../../{up}", f"{directory}/deps/before.{at}")
    _write(f"{directory}/result.tmp", gzip.compress(pickle.dumps(value), 9))
    os.replace(f"{directory}/result.tmp", f"{directory}/result.pkl.gz")
    return value


def _pool() -> Executor:
    workers = int(os.environ["BENCHMARK_WORKERS"])
    if os.environ.get("BENCHMARK_POOL") == "thread":
        return ThreadPoolExecutor(workers)
    return ProcessPoolExecutor(workers)


def _drive(work: Work, pool: Executor, results: str) -> int:
    """Submit each task once those that it needs are done."""
    missing = [len(work.upstreams(node)) for node in range(work.nodes)]
    downstreams: list[list[int]] = [[] for _ in missing]
    for node in range(work.nodes):
        for up in work.upstreams(node):
            downstreams[up].append(node)
    values: dict[int, int] = {}
    done: queue.SimpleQueue[tuple[int, Future[int]]] = queue.SimpleQueue()

    def submit(node: int) -> None:
        inputs = {up: values[up] for up in work.upstreams(node)}
        future = pool.submit(make, node, inputs, results)
        future.add_done_callback(lambda future: done.put((node, future)))

    for node, number in enumerate(missing):
        if not number:
            submit(node)
    while len(values) < work.nodes:
        node, future = done.get()
        values[node] = future.result()
        for down in downstreams[node]:
            missing[down] -= 1
            if not missing[down]:
                submit(down)
    return values[work.nodes - 1]


def _write(path: str, content: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(content)
