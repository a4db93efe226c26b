"""The batch base speaks LSF with a stand-in that really runs jobs and breaks on demand: every fault it has.

The stand-in follows IBM's documentation; no LSF can be installed here.
"""
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from taskproc_lsf import Lsf, LsfOptions, prologue

from taskproc.plugin import BackendUnavailable, Job, SubmitUnknown
from tests.backends.batch_kit import Bench
from tests.fakes.lsf.harness import FakeLsf

MakeBench = Callable[..., Bench]


@pytest.fixture
def make_bench(fake_lsf: FakeLsf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeBench]:
    for name, value in fake_lsf.env.items():
        monkeypatch.setenv(name, value)
    made: list[Bench] = []

    def make(timeout: float = 30.0, **options: Any) -> Bench:
        given = {"query_interval": 0.3, "latency_wait": 2.0, **options}
        made.append(Bench(tmp_path, Lsf(), LsfOptions(**given), timeout, prologue=prologue))
        return made[-1]

    yield make
    for bench in made:
        bench.backend.close(detach=False)


def submit_patiently(bench: Bench, jobs: list[Job]) -> None:
    """Submit as the core does: what was not taken is offered again, what may have been is looked for."""
    deadline = time.monotonic() + 60
    while jobs:
        assert time.monotonic() < deadline
        try:
            bench.backend.submit(jobs)
        except BackendUnavailable:
            time.sleep(0.3)
        except SubmitUnknown:
            _look_for(bench, jobs)
        jobs = [job for job in jobs if job.nonce not in {*bench.report.accepted_ids, *bench.report.outcomes}]


def _look_for(bench: Bench, jobs: list[Job]) -> None:
    """Adopt; what is found is settled, and will not be submitted again."""
    refs = bench.refs([job for job in jobs if job.nonce in bench.shelf.refs])
    while True:
        try:
            never = bench.backend.adopt(refs)
        except BackendUnavailable:
            time.sleep(0.3)
        else:
            bench.report.accepted_ids.update({job.nonce: "found" for job, _ in refs if job not in never})
            return


def job_number(bench: Bench, job: Job) -> str:
    return bench.report.accepted_ids[job.nonce].partition("[")[0]


# Without faults


def test_an_array_with_successes_failures_and_a_crash(make_bench: MakeBench, fake_lsf: FakeLsf) -> None:
    bench = make_bench()
    fine, bad, crash = bench.job(), bench.job("exit 3"), bench.job("echo last words; kill -SEGV $PPID")

    bench.backend.submit([fine, bad, crash])

    assert bench.report.outcome(fine).exit_code == 0
    assert bench.report.outcome(bad).exit_code == 3
    outcome = bench.report.outcome(crash)
    assert (outcome.kind, outcome.signal) == ("ended", 11)
    assert "last words" in outcome.reason
    assert [bench.report.accepted_ids[job.nonce] for job in (fine, bad, crash)] == ["1[1]", "1[2]", "1[3]"]
    assert len(fake_lsf.calls("bsub")) == 1


