"""The batch base keeps its promises over a scheduler that breaks on demand (a stand-in that really runs jobs)."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import Any

import pytest
from taskproc_backends.batch import Lookup

from taskproc.plugin import BackendUnavailable, SubmitUnknown
from tests.backends.batch_kit import MakeBench
from tests.backends.standin_scheduler import StandIn
from tests.support import wait_for


def test_ready_jobs_go_out_as_one_array(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench()
    jobs = bench.jobs(10)

    bench.backend.submit(jobs)

    assert [bench.report.outcome(job).exit_code for job in jobs] == [0] * 10
    assert len(site.calls("submit")) == 1
    assert [bench.report.accepted_ids[job.nonce] for job in jobs] == [f"1.{i}" for i in range(10)]


def test_arrays_are_cut_at_the_sites_limit(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench(StandIn(site.site, max_array=4))

    bench.backend.submit(bench.jobs(10))

    assert [call[1] for call in site.calls("submit")] == ["4", "4", "2"]


def test_indices_may_start_at_one(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench(StandIn(site.site, first=1))
    job = bench.job("exit 3")

    bench.backend.submit([job])

    assert "element=${STANDIN_INDEX:-1}" in (bench.shelf.sets[0] / "job.sh").read_text()


def test_a_group_runs_in_one_element_and_each_job_is_reported(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench(group_size=4)
    jobs = [bench.job(f"exit {code}") for code in (0, 1, 0, 2, 0)]

    bench.backend.submit(jobs)

    assert [bench.report.outcome(job).exit_code for job in jobs] == [0, 1, 0, 2, 0]
    assert [call[1] for call in site.calls("submit")] == ["2"]


def test_automatic_groups_hold_a_minute_of_known_work(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench(group_size="auto")
    short, unknown = bench.jobs(90, expected=1.0), bench.jobs(2)

    bench.backend.submit([*short, *unknown])

    assert [call[1] for call in site.calls("submit")] == ["4"]


def test_the_end_of_a_task_is_noticed_without_a_question(make_bench: MakeBench) -> None:
    bench = make_bench(query_interval=30.0)
    job = bench.job(f"sleep 3; date +%s.%N > {bench.directory}/done")

    bench.backend.submit([job])
    bench.report.outcome(job)

    late = bench.report.times[job.nonce] - float((bench.directory / "done").read_text())
    assert late < bench.options.query_interval / 2


def test_questions_do_not_grow_with_the_number_of_jobs(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench(StandIn(site.site, max_array=20), query_interval=0.5)

    began = time.monotonic()
    bench.backend.submit(bench.jobs(60, "sleep 60"))
    wait_for(lambda: len(site.calls("queue")) >= 4, "fourth question", 60)

    assert len(site.calls("queue")) <= 2 + (time.monotonic() - began) / 0.5
    assert len(site.calls("account")) <= 1


def test_why_jobs_wait_is_told_once_in_the_schedulers_words(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench()
    site.fault("hold")
    jobs = bench.jobs(2)

    bench.backend.submit(jobs)
    bench.report.until(lambda: len(bench.report.reasons) == 2)
    time.sleep(0.5)

    assert [bench.report.reasons[job.nonce] for job in jobs] == [["Resources"], ["Resources"]]


def test_a_running_job_is_reported_with_its_host(make_bench: MakeBench) -> None:
    bench = make_bench()
    job = bench.job("sleep 60")

    bench.backend.submit([job])
    bench.report.until(lambda: bench.report.hosts)

    assert bench.report.hosts == {job.nonce: "h1"}


def test_a_job_that_is_not_visible_yet_is_not_done(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench(latency_wait=5.0)
    site.fault("hide")
    site.fault("forget")
    job = bench.job("sleep 2; exit 4")

    bench.backend.submit([job])

    assert bench.report.outcome(job).exit_code == 4


def test_a_job_that_vanished_without_a_trace_is_lost(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench()
    site.fault("hold")
    job = bench.job()
    bench.backend.submit([job])

    site.fault("hide")
    site.fault("forget")

    outcome = bench.report.outcome(job)
    assert outcome.kind == "lost"
    assert "no longer knows it" in outcome.reason


def test_an_end_without_a_mark_is_told_by_the_schedulers_account(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench()
    site.fault("hold")
    job = bench.job()
    bench.backend.submit([job])

    site.say("1", 0, phase="ended", cause="memory", host="n3", memory_asked=2 << 30, memory_used=9 << 28)

    outcome = bench.report.outcome(job)
    assert outcome.kind == "ended"
    assert "killed on n3 after exceeding its 2 GB of memory (it used 2.25 GB); ask for more with mem=" in outcome.reason


def test_a_killed_job_waits_for_the_schedulers_words(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench()
    job = bench.job("echo spoke >&2; kill -9 $PPID")

    bench.backend.submit([job])

    outcome = bench.report.outcome(job)
    assert (outcome.kind, outcome.signal, outcome.host) == ("ended", 9, "h1")
    assert "killed by SIGKILL on h1" in outcome.reason
    assert "spoke" in outcome.reason


def test_a_failing_setup_is_told_with_the_end_of_its_log(make_bench: MakeBench) -> None:
    bench = make_bench(setup="echo no such module: cuda\nexit 7")
    job = bench.job()

    bench.backend.submit([job])

    outcome = bench.report.outcome(job)
    assert outcome.exit_code == 7
    assert "no such module: cuda" in outcome.reason


def test_the_hosts_that_failed_a_task_are_avoided_by_its_next_attempt(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench()
    site.fault("hold")
    first, other = bench.job(), bench.job()
    bench.backend.submit([first])
    site.say("1", 0, phase="ended", cause="node", host="n7")
    assert bench.report.outcome(first).kind == "lost"

    again = bench.job(directory=first.directory)
    bench.backend.submit([again, other])

    assert [call[4:] for call in site.calls("submit")] == [[], ["n7"], []]


def test_preemption_is_not_held_against_the_host(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench()
    site.fault("hold")
    job = bench.job()
    bench.backend.submit([job])

    site.say("1", 0, phase="ended", cause="preempted", host="n7")

    assert bench.report.outcome(job).kind == "lost"
    bench.backend.submit([bench.job(directory=job.directory)])
    assert site.calls("submit")[1][4:] == []


def test_a_refusal_is_for_good_and_in_the_schedulers_words(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench()
    site.fault("refuse", "no partition called gpuu")
    job = bench.job()

    bench.backend.submit([job])

    outcome = bench.report.outcome(job)
    assert (outcome.kind, outcome.reason) == ("rejected", "no partition called gpuu")


def test_a_missing_client_is_told(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench(StandIn(site.site, client="no-such-sbatch"))
    job = bench.job()

    bench.backend.submit([job])

    assert "no no-such-sbatch on PATH" in bench.report.outcome(job).reason


def test_while_the_daemon_is_down_nothing_is_taken_and_nothing_changes(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench()
    running = bench.job("sleep 2")
    bench.backend.submit([running])
    site.fault("down")
    waiting = bench.jobs(3)

    with pytest.raises(BackendUnavailable):
        bench.backend.submit(waiting)
    with pytest.raises(BackendUnavailable):
        bench.backend.submit(waiting)

    assert len(bench.shelf.sets) == 2
    assert bench.report.outcome(running).exit_code == 0
    site.mend("down")
    bench.backend.submit(waiting)
    assert [bench.report.outcome(job).exit_code for job in waiting] == [0, 0, 0]


def test_a_hanging_question_does_not_hold_up_the_end_marks(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench()
    site.fault("hang")
    job = bench.job("sleep 1")

    bench.backend.submit([job])

    assert bench.report.outcome(job, seconds=30).exit_code == 0  # half of the time that a question may take


def test_a_limit_on_jobs_is_waited_out(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench()
    site.fault("limit", "3")
    site.fault("hold")
    jobs = bench.jobs(8)

    with pytest.raises(BackendUnavailable, match="TooManyJobs"):
        bench.backend.submit(jobs)
    taken = [job for job in jobs if job.nonce in bench.report.accepted_ids]
    assert len(taken) == 3

    for job in taken:
        id, _, element = bench.report.accepted_ids[job.nonce].partition(".")
        site.say(id, int(element), phase="ended", exit_code=0)
    for job in taken:
        bench.report.outcome(job)
    with pytest.raises(BackendUnavailable):
        bench.backend.submit([job for job in jobs if job not in taken])
    assert len(bench.report.accepted_ids) == 6


def test_max_submitted_bounds_what_is_in_the_queue(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench(max_submitted=2)

    with pytest.raises(BackendUnavailable, match="max_submitted=2"):
        bench.backend.submit(bench.jobs(5, "sleep 5"))

    assert [call[1] for call in site.calls("submit")] == ["2"]
    assert bench.backend.capabilities.window == 2


def test_a_submission_whose_answer_was_lost_is_found_by_its_name(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench(timeout=5.0)
    site.fault("lose-answer")
    jobs = bench.jobs(3)

    with pytest.raises(SubmitUnknown):
        bench.backend.submit(jobs)
    never = bench.backend.adopt(bench.refs(jobs))

    assert never == []
    assert [bench.report.outcome(job).exit_code for job in jobs] == [0, 0, 0]
    assert len(site.calls("submit")) == 1


def test_the_next_driver_follows_what_lives_and_harvests_what_ended(make_bench: MakeBench, site: StandIn) -> None:
    first = make_bench()
    ended, lives, vanished = first.job("exit 3"), first.held_job("exit 5"), first.job("sleep 60")
    first.backend.submit([ended, lives, vanished])
    first.report.until(lambda: {lives.nonce, vanished.nonce} <= set(first.report.hosts))
    first.backend.close(detach=True)
    site.say("1", 2, phase="ended", cause="node", host="n1")

    second = make_bench()
    never = second.backend.adopt(first.refs([ended, lives, vanished]))

    assert never == []
    assert second.report.outcome(ended).exit_code == 3
    assert second.report.outcome(vanished, 90).kind == "lost"
    first.release()
    assert second.report.outcome(lives).exit_code == 5


def test_what_was_staged_and_never_submitted_was_never_taken(make_bench: MakeBench) -> None:
    first = make_bench()
    jobs = first.jobs(3)
    first.shelf.stage([[job] for job in jobs])

    assert make_bench().backend.adopt(first.refs(jobs)) == jobs


def test_a_submission_that_lands_late_is_found(make_bench: MakeBench, site: StandIn) -> None:
    first, second = make_bench(), make_bench()
    job = first.job("sleep 1; exit 6")
    site.fault("hide")
    site.fault("forget")
    first.backend.submit([job])
    (first.shelf.sets[0] / "id").unlink()
    first.report.accepted_ids.clear()
    first.backend.close(detach=True)
    mend = threading.Timer(2.0, lambda: (site.mend("hide"), site.mend("forget")))
    mend.start()

    assert second.backend.adopt(first.refs([job])) == []
    assert second.report.outcome(job).exit_code == 6
    mend.join()


def test_nobody_is_sorted_while_the_scheduler_is_silent(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench(timeout=5.0)
    site.fault("lose-answer")
    jobs = bench.jobs(2)
    with pytest.raises(SubmitUnknown):
        bench.backend.submit(jobs)
    site.fault("down")
    back = threading.Timer(3.0, lambda: site.mend("down"))
    back.start()

    assert bench.backend.adopt(bench.refs(jobs)) == []

    assert [bench.report.outcome(job).exit_code for job in jobs] == [0, 0]
    back.join()


def test_a_whole_array_is_cancelled_by_one_call(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench()
    jobs = bench.jobs(20, "sleep 60")
    bench.backend.submit(jobs)

    bench.backend.cancel(jobs)

    assert {bench.report.outcome(job).kind for job in jobs} == {"cancelled"}
    assert len(site.calls("cancel")) == 1
    assert site.calls("cancel")[0][0].endswith('"1", null]')


def test_part_of_an_array_is_cancelled_by_its_elements(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench()
    jobs = [bench.held_job() for _ in range(4)]
    bench.backend.submit(jobs)

    bench.backend.cancel(jobs[1:3])
    bench.release()

    assert site.calls("cancel")[0][0].endswith('"1", [1, 2]]')
    assert [bench.report.outcome(job).kind for job in jobs] == ["ended", "cancelled", "cancelled", "ended"]


def test_detached_jobs_live_on(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench()
    bench.backend.submit([bench.job("sleep 2")])

    bench.backend.close(detach=True)

    assert site.calls("cancel") == []


def test_closing_ends_what_is_left_and_does_not_wait_for_a_silent_scheduler(
    make_bench: MakeBench, site: StandIn
) -> None:
    bench = make_bench()
    bench.backend.submit([bench.job("sleep 60")])
    site.fault("down")
    began = time.monotonic()

    bench.backend.close(detach=False)

    assert time.monotonic() - began < 30  # half of the time that a question may take


def test_a_preview_shows_the_call_and_the_script_and_submits_nothing(make_bench: MakeBench, site: StandIn) -> None:
    bench = make_bench(setup="module load cuda", extra=("--flag=x",))

    text = bench.backend.preview(bench.jobs(3))

    assert "submit taskproc-preview 3" in text
    assert "--flag=x" in text
    assert "module load cuda" in text
    assert (bench.shelf.sets, site.calls("submit")) == ([], [])


def test_an_outer_jobs_variables_stay_out(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_OUTER", "leaked")
    bench = make_bench()
    job = bench.job('[ -z "$STANDIN_OUTER" ]')

    bench.backend.submit([job])

    assert bench.report.outcome(job).exit_code == 0


def test_a_payload_that_cannot_be_made_spoils_its_own_job_alone(make_bench: MakeBench) -> None:
    bench = make_bench()
    fine, spoilt = bench.job(), dataclasses.replace(bench.job(), payload=lambda: 1 / 0)

    bench.backend.submit([fine, spoilt])

    assert bench.report.outcome(fine).exit_code == 0
    outcome = bench.report.outcome(spoilt)
    assert (outcome.kind, outcome.reason) == ("rejected", "ZeroDivisionError: division by zero")


def test_an_answer_that_its_reader_trips_over_ends_no_job(make_bench: MakeBench, site: StandIn) -> None:
    stumbles = iter([True, True])

    class Stumbling(StandIn):
        def submitted(self, answer: Any) -> str:
            raise ValueError("invalid literal for int()")

        def queue(self, sets: Any) -> list[Lookup]:
            read = {"read": lambda answer: 1 // 0} if next(stumbles, False) else {}
            return [dataclasses.replace(one, **read) for one in super().queue(sets)]

    bench = make_bench(Stumbling(site.site))
    jobs = bench.jobs(2)

    with pytest.raises(SubmitUnknown, match=r"cannot be read: ValueError: invalid literal"):
        bench.backend.submit(jobs)
    assert bench.backend.adopt(bench.refs(jobs)) == []

    assert [bench.report.outcome(job).exit_code for job in jobs] == [0, 0]
