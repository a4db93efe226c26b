"""The batch base over real Slurm daemons, without and with accounting: what the scheduler does to jobs is told."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from taskproc_slurm import Slurm, SlurmOptions
from taskproc_slurm.answers import LOG_CAUSES

from taskproc.plugin import BackendUnavailable, Job, SubmitUnknown
from tests.backends.batch_kit import Bench
from tests.clusters.slurm import ACCOUNT, SlurmCluster

MakeBench = Callable[..., Bench]


@pytest.fixture
def make_bench(breakable_slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeBench]:
    for name, value in breakable_slurm.env.items():
        monkeypatch.setenv(name, value)
    made: list[Bench] = []

    def make(timeout: float = 60.0, **options: Any) -> Bench:
        given = {"query_interval": 0.5, "latency_wait": 3.0, **options}
        made.append(Bench(tmp_path, Slurm(), SlurmOptions(**given), timeout, log_causes=LOG_CAUSES))
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
            _look_for(bench, jobs)
        jobs = [job for job in jobs if job.nonce not in {*bench.report.accepted_ids, *bench.report.outcomes}]


def _look_for(bench: Bench, jobs: list[Job]) -> None:
    refs = bench.refs([job for job in jobs if job.nonce in bench.shelf.refs])
    while True:
        try:
            bench.backend.adopt(refs)
        except BackendUnavailable:
            time.sleep(0.5)
        else:
            return


def test_an_array_with_successes_failures_and_a_crash(make_bench: MakeBench) -> None:
    bench = make_bench()
    fine, bad, crash = bench.job(), bench.job("exit 3"), bench.job("echo last words; kill -SEGV $PPID")

    bench.backend.submit([fine, bad, crash])

    assert bench.report.outcome(fine).exit_code == 0
    assert bench.report.outcome(bad).exit_code == 3
    outcome = bench.report.outcome(crash)
    assert (outcome.kind, outcome.signal) == ("ended", 11)
    assert "SIGSEGV" in outcome.reason
    assert "last words" in outcome.reason


def test_hundreds_of_jobs_are_one_array_and_few_questions(
    make_bench: MakeBench, breakable_slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(query_interval=2.0)
    jobs = bench.jobs(300)
    calls = count_calls(bench, monkeypatch)

    bench.backend.submit(jobs)
    began = time.monotonic()
    bench.report.until(lambda: len(bench.report.outcomes) == 300, 240)
    seconds = time.monotonic() - began

    assert {outcomes[0].exit_code for outcomes in bench.report.outcomes.values()} == {0}
    assert calls.count("sbatch") == 1
    assert calls.count("squeue") <= 2 + seconds / 2
    assert calls.count("sacct") + calls.count("scontrol") <= 3


def test_groups_are_put_into_elements(make_bench: MakeBench) -> None:
    bench = make_bench(group_size=50)
    jobs = bench.jobs(120, "test -n $SLURM_ARRAY_TASK_ID")

    bench.backend.submit(jobs)

    bench.report.until(lambda: len(bench.report.outcomes) == 120)
    assert len(set(bench.report.accepted_ids.values())) == 3


def test_the_end_is_noticed_without_a_question(make_bench: MakeBench) -> None:
    bench = make_bench(query_interval=30.0)
    job = bench.job(f"sleep 4; date +%s.%N > {bench.directory}/done")

    bench.backend.submit([job])
    bench.report.outcome(job)

    late = bench.report.times[job.nonce] - float((bench.directory / "done").read_text())
    assert late < bench.options.query_interval / 2


def test_options_arrive(make_bench: MakeBench) -> None:
    bench = make_bench(cpus=2, mem="100M", time="5", partition="gpu", gpus=1, setup="export FROM_SETUP=yes")
    job = bench.job('[ "$SLURM_CPUS_PER_TASK$SLURM_JOB_PARTITION$FROM_SETUP$SLURM_GPUS" = 2gpuyes1 ]')

    bench.backend.submit([job])

    assert bench.report.outcome(job).exit_code == 0


def test_an_array_limit_throttles(make_bench: MakeBench) -> None:
    bench = make_bench(array_limit=1)
    jobs = bench.jobs(3, "sleep 30")

    bench.backend.submit(jobs)
    bench.report.until(lambda: bench.report.reasons)

    assert {reason for reasons in bench.report.reasons.values() for reason in reasons} == {"JobArrayTaskLimit"}


def test_why_jobs_wait_is_told_in_slurms_words(make_bench: MakeBench) -> None:
    bench = make_bench(extra=("--hold",))
    job = bench.job()

    bench.backend.submit([job])
    bench.report.until(lambda: bench.report.reasons)

    assert bench.report.reasons[job.nonce][-1] in ("JobHeldUser", "JobHeldAdmin")


def test_a_running_job_is_reported_with_its_node(make_bench: MakeBench) -> None:
    bench = make_bench()
    job = bench.job("sleep 30")

    bench.backend.submit([job])
    bench.report.until(lambda: bench.report.hosts)

    assert bench.report.hosts[job.nonce] in ("n0", "n1", "n2")


def test_a_wrong_partition_is_refused_in_slurms_words(make_bench: MakeBench) -> None:
    bench = make_bench(partition="gpuu")
    job = bench.job()

    bench.backend.submit([job])

    outcome = bench.report.outcome(job)
    assert outcome.kind == "rejected"
    assert "Invalid partition name specified" in outcome.reason


def test_an_outer_jobs_variables_stay_out(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPU_BIND", "leaked")
    monkeypatch.setenv("SLURM_ARRAY_TASK_MAX", "77")
    monkeypatch.setenv("SQUEUE_STATES", "SUSPENDED")
    bench = make_bench()
    job = bench.held_job('[ "$SLURM_CPU_BIND" != leaked ] && [ "$SLURM_ARRAY_TASK_MAX" = 0 ]')

    bench.backend.submit([job])
    bench.report.until(lambda: bench.report.hosts)
    bench.release()

    assert bench.report.outcome(job).exit_code == 0


def test_a_whole_array_is_cancelled_at_once(
    make_bench: MakeBench, breakable_slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench()
    jobs = bench.jobs(100, "sleep 100")
    bench.backend.submit(jobs)
    calls = count_calls(bench, monkeypatch)

    bench.backend.cancel(jobs)

    assert {bench.report.outcome(job).kind for job in jobs} == {"cancelled"}
    assert calls.count("scancel") == 1
    breakable_slurm.wait_for_job(bench.report.accepted_ids[jobs[0].nonce].partition("_")[0], 20)


def test_a_job_cancelled_by_somebody_else_says_so(make_bench: MakeBench, breakable_slurm: SlurmCluster) -> None:
    bench = make_bench()
    job = bench.job("sleep 100")
    bench.backend.submit([job])
    bench.report.until(lambda: bench.report.hosts)

    breakable_slurm.run("scancel", bench.report.accepted_ids[job.nonce])

    outcome = bench.report.outcome(job)
    assert outcome.kind == "ended"
    assert "cancelled" in outcome.reason


def test_the_controller_stops_and_comes_back_in_the_middle(
    make_bench: MakeBench, breakable_slurm: SlurmCluster
) -> None:
    bench = make_bench()
    before = [bench.held_job("exit 2") for _ in range(3)]
    bench.backend.submit(before)
    bench.report.until(lambda: len(bench.report.hosts) == 3)

    breakable_slurm.stop_controller()
    bench.release()
    back = threading.Timer(5, breakable_slurm.start_controller)
    back.start()
    during = bench.jobs(2)
    submit_patiently(bench, during)

    assert [bench.report.outcome(job).exit_code for job in [*before, *during]] == [2, 2, 2, 0, 0]
    back.join()


def test_a_deaf_controller_takes_no_job_twice(make_bench: MakeBench, breakable_slurm: SlurmCluster) -> None:
    bench = make_bench(timeout=3.0)
    ran = bench.directory / "ran"
    job = bench.job(f"echo $SLURM_JOB_ID >> {ran}")

    breakable_slurm.pause_controller()
    back = threading.Timer(6, breakable_slurm.start_controller)
    back.start()
    submit_patiently(bench, [job])

    assert bench.report.outcome(job).exit_code == 0
    back.join()
    time.sleep(3)
    assert len(ran.read_text().splitlines()) == 1


def test_a_failed_node_is_not_the_tasks_fault_and_is_avoided(
    make_bench: MakeBench, breakable_slurm: SlurmCluster
) -> None:
    bench = make_bench()
    job = bench.job("sleep 100")
    bench.backend.submit([job])
    bench.report.until(lambda: bench.report.hosts)
    node = bench.report.hosts[job.nonce]

    breakable_slurm.kill_node(node)
    breakable_slurm.mark_down(node)

    outcome = bench.report.outcome(job)
    assert (outcome.kind, outcome.host) == ("lost", node)
    assert "NODE_FAIL" in outcome.reason
    again = bench.job("sleep 60", directory=job.directory)
    breakable_slurm.start_node(node)
    bench.backend.submit([again])
    bench.report.until(lambda: again.nonce in bench.report.hosts, 60)
    assert bench.report.hosts[again.nonce] != node


def test_a_purged_job_is_explained_by_its_end_mark(make_bench: MakeBench, breakable_slurm: SlurmCluster) -> None:
    first = make_bench(setup="echo no such module\nexit 9")
    job = first.job()
    first.backend.submit([job])
    ids = first.refs([job])
    first.backend.close(detach=True)
    breakable_slurm.wait_for_job(first.report.accepted_ids[job.nonce])
    breakable_slurm.stop_controller()
    for state in (breakable_slurm.directory / "state").glob("job_state*"):
        state.unlink()
    breakable_slurm.start_controller()

    second = make_bench()
    assert second.backend.adopt(ids) == []

    outcome = second.report.outcome(job)
    assert outcome.exit_code == 9
    assert "no such module" in outcome.reason


def test_the_next_driver_finds_by_name_what_was_never_noted(make_bench: MakeBench) -> None:
    first, second = make_bench(), make_bench()
    lives, ended, never = first.job("sleep 5; exit 4"), first.job("exit 3"), first.job()
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


def test_a_detached_job_lives_on(make_bench: MakeBench) -> None:
    bench = make_bench()
    mark = bench.directory / "lived"
    bench.backend.submit([bench.job(f"sleep 3; touch {mark}")])

    bench.backend.close(detach=True)

    deadline = time.monotonic() + 20
    while not mark.exists():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_preview_submits_nothing(make_bench: MakeBench, breakable_slurm: SlurmCluster) -> None:
    text = make_bench(mem="2G").backend.preview(make_bench().jobs(3))

    assert "sbatch --parsable --no-requeue --job-name=taskproc-preview --array=0-2" in text
    assert breakable_slurm.run("squeue", "--noheader") == ""


class TestWithAccounting:
    @pytest.fixture
    def breakable_slurm(self, slurm_accounting: SlurmCluster) -> Iterator[SlurmCluster]:
        yield slurm_accounting
        slurm_accounting.heal()

    def test_an_unknown_account_is_refused(self, make_bench: MakeBench) -> None:
        bench = make_bench(account="nobodys")
        job = bench.job()

        bench.backend.submit([job])

        assert "Invalid account" in bench.report.outcome(job).reason

    def test_a_memory_kill_is_told_with_what_was_asked_and_used(self, make_bench: MakeBench) -> None:
        bench = make_bench(mem="100M")
        eater = "python3 -c \"x = b'a' * (300 << 20); import time; time.sleep(20)\""
        job = bench.job(eater)

        bench.backend.submit([job])

        outcome = bench.report.outcome(job)
        assert outcome.kind == "ended"
        # What it had when Slurm looked lies between its limit and what it takes; the account may come without either.
        assert re.search(r"after exceeding its (100 MB of )?memory( \(it used [123]\d\d MB\))?;", outcome.reason)
        assert "ask for more with mem=" in outcome.reason

    def test_a_submission_limit_is_waited_out(self, make_bench: MakeBench, breakable_slurm: SlurmCluster) -> None:
        limit = ["sacctmgr", "--immediate", "modify", "account", ACCOUNT, "set"]
        breakable_slurm.run(*limit, "MaxSubmitJobs=4")
        try:
            bench = make_bench(account=ACCOUNT)
            jobs = bench.jobs(10, "sleep 1")
            submit_patiently(bench, jobs)
            assert [bench.report.outcome(job).exit_code for job in jobs] == [0] * 10
        finally:
            breakable_slurm.run(*limit, "MaxSubmitJobs=-1")

    def test_a_time_limit_is_named(
        self, make_bench: MakeBench, breakable_slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # A minute is the shortest that Slurm enforces, and it looks every half minute: let the first one be over.
        bench = make_bench(time="00:00:01")
        job = bench.job("sleep 200")

        bench.backend.submit([job])
        bench.report.until(lambda: bench.report.hosts)
        monkeypatch.setattr("taskproc_backends.batch.follower._ACCOUNT_SECONDS", 120.0)
        breakable_slurm.run("scontrol", "update", f"jobid={bench.report.accepted_ids[job.nonce]}", "endtime=now+1")

        outcome = bench.report.outcome(job, 150)
        assert "at its time limit of 0:01:00; ask for more with time=" in outcome.reason


def count_calls(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List the programs that a bench's backend calls from now on."""
    calls: list[str] = []
    runner = bench.backend._runner
    run = runner.run
    monkeypatch.setattr(runner, "run", lambda command: calls.append(command.argv[0]) or run(command))
    return calls
