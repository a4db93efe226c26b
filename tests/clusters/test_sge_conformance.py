"""The backend `sge`, a profile of `shell`, keeps the contract on a real Grid Engine."""
from __future__ import annotations

import pytest

from taskproc.testing import BackendConformance
from tests.clusters.sge import SgeCluster


class TestGridEngine(BackendConformance):
    backend = "sge"
    options = {"query_interval": 0.5, "latency_wait": 5.0}
    many = 60
    patience = 120.0

    @pytest.fixture(autouse=True)
    def cluster(self, breakable_sge: SgeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in breakable_sge.env.items():
            monkeypatch.setenv(name, value)
