"""What Slurm's commands write is read right, under chatter, cut short, and from every release that differs."""

from __future__ import annotations

import re

import pytest
from taskproc_backends.batch import Answer, JobState, NoRoom, Refused
from taskproc_slurm import answers

from taskproc.plugin import BackendUnavailable, SubmitUnknown

NOW = 1_700_000_000


@pytest.mark.parametrize(
    ("out", "id"),
    [
        pytest.param("123\n", "123", id="plain"),
        pytest.param("123;east\n", "123;east", id="another cluster"),
        pytest.param("Willkommen! 7 Tage bis zur Wartung\n\n123\n", "123", id="chatter before"),
        pytest.param("123\nVotre quota: 93 %\n", "123", id="chatter after"),
    ],
)
def test_the_job_id_is_found(out: str, id: str) -> None:
    assert answers.parse_submitted(Answer(0, out)) == id


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("sbatch: error: Batch job submission failed: Invalid partition name specified", Refused),
        ("sbatch: error: Batch job submission failed: Invalid account or account/partition combination", Refused),
        ("sbatch: error: Batch job submission failed: Requested node configuration is not available", Refused),
        ("sbatch: Fehler: Die Warteschlange gibt es nicht", Refused),
        ("sbatch: error: QOSMaxWallDurationPerJobLimit\nsbatch: error: Job violates accounting/QOS policy", Refused),
        ("sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Job violates accounting/QOS policy", NoRoom),
        ("sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Job violates accounting/QOS policy", NoRoom),
        ("sbatch: error: QOSGrpSubmitJobsLimit\nsbatch: error: Job violates accounting/QOS policy", NoRoom),
        ("sbatch: error: Batch job submission failed: MaxJobCount limit reached", NoRoom),
        ("sbatch: error: Unable to contact slurm controller (connect failure)", BackendUnavailable),
        ("sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying", BackendUnavailable),
        ("sbatch: fatal: Could not establish a configuration source", BackendUnavailable),
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", SubmitUnknown),
        ("sbatch: error: Unable to contact slurm controller (receive failure)", SubmitUnknown),
        ("sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received", SubmitUnknown),
        ("", SubmitUnknown),
    ],
)
def test_a_refusal_is_judged_by_its_words(words: str, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        answers.parse_submitted(Answer(1, "", words))
    assert type(caught.value) is error
    assert not words or words.splitlines()[0] in str(caught.value)


def test_success_without_an_id_may_have_been_taken() -> None:
    with pytest.raises(SubmitUnknown, match="thank you"):
        answers.parse_submitted(Answer(0, "thank you\n"))


def test_the_queue_is_read_line_by_line() -> None:
    out = (
        "CLUSTER: east\n"
        f"123_[4-6%2]|r1-a|PENDING|{NOW}||JobArrayTaskLimit\n"
        f"123_2|r1-a|RUNNING|{NOW}|n0|None\n"
        f"124|solo|COMPLETING|{NOW}|n[1-2]|None\n"
        "not a line of ours | at all\n"
    )
    states = answers.parse_queue(Answer(0, out))

    found = [(s.id, s.element, s.phase, s.reason, s.host) for s in states]
    assert found == [
        ("123", 4, "waiting", "JobArrayTaskLimit", ""),
        ("123", 5, "waiting", "JobArrayTaskLimit", ""),
        ("123", 6, "waiting", "JobArrayTaskLimit", ""),
        ("123", 2, "running", "", "n0"),
        ("124", None, "running", "", "n[1-2]"),
    ]
    assert {s.submitted for s in states} == {NOW}


@pytest.mark.parametrize(
    ("expression", "elements"),
    [
        ("4-9%2", [4, 5, 6, 7, 8, 9]),
        ("1,3,5-7", [1, 3, 5, 6, 7]),
        ("0-8:4", [0, 4, 8]),
        ("1,3,...", [1, 3, None]),
    ],
)
def test_array_expressions_are_expanded(expression: str, elements: list[int | None]) -> None:
    (line,) = [f"9_[{expression}]|n|PENDING|{NOW}||Priority"]

    assert [state.element for state in answers.parse_queue(Answer(0, line))] == elements


def test_a_state_nobody_knows_is_followed_on() -> None:
    (state,) = answers.parse_queue(Answer(0, f"9_1|n|TELEPORTING|{NOW}||None"))

    assert state.phase == "unknown"


def test_a_reason_may_hold_anything() -> None:
    line = f"9_1|n|PENDING|{NOW}||ReqNodeNotAvail, UnavailableNodes:n[1-3]|x"
    (state,) = answers.parse_queue(Answer(0, line))

    assert state.reason == "ReqNodeNotAvail, UnavailableNodes:n[1-3]|x"


def test_another_clusters_jobs_keep_its_name() -> None:
    (state,) = answers.parse_queue(Answer(0, f"9_1|n|RUNNING|{NOW}|n1|None"), "east")

    assert state.id == "9;east"


@pytest.mark.parametrize("parse", [answers.parse_queue, answers.parse_account, answers.parse_jobs])
def test_a_failed_question_is_no_answer(parse: answers.Parser) -> None:
    with pytest.raises(BackendUnavailable, match="Unable to contact"):
        parse(Answer(1, "", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"))


def test_a_job_that_scontrol_no_longer_knows_is_an_answer() -> None:
    assert answers.parse_jobs(Answer(1, "", "slurm_load_jobs error: Invalid job id specified")) == []


ACCOUNT = f"""\
1_0|r1-a|FAILED|3:0|n0|{NOW}|200M||1|2|4
1_0.batch|batch|FAILED|3:0|n0|{NOW}||1K||2|4
1_2|r1-a|FAILED|0:9|n0|{NOW}|200M||1|2|4
1_2.batch|batch|CANCELLED by 0|0:9|n0|{NOW}||323720K||2|4
1_3|r1-a|TIMEOUT|0:0|n0|{NOW}|2Gc||90|5400|4
1_5|r1-a|NODE_FAIL|1:0|n4|{NOW}|2Gn||90|12|4
1_7|r1-a|CANCELLED by 1000|0:0|None assigned|{NOW}|200M|||4|4
1_[8-9]|r1-a|PENDING|0:0|None assigned|{NOW}|200M|||0|4
1_10|r1-a|OUT_OF_MEMORY|0:125|n0|{NOW}|200M||1|2|4
"""


def test_the_account_is_read_with_what_the_steps_used() -> None:
    states = {s.element: s for s in answers.parse_account(Answer(0, ACCOUNT))}

    assert {s.id for s in states.values()} == {"1"}
    assert (states[0].phase, states[0].exit_code, states[0].signal) == ("ended", 3, None)
    assert (states[2].exit_code, states[2].signal) == (None, 9)
    assert (states[2].memory_asked, states[2].memory_used) == (200 << 20, 323720 << 10)
    assert (states[3].cause, states[3].time_asked, states[3].memory_asked) == ("time", 5400, 8 << 30)
    assert (states[5].cause, states[5].host, states[5].memory_asked) == ("node", "n4", 2 << 30)
    assert (states[7].cause, states[7].word, states[7].host) == ("cancelled", "CANCELLED by 1000", "")
    assert {states[8].phase, states[9].phase} == {"waiting"}
    assert states[10].cause == "memory"


def test_an_end_whose_steps_are_not_recorded_yet_is_asked_for_again() -> None:
    early = f"1_2|r1-a|FAILED|0:9|n0|{NOW}|200M||1|2|4\n1_2.batch|batch|RUNNING|0:0|n0|{NOW}||||2|4"

    (state,) = answers.parse_account(Answer(0, early))

    assert state.phase == "unknown"


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        ("slurmstepd-n0: error: StepId=4.batch exceeded memory limit (331489280 > 209715200), being killed", "memory"),
        ("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=4.batch.", "memory"),
        ("slurmstepd: error: *** JOB 5 ON n0 CANCELLED AT 2026-11-23T01:13:18 DUE TO TIME LIMIT ***", "time"),
        ("slurmstepd: error: *** JOB 5 ON n0 CANCELLED AT 2026-11-23T01:13:18 DUE TO PREEMPTION ***", "preempted"),
        ("slurmstepd: error: *** JOB 5 ON n0 CANCELLED AT 2026-11-23T01:13:18 ***", ""),
        (
            "slurmstepd-n1: error: execve(): /var/spool/slurmd/n1/job03842/slurm_script: No such file or directory",
            "node",
        ),
        ("slurmstepd-n1: error: execve(): /home/me/tool: No such file or directory", ""),
        ("my program ran out of memory", ""),
    ],
)
def test_what_slurm_writes_into_a_log_tells_the_cause(log: str, cause: str) -> None:
    found = [cause for pattern, cause in answers.LOG_CAUSES if re.search(pattern, log)]

    assert found == ([cause] if cause else [])


def test_scontrols_jobs_are_read_and_a_comment_cannot_lie() -> None:
    line = (
        "JobId=4 ArrayJobId=1 ArrayTaskId=1 JobName=r1-a UserId=root(0) JobState=FAILED Reason=NonZeroExitCode"
        f" ExitCode=3:0 SubmitTime={NOW} NodeList=n1 BatchHost=n1 Comment=JobState=COMPLETED JobState=COMPLETED"
    )
    pending = "JobId=1 ArrayJobId=1 ArrayTaskId=4-5%2 JobName=r1-a JobState=PENDING Reason=Priority NodeList=(null)"

    states = answers.parse_jobs(Answer(0, f"{line}\n{pending}\n"))

    assert states[0] == JobState(
        "1", 1, "ended", "FAILED", "r1-a", "NonZeroExitCode", host="n1", exit_code=3, submitted=NOW
    )
    assert [(s.element, s.phase, s.host) for s in states[1:]] == [(4, "waiting", ""), (5, "waiting", "")]


def test_local_times_are_understood_where_the_format_is_not() -> None:
    (state,) = answers.parse_queue(Answer(0, "9_1|n|RUNNING|2024-05-01T10:00:00|n1|None"))

    assert state.submitted is not None


@pytest.mark.parametrize(
    ("kind", "accounting"),
    [
        ("accounting_storage/none", False),
        ("(null)", False),
        ("accounting_storage/slurmdbd", True),
    ],
)
def test_accounting_is_known_from_the_configuration(kind: str, accounting: bool) -> None:
    limits = answers.parse_config(f"MaxArraySize = 4001\nAccountingStorageType = {kind}\n")

    assert (limits.max_array, limits.accounting) == (4001, accounting)
