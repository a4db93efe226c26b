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


def test_a_site_may_bend_a_profile_in_its_settings(breakable_sge: SgeCluster, run_script: ScriptRunner) -> None:
    (run_script.home / "taskproc.toml").write_text(
        """
[profile.here]
backend = "shell"
scheduler = "sge"
latency_wait = 5.0
flags = { gpus = ["-l", "gpu={gpus}", "-v", "WITH_GPUS={gpus}"] }
"""
    )
    home = Home(run_script, "here", breakable_sge.env)
    done = home.run(
        """
class Asks(TaskBase, backend_options={"gpus": 1, "cpus": 2}):
    def __init__(self): pass
    def run_task(self): return os.environ["WITH_GPUS"] + os.environ["NSLOTS"]
print(Asks().run_graph(**RUN))
"""
    )

    assert done.out.strip() == "12"


def test_an_unfinished_scheduler_is_told_what_it_lacks(sge: SgeCluster, run_script: ScriptRunner) -> None:
    home = Home(run_script, "shell", sge.env, {"submit": "qsub {script}"})

    done = home.run("Leaf(1).run_graph(**RUN)", check=False)

    assert "shell: job_id, variable, query, row, states, cancel not given" in done.err
