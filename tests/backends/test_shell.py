"""Schedulers by templates: what the settings may say, what comes of it, and what is refused."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from taskproc_backends.batch import Answer, NoRoom, Refused, SetRef, Submission, Target
from taskproc_backends.shell import Shell, ShellOptions, sge
from taskproc_backends.templates import Templates, check_complete, load, merged

from taskproc.base.errors import OptionError
from taskproc.base.options import build_options
from taskproc.plugin import Backend, BackendContext, BackendUnavailable, Job, SubmitUnknown
from tests.backends.batch_kit import Recorder, Shelf

PROFILES = ("sge", "pbs", "torque", "htcondor", "flux")
NONE = SetRef("tp-2", "", 0.0)


def options(**values: Any) -> ShellOptions:
    return build_options(ShellOptions, values, "shell")


def shell(profile: str, **values: Any) -> Shell:
    return Shell(profile, merged(load(profile), options(**values)))


def submit(scheduler: Shell, size: int = 1, **values: Any) -> tuple[str, ...]:
    array = Submission("tp-1", Path("/a b/job.sh"), "", size, Path("/a b/log"), options(**values))
    return scheduler.submit(array).argv


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_complete_and_says_what_was_tried(profile: str) -> None:
    check_complete(load(profile), profile)
    text = Path(__file__).parents[2].joinpath(f"backends/taskproc_backends/profiles/{profile}.toml").read_text()
    assert "ried on a real" in text


@pytest.mark.parametrize("profile", PROFILES)
def test_a_value_never_becomes_two_words(profile: str) -> None:
    argv = submit(shell(profile), 3, queue="a b; rm -rf $HOME", extra=["two words"])

    assert "two words" in argv
    assert not any(word in ("b;", "rm", "-rf") for word in argv)


def test_portable_options_become_flags() -> None:
    argv = submit(shell("pbs"), 100, cpus=8, mem="32G", time="36h", gpus=2, queue="gpu", array_limit=10)

    assert argv == (
        *("qsub", "-N", "tp-1", "-S", "/bin/bash", "-V", "-r", "n", "-o", "/dev/null", "-j", "oe"),
        *("-J", "0-99", "-r", "y", "-W", "max_run_subjobs=10"),
        *("-l", "ncpus=8", "-l", "ngpus=2", "-l", "mem=32768mb", "-q", "gpu", "-l", "walltime=36:00:00"),
        "/a b/job.sh",
    )


def test_one_element_is_no_array_where_that_is_not_allowed() -> None:
    assert "-J" not in submit(shell("pbs"), 1)
    assert "-J" in submit(shell("pbs"), 2)


def test_memory_may_be_counted_by_slot() -> None:
    assert "h_vmem=512M" in submit(shell("sge"), mem="2G", cpus=4)


def test_settings_lie_over_a_profile() -> None:
    scheduler = shell("sge", flags={"cpus": ["-pe", "openmp", "{cpus}"]}, max_array=10)

    argv = submit(scheduler, cpus=4, time="90s")

    assert argv[argv.index("-pe") + 1 : argv.index("-pe") + 3] == ("openmp", "4")
    assert "h_rt=90" in argv
    assert scheduler.max_array == 10


def test_a_scheduler_of_ones_own_needs_no_profile() -> None:
    own = Shell("mine", merged(Templates(), options(
        submit="mysub --array 0-{last} {flags} {script}", job_id=r"job (\d+)", variable="MY_INDEX", first=0,
        query="myq {ids}", row=r"(?P<id>\d+)\.(?P<index>\d+) (?P<state>\w+)",
        states={"waiting": ["w"], "running": "r x"}, cancel="mydel {targets}", element="{id}.{index}",
        flags={"gpus": "-g {gpus}"},
    )))
    check_complete(own.templates, "mine")

    assert submit(own, 3, gpus=2) == ("mysub", "--array", "0-2", "-g", "2", "/a b/job.sh")
    assert own.submitted(Answer(0, "thank you, job 17 it is")) == "17"
    (lookup,) = own.queue([SetRef("tp-1", "17", 0.0)])
    assert lookup.command.argv == ("myq", "17")
    states = lookup.read(Answer(0, "17.0 r\n17.1 w\n17.2 z\n"))
    assert [(s.element, s.phase) for s in states] == [(0, "running"), (1, "waiting"), (2, "unknown")]
    (call,) = own.cancel([Target("tp-1", "17"), Target("tp-2", "18", (0, 2))])
    assert call.argv == ("mydel", "17", "18.0", "18.2")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"submit": "qsub {nmae}"}, "{nmae} is not known here"),
        ({"submit": ["qsub", "x{flags}"]}, "must be a word by itself"),
        ({"submit": ["qsub\nrm"]}, "newline"),
        ({"submit": "qsub {"}, "for a brace"),
        ({"job_id": "("}, "no regular expression"),
        ({"row": "(?P<id>x)"}, "no group"),
        ({"states": {"runing": ["r"]}}, "'runing' is not one of"),
        ({"states": ["r"]}, "not a table"),
        ({"flags": {"memory": ["-m"]}}, "'memory' is not one of"),
        ({"variable": "A B"}, "no name of a variable"),
        ({"submti": "x"}, "did you mean 'submit'"),
    ],
)
def test_wrong_templates_are_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        options(**values)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(OptionError, match=r"submit, job_id, .*scheduler = \"sge\""):
        check_complete(Templates(), "shell")


def test_a_profile_may_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('submit = "mysub {script}"\nfirst = 1\n')

    assert load(str(file)).submit == ("mysub", "{script}")
    with pytest.raises(OptionError, match="shipped are flux, htcondor, pbs, sge, torque"):
        load("nosuch")
    file.write_text("sbumit = 1\n")
    with pytest.raises(OptionError, match="no 'sbumit'"):
        load(str(file))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(1, "", "Unable to run job: unknown resource \"foo\"."), Refused),
        (Answer(1, "", "Unable to run job: unable to send message to qmaster using port 1"), BackendUnavailable),
        (Answer(1, "", "job rejected: Only 5 jobs are allowed per user (current job count: 5)"), NoRoom),
        (Answer(1, "", "got read error"), SubmitUnknown),
        (Answer(1), SubmitUnknown),
        (Answer(0, "what?"), SubmitUnknown),
    ],
)
def test_a_refusal_is_judged_by_its_words(answer: Answer, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        shell("sge").submitted(answer)
    assert type(caught.value) is error


PBS = """\
Job Id: 12[].head
    Job_Name = tp-1
    job_state = B
