"""Pytest fixtures: the real clusters, one of each kind for the whole session, started when first asked for.

Use them from any conftest.py: `from tests.clusters.plugin import slurm, breakable_slurm`. However often they
are imported, a session has one cluster of a kind. Where the programs are missing the tests skip and say why;
with TASKPROC_REQUIRE_CLUSTERS=1 in the environment, as in CI, that is a failure.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.clusters.cluster import Cluster
from tests.clusters.daemons import ClusterMissing
from tests.clusters.sge import SgeCluster, open_directory
from tests.clusters.slurm import SlurmCluster

_C = TypeVar("_C", bound=Cluster)
_running = pytest.StashKey[dict[str, Cluster]]()


@pytest.fixture(scope="session", params=["plain", "accounting"])
def slurm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SlurmCluster:
    """Give a running Slurm, once without and once with accounting; a test leaves it as it found it."""
    return _slurm(request.config, tmp_path_factory, accounting=request.param == "accounting")


@pytest.fixture(scope="session")
def slurm_plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SlurmCluster:
    """Give a running Slurm without accounting: squeue and scontrol alone answer."""
    return _slurm(request.config, tmp_path_factory, accounting=False)


@pytest.fixture(scope="session")
def slurm_accounting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SlurmCluster:
    """Give a running Slurm whose sacct answers."""
    return _slurm(request.config, tmp_path_factory, accounting=True)


@pytest.fixture
def breakable_slurm(slurm: SlurmCluster) -> Iterator[SlurmCluster]:
    """Give the session's Slurm to a test that kills nodes, restarts the controller or leaves jobs behind."""
    yield slurm
    slurm.heal()


@pytest.fixture(scope="session")
def sge(request: pytest.FixtureRequest) -> SgeCluster:
    """Give a running Grid Engine; a test leaves it as it found it."""
    return _once(request.config, "sge", lambda: SgeCluster(_open_directory(request)))


@pytest.fixture
def breakable_sge(sge: SgeCluster) -> Iterator[SgeCluster]:
    """Give the session's Grid Engine to a test that breaks it or leaves jobs behind."""
    yield sge
    sge.heal()


def _slurm(config: pytest.Config, directories: pytest.TempPathFactory, *, accounting: bool) -> SlurmCluster:
    kind = "slurm-accounting" if accounting else "slurm"
    return _once(config, kind, lambda: SlurmCluster(directories.mktemp(kind), accounting=accounting))


def _open_directory(request: pytest.FixtureRequest) -> Path:
    """Make a directory that other users may enter, unlike pytest's; it is kept when a test failed."""
    directory = open_directory()
    session = request.session
    request.config.add_cleanup(lambda: None if session.testsfailed else shutil.rmtree(directory))
    return directory


def _once(config: pytest.Config, kind: str, make: Callable[[], _C]) -> _C:
    """Start the session's cluster of one kind, or return the one that runs; it stops when pytest ends."""
    running = config.stash.setdefault(_running, {})
    if kind not in running:
        cluster = make()
        start_or_skip(cluster)
        config.add_cleanup(cluster.stop)
        running[kind] = cluster
    return running[kind]  # type: ignore[return-value]  # one kind, one class


def start_or_skip(cluster: Cluster) -> None:
    """Start a cluster; where it is not installed, skip the test, or fail it where clusters are required."""
    try:
        cluster.start()
    except ClusterMissing as missing:
        if os.environ.get("TASKPROC_REQUIRE_CLUSTERS") == "1":
            raise
        pytest.skip(str(missing))
