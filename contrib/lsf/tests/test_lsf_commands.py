"""The commands for LSF say what the options ask for, in words that the release knows; no shell meets a bare path."""
from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest
from taskproc_backends.batch import Answer, Command, Scheduler, SetRef, Submission, Target
from taskproc_lsf import Lsf, LsfOptions, prologue
from taskproc_lsf.answers import DIALECTS

from taskproc.base.options import build_options
from taskproc.plugin import BackendUnavailable, OptionError

NEW, OLD, LAVA = "IBM Spectrum LSF Standard 10.1.0.9", "Platform LSF 9.1.3.0", "volclava project 2.1.1"


def options(**values: Any) -> LsfOptions:
    return build_options(LsfOptions, values, "lsf")


def command(
    lsf: Lsf | None = None, size: int = 1, avoid: tuple[str, ...] = (), script: str = "/s/job.sh", **values: Any
) -> Command:
    logs = Path(script).parent / "log"
    submission = Submission("tp-1", Path(script), "#!/bin/bash\n", size, logs, options(**values), avoid)
    return (lsf or Lsf()).submit(submission)


def requirements(argv: tuple[str, ...]) -> list[str]:
    return [argv[at + 1] for at, word in enumerate(argv) if word == "-R"]


def pairs(argv: tuple[str, ...]) -> set[tuple[str, str]]:
    return set(itertools.pairwise(argv))


def site(release: str, *more: str) -> Lsf:
    return Lsf().learn(Answer(0, "\n".join([release, *more])))


def test_lsf_is_a_scheduler() -> None:
    scheduler: Scheduler = Lsf()
    assert scheduler.name == "lsf"


# bsub


def test_indices_begin_at_one_and_may_be_throttled() -> None:
    assert ("-J", "tp-1[1-100]%10") in pairs(command(size=100, array_limit=10).argv)


def test_options_become_flags() -> None:
    argv = command(queue="gpu short", project="p", user_group="g", application="a", job_group="/x", hosts="h1 h2").argv

    assert {("-q", "gpu short"), ("-P", "p"), ("-G", "g"), ("-app", "a"), ("-g", "/x"), ("-m", "h1 h2")} <= pairs(argv)


@pytest.mark.parametrize(("time", "minutes"), [("90s", "2"), ("1:00:00", "60"), ("1-00:00:01", "1441"), ("30", "30")])
def test_a_time_limit_is_rounded_up_to_minutes(time: str, minutes: str) -> None:
    assert ("-W", minutes) in pairs(command(time=time).argv)


@pytest.mark.parametrize(
    ("release", "values", "limit", "reserved"),
    [
        pytest.param(NEW, {}, "1536MB", "1536MB", id="units are known"),
        pytest.param(OLD, {}, "1572864", "1536", id="LSF's own units"),
        pytest.param(LAVA, {}, "1572864", "1536", id="an open-source relative"),
        pytest.param(NEW, {"mem_unit": "gb"}, "2", "2", id="the site's unit"),
        pytest.param(OLD, {"mem_unit": "MB"}, "1536", "1536", id="the site's unit, old release"),
    ],
)
def test_memory_has_a_unit_that_is_understood(release: str, values: dict[str, str], limit: str, reserved: str) -> None:
    argv = command(site(release), mem="1.5G", **values).argv

    assert ("-M", limit) in pairs(argv)
    assert requirements(argv) == [f"rusage[mem={reserved}]"]


def test_memory_is_shared_out_where_it_is_reserved_per_task() -> None:
    argv = command(site(NEW, "RESOURCE_RESERVE_PER_TASK = Y"), mem="10G", cpus=4).argv

    assert ("-M", "10240MB") in pairs(argv)
    assert requirements(argv) == ["rusage[mem=2560MB] span[hosts=1]"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, []),
        ({"cpus": 8}, ["span[hosts=1]"]),
        ({"gpus": 2}, ["rusage[ngpus_physical=2]"]),
        ({"gpus": 0}, []),
        ({"resources": "type==any"}, ["type==any"]),
        ({"resources": "select[type==any] order[ut]", "cpus": 2}, ["select[type==any] order[ut] span[hosts=1]"]),
        ({"resources": "type==any", "cpus": 2}, ["type==any", "span[hosts=1]"]),
        ({"resources": "rusage[tmp=5]", "mem": "1G"}, ["rusage[tmp=5]", "rusage[mem=1024MB]"]),
        ({"resources": "span[ptile=4]", "cpus": 8}, ["span[ptile=4]"]),
    ],
)
def test_requirements_are_built_around_the_users_own(values: dict[str, Any], expected: list[str]) -> None:
    assert requirements(command(**values).argv) == expected


