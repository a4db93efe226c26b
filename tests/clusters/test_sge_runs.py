"""Whole graphs on a real Grid Engine, by `-b sge`."""
from __future__ import annotations

import pytest

from tests.clusters.runs import GraphsOnACluster, Home
from tests.clusters.sge import SgeCluster
from tests.support import ScriptRunner


class TestOnGridEngine(GraphsOnACluster):
    @pytest.fixture
    def home(self, breakable_sge: SgeCluster, run_script: ScriptRunner) -> Home:
        return Home(run_script, "sge", breakable_sge.env, {"query_interval": 0.5, "latency_wait": 5.0})
