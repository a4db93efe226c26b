"""What LSF's commands write is read right, under chatter, cut short, and from every release that differs.

The golden files follow IBM's pages; see their README.
"""
from __future__ import annotations

from pathlib import Path

import pytest
from taskproc_backends.batch import Answer, JobState, NoRoom, Refused
from taskproc_lsf import answers
from taskproc_lsf.history import parse_history

import tests.fakes
from taskproc.plugin import BackendUnavailable, SubmitUnknown

GOLDEN = Path(next(iter(tests.fakes.__path__))) / "golden"
JSON_MANY, JSON_FEW, COLUMNS_MANY, COLUMNS_FEW, TABLE = range(5)


def golden(name: str) -> str:
    return (GOLDEN / f"{name}.txt").read_text()


def columns(dialect: int, *rows: dict[str, str]) -> Answer:
    """Write jobs as bjobs does in a dialect of columns, with its header."""
    names = answers.DIALECTS[dialect].columns
    lines = ["|".join(name.upper() for name in names)]
    lines += ["|".join({"jobid": "7", "jobindex": "1", **row}.get(name, "-") for name in names) for row in rows]
    return Answer(0, "\n".join(lines) + "\n")


def brief(state: JobState) -> tuple[object, ...]:
    return (state.id, state.element, state.word, state.exit_code, state.signal)


