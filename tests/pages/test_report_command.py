"""`taskproc report`."""
from __future__ import annotations

from pathlib import Path

from tests.e2e.command import Command

TASKS = """
    from taskproc import TaskBase

    class Main(TaskBase):
        pass
"""


def test_report_is_written_for_a_task_file_or_a_cache(tmp_path: Path) -> None:
    taskproc = Command(tmp_path)
    taskproc.file(TASKS)
    missing = taskproc("report", "tasks.py")
    taskproc("tasks.py")
    named = taskproc("report", "tasks.py")
    of_cache = taskproc("report", ".cache", "--output", "-")

    assert missing.code == 1
    assert "There is no run of tasks.py in" in missing.err
    (page,) = tmp_path.glob("*.report.html")
    assert named.out == f"Wrote {page.name}; open it in a browser.\n"
    assert "Main()" in page.read_text()
    assert "Main()" in of_cache.out
