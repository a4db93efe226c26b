"""pytask with pytask-parallel, and a file for each result."""
from __future__ import annotations

from pathlib import Path

from benchmarks.work import Work

_TASKS = """
from pathlib import Path

from benchmarks.work import Work, combine
from pytask import task

work = Work({shape!r}, {size})
place = Path(__file__).parent

for each in range(work.nodes):

    @task(id=str(each), kwargs={{"node": each, "needed": [place / f"n{{up}}" for up in work.upstreams(each)]}})
    def task_node(node, needed, produces=place / f"n{{each}}"):
        produces.write_text(str(combine(node, [int(path.read_text()) for path in needed])))
"""


def prepare(work: Work, place: Path) -> None:
    """Write the file of tasks."""
    place.mkdir()
    (place / "task_nodes.py").write_text(_TASKS.format(shape=work.shape, size=work.size))
    (place / "pyproject.toml").write_text("[tool.pytask.ini_options]\n")


def read(work: Work, place: Path) -> int:
    """Read the answer."""
    return int((place / f"n{work.nodes - 1}").read_text())


def clear(work: Work, place: Path) -> None:
    """Forget the middle result."""
    (place / f"n{work.middle}").unlink()
