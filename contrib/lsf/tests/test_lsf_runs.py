"""Whole graphs on LSF: run, fail, are killed, cancelled and taken up again. Through the stand-in: no LSF is at hand."""
from __future__ import annotations

from pathlib import Path

import pytest
import taskproc_lsf

from tests.clusters.runs import GraphsOnACluster, Home
from tests.fakes.lsf.harness import FakeLsf
from tests.support import ScriptRunner


class TestOnLsf(GraphsOnACluster):
    @pytest.fixture
    def home(self, fake_lsf: FakeLsf, run_script: ScriptRunner) -> Home:
        (run_script.home / "taskproc.toml").write_text('plugins = ["taskproc_lsf"]\n')
        packages = (str(Path(taskproc_lsf.__path__[0]).parent),)
        return Home(run_script, "lsf", fake_lsf.env, {"query_interval": 0.5, "latency_wait": 5.0}, packages)

    def test_memory_is_asked_for_and_its_lack_told(self, home: Home, fake_lsf: FakeLsf) -> None:
        fake_lsf.inject("memory_kill", after=2)
        done = home.run(
            "RUN['backend_options'].update(mem='1G', queue='short')\nLeaf(1, 60.0).run_graph(**RUN)", check=False
        )

        assert "after exceeding its" in done.err
        assert "ask for more with mem=" in done.err
        assert "rusage[mem=1024MB]" in fake_lsf.calls("bsub")[0].argv

    def test_a_dead_host_costs_no_task(self, home: Home, fake_lsf: FakeLsf) -> None:
        fake_lsf.inject("host_dies")
        done = home.run("print(Leaf(7, 3.0).run_graph(**RUN))")

        assert done.out.strip() == "7"

    def test_a_lost_answer_runs_nothing_twice(self, home: Home, fake_lsf: FakeLsf) -> None:
        fake_lsf.inject("lost_answer", how="exit255", times=1)
        done = home.run("print(Sum(4).run_graph(**RUN))")

        assert done.out.strip() == "6"
        assert set(home.ran().values()) == {1}

    def test_a_refusal_fails_the_task_in_lsfs_words(self, home: Home) -> None:
        done = home.run("RUN['backend_options']['queue'] = 'nosuch'\nLeaf(1).run_graph(**RUN)", check=False)

        assert "nosuch: No such queue" in done.err
