"""The backend `lsf` keeps the contract, over the stand-in: no LSF is at hand."""
from __future__ import annotations

import pytest

from taskproc.testing import BackendConformance
from tests.fakes.lsf.harness import FakeLsf


class TestLsf(BackendConformance):
    backend = "lsf"
    plugins = ("taskproc_lsf",)
    options = {"query_interval": 0.5, "latency_wait": 5.0}
    many = 60
    patience = 120.0

    @pytest.fixture(autouse=True)
    def cluster(self, fake_lsf: FakeLsf, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in fake_lsf.env.items():
            monkeypatch.setenv(name, value)
