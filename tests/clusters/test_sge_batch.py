"""The profile `sge` on a real Grid Engine: arrays, ends of every kind, cancelling, adoption, refusals."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from taskproc_backends.shell import Shell, ShellOptions, prologue
from taskproc_backends.templates import load

from taskproc.plugin import BackendUnavailable, Job, SubmitUnknown
from tests.backends.batch_kit import Bench
from tests.clusters.sge import QUEUE, SgeCluster

MakeBench = Callable[..., Bench]


@pytest.fixture
def make_bench(breakable_sge: SgeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeBench]:
    for name, value in breakable_sge.env.items():
        monkeypatch.setenv(name, value)
    made: list[Bench] = []

    def make(timeout: float = 30.0, **options: Any) -> Bench:
        given = {"query_interval": 0.5, "latency_wait": 4.0, **options}
        scheduler = Shell("sge", load("sge"))
        made.append(Bench(tmp_path, scheduler, ShellOptions(**given), timeout, prologue=partial(prologue, 1)))
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
            time.sleep(0.5)
        except SubmitUnknown:
            refs = bench.refs([job for job in jobs if job.nonce in bench.shelf.refs])
            never = bench.backend.adopt(refs)
            bench.report.accepted_ids.update({job.nonce: "found" for job, _ in refs if job not in never})
        jobs = [job for job in jobs if job.nonce not in {*bench.report.accepted_ids, *bench.report.outcomes}]


def test_an_array_with_successes_failures_and_a_crash(make_bench: MakeBench) -> None:
    bench = make_bench()
    fine, bad, crash = bench.job(), bench.job("exit 3"), bench.job("echo last words; kill -SEGV $PPID")

    bench.backend.submit([fine, bad, crash])

    assert bench.report.outcome(fine).exit_code == 0
    assert bench.report.outcome(bad).exit_code == 3
    outcome = bench.report.outcome(crash)
    assert (outcome.kind, outcome.signal) == ("ended", 11)
    assert "last words" in outcome.reason


def test_hundreds_of_jobs_are_one_array_and_few_questions(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(query_interval=2.0)
    jobs = bench.jobs(300)
    calls = count_calls(bench, monkeypatch)

    began = time.monotonic()
    bench.backend.submit(jobs)
    bench.report.until(lambda: len(bench.report.outcomes) == 300, 200)

    assert {outcomes[0].exit_code for outcomes in bench.report.outcomes.values()} == {0}
    assert calls.count("qsub") == 1
    assert calls.count("qstat") <= 2 + (time.monotonic() - began) / 2


def test_what_runs_and_what_waits_is_known(make_bench: MakeBench) -> None:
    bench = make_bench(array_limit=2)
    jobs = bench.jobs(5, "sleep 30")
    bench.backend.submit(jobs)

    bench.report.until(lambda: len(bench.report.hosts) == 2)

    time.sleep(3)
    assert len(bench.report.hosts) == 2
    assert all(bench.report.hosts.values())


def test_options_arrive(make_bench: MakeBench) -> None:
    bench = make_bench(cpus=2, mem="2G", time="5", queue=QUEUE, gpus=1)
    job = bench.job('[ "$NSLOTS" = 2 ] && [ "$(ulimit -v)" -ge 2000000 ]')

    bench.backend.submit([job])

    assert bench.report.outcome(job).exit_code == 0


def test_output_is_there_while_the_job_runs(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.backend.submit([bench.job("echo first; echo problems >&2; sleep 30")])
    bench.report.until(lambda: bench.report.hosts)

    log = bench.shelf.sets[0] / "log" / "1.txt"
    assert log.read_text() == "first\nproblems\n"


def test_a_whole_array_is_cancelled_at_once(
    make_bench: MakeBench, breakable_sge: SgeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench()
    # An element that Grid Engine is just handing to its host misses the signal, and ends by itself.
    jobs = bench.jobs(60, "sleep 60")
    bench.backend.submit(jobs)
    bench.report.until(lambda: len(bench.report.hosts) >= 20)
    calls = count_calls(bench, monkeypatch)

    bench.backend.cancel(jobs)

    assert {bench.report.outcome(job).kind for job in jobs} == {"cancelled"}
    assert calls.count("qdel") == 1
    breakable_sge.wait_for_job(bench.report.accepted_ids[jobs[0].nonce].partition(".")[0], 100)


def test_some_elements_are_cancelled_and_others_go_on(make_bench: MakeBench) -> None:
    bench = make_bench()
    doomed, spared = bench.jobs(2, "sleep 100"), bench.held_job("exit 5")
    bench.backend.submit([*doomed, spared])
    bench.report.until(lambda: len(bench.report.hosts) == 3)

    bench.backend.cancel(doomed)
    bench.release()

    assert bench.report.outcome(doomed[0]).kind == "cancelled"
    assert bench.report.outcome(spared).exit_code == 5


def test_a_job_killed_outright_is_explained_by_the_account(make_bench: MakeBench, breakable_sge: SgeCluster) -> None:
    bench = make_bench()
    job = bench.job("sleep 100")
    bench.backend.submit([job])
    bench.report.until(lambda: bench.report.hosts)

    breakable_sge.run("qdel", bench.report.accepted_ids[job.nonce].partition(".")[0])

    outcome = bench.report.outcome(job)
    assert (outcome.kind, outcome.signal) == ("ended", 9)


def test_a_time_limit_is_named(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskproc_backends.batch.follower._ACCOUNT_SECONDS", 120.0)
    bench = make_bench(time="2s")
    job = bench.job("sleep 100")

    bench.backend.submit([job])

    assert "time limit" in bench.report.outcome(job).reason


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"queue": "nosuch"}, 'unknown queue "nosuch"'),
        ({"extra": ("-l", "nosuch=1")}, 'unknown resource "nosuch"'),
        ({"cpus": 2, "extra": ("-pe", "nosuch", "2")}, "parallel environment"),
    ],
)
def test_a_refusal_is_told_in_grid_engines_words(make_bench: MakeBench, options: dict[str, Any], words: str) -> None:
    bench = make_bench(**options)
    job = bench.job()

    bench.backend.submit([job])

    outcome = bench.report.outcome(job)
    assert outcome.kind == "rejected"
    assert words in outcome.reason


def test_the_qmaster_stops_and_comes_back_in_the_middle(make_bench: MakeBench, breakable_sge: SgeCluster) -> None:
    bench = make_bench()
    before = [bench.held_job("exit 2") for _ in range(2)]
    bench.backend.submit(before)
    bench.report.until(lambda: len(bench.report.hosts) == 2)

    breakable_sge.kill_controller()
    bench.release()
    back = threading.Timer(4, breakable_sge.start_controller)
    back.start()
    during = bench.jobs(2)
    submit_patiently(bench, during)

    assert [bench.report.outcome(job).exit_code for job in [*before, *during]] == [2, 2, 0, 0]
    back.join()


def test_the_next_driver_finds_by_name_what_was_never_noted(make_bench: MakeBench) -> None:
    first, second = make_bench(), make_bench()
    lives, ended, never = first.job("sleep 6; exit 4"), first.job("exit 3"), first.job()
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


def count_calls(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List the programs that a bench's backend calls from now on."""
    calls: list[str] = []
    runner = bench.backend._runner
    run = runner.run
    monkeypatch.setattr(runner, "run", lambda command: calls.append(command.argv[0]) or run(command))
    return calls
