"""redun, with its database and processes on this machine."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from redun import Scheduler, task
from redun.config import Config

from benchmarks.work import Work, combine

redun_namespace = "benchmarks"


@task()
def compute(node: int, inputs: list[int]) -> int:
    """Compute a node."""
    return combine(node, inputs)


def run(work: Work, place: Path) -> int:
    """Run the graph."""
    place.mkdir(exist_ok=True)
    config = {
        "backend": {"db_uri": f"sqlite:///{place}/redun.db"},
        "executors.default": {
            "type": "local", "mode": "process", "start_method": "fork", "max_workers": os.environ["BENCHMARK_WORKERS"]
        },
    }  # fmt: skip
    scheduler = Scheduler(config=Config(config))
    scheduler.load()
    nodes: list[Any] = []
    for node in range(work.nodes):
        nodes.append(compute(node, [nodes[up] for up in work.upstreams(node)]))
    return int(scheduler.run(nodes[-1]))
