"""parsl with threads, which keeps results by checkpoints."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import parsl
from parsl.config import Config
from parsl.dataflow.memoization import BasicMemoizer
from parsl.executors import ThreadPoolExecutor
from parsl.utils import get_all_checkpoints

from benchmarks.work import Work, combine


@parsl.python_app(cache=True)
def compute(node: int, inputs: list[int]) -> int:
    """Compute a node."""
    return combine(node, inputs)


def run(work: Work, place: Path) -> int:
    """Run the graph."""
    place.mkdir(exist_ok=True)  # looked into for checkpoints
    config = Config(
        executors=[ThreadPoolExecutor(max_threads=int(os.environ["BENCHMARK_WORKERS"]))],
        memoizer=BasicMemoizer(checkpoint_mode="dfk_exit", checkpoint_files=get_all_checkpoints(str(place))),
        run_dir=str(place),
        initialize_logging=False,
        usage_tracking=0,
    )
    with parsl.load(config):
        nodes: list[Any] = []
        for node in range(work.nodes):
            nodes.append(compute(node, inputs=[nodes[up] for up in work.upstreams(node)]))
        return int(nodes[-1].result())
