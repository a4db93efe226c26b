"""luigi with its local scheduler."""
from __future__ import annotations

import os
from pathlib import Path

import luigi

from benchmarks.work import Work, combine


class Node(luigi.Task):
    """A node of any shape."""

    place = luigi.Parameter()
    shape = luigi.Parameter()
    size = luigi.IntParameter()
    node = luigi.IntParameter()

    def requires(self) -> list[Node]:
        upstreams = Work(self.shape, self.size).upstreams(self.node)
        return [Node(self.place, self.shape, self.size, up) for up in upstreams]

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(f"{self.place}/{self.node}")

    def run(self) -> None:
        inputs = [int(Path(target.path).read_text()) for target in self.input()]
        with self.output().open("w") as file:
            file.write(str(combine(self.node, inputs)))


def run(work: Work, place: Path) -> int:
    """Run the graph."""
    last = Node(str(place), work.shape, work.size, work.nodes - 1)
    workers = int(os.environ["BENCHMARK_WORKERS"])
    luigi.build([last], local_scheduler=True, workers=workers, log_level="ERROR")
    return int((place / str(work.nodes - 1)).read_text())


def clear(work: Work, place: Path) -> None:
    """Forget the middle result."""
    (place / str(work.middle)).unlink()
