"""How an element's process ends: at once, but not before what its tasks left behind has been seen to."""
from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from taskproc.testing.bench import Bench

LEAVES = """
import atexit

from taskproc import TaskBase


class Leaves(TaskBase):
    def __init__(self, kind: str, path: str):
        self.kind, self.path = kind, path

    def run_task(self) -> None:
        global kept
        if self.kind == "a file":
            kept = open(self.path, "w")
            kept.write("seen to")
        elif self.kind == "a call at the end":
            atexit.register(self.write)
        elif self.kind == "a thread":
            import threading
            import time
            threading.Thread(target=lambda: (time.sleep(0.3), self.write())).start()
        else:
            self.write()

    def write(self) -> None:
        with open(self.path, "w") as file:
            file.write("seen to")
"""


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("kind", ["nothing", "a file", "a call at the end", "a thread"])
def test_what_a_task_leaves_behind_is_seen_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    (tmp_path / "left_behind.py").write_text(LEAVES)  # importing next to nothing, as a short task does
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("left_behind")
    try:
        with Bench("prefix", [module.Leaves(kind, str(tmp_path / "left"))], options={}) as bench:
            staged = bench.staging.stage([bench.jobs])
            command = bench.staging.command(staged)
            ended = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=60, check=False)
            outcomes = dict(bench.staging.ended(staged))
    finally:
        del sys.modules["left_behind"]
    assert ended.returncode == 0
    assert [outcome.exit_code for outcome in outcomes.values()] == [0]
    assert (tmp_path / "left").read_text() == "seen to"
