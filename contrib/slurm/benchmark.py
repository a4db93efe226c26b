"""How fast do tasks go through a real Slurm, beside bare elements of one `sbatch --array`? From the checkout's root:

    python contrib/slurm/benchmark.py [ELEMENTS] [TASKS]

It starts the tests' cluster (`tests/clusters/slurm.py`) and measures three things in one run: a bare array of
`python -c pass`, as many elements of one task each, and many tasks in elements of a hundred. Each figure is elements
or tasks a second, from the first submission to the end of the last.
"""
from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from taskproc import Context, RequiresList, TaskBase
from tests.clusters.slurm import SlurmCluster


class Nothing(TaskBase):
    """Does nothing, as `python -c pass` does."""

    def __init__(self, n: int):
        self.n = n

    def run_task(self) -> None:
        pass


class All(TaskBase, backend="local"):
    """Needs all of them."""

    parts: RequiresList[None]

    def __init__(self, count: int):
        self.parts = [Nothing(n) for n in range(count)]

    def run_task(self) -> int:
        return len(self.parts)


def bare(cluster: SlurmCluster, count: int) -> None:
    """Run a bare array, and wait for its end."""
    command = f"{sys.executable} -c pass"
    array = f"--array=0-{count - 1}"
    job = cluster.run("sbatch", "--parsable", array, "--output=/dev/null", "--wrap", command).strip()
    cluster.wait_for_job(job, seconds=600)


def ours(cache: Path, count: int, group_size: int) -> None:
    """Run a graph whose leaves go to Slurm."""
    Context.cache_dir = cache
    options = {"group_size": str(group_size)}
    Nothing._task_config.backend = "slurm"
    Nothing._task_config.backend_options = options
    assert All(count).run_graph() == count


def rate(count: int, run: Callable[[], None]) -> float:
    """Measure how many go through in a second."""
    began = time.perf_counter()
    run()
    return count / (time.perf_counter() - began)


def main(elements: int = 1000, tasks: int = 10_000) -> None:
    """Measure, and print the table."""
    with tempfile.TemporaryDirectory() as directory, SlurmCluster(Path(directory, "slurm")) as cluster:
        os.environ.update(cluster.env)
        bare_rate = rate(elements, lambda: bare(cluster, elements))
        single = rate(elements, lambda: ours(Path(directory, "single"), elements, 1))
        grouped = rate(tasks, lambda: ours(Path(directory, "grouped"), tasks, 100))
    version = subprocess.run(["sbatch", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    print(f"{version}, {os.cpu_count()} CPUs")
    print(f"bare array of {elements}:               {bare_rate:7.1f} elements/s")
    print(f"{elements} tasks, one an element:       {single:7.1f} tasks/s, {single / bare_rate:.2f} of bare")
    print(f"{tasks} tasks, a hundred an element: {grouped:7.1f} tasks/s, {grouped / bare_rate:.2f} of bare")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
