"""The backend `nice` keeps the contract, and tasks step back."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from taskproc import TaskBase
from taskproc.plugin import OptionError
from taskproc.testing import BackendConformance, fresh_cache


class Priority(TaskBase):
    def run_task(self) -> int:
        return os.nice(0)


class TestNice(BackendConformance):
    backend = "nice"
    options = {"level": 3}
    many = 30


@pytest.mark.parametrize("level", [1, 4])
def test_tasks_step_back(tmp_path: Path, level: int) -> None:
    with fresh_cache(tmp_path / "cache"):
        own = os.nice(0)
        found = Priority().run_graph(backend="nice", backend_options={"level": level})
        assert found == min(own + level, 19)


def test_level_that_is_none_is_refused(tmp_path: Path) -> None:
    with fresh_cache(tmp_path / "cache"), pytest.raises(OptionError, match="a whole number from 0 to 19"):
        Priority().run_graph(backend="nice", backend_options={"level": 20})
