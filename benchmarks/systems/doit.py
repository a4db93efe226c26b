"""doit, with actions in Python and a file for each result."""
from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain

from benchmarks.work import Work, combine


def run(work: Work, place: Path) -> int:
    """Run the graph."""
    place.mkdir(exist_ok=True)

    def nodes() -> Iterator[dict[str, Any]]:
        for node in range(work.nodes):
            needed = [str(place / str(up)) for up in work.upstreams(node)]
            target = str(place / str(node))
            yield {
                "name": str(node), "actions": [(task, [node, needed, target])],
                "file_dep": needed, "targets": [target],
                "uptodate": [True],
            }  # fmt: skip

    config = {"dep_file": str(place / "doit.db"), "reporter": "zero", "verbosity": 0}
    workers = os.environ["BENCHMARK_WORKERS"]
    status = DoitMain(ModuleTaskLoader({"task_node": nodes, "DOIT_CONFIG": config})).run(["run", "-n", workers])
    if status:
        raise SystemExit(f"doit ended with status {status}")
    return int((place / str(work.nodes - 1)).read_text())


def clear(work: Work, place: Path) -> None:
    """Forget the middle result."""
    (place / str(work.middle)).unlink()


def task(node: int, needed: Sequence[str], target: str) -> None:
    """Compute a node."""
    value = combine(node, [int(Path(path).read_text()) for path in needed])
    Path(target).write_text(str(value))
