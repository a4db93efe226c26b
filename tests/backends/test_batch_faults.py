"""What raises in a scheduler's plugin, or in a report, ends only what it concerns, and never in silence."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from taskproc_backends.batch import Command, JobState, Lookup, Submission
from taskproc_backends.batch.adoption import _LANDING_SECONDS
from taskproc_backends.batch.book import JobSet
from taskproc_backends.batch.loop import Loop

from taskproc.plugin import BackendUnavailable, Job, Outcome
from tests.backends.batch_kit import MakeBench, Recorder
from tests.backends.standin_scheduler import StandIn


def times(number: int) -> Callable[[], bool]:
    """Give something that is true so many times."""
    left = iter([True] * number)
    return lambda: next(left, False)


def test_a_job_whose_acceptance_cannot_be_noted_is_followed(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench()
    accepted, fails = bench.report.accepted, times(1)

    def note(job: Job, id: str) -> None:
        if fails():
            raise OSError("no room for the ledger")
        accepted(job, id)

    monkeypatch.setattr(bench.report, "accepted", note)
    jobs = bench.jobs(3)

    bench.backend.submit(jobs)

    assert [bench.report.outcome(job).exit_code for job in jobs] == [0] * 3
    assert len(bench.report.accepted_ids) == 2


def test_no_job_is_finished_before_it_is_accepted(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def accepted(report: Recorder, job: Job, id: str) -> None:
        time.sleep(0.5)  # in which its end is on the disk, and looked for
        told.append("accepted")

    def finished(report: Recorder, job: Job, outcome: Outcome) -> None:
        with report.changed:
            told.append("finished")
            report.changed.notify_all()

    monkeypatch.setattr(Recorder, "accepted", accepted)
    monkeypatch.setattr(Recorder, "finished", finished)
    bench = make_bench()

    bench.backend.submit(bench.jobs(3))
    bench.report.until(lambda: told.count("finished") == 3)

    assert told == ["accepted"] * 3 + ["finished"] * 3


def test_the_reason_in_a_jobs_own_mark_is_passed_on(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = make_bench()
    ended = bench.shelf.ended

    def with_reasons(staged: Path) -> list[tuple[str, Outcome]]:
        reason = "ValueError: no (and this could not be written)"
        return [(nonce, dataclasses.replace(outcome, reason=reason)) for nonce, outcome in ended(staged)]

    monkeypatch.setattr(bench.shelf, "ended", with_reasons)
    job = bench.job("exit 1")

    bench.backend.submit([job])

    assert bench.report.outcome(job).reason == "ValueError: no (and this could not be written)"


def test_an_array_that_cannot_be_written_spoils_no_other(make_bench: MakeBench, site: StandIn) -> None:
    fails = times(1)

    class Stumbling(StandIn):
        def submit(self, submission: Submission) -> Command:
            if fails():
                raise TypeError("no such option")
            return super().submit(submission)

    bench = make_bench(Stumbling(site.site, max_array=2))
    jobs = bench.jobs(4)

    bench.backend.submit(jobs)

    assert [bench.report.outcome(job).kind for job in jobs] == ["rejected", "rejected", "ended", "ended"]
    assert "TypeError: no such option" in bench.report.outcome(jobs[0]).reason


def test_limits_that_cannot_be_learned_are_the_usual_ones(make_bench: MakeBench, site: StandIn) -> None:
    class Stumbling(StandIn):
        def probe(self) -> Command | None:
            raise KeyError("limits")

    bench = make_bench(Stumbling(site.site))
    job = bench.job()

    bench.backend.submit([job])

    assert bench.report.outcome(job).exit_code == 0


@pytest.mark.parametrize("error", [TypeError("no sets"), SystemExit(1)], ids=["an error", "sys.exit"])
def test_a_question_that_cannot_be_made_is_made_again(
    make_bench: MakeBench, site: StandIn, error: BaseException
) -> None:
    fails = times(2)

    class Stumbling(StandIn):
        def queue(self, sets: Any) -> list[Lookup]:
            if fails():
                raise error
            return super().queue(sets)

    bench = make_bench(Stumbling(site.site))
    job = bench.job("kill -9 $PPID")
    site.fault("forget")

    bench.backend.submit([job])

    assert bench.report.outcome(job).kind in ("ended", "lost")


def test_an_answer_that_fits_no_job_ends_none(make_bench: MakeBench, site: StandIn) -> None:
    fails = times(2)

    class Stumbling(StandIn):
        def queue(self, sets: Any) -> list[Lookup]:
            if fails():
                strange: Any = 7  # where a name should be
                return [Lookup(Command(("true",)), lambda answer: [JobState("1", 0, "running", name=strange)])]
            return super().queue(sets)

    bench = make_bench(Stumbling(site.site))
    job = bench.job("sleep 1; exit 3")

    bench.backend.submit([job])

    assert bench.report.outcome(job).exit_code == 3


def test_an_end_that_cannot_be_put_into_words_is_reported(make_bench: MakeBench, site: StandIn) -> None:
    class Stumbling(StandIn):
        def job_id(self, id: str, element: int) -> str:
            raise IndexError("no such element")

    bench = make_bench(Stumbling(site.site))
    jobs = [bench.job("exit 3"), bench.job("exit 0"), bench.job("kill -9 $$")]

    bench.backend.submit(jobs)

    assert [bench.report.outcome(job).exit_code for job in jobs] == [3, 0, 137]


def test_a_cancel_that_cannot_be_made_is_told(make_bench: MakeBench, site: StandIn) -> None:
    class Stumbling(StandIn):
        def cancel(self, targets: Any) -> list[Command]:
            raise ValueError("too many")

    bench = make_bench(Stumbling(site.site))
    job = bench.job("sleep 3")
    bench.backend.submit([job])

    bench.backend.cancel([job])

    assert bench.report.outcome(job) == Outcome("cancelled", "ValueError: too many")


def test_a_loop_that_ends_unasked_says_so() -> None:
    told: list[BaseException] = []
    ended = threading.Event()

    def lost(error: BaseException) -> None:
        told.append(error)
        ended.set()

    def idle() -> bool:
        raise MemoryError("no room")

    hook, threading.excepthook = threading.excepthook, lambda args: None
    try:
        Loop("marks", lambda: False, idle, lost, fast=0.01, slow=0.01)
        assert ended.wait(30)
    finally:
        threading.excepthook = hook
    assert isinstance(told[0], MemoryError)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_jobs_that_nobody_follows_any_more_are_lost_and_new_ones_are_not_taken(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench()
    job, late = bench.job("sleep 30"), bench.job()
    bench.backend.submit([job])

    def break_down() -> bool:
        raise MemoryError("no room")

    monkeypatch.setattr(bench.backend._follower._marks, "_idle", break_down)
    bench.backend._follower.nudge()
    assert bench.report.outcome(job).kind == "lost"
    assert "MemoryError: no room" in bench.report.outcome(job).reason

    bench.backend.submit([late])
    assert bench.report.outcome(late).kind == "rejected"


@pytest.mark.parametrize("hours", [-5, 5], ids=["slow", "fast"])
def test_clock_of_the_file_server_makes_nobody_wait(
    make_bench: MakeBench, site: StandIn, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    first, second = make_bench(), make_bench()
    job = first.job()
    first.backend.submit([job])
    first.report.outcome(job)
    staged = first.shelf.sets[0]
    (staged / "id").unlink()
    for mark in (staged / "ended").iterdir():
        mark.unlink()
    site.fault("hide")
    site.fault("forget")
    shift_file_times(monkeypatch, hours * 3600.0)
    old = (staged / "job.sh").stat().st_mtime - hours * 3600.0 - 2 * _LANDING_SECONDS
    os.utime(staged / "job.sh", (old, old))

    began = time.monotonic()
    assert second.backend.adopt([(job, first.shelf.refs[job.nonce])]) == [job]
    assert time.monotonic() - began < _LANDING_SECONDS


def shift_file_times(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let a file server whose clock is wrong tell the times of files."""

    class Shifted:
        def __init__(self, status: os.stat_result) -> None:
            self._status = status

        @property
        def st_mtime(self) -> float:
            return self._status.st_mtime + seconds

        def __getattr__(self, name: str) -> Any:
            return getattr(self._status, name)

    stat, fstat = Path.stat, os.fstat
    monkeypatch.setattr(Path, "stat", lambda path, **more: Shifted(stat(path, **more)))
    monkeypatch.setattr(os, "fstat", lambda fd: Shifted(fstat(fd)))


