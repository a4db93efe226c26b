"""executorlib with warm workers and its cache in HDF5 files."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from executorlib import SingleNodeExecutor

from benchmarks.work import Work, combine


def run(work: Work, place: Path) -> int:
    """Run the graph."""
    workers = int(os.environ["BENCHMARK_WORKERS"])
    with SingleNodeExecutor(max_workers=workers, cache_directory=str(place), block_allocation=True) as executor:
        nodes: list[Any] = []
        for node in range(work.nodes):
            nodes.append(executor.submit(combine, node, [nodes[up] for up in work.upstreams(node)]))
        return int(nodes[-1].result())