Job Id: 12[3].head
    Job_Name = tp-1
    job_state = R
    exec_host = n7/0*2
    comment = Job run at Tue
Job Id: 12[4].head
    Job_Name = tp-1
    job_state = X
    comment = Job exceeded its walltime limit
    Exit_status = 271
Job Id: 13.head
    Job_Name = tp-2
    job_state = F
    Exit_status = 3
"""


def test_the_queue_of_pbs_is_read_by_its_long_format() -> None:
    (lookup,) = shell("pbs").queue([SetRef("tp-1", "12[]", 0.0)])

    states = lookup.read(Answer(153, PBS, "qstat: Unknown Job Id 99.head"))

    assert lookup.command.argv == ("qstat", "-x", "-f", "-t", "12[]")
    assert [(s.id, s.element, s.phase, s.host) for s in states] == [
        ("12[]", None, "running", ""),
        ("12[]", 3, "running", "n7"),
        ("12[]", 4, "ended", ""),
        ("13", None, "ended", ""),
    ]
    assert (states[3].exit_code, states[3].name) == (3, "tp-2")
    assert states[2].cause == "time"
    assert shell("pbs").job_id("12[]", 4) == "12[4]"


def test_a_lost_id_is_looked_for_by_name_where_that_is_possible() -> None:
    (lookup,) = shell("pbs").queue([NONE])

    assert lookup.command.argv == ("qselect", "-x", "-N", "tp-2")
    assert [(s.id, s.name) for s in lookup.read(Answer(0, "12[].head\n"))] == [("12[]", "tp-2")]
    assert lookup.read(Answer(0, "")) == []


def test_a_failed_question_is_no_answer() -> None:
    (lookup,) = shell("sge").queue([NONE])

    with pytest.raises(BackendUnavailable, match="commlib"):
        lookup.read(Answer(1, "", "error: commlib error: got select error (Connection refused)"))


def test_the_clusters_of_condor_are_submitted_by_a_description() -> None:
    array = Submission("tp-1", Path("/a b/job.sh"), "", 5, Path("/a b/log"), options(mem="1G"))

    command = shell("htcondor").submit(array)

    assert "executable = /a b/job.sh\n" in command.stdin
    assert command.stdin.endswith("queue 5\n")
    assert "request_memory = 1024M" in command.argv
    assert shell("htcondor").submitted(Answer(0, "77.0 - 77.4\n")) == "77"


def test_the_jobs_of_flux_go_by_their_name() -> None:
    scheduler = shell("flux")

    (lookup,) = scheduler.queue([SetRef("tp-1", "tp-1", 0.0)])

    (state,) = lookup.read(Answer(0, "tp-1.3 RUN n2\nsomething else\n"))
    assert (state.id, state.element, state.phase, state.host) == ("tp-1", 3, "running", "n2")
    assert scheduler.cancel([Target("tp-1", "tp-1", (3,))])[0].argv[-1] == r"^tp-1\.3$"
    assert "--job-name=tp-1.{cc}" in submit(scheduler, 4)


@contextmanager
def closed_in_the_end(backend: Backend) -> Iterator[Backend]:
    yield backend
    backend.close(False)


def test_a_job_for_another_scheduler_is_refused_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = tmp_path / "qsub"
    client.write_text("#!/bin/sh\nexit 1\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    first = options(scheduler="sge")
    report = Recorder()
    context = BackendContext(first, 1, tmp_path, report, Shelf(tmp_path), [])
    own = Job("0" * 32, "demo.Task", "Task-0", directory=tmp_path, options=replace(first, mem="1G"), payload=bytes)
    other = Job("1" * 32, "demo.Other", "Other-1", directory=tmp_path, options=options(scheduler="pbs"), payload=bytes)

    with closed_in_the_end(sge.factory(context)) as backend, pytest.raises(SubmitUnknown):
        backend.submit([own, other])

    assert own.nonce not in report.outcomes
    (outcome,) = report.outcomes[other.nonce]
    assert outcome.kind == "rejected"
    assert "speaks to one scheduler" in outcome.reason
