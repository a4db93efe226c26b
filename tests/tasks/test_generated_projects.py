"""No stale answer: projects made at random, one thing edited, compared with what a fresh process computes.

In CI, 200 projects; all the others with

    pytest tests/tasks/test_generated_projects.py -m exhaustive -rP

which tells how many re-runs were needless. A failure names its seed and edit; `projects.Project(seed).files(edit)`
shows the text. Most projects are only imported, once before the edit and once after it: what the class `T` says then is
compared, and what its task computes. Some run in real processes, with a cache.
"""
from __future__ import annotations

import gc
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from taskproc.plan.graph import TaskGraph
from taskproc.tasks.in_use import current_cache
from taskproc.tasks.source import same_source
from tests.tasks.projects import Project

FIRST, ALL = 200, 20_000
EDITS = 3  # of each project
_ticks = iter(range(1, 1 << 40))


class Told(NamedTuple):
    """What a project says of its task, and what the task computes."""

    identity: bytes
    source: str
    value: str


def write(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = directory / name
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            tick = next(_ticks)
            os.utime(path, ns=(tick, tick))


@contextmanager
def imported(directory: Path) -> Iterator[None]:
    """Import from a directory, and forget all that was imported afterwards."""
    before = dict(sys.modules)
    sys.modules.pop("statistics", None)
    sys.path.insert(0, str(directory))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(directory))
        for name in set(sys.modules) - set(before):
            del sys.modules[name]
        sys.modules.update(before)


def told(directory: Path) -> Told:
    with imported(directory):
        try:
            task = importlib.import_module("tasks").make()
        except Exception as error:  # nothing runs then
            return Told(b"", "", type(error).__name__)
        graph = TaskGraph(task, current_cache())
        graph.read_sources(helpers=True)
        text = graph.classes[type(task)].text
        assert text is not None
        try:
            value = repr(task.run_task())
        except Exception as error:
            value = type(error).__name__
        return Told(task._task.digest, text, value)


class Outcome(NamedTuple):
    edits: int
    changed: int
    stale: list[str]
    needless: list[str]


def check(seeds: range, directory: Path) -> Outcome:
    """Edit some places of each project, one at a time."""
    edits, changed, stale, needless = 0, 0, [], []
    for seed in seeds:
        if seed % 50 == 0:
            gc.collect()  # pytest keeps so much alive that Python seldom does by itself
        project = Project(seed)
        place = directory / str(seed)
        place.mkdir()
        write(place, project.files())
        first = told(place)
        for edit in Random(seed).sample(range(project.edits), min(EDITS, project.edits)):
            write(place, project.files(edit))
            second = told(place)
            write(place, project.files())
            runs = first.identity != second.identity or not same_source(first.source, second.source)
            edits += 1
            changed += first.value != second.value
            if first.value != second.value and not runs:
                stale.append(f"seed {seed}, edit {edit}: {project.edit(edit)}")
            if first.value == second.value and runs:
                needless.append(f"seed {seed}, edit {edit}: {project.edit(edit)}")
    return Outcome(edits, changed, stale, needless)


@pytest.fixture
def quiet(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


def verdict(outcome: Outcome) -> None:
    print(
        f"{outcome.edits} edits, of which {outcome.changed} changed the answer; {len(outcome.stale)} stale answers; "
        f"{len(outcome.needless)} needless re-runs among the {outcome.edits - outcome.changed} others"
    )
    assert not outcome.stale, "\n".join(outcome.stale[:20])


@pytest.mark.slow
def test_no_stale_answer(tmp_path: Path, quiet: None) -> None:
    verdict(check(range(FIRST), tmp_path))


@pytest.mark.exhaustive
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("start", range(FIRST, ALL, 1800))
def test_no_stale_answer_in_any_project(tmp_path: Path, quiet: None, start: int) -> None:
    verdict(check(range(start, min(start + 1800, ALL)), tmp_path))


SCRIPT = "\nif __name__ == '__main__':\n    print(make().run_graph(backend={backend!r}))\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "backend"),
    [(1, "process"), (2, "thread"), *(pytest.param(n, "process", marks=pytest.mark.exhaustive) for n in range(3, 40))],
)
def test_no_stale_answer_from_a_script(tmp_path: Path, seed: int, backend: str) -> None:
    project = Project(seed)
    edit = Random(seed).randrange(project.edits)

    def answer(files: dict[str, str], cache: str) -> str:
        write(tmp_path, {**files, "tasks.py": files["tasks.py"] + SCRIPT.format(backend=backend)})
        done = subprocess.run(
            [sys.executable, "tasks.py"],
            cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "TP_CACHE_DIR": str(tmp_path / cache), "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        return done.stdout or done.stderr.strip().rpartition("\n")[2]

    answer(project.files(), "kept")
    again = answer(project.files(edit), "kept")

    assert again == answer(project.files(edit), "new"), project.edit(edit)
