"""How fast do tasks go through a real Slurm, beside bare elements of one `sbatch --array`? From the checkout's root:

    python contrib/slurm/benchmark.py [ELEMENTS] [TASKS] [ROUNDS]

It starts the tests' cluster (`tests/clusters/slurm.py`) and measures three things in one run, in turn, in each of some
rounds: a bare array of `python -c pass`, as many elements of one task each, and many tasks in elements of a hundred.
Each figure is elements or tasks a second, from the start of the command to the end of the last; the table has the
medians of the rounds, and of the ratios within a round.
"""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.clusters.slurm import SlurmCluster

# In a module of its own, as task files are: what stands here would travel to every element by value.
TASKS = """
from taskproc import RequiresList, TaskBase


class Nothing(TaskBase, backend="slurm"):
    def __init__(self, n: int):
        self.n = n

    def run_task(self) -> None:
        pass


class Main(TaskBase):
    parts: RequiresList[None]

    def __init__(self, count: int):
        self.parts = [Nothing(n) for n in range(count)]

    def run_task(self) -> int:
        return len(self.parts)
"""


def bare(cluster: SlurmCluster, count: int) -> None:
    """Run a bare array, and wait for its end."""
    command = f"{sys.executable} -c pass"
    array = f"--array=0-{count - 1}"
    job = cluster.run("sbatch", "--parsable", array, "--output=/dev/null", "--wrap", command).strip()
    cluster.wait_for_job(job, seconds=600)


def ours(home: Path, count: int, group_size: int) -> None:
    """Run a graph whose leaves go to Slurm."""
    home.mkdir()
    (home / "tasks.py").write_text(TASKS)
    (home / "taskproc.toml").write_text(f'[backends.slurm]\ngroup_size = "{group_size}"\n')
    command = [sys.executable, "-m", "taskproc", "tasks.py", "-s", f"count={count}", "--no-progress"]
    subprocess.run(command, cwd=home, check=True, stdout=subprocess.DEVNULL)


def rate(count: int, run: Callable[[], None]) -> float:
    """Measure how many go through in a second."""
    began = time.perf_counter()
    run()
    return count / (time.perf_counter() - began)


def measure(cluster: SlurmCluster, home: Path, elements: int, tasks: int) -> tuple[float, float, float]:
    """Measure one round: the rates of the bare array, of single tasks, and of tasks in groups."""
    bare_rate = rate(elements, lambda: bare(cluster, elements))
    single = rate(elements, lambda: ours(home / "single", elements, 1))
    grouped = rate(tasks, lambda: ours(home / "grouped", tasks, 100))
    return bare_rate, single, grouped


def main(elements: int = 1000, tasks: int = 10_000, rounds: int = 3) -> None:
    """Measure, and print the table."""
    found = []
    with tempfile.TemporaryDirectory() as directory, SlurmCluster(Path(directory, "slurm")) as cluster:
        os.environ.update(cluster.env)
        print(f"{cluster.run('sbatch', '--version').strip()}, {os.cpu_count()} CPUs")
        for number in range(rounds):
            home = Path(directory, f"round-{number}")
            home.mkdir()
            found.append(measure(cluster, home, elements, tasks))
            shutil.rmtree(home)
            print("round {}: {:.1f}, {:.1f}, {:.1f} a second".format(number + 1, *found[-1]), flush=True)
    singles, groups = ([line[column] for line in found] for column in (1, 2))
    shares = [median(line[column] / line[0] for line in found) for column in (1, 2)]
    print(f"bare array of {elements}:               {median(line[0] for line in found):7.1f} elements/s")
    print(f"{elements} tasks, one an element:       {median(singles):7.1f} tasks/s, {shares[0]:.2f} of bare")
    print(f"{tasks} tasks, a hundred an element: {median(groups):7.1f} tasks/s, {shares[1]:.2f} of bare")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