def test_a_job_of_our_own_name_is_ours_by_any_clock() -> None:
    jobs = JobSet(Path("/runs/tp-0123456789ab"), "", time.time(), 0.0, True, {})
    assert jobs.is_meant(JobState("7", 0, "running", name="tp-0123456789ab", submitted=time.time() - 5 * 3600))
    assert not jobs.is_meant(JobState("7", 0, "running", name="tp-0123", submitted=time.time() - 5 * 3600))


def test_a_search_in_a_silent_scheduler_ends_with_the_run(make_bench: MakeBench, site: StandIn) -> None:
    asked = threading.Event()

    class Silent(StandIn):
        def queue(self, sets: Any) -> list[Lookup]:
            asked.set()
            raise BackendUnavailable("no answer")

    bench = make_bench(Silent(site.site))
    jobs = bench.jobs(1)
    bench.shelf.stage([jobs])
    raised: list[BaseException] = []

    def adopt() -> None:
        try:
            bench.backend.adopt(bench.refs(jobs))
        except BackendUnavailable as error:
            raised.append(error)

    adopting = threading.Thread(target=adopt)
    adopting.start()
    assert asked.wait(60)
    bench.context.closing.set()
    adopting.join(60)
    assert not adopting.is_alive()
    assert len(raised) == 1