def test_hosts_that_failed_are_avoided() -> None:
    argv = command(avoid=("node-7", "n8"), resources="order[ut]").argv

    assert requirements(argv) == ["order[ut]", "select[hname!='node-7' && hname!='n8']"]


def test_gpus_may_go_into_a_flag_of_their_own() -> None:
    argv = command(gpus=2, gpu="mode=exclusive_process").argv

    assert ("-gpu", "num=2:mode=exclusive_process") in pairs(argv)
    assert requirements(argv) == []


def test_a_plain_path_is_an_argument_and_no_other() -> None:
    assert command(script="/s/tp-1/job.sh").argv[-1] == "/s/tp-1/job.sh"
    for path in ("/two words/job.sh", "/it's/job.sh", "/$HOME/job.sh", "/a;b/job.sh", "/é/job.sh"):
        given = command(script=path)
        assert path not in given.argv
        assert given.stdin == "#!/bin/bash\n"


def test_the_script_goes_to_stdin_where_the_site_wants_it() -> None:
    given = command(script="/s/job.sh")
    wanted = command(script="/s/job.sh", extra="-sla gold")
    on_stdin = Lsf().submit(Submission("t", Path("/s/job.sh"), "text", 1, Path("/s/log"), options(script="stdin")))

    assert given.stdin == ""
    assert wanted.argv[-3:] == ("-sla", "gold", "/s/job.sh")
    assert (on_stdin.stdin, "/s/job.sh" in on_stdin.argv) == ("text", False)


def test_what_goes_wrong_before_the_script_is_kept_and_no_report_is_mailed() -> None:
    assert {("-o", "/dev/null"), ("-e", "/s/log/%I.txt")} <= pairs(command().argv)
    assert ("-e", "/dev/null") in pairs(command(script="/100%J/job.sh").argv)


def test_a_script_sends_its_output_where_it_belongs() -> None:
    assert prologue(Path("/a b/log")).splitlines()[0] == "exec >> '/a b/log'/\"$((element + 1))\".txt 2>&1"


@pytest.mark.parametrize(("release", "known"), [(NEW, True), (OLD, True), (LAVA, False)])
def test_lsf_is_told_not_to_run_a_job_again_where_it_understands(release: str, known: bool) -> None:
    assert ("-rn" in command(site(release)).argv) is known


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        pytest.param({"que": "gpu"}, "did you mean 'queue'", id="misspelt"),
        pytest.param({"queue": "a\nb"}, "newline", id="newline"),
        pytest.param({"mem_unit": "MiB"}, "not one of KB, MB, GB, TB", id="no unit"),
        pytest.param({"script": "file"}, "not one of argument, stdin", id="no way to give a script"),
        pytest.param({"gpu": "mode=shared"}, "give gpus too", id="no GPUs"),
        pytest.param({"gpus": 1, "gpu": "num=2"}, "must not give num", id="GPUs counted twice"),
        pytest.param({"extra": "-J name"}, "taskproc sets it", id="our flag"),
        pytest.param({"extra": "-K"}, "taskproc sets it", id="a flag that would block us"),
        pytest.param({"extra": "-Is"}, "taskproc sets it", id="interactive"),
        pytest.param({"extra": "-r"}, "taskproc sets it", id="rerunnable"),
    ],
)
def test_wrong_options_are_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        options(**values)


# bjobs, bhist, bacct


