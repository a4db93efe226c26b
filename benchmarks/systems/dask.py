"""dask with its scheduler for processes; it keeps no results."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dask.delayed import delayed

from benchmarks.work import Work, combine


def run(work: Work, place: Path) -> int:
    """Run the graph."""
    task = delayed(combine, pure=False)
    nodes: list[Any] = []
    for node in range(work.nodes):
        nodes.append(task(node, [nodes[up] for up in work.upstreams(node)]))
    return int(nodes[-1].compute(scheduler="processes", num_workers=int(os.environ["BENCHMARK_WORKERS"])))
