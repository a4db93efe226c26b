"""Ending processes with all that they started."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from taskproc.base.processes import end_process_trees
from tests.support import wait_for

PARENT = """
import subprocess, sys
from pathlib import Path
children = [subprocess.Popen(["sleep", "600"], start_new_session=True) for _ in range(100)]
Path("ready").touch()
for child in children:
    child.wait()
    Path("noticed").touch()
"""


def test_a_parent_never_sees_its_children_ended(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=tmp_path)
    wait_for((tmp_path / "ready").exists, "a hundred children")
    children = psutil.Process(parent.pid).children()
    assert len(children) == 100

    end_process_trees([parent.pid])

    assert parent.wait() == -9
    psutil.wait_procs(children, timeout=10)
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    assert not (tmp_path / "noticed").exists()
