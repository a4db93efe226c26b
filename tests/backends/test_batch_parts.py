"""The parts of the batch base do their one thing each."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from taskproc_backends.batch import BatchOptions, JobState
from taskproc_backends.batch.diagnosis import explained
from taskproc_backends.batch.groups import element_options, make_groups
from taskproc_backends.batch.room import Room
from taskproc_backends.batch.script import script_text

from taskproc.plugin import Job, Outcome


def job(**fields: Any) -> Job:
    return Job("0" * 32, "demo.Task", "Task-1", Path("/nowhere"), BatchOptions(), **fields)


@pytest.mark.parametrize(
    ("seconds", "sizes"),
    [
        pytest.param([1.0] * 130, [60, 60, 10], id="short tasks share an element"),
        pytest.param([None] * 3, [1, 1, 1], id="what never ran has its own"),
        pytest.param([500.0, 500.0], [1, 1], id="long tasks have their own"),
        pytest.param([0.0] * 1500, [1000, 500], id="a group is not endless"),
    ],
)
def test_automatic_groups(seconds: list[float | None], sizes: list[int]) -> None:
    groups = make_groups([job(expected=expected) for expected in seconds], "auto")

    assert [len(group) for group in groups] == sizes


def test_the_time_of_a_group_is_that_of_its_tasks() -> None:
    options = BatchOptions(time="01:00:00", group_size=4)

    assert element_options(options, [[job()] * 4, [job()]]).time == "04:00:00"


def test_the_time_of_an_automatic_group_allows_for_what_is_expected() -> None:
    options = BatchOptions(time="01:00:00", group_size="auto")

    assert element_options(options, [[job(expected=6.0)] * 10]).time == "01:10:00"


def test_room_is_found_by_halving_and_then_believed() -> None:
    room = Room()
    taken, alive = [], 0
    while size := room.grant(1000 - alive, alive, None):
        if alive + size > 100:
            room.refused(size, alive, "AssocMaxSubmitJobLimit")
        else:
            room.taken(size)
            taken.append(size)
            alive += size

    assert alive == 100
    assert len(taken) < 10
    assert room.reason == "AssocMaxSubmitJobLimit"
    assert room.grant(900, 60, None) > 0


@pytest.mark.parametrize("setup", ["", "true"], ids=["sh", "bash"])
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGXCPU])
def test_a_script_that_is_signalled_does_not_tell_of_a_success(
    tmp_path: Path, sent: signal.Signals, setup: str
) -> None:
    marks = run(tmp_path, ["sleep", "30"], setup, sent)

    assert marks == [f"element-2-{128 + sent}"]


def test_a_killed_script_tells_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, ["sleep", "30"], sent=signal.SIGKILL) == []


@pytest.mark.parametrize(
    ("command", "setup", "mark"),
    [
        (["true"], "", "element-2-0"),
        (["bash", "-c", "exit 3"], "", "element-2-3"),
        (["no such program"], "", "element-2-127"),
        (["true"], "exit 5", "element-2-5"),
        (["true"], "set -e\nfalse", "element-2-1"),
        (["bash", "-c", '[ "$A" = "it\'s" ]'], 'export A="it\'s"', "element-2-0"),
        (["true"], "[[ ab == a* ]] && words=(one two)", "element-2-0"),
    ],
)
def test_the_script_leaves_its_exit_status(tmp_path: Path, command: list[str], setup: str, mark: str) -> None:
    assert run(tmp_path, command, setup) == [mark]


def run(tmp_path: Path, command: list[str], setup: str = "", sent: signal.Signals | None = None) -> list[str]:
    staged = tmp_path / "a set's directory"
    (staged / "ended").mkdir(parents=True)
    script = staged / "job.sh"
    script.write_text(script_text("demo\n$(touch x)", staged, command, "INDEX", 1, setup))
    script.chmod(0o755)
    process = subprocess.Popen(
        [script], env={**os.environ, "INDEX": "3"}, start_new_session=True, stderr=subprocess.DEVNULL
    )
    if sent is not None:
        time.sleep(0.5)
        os.killpg(process.pid, sent)
    process.wait(timeout=10)
    return os.listdir(staged / "ended")


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        pytest.param(
            JobState("7", 0, "ended", "TIMEOUT", cause="time", host="n1", time_asked=7200),
            "ended",
            "ended on n1 at its time limit of 2:00:00; ask for more with time=",
            id="time",
        ),
        pytest.param(
            JobState("7", 0, "ended", "FAILED", signal=9, host="n1", memory_asked=1 << 30, memory_used=(1 << 30) - 1),
            "ended",
            "after exceeding its 1 GB of memory",
            id="killed with all its memory in use",
        ),
        pytest.param(
            JobState("7", 0, "ended", "FAILED", signal=9, host="n1", memory_asked=1 << 30, memory_used=1 << 20),
            "ended",
            "killed by SIGKILL on n1: FAILED; it used 1 MB of 1 GB of memory",
            id="killed",
        ),
        pytest.param(
            JobState("7", 0, "ended", "NODE_FAIL", cause="node", host="n1"),
            "lost",
            "its node failed on n1: NODE_FAIL",
            id="node",
        ),
        pytest.param(
            JobState("7", 0, "ended", "PREEMPTED", cause="preempted", host="n1"),
            "lost",
            "preempted on n1",
            id="preempted",
        ),
        pytest.param(
            JobState("7", 0, "ended", "FAILED", reason="NonZeroExitCode", exit_code=3, host="n1"),
            "ended",
            "ended on n1 with exit status 3: FAILED (NonZeroExitCode)",
            id="failed",
        ),
    ],
)
def test_the_schedulers_account_becomes_a_sentence(state: JobState, kind: str, words: str) -> None:
    outcome = explained(state, "7_0")

    assert outcome.kind == kind
    assert words in outcome.reason


def test_the_marks_numbers_count_before_the_schedulers() -> None:
    state = JobState("7", 0, "ended", "CANCELLED", cause="cancelled", exit_code=0, host="n1")

    assert explained(state, "7_0", Outcome("ended", exit_code=143)).signal == signal.SIGTERM