def test_output_is_there_while_the_job_runs(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.backend.submit([bench.job("echo first; echo problems >&2; sleep 30")])
    bench.report.until(lambda: bench.report.hosts)

    log = bench.shelf.sets[0] / "log" / "1.txt"
    deadline = time.monotonic() + 10
    while not log.exists() or log.read_text() != "first\nproblems\n":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_hundreds_of_jobs_are_a_call_and_few_questions(make_bench: MakeBench, fake_lsf: FakeLsf) -> None:
    fake_lsf.env["FAKE_LSF_SLOTS"] = "8"
    bench = make_bench(query_interval=2.0)
    jobs = bench.jobs(200)

    began = time.monotonic()
    bench.backend.submit(jobs)
    bench.report.until(lambda: len(bench.report.outcomes) == 200, 120)
    seconds = time.monotonic() - began

    assert {outcomes[0].exit_code for outcomes in bench.report.outcomes.values()} == {0}
    assert len(fake_lsf.calls("bsub")) == 1
    assert len([call for call in fake_lsf.calls("bjobs") if "-V" not in call.argv]) <= 2 + seconds / 2
    assert len(fake_lsf.calls("bhist")) <= 3


def test_groups_are_put_into_elements_and_arrays_are_cut(
    make_bench: MakeBench, fake_lsf: FakeLsf, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(group_size=10)
    jobs = bench.jobs(120, 'test "$LSB_JOBINDEX" -ge 1')
    monkeypatch.setattr(Lsf, "max_array", 5)
    bench.backend._scheduler = Lsf(max_array=5)

    bench.backend.submit(jobs)

    bench.report.until(lambda: len(bench.report.outcomes) == 120)
    assert {outcomes[0].exit_code for outcomes in bench.report.outcomes.values()} == {0}
    sizes = [call.argv[call.argv.index("-J") + 1].partition("[")[2] for call in fake_lsf.calls("bsub")]
    assert sizes == ["1-5]", "1-5]", "1-2]"]


def test_an_array_too_large_for_the_site_is_halved(
    make_bench: MakeBench, fake_lsf: FakeLsf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_LSF_MAX_ARRAY", "5")
    bench = make_bench()
    jobs = bench.jobs(16)

    submit_patiently(bench, jobs)

    bench.report.until(lambda: len(bench.report.outcomes) == 16)
    assert {outcomes[0].kind for outcomes in bench.report.outcomes.values()} == {"ended"}


def test_a_path_with_blanks_and_quotes_runs(
    fake_lsf: FakeLsf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in fake_lsf.env.items():
        monkeypatch.setenv(name, value)
    home = tmp_path / "it's $HOME; (two words)"
    home.mkdir()
    bench = Bench(home, Lsf(), LsfOptions(query_interval=0.3, latency_wait=2.0), prologue=prologue)
    job = bench.job("exit 4")
    try:
        bench.backend.submit([job])
        assert bench.report.outcome(job).exit_code == 4
        assert (bench.shelf.sets[0] / "log" / "1.txt").exists()
    finally:
        bench.backend.close(detach=False)


def test_the_script_may_go_to_stdin(make_bench: MakeBench) -> None:
    bench = make_bench(script="stdin")
    job = bench.job("exit 4")

    bench.backend.submit([job])

    assert bench.report.outcome(job).exit_code == 4


def test_a_whole_array_is_cancelled_at_once(make_bench: MakeBench, fake_lsf: FakeLsf) -> None:
    bench = make_bench()
    jobs = bench.jobs(50, "sleep 100")
    bench.backend.submit(jobs)
    bench.report.until(lambda: bench.report.hosts)

    bench.backend.cancel(jobs)

    assert {bench.report.outcome(job).kind for job in jobs} == {"cancelled"}
    assert len(fake_lsf.calls("bkill")) == 1
    fake_lsf.wait(lambda: set(fake_lsf.states(job_number(bench, jobs[0]))) == {"EXIT"})


def test_some_elements_are_cancelled_and_others_go_on(make_bench: MakeBench) -> None:
    bench = make_bench()
    doomed, spared = bench.jobs(2, "sleep 100"), bench.held_job("exit 5")
    bench.backend.submit([*doomed, spared])
    bench.report.until(lambda: len(bench.report.hosts) == 3)

    bench.backend.cancel(doomed)
    bench.release()

    assert bench.report.outcome(doomed[0]).kind == "cancelled"
    assert bench.report.outcome(spared).exit_code == 5


def test_a_job_killed_by_somebody_else_says_so(make_bench: MakeBench, fake_lsf: FakeLsf) -> None:
    bench = make_bench()
    job = bench.job("sleep 100")
    bench.backend.submit([job])
    bench.report.until(lambda: bench.report.hosts)

    fake_lsf.run("bkill", job_number(bench, job))

    outcome = bench.report.outcome(job)
    assert outcome.kind == "ended"
    assert "cancelled" in outcome.reason
    assert "TERM_OWNER" in outcome.reason


def test_a_time_limit_is_named(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_LSF_MINUTE", "1")
    monkeypatch.setattr("taskproc_backends.batch.follower._ACCOUNT_SECONDS", 120.0)
    bench = make_bench(time="00:02:00")
    job = bench.job("sleep 100")

    bench.backend.submit([job])

    outcome = bench.report.outcome(job, 150)
    assert "time limit of 0:02:00" in outcome.reason
    assert "ask for more with time=" in outcome.reason


def test_an_outer_jobs_variables_stay_out(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"BSUB_QUIET": "Y", "LSB_HOSTS": "leaked", "LSB_BJOBS_FORMAT": "stat"}.items():
        monkeypatch.setenv(name, value)
    bench = make_bench()
    job = bench.held_job('[ "$LSB_HOSTS" != leaked ] && [ -z "$BSUB_QUIET$LSB_NTRIES" ]')

    bench.backend.submit([job])
    bench.report.until(lambda: bench.report.hosts)
    bench.release()

    assert bench.report.outcome(job).exit_code == 0


def test_why_jobs_wait_is_told_in_lsfs_words(make_bench: MakeBench, fake_lsf: FakeLsf) -> None:
    fake_lsf.inject("held_back")
    bench = make_bench()
    job = bench.job()

    bench.backend.submit([job])
    bench.report.until(lambda: bench.report.reasons)

    assert bench.report.reasons[job.nonce] == ["New job is waiting for scheduling"]


def test_a_preview_submits_nothing(make_bench: MakeBench, fake_lsf: FakeLsf) -> None:
    bench = make_bench(mem="2G", queue="short")

    text = bench.backend.preview(bench.jobs(3))

    assert "bsub -J 'taskproc-preview[1-3]' -o /dev/null" in text
    assert "-q short" in text
    assert not fake_lsf.calls("bsub")


# The next driver


def test_the_next_driver_finds_by_name_what_was_never_noted(make_bench: MakeBench) -> None:
    first, second = make_bench(), make_bench()
    lives, ended, never = first.job("sleep 4; exit 4"), first.job("exit 3"), first.job()
    first.backend.submit([lives])
    first.backend.submit([ended])
    first.report.outcome(ended)
    for staged in first.shelf.sets:
        (staged / "id").unlink()
    first.report.accepted_ids.clear()
    first.backend.close(detach=True)
    first.shelf.stage([[never]])

    assert second.backend.adopt(first.refs([lives, ended, never])) == [never]

    assert second.report.outcome(lives).exit_code == 4
    assert second.report.outcome(ended).exit_code == 3


def test_a_job_older_than_bjobs_memory_is_explained_by_the_log(
    make_bench: MakeBench, fake_lsf: FakeLsf, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_bench()
    job = first.job("echo before; kill -KILL $PPID")
    first.backend.submit([job])
    first.backend.close(detach=True)
    fake_lsf.wait(lambda: fake_lsf.states("1") == ["EXIT"])
    fake_lsf.inject("forgotten", by=["bjobs"])
    for mark in (first.shelf.sets[0] / "ended").iterdir():
        mark.unlink()

    second = make_bench()
    assert second.backend.adopt(first.refs([job])) == []

    outcome = second.report.outcome(job)
    assert (outcome.kind, outcome.signal) == ("ended", 9)


# Faults, by their names


def test_late_visibility_ends_nothing(make_bench: MakeBench, fake_lsf: FakeLsf) -> None:
    fake_lsf.inject("late_visibility", seconds=4)
    bench = make_bench(latency_wait=1.0)
    job = bench.job("sleep 6; exit 3")

    bench.backend.submit([job])

    assert bench.report.outcome(job).exit_code == 3


@pytest.mark.parametrize("how", ["silent", "exit255"])
def test_a_lost_answer_is_found_by_name_and_nothing_runs_twice(
    make_bench: MakeBench, fake_lsf: FakeLsf, how: str
) -> None:
    fake_lsf.inject("lost_answer", how=how, times=1)
    bench = make_bench()
    ran = bench.directory / "ran"
    job = bench.job(f"echo once >> {ran}")

    submit_patiently(bench, [job])

    assert bench.report.outcome(job).exit_code == 0
    assert ran.read_text() == "once\n"
    assert len(fake_lsf.calls("bsub")) == 1


def test_a_bsub_that_hangs_is_found_by_name(make_bench: MakeBench, fake_lsf: FakeLsf) -> None:
    fake_lsf.inject("lost_answer", how="hang", times=1)
    bench = make_bench(timeout=3.0)
    ran = bench.directory / "ran"
    job = bench.job(f"echo once >> {ran}")

    submit_patiently(bench, [job])

    assert bench.report.outcome(job).exit_code == 0
    assert ran.read_text() == "once\n"


def test_an_answer_lost_before_anything_was_taken_is_tried_again(make_bench: MakeBench, fake_lsf: FakeLsf) -> None:
    fake_lsf.inject("lost_answer", how="exit255", accepted=False, times=1)
    bench = make_bench()
    job = bench.job()

    submit_patiently(bench, [job])

    assert bench.report.outcome(job).exit_code == 0
    assert len(fake_lsf.calls("bsub")) == 2


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_chatter_hides_no_answer(make_bench: MakeBench, fake_lsf: FakeLsf, stream: str) -> None:
    fake_lsf.inject("chatter", before="Job <queue> has 7 hints\n", after="Goodbye <4711>\n", stream=stream)
    bench = make_bench()
    job = bench.job()

    bench.backend.submit([job])

    assert bench.report.outcome(job).exit_code == 0
    assert bench.report.accepted_ids[job.nonce] == "1[1]"


@pytest.mark.parametrize(
    ("options", "fault", "words"),
    [
        ({"queue": "nosuch"}, None, "nosuch: No such queue"),
        ({}, {"reason": "queue_closed"}, "Queue has been closed"),
        ({}, {"reason": "permission"}, "User permission denied"),
        ({"resources": "select[mem>5"}, None, "Bad resource requirement syntax"),
    ],
)
def test_a_refusal_is_told_in_lsfs_words(
    make_bench: MakeBench, fake_lsf: FakeLsf, options: dict[str, Any], fault: dict[str, Any] | None, words: str
) -> None:
    if fault:
        fake_lsf.inject("refused", **fault)
    bench = make_bench(**options)
    job = bench.job()

    bench.backend.submit([job])

    outcome = bench.report.outcome(job)
    assert outcome.kind == "rejected"
    assert words in outcome.reason


def test_a_pending_threshold_is_waited_out(make_bench: MakeBench, fake_lsf: FakeLsf) -> None:
    fake_lsf.inject("refused", reason="threshold", retry=0, times=2)
    bench = make_bench()
    jobs = bench.jobs(4)

    submit_patiently(bench, jobs)

    assert [bench.report.outcome(job).exit_code for job in jobs] == [0] * 4


def test_a_bsub_that_waits_for_room_takes_no_job_twice(make_bench: MakeBench, fake_lsf: FakeLsf) -> None:
    fake_lsf.inject("refused", reason="threshold", retry=60, times=1)
    bench = make_bench(timeout=3.0)
    ran = bench.directory / "ran"
    job = bench.job(f"echo once >> {ran}")

    submit_patiently(bench, [job])

    assert bench.report.outcome(job).exit_code == 0
    assert ran.read_text() == "once\n"


def test_lsf_goes_down_and_comes_back(make_bench: MakeBench, fake_lsf: FakeLsf) -> None:
    bench = make_bench()
    before = [bench.held_job("exit 2") for _ in range(2)]
    bench.backend.submit(before)
    bench.report.until(lambda: len(bench.report.hosts) == 2)

    fake_lsf.inject("down")
    bench.release()
    back = threading.Timer(5, fake_lsf.clear, ["down"])
    back.start()
    during = bench.jobs(2)
    submit_patiently(bench, during)

    assert [bench.report.outcome(job).exit_code for job in [*before, *during]] == [2, 2, 0, 0]
    back.join()


def test_slow_answers_stop_nothing(make_bench: MakeBench, fake_lsf: FakeLsf) -> None:
    bench = make_bench(timeout=2.0)
    fake_lsf.inject("slow", seconds=20, commands=["bjobs", "bhist"])
    job = bench.job("exit 3")

    submit_patiently(bench, [job])

    assert bench.report.outcome(job).exit_code == 3


@pytest.mark.parametrize(
    ("without", "form"), [(["-json"], "columns"), (["-o", "-json"], "table")], ids=["no -json", "neither"]
)
def test_an_old_release_is_understood(
    make_bench: MakeBench, fake_lsf: FakeLsf, without: list[str], form: str, caplog: pytest.LogCaptureFixture
) -> None:
    fake_lsf.inject("old_release", without=without)
    bench = make_bench()
    fine, killed = bench.job("sleep 3"), bench.job("sleep 2; kill -KILL $PPID")

    bench.backend.submit([fine, killed])

    assert bench.report.outcome(killed).signal == 9
    assert bench.report.outcome(fine).exit_code == 0
    last = fake_lsf.calls("bjobs")[-1].argv
    assert ("-w" in last or "-l" in last) if form == "table" else any("delimiter" in word for word in last)


def test_a_job_that_everybody_has_forgotten_is_lost(make_bench: MakeBench, fake_lsf: FakeLsf) -> None:
    bench = make_bench()
    job = bench.held_job("rm -r $(dirname $0)/ended; kill -KILL $PPID")
    bench.backend.submit([job])
    bench.report.until(lambda: bench.report.hosts)

    fake_lsf.inject("forgotten", by=["bjobs", "bhist", "bhist -n", "bacct"])
    bench.release()

    outcome = bench.report.outcome(job)
    assert outcome.kind == "lost"
    assert "no longer knows it" in outcome.reason


def test_a_job_that_bacct_alone_remembers_is_explained(make_bench: MakeBench, fake_lsf: FakeLsf) -> None:
    fake_lsf.inject("memory_kill", after=2)
    fake_lsf.inject("forgotten", by=["bjobs", "bhist", "bhist -n"])
    bench = make_bench()
    job = bench.job("sleep 100")

    bench.backend.submit([job])

    outcome = bench.report.outcome(job)
    assert outcome.kind == "ended"
    assert "memory" in outcome.reason


@pytest.mark.parametrize("stat", ["PEND", "PROV", "WAIT"])
def test_jobs_held_back_are_waited_for(make_bench: MakeBench, fake_lsf: FakeLsf, stat: str) -> None:
    fake_lsf.inject("held_back", stat=stat)
    bench = make_bench(latency_wait=0.5)
    job = bench.job()
    bench.backend.submit([job])
    time.sleep(3)

    assert not bench.report.outcomes
    fake_lsf.clear("held_back")

    assert bench.report.outcome(job).exit_code == 0


@pytest.mark.parametrize("stat", ["USUSP", "SSUSP", "PSUSP"])
def test_suspended_jobs_are_waited_for(make_bench: MakeBench, fake_lsf: FakeLsf, stat: str) -> None:
    fake_lsf.inject("suspended", stat=stat)
    bench = make_bench(latency_wait=0.5)
    job = bench.job("sleep 0.5")
    bench.backend.submit([job])
    time.sleep(3)

    if stat != "PSUSP":
        assert not bench.report.outcomes
    fake_lsf.clear("suspended")

    assert bench.report.outcome(job).exit_code == 0


@pytest.mark.parametrize("stat", ["UNKWN", "ZOMBI"])
def test_lost_contact_is_not_the_end(make_bench: MakeBench, fake_lsf: FakeLsf, stat: str) -> None:
    bench = make_bench(latency_wait=0.5)
    job = bench.held_job("exit 3")
    bench.backend.submit([job])
    bench.report.until(lambda: bench.report.hosts)

    fake_lsf.inject("unreachable", stat=stat)
    time.sleep(3)
    assert not bench.report.outcomes
    bench.release()

    assert bench.report.outcome(job).exit_code == 3


def test_a_memory_kill_is_told(make_bench: MakeBench, fake_lsf: FakeLsf) -> None:
    fake_lsf.inject("memory_kill", after=1)
    bench = make_bench(mem="2G")
    job = bench.job("sleep 100")

    bench.backend.submit([job])

    outcome = bench.report.outcome(job)
    assert outcome.kind == "ended"
    assert "after exceeding its" in outcome.reason
    assert "ask for more with mem=" in outcome.reason


def test_a_dead_host_is_not_the_tasks_fault_and_is_avoided(make_bench: MakeBench, fake_lsf: FakeLsf) -> None:
    bench = make_bench()
    job = bench.job("sleep 100")
    bench.backend.submit([job])
    bench.report.until(lambda: bench.report.hosts)

    fake_lsf.inject("host_dies")

    outcome = bench.report.outcome(job)
    assert (outcome.kind, outcome.host) == ("lost", "fakehost01")
    bench.backend.submit([bench.job("true", directory=job.directory)])
    assert "select[hname!='fakehost01']" in fake_lsf.calls("bsub")[-1].argv


def test_cancelling_what_cannot_be_reached_does_not_wait(make_bench: MakeBench, fake_lsf: FakeLsf) -> None:
    bench = make_bench()
    job = bench.job("sleep 100")
    bench.backend.submit([job])
    bench.report.until(lambda: bench.report.hosts)
    fake_lsf.inject("unreachable")

    bench.backend.cancel([job])

    assert bench.report.outcome(job).kind == "cancelled"
