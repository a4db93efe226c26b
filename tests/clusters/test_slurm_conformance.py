"""The backend `slurm` keeps the contract, on real daemons, without and with accounting."""

from __future__ import annotations

import pytest

from taskproc.testing import BackendConformance
from tests.clusters.slurm import SlurmCluster


class TestSlurm(BackendConformance):
    backend = "slurm"
    plugins = ("taskproc_slurm",)
    options = {"query_interval": 0.5, "latency_wait": 5.0}

    @pytest.fixture(autouse=True)
    def cluster(self, breakable_slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in breakable_slurm.env.items():
            monkeypatch.setenv(name, value)
