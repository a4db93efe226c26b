"""Pilot jobs on a real Slurm: the backend `dask` over dask-jobqueue's SLURMCluster."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskproc.testing import fresh_cache
from taskproc.testing.tasks import Choose, Numbered, Sum
from tests.clusters.slurm import SlurmCluster

pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")


@pytest.fixture
def pilots(slurm_plain: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """Give the options for two pilot jobs, in a directory of the test's own."""
    for name, value in slurm_plain.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    arguments = {"memory": "300MB", "local_directory": str(tmp_path), "log_directory": str(tmp_path / "logs")}
    with fresh_cache(tmp_path / "cache"):
        yield {"cluster": "dask_jobqueue:SLURMCluster", "cluster_options": arguments, "workers": 2, "cpus": 1}
    slurm_plain.heal()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # dask-jobqueue's own
def test_two_pilots_run_many_tasks(pilots: dict[str, object], slurm_plain: SlurmCluster) -> None:
    submitted = slurm_plain.run("squeue", "--noheader", "--states=all").count("\n")
    how = {"backend": "dask", "backend_options": pilots}
    found, stats = Sum(Choose(5, 2), *[Numbered(n) for n in range(100)]).run_graph_with_stats(**how)
    assert found == 10 + sum(range(100))
    assert sum(stats["stats"].values()) == 112
    assert slurm_plain.run("squeue", "--noheader", "--states=all").count("\n") - submitted <= 2
