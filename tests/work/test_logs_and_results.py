"""`taskproc logs`, `taskproc result`, and the completion of tasks' names."""
from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner, Result

from taskproc import FailedTaskError, Requires, TaskBase
from taskproc.cli import main
from taskproc.look.history import RunReader, list_runs
from tests.support import wait_for

GATE = threading.Event()


class Say(TaskBase):
    def __init__(self, text: str, n: int = 0) -> None:
        self.text, self.n = text, n

    def run_task(self) -> dict[str, Any]:
        print(self.text)
        print("aside", file=sys.stderr)
        return {"text": self.text, "n": self.n}


class Quiet(TaskBase):
    up: Requires[Any]

    def __init__(self, up: TaskBase[Any]) -> None:
        self.up = up

    def run_task(self) -> set[int]:
        return {self.up["n"]}


class Slow(TaskBase):
    def run_task(self) -> None:
        print("first", flush=True)
        assert GATE.wait(30)
        print("last")


def command(*args: str | Path) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.fixture
def ran(cache: Path) -> Path:
    Quiet(Say("hello", 1)).run_graph(backend="thread")
    Say("\x1b[1mworld", 2).run_graph(backend="thread")
    return cache


@pytest.mark.parametrize("name", ["Say#0", "Say(n=1)", "Say('hello')", f"{__name__}.Say(text='hello', n=1)"])
def test_logs_of_a_task(ran: Path, name: str) -> None:
    ended = command("logs", name)
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "hello\n", "aside\n")
    assert command("logs", name, "--stderr", "--file", ran).output == "aside\n"
    assert command("logs", name, "--stdout", "--cache-dir", ran, "-f").output == "hello\n"


def test_logs_of_a_task_with_a_task_among_its_arguments(ran: Path) -> None:
    told = command("logs", "Quiet(up=Say(text='hello', n=1))").stderr
    assert "Quiet#0 (up=Say(text='hello', n=1)) wrote nothing" in told
    assert command("logs", "Quiet").exit_code == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Say", "Say may be any of these; name one:\n  Say#0 (text='hello', n=1)\n  Say#1 (text='\\x1b[1mworld', n=2)"),
        ("Sya", "there is no class 'Sya' in"),
        ("Say#7", "no task Say#7 has a directory"),
        ("Say(n=)", "cannot be read"),
        ("../etc", "names no task"),
    ],
    ids=["several", "no class", "no id", "no arguments", "no name"],
)
def test_names_that_mean_no_one_task(ran: Path, name: str, message: str) -> None:
    ended = command("logs", name)
    assert ended.exit_code != 0
    assert isinstance(ended.exception, SystemExit)
    assert message in ended.output


def test_logs_of_a_failed_task(cache: Path) -> None:
    class Fails(TaskBase):
        def run_task(self) -> None:
            raise ValueError("the reason")

    with pytest.raises(FailedTaskError):
        Fails().run_graph(backend="thread")
    assert "ValueError: the reason" in command("logs", "Fails").stderr


@pytest.fixture
def slow(cache: Path) -> Iterator[None]:
    GATE.clear()
    run = threading.Thread(target=lambda: Slow().run_graph(backend="thread"))
    run.start()
    wait_for(lambda: list((cache / "taskproc").glob("*/results/0/stdout.txt")), "its log")
    reader = RunReader(list_runs(f"{cache}/taskproc/.runs")[0].directory)
    wait_for(lambda: reader.refresh() and any(task.state == "running" for task in reader.tasks()), "its start")
    yield
    GATE.set()
    run.join()


def test_following_goes_on_until_the_task_has_ended(slow: None) -> None:
    assert command("logs", "Slow").stdout == "first\n"
    opener = threading.Timer(0.5, GATE.set)
    opener.start()
    assert command("logs", "Slow", "-f").stdout == "first\nlast\n"
    opener.join()


def test_result(ran: Path) -> None:
    assert command("result", "Say#0").output == "{'text': 'hello', 'n': 1}\n"
    assert command("result", "Say(n=2)", "--json").output == '{"text": "\\u001b[1mworld", "n": 2}\n'
    assert command("result", "Quiet").output == "{1}\n"
    refused = command("result", "Quiet", "--json")
    assert refused.exit_code == 1
    assert "the result of Quiet is no JSON" in refused.output


def test_result_of_a_packed_task_is_found_by_its_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TP_STORE", "packed")
    Quiet(Say("x", 5)).run_graph(backend="thread")
    ended = command("result", "Quiet")
    assert ended.exit_code == 2
    assert "say --file TASKFILE" in ended.output


def test_result_of_a_cache_that_others_may_write_to_is_refused(ran: Path) -> None:
    os.chmod(ran / "taskproc", 0o777)
    ended = command("result", "Say#0")
    assert ended.exit_code == 1
    assert "everybody may write to" in ended.output
    assert command("logs", "Say#0").stdout == "hello\n"
    assert command("status", ran).exit_code == 0


def test_damaged_result(ran: Path) -> None:
    path = ran / f"taskproc/{__name__}.Say/results/0/result.pkl.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    ended = command("result", "Say#0")
    assert ended.exit_code == 1
    assert "is damaged" in ended.output


def completed(args: list[str], incomplete: str) -> list[str]:
    found = BashComplete(main, {}, "taskproc", "_TASKPROC_COMPLETE").get_completions(args, incomplete)
    return [item.value for item in found]


def test_names_are_completed_from_the_cache(ran: Path) -> None:
    assert completed(["logs"], "") == ["Quiet", "Say"]
    assert completed(["logs"], "Say") == ["Say#0", "Say#1"]
    assert completed(["logs"], f"{__name__}.S") == [f"{__name__}.Say"]
    assert completed(["logs"], f"{__name__}.Say") == [f"{__name__}.Say#0", f"{__name__}.Say#1"]
    assert completed(["result", "--cache-dir", str(ran)], f"{__name__}.Say#1") == [f"{__name__}.Say#1"]
    assert completed(["result", "--file", str(ran / "none.py")], "S") == []
    assert completed(["why", __file__], "Sa") == ["Say"]
