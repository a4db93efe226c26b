"""Every command works on a cache whose path is not UTF-8, and prints that path all the same."""
from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from taskproc import FailedTaskError, RequiresList, TaskBase
from taskproc.cli import main
from taskproc.plugin import BackendContext, BackendPlugin, Capabilities, Job, Portable

SHOWN = "caf\\udce9"


class Part(TaskBase):
    def __init__(self, n: int) -> None:
        self.n = n

    def run_task(self) -> int:
        print("said", self.n)
        return self.n


class Main(TaskBase):
    parts: RequiresList[int]

    def __init__(self, n: int = 2) -> None:
        self.parts = [Part(i) for i in range(n)]

    def run_task(self) -> int:
        print("a line\n" * 10_000)
        return sum(self.parts)


class Fails(TaskBase):
    def run_task(self) -> None:
        print("complaint", file=sys.stderr)
        raise ValueError("the reason")


class Queue:
    """A backend that would tell its scheduler where the jobs are."""

    capabilities = Capabilities(durable=True)

    def __init__(self, context: BackendContext[Any]) -> None:
        self._context = context

    def preview(self, jobs: Sequence[Job]) -> str:
        return f"submit {len(jobs)} from {self._context.directory}"

    def close(self, detach: bool) -> None:
        pass


plugin = BackendPlugin("queue", "A queue.", Portable, Queue)


@pytest.fixture
def cache_name() -> str:
    return "caf\udce9"


@pytest.fixture
def ran(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave a run that went well, and one that failed; this file is their task file."""
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    monkeypatch.chdir(cache.parent)
    Main().run_graph(backend="thread")
    with pytest.raises(FailedTaskError):
        Fails().run_graph(backend="thread")
    return cache


def command(*args: str | Path) -> Result:
    ended = CliRunner().invoke(main, [str(arg) for arg in args])
    assert "a bug in taskproc" not in ended.output, ended.output
    return ended


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run FILE -b thread", f"all of it is in CACHE/taskproc/{__name__}.Main/results/0/stdout.txt"),
        ("run FILE -e Fails -b thread", f"directory  CACHE/taskproc/{__name__}.Fails/results/0"),
        (f"run FILE --force -p {__name__} -b queue --dry-run", "submit 1 from CACHE/taskproc/.runs/dry-run/queue"),
        ("status", f"\n    CACHE/taskproc/{__name__}.Fails/results/0"),
        ("status --json", '"cache": "CACHE/taskproc"'),
        ("runs", "Main(n=2)"),
        ("runs --json", '"cache": "CACHE/taskproc"'),
        ("why FILE", "Nothing would run: Main(n=2)"),
        ("why FILE -e Fails", "its last attempt failed"),
        ("logs Part#1", "said 1\n"),
        ("logs Nobody", "there is no class 'Nobody' in CACHE/taskproc"),
        ("result Main", "1\n"),
        ("graph FILE -f text", "Main(n=2)"),
        ("graph FILE -f dot", "Main(n=2)"),
        ("graph FILE -f mermaid", "Main(n=2)"),
        ("graph FILE -f html --output -", "caf%E9/taskproc"),
        ("graph FILE --output CACHE/graph.html", "Wrote CACHE/graph.html; open it"),
        ("graph FILE --output CACHE/graph.txt", "Wrote CACHE/graph.txt."),
        ("report --output -", "caf%E9/taskproc"),
        ("report --output CACHE/report.html", "Wrote CACHE/report.html; open it"),
        ("accept FILE -y", "Nothing to accept"),
        ("gc --older-than 1d", "CACHE/taskproc holds:"),
        ("verify", "In CACHE/taskproc:"),
        ("gc --keep-last 0 -y", "Removed 4 tasks"),
        ("clear FILE -y", "From CACHE/taskproc:"),
    ],
)
def test_path_of_a_cache_need_not_be_utf_8(ran: Path, line: str, said: str) -> None:
    words = line.replace("FILE", __file__).replace("CACHE", str(ran)).split()
    output = command(*words).output.replace("\\\\", "\\")  # as JSON writes it
    assert said.replace("CACHE", f"{ran.parent}/{SHOWN}") in output


@pytest.mark.parametrize("line", ["status", "runs", "report", "clear FILE", "gc", "verify"])
def test_path_of_an_empty_cache_need_not_be_utf_8(cache: Path, line: str) -> None:
    assert f"{cache.parent}/{SHOWN}/taskproc" in command(*line.replace("FILE", __file__).split()).output