@pytest.mark.parametrize(
    ("release", "flags"),
    [
        (NEW, ("-json", "-o")),
        ("IBM Spectrum LSF 10.1.0.1", ("-o",)),
        (OLD, ("-o",)),
        ("Platform LSF 8.0.1", ("-w",)),
        (LAVA, ("-json", "-o")),
        ("bjobs: illegal option -- V", ("-json", "-o")),
    ],
)
def test_bjobs_is_asked_as_the_release_understands(release: str, flags: tuple[str, ...]) -> None:
    (lookup,) = site(release).queue([SetRef("a", "7", 0.0)])

    assert lookup.command.argv[:2] == ("bjobs", "-a")
    assert tuple(word for word in lookup.command.argv[2:] if word.startswith("-")) == flags
    assert lookup.command.argv[-1] == "7"


def test_what_is_not_understood_is_asked_in_an_older_way_next_time() -> None:
    lsf, sets = Lsf(), [SetRef("a", "7", 0.0)]
    usage = Answer(255, "", "bjobs: illegal option -- json\nUsage: bjobs [options]")

    asked = []
    for _ in range(3):
        (lookup,) = lsf.queue(sets)
        asked.append(DIALECTS[lsf.dialect].form)
        with pytest.raises(BackendUnavailable):
            lookup.read(usage)

    assert asked == ["json", "columns", "table"]


def test_one_question_covers_all_arrays() -> None:
    few = [SetRef(f"tp-{i}", str(i), 0.0) for i in range(1, 101)]
    many = [SetRef(f"tp-{i}", str(i), 0.0) for i in range(1, 1001)]

    assert [lookup.command.argv[-100:] for lookup in Lsf().queue(few)] == [tuple(map(str, range(1, 101)))]
    assert [len(lookup.command.argv) for lookup in Lsf().queue(many)] == [5]


def test_a_lost_id_is_looked_for_among_all_jobs_and_in_the_log_by_name() -> None:
    sets = [SetRef("a", "7", 0.0), SetRef("b", "", 0.0)]

    assert "7" not in Lsf().queue(sets)[0].command.argv
    assert Lsf().account(sets)[-1].command.argv == ("bhist", "-a", "-l", "-n", "0", "-J", "b")


def test_the_logs_are_asked_and_bacct_may_stay_silent() -> None:
    lookups = Lsf().account([SetRef("a", "7", 0.0), SetRef("b", "8", 0.0)])

    assert [(lookup.command.argv[0], lookup.optional) for lookup in lookups] == [("bacct", True), ("bhist", False)]
    assert lookups[1].command.argv[-2:] == ("7", "8")


def test_bjobs_is_asked_at_length_where_its_columns_do_not_say_why() -> None:
    old = dataclasses.replace(Lsf(), dialect=len(DIALECTS) - 1)

    assert old.account([SetRef("a", "7", 0.0)])[-1].command.argv == ("bjobs", "-a", "-l", "7")


# bkill and the environment


def test_many_targets_are_cancelled_in_chunks() -> None:
    calls = Lsf().cancel([Target(f"t{i}", str(i)) for i in range(1, 251)])

    assert [len(call.argv) - 1 for call in calls] == [100, 100, 50]


def test_a_target_without_an_id_is_cancelled_by_name() -> None:
    (call,) = Lsf().cancel([Target("tp-1", "")])

    assert call.argv == ("bkill", "-J", "tp-1", "0")


@pytest.mark.parametrize(
    "name",
    ["LSB_JOBID", "LSB_JOBINDEX", "LSB_HOSTS", "LSB_BJOBS_FORMAT", "BSUB_QUIET", "BSUB_STDERR", "LS_JOBPID"],
)
def test_an_outer_jobs_variables_are_cleaned(name: str) -> None:
    assert Lsf().cleans(name)


@pytest.mark.parametrize("name", ["LSF_ENVDIR", "LSF_SERVERDIR", "LSB_DEFAULTQUEUE", "LSB_DEFAULTPROJECT", "PATH"])
def test_what_the_clients_need_is_kept(name: str) -> None:
    assert not Lsf().cleans(name)


def test_the_sites_array_limit_is_learned() -> None:
    assert site(NEW, "    MAX_JOB_ARRAY_SIZE = 20").max_array == 20
    assert site("nothing").max_array == 1000