# bsub


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("bsub.10.1", "1234"),
        ("bsub-default.10.1", "1235"),
        ("bsub-chatter.10.1", "1236"),
        ("bsub-threshold.10.1", "1237"),
    ],
)
@pytest.mark.parametrize("stream", ["out", "err"])
def test_the_job_id_is_found_on_either_stream(name: str, id: str, stream: str) -> None:
    assert answers.parse_submitted(Answer(0, **{stream: golden(name)})) == id


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (golden("bsub-refused.10.1"), Refused),
        ("Queue <night>: Queue has been closed. Job not submitted.", Refused),
        ("Bad resource requirement syntax. Job not submitted.", Refused),
        ("Request aborted by esub. Job not submitted.", Refused),
        ("User <ada>: Pending job threshold reached. Job not submitted.", NoRoom),
        ("User <ada>: Pending job slots threshold reached. Job not submitted.", NoRoom),
        ("The destination queue has reached its job limit. Job not submitted.", NoRoom),
        ("Job array index too large. Job not submitted.", NoRoom),
        ("LSF is down. Please wait ...", BackendUnavailable),
        ("Failed in an LSF library call: Master LIM is down; try later. Job not submitted.", BackendUnavailable),
        ("batch daemon not responding ... still trying", BackendUnavailable),
        ("Connection refused by server. Job not submitted.", BackendUnavailable),
        ("Contacting batch daemon: Communication timeout. Job not submitted.", SubmitUnknown),
        ("Failed in an LSF library call: Communication time out. Job not submitted.", SubmitUnknown),
        ("", SubmitUnknown),
    ],
)
def test_a_refusal_is_judged_by_its_words(words: str, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        answers.parse_submitted(Answer(255, "", words))
    assert type(caught.value) is error
    assert words.strip() in str(caught.value)


def test_success_without_an_id_may_have_been_taken() -> None:
    with pytest.raises(SubmitUnknown, match="thank you"):
        answers.parse_submitted(Answer(0, "thank you\n"))


# bjobs


def test_json_is_read_by_its_names() -> None:
    states = answers.parse_jobs(Answer(0, golden("bjobs-json.10.1")), JSON_MANY)

    assert [brief(state) for state in states] == [
        ("1235", 0, "DONE", 0, None),
        ("1235", 1, "EXIT", None, 12),
        ("1236", None, "PEND", None, None),
    ]
    assert states[1].cause == "time"


def test_chatter_before_json_is_skipped() -> None:
    states = answers.parse_jobs(Answer(0, "Welcome to night!\n" + golden("bjobs-json.10.1")), JSON_MANY)

    assert len(states) == 3


def test_a_job_that_json_does_not_find_is_an_answer() -> None:
    assert answers.parse_jobs(Answer(255, golden("bjobs-json-missing.10.1")), JSON_MANY) == []


def test_trouble_told_in_json_is_no_answer() -> None:
    told = '{"COMMAND":"bjobs","JOBS":1,"RECORDS":[{"JOBID":"9","ERROR":"Contacting batch daemon: timeout"}]}'

    with pytest.raises(BackendUnavailable, match="timeout"):
        answers.parse_jobs(Answer(255, told), JSON_MANY)


def test_json_that_is_none_is_asked_for_in_columns() -> None:
    with pytest.raises(answers.NotSpoken) as caught:
        answers.parse_jobs(Answer(0, '{"COMMAND":"bjobs", cut'), JSON_MANY)

    assert caught.value.instead == COLUMNS_MANY


def test_columns_are_read_with_blanks_in_their_values() -> None:
    oom = {
        "jobindex": "3",
        "stat": "EXIT",
        "exit_code": "137",
        "exec_host": "4*node17",
        "memlimit": "2 G",
        "max_mem": "2048 Mbytes",
        "runtimelimit": "60.0",
        "job_name": "r1-a[3]",
        "exit_reason": "TERM_MEMLIMIT: job killed after reaching LSF memory usage limit",
        "submit_time": "Mar  3 16:46",
    }
    why = "Job slot limit reached: 3 hosts;  x|y;"
    waits = {"jobindex": "4", "stat": "PEND", "job_name": "r1-a[4]", "pend_reason": why}

    ended, pending = answers.parse_jobs(columns(COLUMNS_MANY, oom, waits), COLUMNS_MANY)

    assert brief(ended) == ("7", 2, "EXIT", None, 9)
    assert (ended.cause, ended.host, ended.name) == ("memory", "node17", "r1-a")
    assert (ended.memory_asked, ended.memory_used, ended.time_asked) == (2 << 30, 2 << 30, 3600)
    assert ended.submitted is not None
    assert (pending.phase, pending.reason) == ("waiting", "Job slot limit reached: 3 hosts; x|y")


@pytest.mark.parametrize(
    ("word", "phase"),
    [
        ("PEND", "waiting"),
        ("PROV", "waiting"),
        ("WAIT", "waiting"),
        ("PSUSP", "waiting"),
        ("RUN", "running"),
        ("USUSP", "running"),
        ("SSUSP", "running"),
        ("DONE", "ended"),
        ("EXIT", "ended"),
        ("UNKWN", "unknown"),
        ("ZOMBI", "unknown"),
        ("TELEPORTED", "unknown"),
    ],
)
def test_every_state_has_its_phase(word: str, phase: str) -> None:
    (state,) = answers.parse_jobs(columns(COLUMNS_MANY, {"stat": word}), COLUMNS_MANY)

    assert state.phase == phase


@pytest.mark.parametrize(
    ("why", "cause"),
    [
        ("TERM_MEMLIMIT: job killed after reaching LSF memory usage limit", "memory"),
        ("TERM_RUNLIMIT: job killed after reaching LSF run time limit", "time"),
        ("TERM_OWNER: job killed by owner", "cancelled"),
        ("TERM_ADMIN: job killed by root or LSF administrator", "cancelled"),
        ("TERM_PREEMPT: job killed after preemption", "preempted"),
        ("TERM_ZOMBIE: job exited while LSF is not available", "node"),
        ("TERM_EXTERNAL_SIGNAL: job killed by a signal external to LSF", ""),
        ("TERM_UNKNOWN: unknown reason", ""),
    ],
)
def test_a_reason_names_what_ended_the_job(why: str, cause: str) -> None:
    row = {"stat": "EXIT", "exit_code": "130", "exit_reason": why}
    (state,) = answers.parse_jobs(columns(COLUMNS_MANY, row), COLUMNS_MANY)

    assert (state.cause, state.reason) == (cause, why)


def test_an_end_without_its_reason_is_left_to_the_history() -> None:
    done, failed, killed, zero = ({"jobindex": str(i), "stat": s, "exit_code": c} for i, s, c in (
        (1, "DONE", "0"), (2, "EXIT", "3"), (3, "EXIT", "137"), (4, "EXIT", "0")))

    states = answers.parse_jobs(columns(COLUMNS_FEW, done, failed, killed, zero), COLUMNS_FEW)

    assert [brief(state) for state in states] == [("7", 0, "DONE", 0, None), ("7", 1, "EXIT", 3, None)]


def test_the_table_of_old_releases_is_read() -> None:
    states = answers.parse_jobs(Answer(0, golden("bjobs-w.10.1")), TABLE)

    assert [(s.id, s.element, s.phase, s.name, s.host) for s in states] == [
        ("1234", None, "running", "fit", "node17"),
        ("1235", 11, "waiting", "an-array-of", ""),
    ]


def test_an_index_may_stand_in_the_id() -> None:
    record = '{"RECORDS":[{"JOBID":"456[3]","STAT":"RUN","JOB_NAME":"*ay-of[3]"}]}'
    (state,) = answers.parse_jobs(Answer(0, record), JSON_MANY)

    assert (state.id, state.element, state.name) == ("456", 2, "")


def test_what_was_found_counts_although_something_was_not() -> None:
    answer = columns(COLUMNS_MANY, {"stat": "RUN"})

    (state,) = answers.parse_jobs(Answer(255, answer.out, "Job <99> is not found\n"), COLUMNS_MANY)

    assert state.phase == "running"


@pytest.mark.parametrize(
    "words", ["No unfinished job found", "No job found", "Job <99> is not found", "No DONE/EXIT job found"]
)
@pytest.mark.parametrize("code", [0, 255])
def test_finding_nothing_is_an_answer(words: str, code: int) -> None:
    assert answers.parse_jobs(Answer(code, "", words), COLUMNS_MANY) == []


@pytest.mark.parametrize(
    "words", ["LSF is down. Please wait ...", "batch daemon not responding ... still trying", "Ouch", ""]
)
def test_anything_else_is_none(words: str) -> None:
    with pytest.raises(BackendUnavailable):
        answers.parse_jobs(Answer(255, "", words), COLUMNS_MANY)


@pytest.mark.parametrize(
    ("asked", "words", "instead"),
    [
        (JSON_MANY, "bjobs: illegal option -- json\nUsage: bjobs [options]", COLUMNS_MANY),
        (JSON_MANY, "bjobs: invalid option -- 'j'\nUsage: bjobs: [-h] [-V] [-w |-l]", COLUMNS_MANY),
        (JSON_MANY, "<EXIT_REASON> in the format string is not a valid field name.", JSON_FEW),
        (COLUMNS_MANY, "exit_reason: Illegal field name.", COLUMNS_FEW),
        (COLUMNS_FEW, "<DELIMITER='|'> in the format string is not a valid field name.", TABLE),
        (COLUMNS_MANY, "bjobs: illegal option -- o\nUsage: bjobs [options]", TABLE),
    ],
)
def test_what_a_release_does_not_know_is_asked_in_an_older_way(asked: int, words: str, instead: int) -> None:
    with pytest.raises(answers.NotSpoken) as caught:
        answers.parse_jobs(Answer(255, "", words), asked)

    assert caught.value.instead == instead


# The long formats


def test_bhist_tells_how_each_element_ended() -> None:
    states = parse_history(Answer(0, golden("bhist-l.10.1")))

    assert [(*brief(s), s.phase, s.cause, s.host) for s in states] == [
        ("1235", 0, "DONE", 0, None, "ended", "", "node17"),
        ("1235", 1, "EXIT", 1, None, "ended", "", "node17"),
        ("1235", 2, "EXIT", None, 9, "ended", "memory", "node17"),
        ("1235", 3, "EXIT", None, 2, "ended", "cancelled", "node17"),
        ("1235", 4, "EXIT", None, 15, "ended", "node", "node17"),
        ("1235", 5, "PEND", None, None, "waiting", "", ""),
    ]
    assert states[2].reason == "TERM_MEMLIMIT: job killed after reaching LSF memory usage limit"
    assert {state.name for state in states} == {"an-array-of"}


def test_older_history_is_read_too() -> None:
    (state,) = parse_history(Answer(0, golden("bhist-l.9.1")))

    assert (*brief(state), state.cause, state.host) == ("880", None, "EXIT", None, 12, "time", "node17")


@pytest.mark.parametrize("name", ["bjobs-l.10.1", "bjobs-l.9.1", "bacct-l.10.1", "bjobs-UF.10.1"])
def test_the_other_long_formats_are_read_alike(name: str) -> None:
    found = {(s.id, s.element): (s.word, s.cause) for s in parse_history(Answer(0, golden(name)))}

    expected = {
        "bjobs-l.10.1": {
            ("1235", 0): ("DONE", ""),
            ("1235", 1): ("EXIT", ""),
            ("1235", 2): ("EXIT", "memory"),
            ("1235", 3): ("PEND", ""),
        },
        "bjobs-l.9.1": {("880", None): ("EXIT", "cancelled")},
        "bacct-l.10.1": {("1235", 0): ("DONE", ""), ("1235", 2): ("EXIT", "memory")},
        "bjobs-UF.10.1": {("1240", None): ("RUN", "")},
    }
    assert found == expected[name]


def test_a_job_that_lsf_ran_again_is_told_by_its_last_run() -> None:
    text = golden("bhist-l.9.1") + (
        "Tue Mar  3 17:46:31: Pending: Job is requeued;\n"
        "Tue Mar  3 17:47:00: Dispatched to <node18>;\n"
        "Tue Mar  3 17:47:01: Starting (Pid 4712);\n"
    )
    (state,) = parse_history(Answer(0, text))

    assert (state.phase, state.host, state.cause, state.signal) == ("running", "node18", "", None)


def test_a_log_that_does_not_know_the_job_is_an_answer() -> None:
    assert parse_history(Answer(255, "", "No matching job found\n")) == []


def test_a_log_out_of_reach_is_none() -> None:
    with pytest.raises(BackendUnavailable):
        parse_history(Answer(255, "", "LSF is down. Please wait ...\n"))


# bkill and the site


@pytest.mark.parametrize(
    ("answer", "reached"),
    [
        (Answer(0, golden("bkill.10.1")), True),
        (Answer(255, "", golden("bkill-errors.10.1")), True),
        (Answer(255, "", "LSF is down. Please wait ..."), False),
        (Answer(255), False),
    ],
)
def test_bkill_fails_only_if_lsf_was_not_reached(answer: Answer, reached: bool) -> None:
    assert answers.has_reached(answer) is reached


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("IBM Spectrum LSF Standard 10.1.0.9, Oct 16 2019\nCopyright IBM Corp. 1992, 2016.", (10, 1, 0, 9)),
        ("Platform LSF 9.1.3.0, Jul 04 2014", (9, 1, 3, 0)),
        ("LSF 10.1.0, Jan 5 2016", (10, 1, 0)),
        ("volclava project 2.1.1, Nov 11 2025", ()),
        ("openlava project 3.3, Sep 01 2016", ()),
        ("bjobs: illegal option -- V", None),
    ],
)
def test_the_version_is_known_from_bjobs(text: str, version: tuple[int, ...] | None) -> None:
    assert answers.parse_site(text).version == version


def test_limits_are_known_from_bparams() -> None:
    text = "    MAX_JOB_ARRAY_SIZE = 20\n\nReserves resources based on tasks:\n RESOURCE_RESERVE_PER_TASK = Y\n"
    site = answers.parse_site(text)

    assert (site.max_array, site.per_task) == (20, True)
