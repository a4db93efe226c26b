"""What is Dask's own: workers that are lost, clusters that are named, groups of short tasks."""
from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster
from taskproc_dask.pilot import run_group

from taskproc import FailedTaskError, TaskBase
from taskproc.plugin import OptionError
from taskproc.testing import Bench, fresh_cache
from taskproc.testing.tasks import Count, Dies, Notes, Numbered, Sum, Value


class Sleeps(TaskBase):
    """Notes its process and its Dask worker, and sleeps."""

    def __init__(self, log: str, n: int):
        self.log, self.n = log, n

    def run_task(self) -> int:
        with open(self.log, "a") as file:
            file.write(f"{self.n} {os.getpid()} {os.getppid()}\n")
        time.sleep(3)
        return self.n


@pytest.fixture(autouse=True)
def cache(tmp_path: Path) -> Iterator[Path]:
    with fresh_cache(tmp_path / "cache") as directory:
        yield directory


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """Run a cluster whose workers are processes that can be killed."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=logging.CRITICAL
    ) as cluster:
        yield cluster


def test_attempt_that_dask_runs_again_does_not_start_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Bench("dask", [Notes(str(log), "ran")], options={}) as bench:
        (job,) = bench.jobs
        payload = job.payload()
        bench.submit()
        bench.outcome(job)
        backend = bench.backend
        again, _ = backend._client.submit(run_group, backend._run, [(job.nonce, payload)], False, pure=False).result()
    assert [(nonce, outcome.kind) for nonce, outcome in again] == [(job.nonce, "lost")]
    assert log.read_text() == "ran\n"


@pytest.mark.filterwarnings("ignore")
def test_lost_worker_costs_no_task(cluster: LocalCluster, tmp_path: Path) -> None:
    log = tmp_path / "log"
    killer = threading.Thread(target=_kill_first_dask_worker, args=(log,))
    killer.start()
    found = Sum(*[Sleeps(str(log), n) for n in range(4)]).run_graph(
        backend="dask", backend_options={"address": cluster.scheduler_address}
    )
    killer.join()
    assert found == 6
    ran = Counter(line.split()[0] for line in log.read_text().splitlines())
    assert sorted(ran) == ["0", "1", "2", "3"]
    assert sum(ran.values()) <= 6


def _kill_first_dask_worker(log: Path) -> None:
    while not (log.exists() and log.read_text().count("\n")):
        time.sleep(0.05)
    os.kill(int(log.read_text().split()[2]), signal.SIGKILL)


def test_short_tasks_go_out_in_groups_and_a_crash_among_them_hurts_nobody() -> None:
    warm = [Numbered(n) for n in range(1, 20)]
    Count(*warm).run_graph(backend="dask", max_workers=2)
    with pytest.raises(FailedTaskError, match="SIGKILL"):
        Count(*[Numbered(n) for n in range(101, 140)], Dies("SIGKILL")).run_graph(
            backend="dask", max_workers=2, on_error="continue"
        )
    assert [Numbered(n).get_task_result() for n in range(101, 140)] == list(range(101, 140))


def test_cluster_is_named_by_its_class() -> None:
    options = {
        "cluster": "distributed:LocalCluster",
        "cluster_options": {"processes": False, "dashboard_address": None, "n_workers": 0},
        "workers": 2,
    }
    assert Value(3).run_graph(backend="dask", backend_options=options) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cluster": "no_such_module:Cluster"}, "no_such_module"),
        ({"cluster": "distributed:LocalCluster", "cluster_options": "n_wurkers=1"}, "n_wurkers"),
    ],
    ids=["no such class", "no such argument"],
)
def test_cluster_that_cannot_be_started_is_told(options: dict[str, str], said: str) -> None:
    with pytest.raises(FailedTaskError, match=f"the Dask cluster {options['cluster']} cannot be started.*{said}"):
        Value(1).run_graph(backend="dask", backend_options=options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"address": "tcp://h:1", "workers": 2}, "have no meaning beside it"),
        ({"cluster_options": "cores=1"}, "name it with cluster=module:Class"),
        ({"cluster": "SLURMCluster"}, "not of the form module:Class"),
        ({"cluster": "m:C", "cluster_options": "cores"}, "not of the form name=value"),
    ],
    ids=["address and workers", "arguments of nothing", "no module", "no value"],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Value(1).run_graph(backend="dask", backend_options=options)
