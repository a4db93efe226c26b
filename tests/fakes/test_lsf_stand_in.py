"""The LSF stand-in keeps what IBM's pages say of LSF, and its faults do what they are named for."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.lsf.harness import FAULTS, FakeLsf
from tests.fakes.lsf.names import parse_job_name
from tests.fakes.lsf.text import wrap

FINISHED = {"DONE", "EXIT"}
HELD = "until [ -e go ]; do sleep 0.05; done"
Submit = Callable[..., str]


@pytest.fixture
def submit(fake_lsf: FakeLsf, tmp_path: Path) -> Submit:
    """Submit in the test's directory and return the job id that bsub names."""

    def submit(*argv: str, script: str = "") -> str:
        answer = fake_lsf.run("bsub", *argv, input=script, cwd=tmp_path)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.partition("<")[2].partition(">")[0]

    return submit


def finish(lsf: FakeLsf, job: str) -> None:
    lsf.wait(lambda: set(lsf.states(job)) <= FINISHED)


def running(lsf: FakeLsf, job: str) -> None:
    lsf.wait(lambda: "RUN" in lsf.states(job))


def columns(lsf: FakeLsf, job: str, names: str) -> list[list[str]]:
    answer = lsf.run("bjobs", "-a", "-noheader", "-o", f"{names} delimiter='|'", job)
    return [line.split("|") for line in answer.stdout.splitlines()]


# Jobs


def test_elements_of_an_array_run_with_their_index_and_their_files(
    fake_lsf: FakeLsf, submit: Submit, tmp_path: Path
) -> None:
    job = submit(
        "-J", "a[1-3]", "-o", "%J.%I.out", "-e", "%J.%I.err", "echo $LSB_JOBID $LSB_JOBINDEX $LSB_JOBNAME"
    )
    finish(fake_lsf, job)
    assert fake_lsf.states(job) == ["DONE"] * 3
    output = (tmp_path / f"{job}.3.out").read_text()
    assert output.splitlines()[0] == f"{job} 3 a[3]"
    assert "Successfully completed." in output
    assert (tmp_path / f"{job}.3.err").read_text() == ""


def test_outside_an_array_the_index_is_zero(fake_lsf: FakeLsf, submit: Submit, tmp_path: Path) -> None:
    job = submit("-oo", "out.%I", "echo $LSB_JOBINDEX; echo to-stdout-too >&2")
    finish(fake_lsf, job)
    assert (tmp_path / "out.0").read_text().startswith("0\nto-stdout-too\n")


def test_no_more_jobs_run_than_slots_and_than_the_array_allows(
    fake_lsf: FakeLsf, submit: Submit, tmp_path: Path
) -> None:
    job = submit("-J", "a[1-6]%2", f"{HELD}; sleep 0.2")
    fake_lsf.wait(lambda: fake_lsf.states(job).count("RUN") == 2)
    (tmp_path / "go").touch()
    while not set(states := fake_lsf.states(job)) <= FINISHED:
        assert states.count("RUN") <= 2
        time.sleep(0.02)


def test_jobs_outlive_the_command_that_submitted_them(
    fake_lsf: FakeLsf, submit: Submit, tmp_path: Path
) -> None:
    job = submit("sleep 0.3; cut -d ' ' -f 6 /proc/$$/stat > session; echo $$ > pid")
    finish(fake_lsf, job)
    assert (tmp_path / "session").read_text() == (tmp_path / "pid").read_text()


def test_the_daemon_ends_when_idle_and_comes_back(fake_lsf: FakeLsf, submit: Submit) -> None:
    fake_lsf.env["FAKE_LSF_IDLE"] = "0.2"
    finish(fake_lsf, submit("true"))
    daemon = int((fake_lsf.directory / "daemon.pid").read_text())
    fake_lsf.wait(lambda: not Path(f"/proc/{daemon}/fd/0").exists())
    finish(fake_lsf, submit("true"))


@pytest.mark.parametrize(
    ("command", "stat", "code"),
    [("exit 3", "EXIT", "3"), ("kill -SEGV $$", "EXIT", "139"), ("true", "DONE", "-")],
    ids=["failed", "crashed", "done"],
)
def test_the_exit_code_of_a_signal_is_over_128(
    fake_lsf: FakeLsf, submit: Submit, command: str, stat: str, code: str
) -> None:
    job = submit(command)
    finish(fake_lsf, job)
    assert columns(fake_lsf, job, "stat exit_code exit_reason") == [[stat, code, "-"]]


def test_embedded_options_count_only_on_standard_input(
    fake_lsf: FakeLsf, submit: Submit, tmp_path: Path
) -> None:
    script = "#!/bin/sh\n#BSUB -J named -q long\n#BSUB -oo out\necho script\n"
    path = tmp_path / "job.sh"
    path.write_text(script)
    path.chmod(0o755)
    on_stdin, as_argument = submit(script=script), submit("./job.sh")
    finish(fake_lsf, on_stdin)
    assert columns(fake_lsf, on_stdin, "job_name queue") == [["named", "long"]]
    assert columns(fake_lsf, as_argument, "job_name queue") == [["./job.sh", "normal"]]
    assert (tmp_path / "out").read_text().startswith("script\n")


def test_a_job_gets_the_environment_that_was_asked_for(
    fake_lsf: FakeLsf, submit: Submit, tmp_path: Path
) -> None:
    fake_lsf.env["SEEN"] = "1"
    jobs = [
        submit("-env", env, "-oo", f"{n}", "echo [$SEEN] [$MORE]")
        for n, env in enumerate(("all, MORE=2", "none"))
    ]
    for job in jobs:
        finish(fake_lsf, job)
    assert [(tmp_path / n).read_text().splitlines()[0] for n in "01"] == ["[1] [2]", "[] []"]


def test_the_run_limit_is_enforced(fake_lsf: FakeLsf, submit: Submit) -> None:
    fake_lsf.env["FAKE_LSF_MINUTE"] = "0.3"
    job = submit("-W", "1", "exec sleep 30")
    finish(fake_lsf, job)
    reason = "TERM_RUNLIMIT: job killed after reaching LSF run time limit"
    assert columns(fake_lsf, job, "exit_code exit_reason") == [["140", reason]]


# bsub


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["-J", "a[1-1001]", "true"], "Job array index too large. Job not submitted."),
        (["-J", "a[0-3]", "true"], "Job array index error. Job not submitted."),
        (["-q", "nosuch", "true"], "nosuch: No such queue. Job not submitted."),
        (["-W", "soon", "true"], "Bad RUNLIMIT specification. Job not submitted."),
        (["-R", "select[mem>1", "true"], "Bad resource requirement syntax. Job not submitted."),
        (["--mem", "1"], "bsub: illegal option -- -mem"),
        ([], "No command is specified. Job not submitted."),
    ],
    ids=["array-too-large", "index-from-0", "queue", "run-limit", "brackets", "option", "no-command"],
)
def test_bsub_says_why_it_refuses(fake_lsf: FakeLsf, argv: list[str], words: str) -> None:
    answer = fake_lsf.run("bsub", *argv)
    assert (answer.returncode, answer.stdout, answer.stderr.splitlines()[0]) == (255, "", words)


def test_bsub_names_the_queue(fake_lsf: FakeLsf) -> None:
    assert fake_lsf.run("bsub", "true").stdout == "Job <1> is submitted to default queue <normal>.\n"
    assert fake_lsf.run("bsub", "-q", "short", "true").stdout == "Job <2> is submitted to queue <short>.\n"


def test_bsub_can_be_told_to_be_quiet_or_to_speak_on_stderr(fake_lsf: FakeLsf) -> None:
    assert fake_lsf.run("bsub", "true", env={"BSUB_QUIET": "1"}).stdout == ""
    answer = fake_lsf.run("bsub", "true", env={"BSUB_STDERR": "Y"})
    assert (answer.stdout, answer.stderr) == ("", "Job <2> is submitted to default queue <normal>.\n")


# bjobs


def test_bjobs_answers_on_stdout_even_when_a_job_is_not_found(fake_lsf: FakeLsf, submit: Submit) -> None:
    job = submit("sleep 30")
    answer = fake_lsf.run("bjobs", "-noheader", "-o", "jobid jobindex", job, "99")
    assert (answer.returncode, answer.stdout, answer.stderr) == (255, f"{job} 0\n", "Job <99> is not found\n")


def test_bjobs_without_jobs_says_so_on_stderr(fake_lsf: FakeLsf) -> None:
    answer = fake_lsf.run("bjobs")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "No unfinished job found\n")
    assert fake_lsf.run("bjobs", env={"LSB_BJOBS_CONSISTENT_EXIT_CODE": "Y"}).returncode == 255


def test_json_has_strings_only_and_refuses_noheader(fake_lsf: FakeLsf, submit: Submit) -> None:
    job = submit("-J", "a[1-2]", "exit 7")
    finish(fake_lsf, job)
    answer = fake_lsf.run("bjobs", "-a", "-o", "jobid jobindex exit_code exit_reason", "-json", job)
    record = {"JOBID": job, "EXIT_CODE": "7", "EXIT_REASON": ""}
    assert json.loads(answer.stdout) == {
        "COMMAND": "bjobs",
        "JOBS": 2,
        "RECORDS": [{**record, "JOBINDEX": "1"}, {**record, "JOBINDEX": "2"}],
    }
    assert fake_lsf.run("bjobs", "-o", "stat", "-json", "-noheader").returncode == 255


def test_the_table_cuts_long_names_at_their_beginning(fake_lsf: FakeLsf, submit: Submit) -> None:
    submit("-J", "averyverylongname[1]", "-H", "true")
    assert " PSUSP normal     fakelogin01             *ngname[1] " in fake_lsf.run("bjobs").stdout
    assert "averyverylongname[1] " in fake_lsf.run("bjobs", "-w").stdout


def test_jobs_are_found_by_name_and_by_element(fake_lsf: FakeLsf, submit: Submit) -> None:
    job = submit("-J", "r1-a[1-5]", "-H", "true")
    submit("-J", "r2-b", "-H", "true")
    by_name = fake_lsf.run("bjobs", "-noheader", "-J", "r1-*", "-o", "jobindex")
    by_element = fake_lsf.run("bjobs", "-noheader", "-o", "jobindex", f"{job}[2-3,5]")
    assert by_name.stdout.split() == ["1", "2", "3", "4", "5"]
    assert by_element.stdout.split() == ["2", "3", "5"]


# bkill


def test_bkill_sends_int_then_term_then_kill(fake_lsf: FakeLsf, submit: Submit, tmp_path: Path) -> None:
    job = submit("trap 'echo INT >> seen' INT; trap 'echo TERM >> seen' TERM; while :; do sleep 0.05; done")
    running(fake_lsf, job)
    time.sleep(0.2)
    answer = fake_lsf.run("bkill", job)
    assert (answer.returncode, answer.stdout) == (0, f"Job <{job}> is being terminated\n")
    finish(fake_lsf, job)
    assert (tmp_path / "seen").read_text().split() == ["INT", "TERM"]
    assert columns(fake_lsf, job, "exit_code exit_reason") == [["137", "TERM_OWNER: job killed by owner"]]


def test_bkill_of_many_says_what_became_of_each(fake_lsf: FakeLsf, submit: Submit) -> None:
    done, held = submit("-J", "d[1-2]", "true"), submit("-J", "h[1-3]", "-H", "true")
    finish(fake_lsf, done)
    answer = fake_lsf.run("bkill", f"{done}[1-2]", f"{held}[2]", held, "99")
    assert answer.returncode == 255
    assert answer.stdout.splitlines() == [
        f"Job <{held}[2]> is being terminated",
        f"Job <{held}> is being terminated",
    ]
    assert answer.stderr.splitlines() == [
        "Job <99>: No matching job found",
        f"Job <{done}[1-2:1]>: Job has already finished",
    ]
    assert (
        columns(fake_lsf, held, "stat exit_code exit_reason")
        == [["EXIT", "-", "TERM_OWNER: job killed by owner"]] * 3
    )


def test_bkill_stops_and_resumes(fake_lsf: FakeLsf, submit: Submit, tmp_path: Path) -> None:
    job = submit(HELD)
    running(fake_lsf, job)
    fake_lsf.run("bkill", "-s", "STOP", job)
    fake_lsf.wait(lambda: fake_lsf.states(job) == ["USUSP"])
    fake_lsf.run("bkill", "-s", "CONT", job)
    (tmp_path / "go").touch()
    finish(fake_lsf, job)
    assert fake_lsf.states(job) == ["DONE"]


# bhist, bacct


def test_history_and_accounts_tell_the_end(fake_lsf: FakeLsf, submit: Submit) -> None:
    job = submit("-J", "named", "exit 3")
    finish(fake_lsf, job)
    history = fake_lsf.run("bhist", "-l", job).stdout.replace("\n" + " " * 21, "")
    assert f"Job <{job}>, Job Name <named>, User <" in history
    assert ": Exited with exit code 3. The CPU time used is " in history
    assert re.search(r": Completed <exit>;\n", history)
    assert ": Completed <exit>." in fake_lsf.run("bacct", "-l", job).stdout
    assert fake_lsf.run("bhist", "99").stderr == "No matching job found\n"


# Faults


def test_late_visibility(fake_lsf: FakeLsf, submit: Submit) -> None:
    fake_lsf.inject("late_visibility", seconds=5)
    job = submit("sleep 30")
    assert fake_lsf.run("bjobs", job).stderr == f"Job <{job}> is not found\n"
    fake_lsf.wait(lambda: fake_lsf.run("bjobs", job).returncode == 0)


@pytest.mark.parametrize(("how", "code"), [("silent", 0), ("exit255", 255)])
def test_lost_answer_leaves_a_job(fake_lsf: FakeLsf, how: str, code: int) -> None:
    fake_lsf.inject("lost_answer", how=how, times=1)
    answer = fake_lsf.run("bsub", "true")
    assert (answer.returncode, answer.stdout, answer.stderr) == (code, "", "")
    assert len(fake_lsf.states(1)) == 1
    assert fake_lsf.run("bsub", "true").stdout.startswith("Job <2>")


def test_lost_answer_that_hangs_leaves_a_job(fake_lsf: FakeLsf) -> None:
    fake_lsf.inject("lost_answer", how="hang")
    with pytest.raises(subprocess.TimeoutExpired):
        fake_lsf.run("bsub", "true", timeout=1)
    finish(fake_lsf, "1")


def test_lost_answer_may_be_a_lost_submission(fake_lsf: FakeLsf) -> None:
    fake_lsf.inject("lost_answer", how="exit255", accepted=False)
    assert fake_lsf.run("bsub", "true").returncode == 255
    assert fake_lsf.states(1) == []


def test_chatter(fake_lsf: FakeLsf) -> None:
    fake_lsf.inject("chatter", before="Welcome! Job <queue> 7 hints\n", after="Have a nice day.\n")
    assert (
        fake_lsf.run("bsub", "true").stdout.splitlines()[1]
        == "Job <1> is submitted to default queue <normal>."
    )


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("queue_closed", "Queue <normal>: Queue has been closed. Job not submitted."),
        (
            "Bad application profile name. Job not submitted.",
            "Bad application profile name. Job not submitted.",
        ),
    ],
    ids=["queue", "words"],
)
def test_refused(fake_lsf: FakeLsf, reason: str, words: str) -> None:
    fake_lsf.inject("refused", reason=reason)
    answer = fake_lsf.run("bsub", "true")
    assert (answer.returncode, answer.stdout, answer.stderr) == (255, "", words + "\n")


def test_refused_at_the_threshold_waits_and_asks_again(fake_lsf: FakeLsf) -> None:
    fake_lsf.inject("refused", reason="threshold", retry=0.2, times=2)
    answer = fake_lsf.run("bsub", "true")
    assert answer.stderr.count("Pending job threshold reached. Retrying in 0.2 seconds...") == 2
    assert answer.stdout.startswith("Job <1>")


def test_down_strikes_the_commands_it_names(fake_lsf: FakeLsf, submit: Submit) -> None:
    fake_lsf.inject("down", commands=["bjobs", "bkill"], times=2)
    job = submit("sleep 30")
    answers = [fake_lsf.run("bjobs", job), fake_lsf.run("bkill", job), fake_lsf.run("bjobs", job)]
    assert [answer.returncode for answer in answers] == [255, 255, 0]
    assert answers[0].stderr == "LSF is down. Please wait ...\n"


def test_slow(fake_lsf: FakeLsf) -> None:
    fake_lsf.inject("slow", seconds=5, commands=["bjobs"])
    with pytest.raises(subprocess.TimeoutExpired):
        fake_lsf.run("bjobs", timeout=0.5)


def test_old_release(fake_lsf: FakeLsf, submit: Submit) -> None:
    job = submit("sleep 30")
    fake_lsf.inject("old_release")
    answer = fake_lsf.run("bjobs", "-o", "stat", job)
    assert (answer.returncode, answer.stderr.splitlines()[0]) == (255, "bjobs: illegal option -- o")
    assert fake_lsf.run("bjobs", "-a", "-w", job).returncode == 0


def test_forgotten(fake_lsf: FakeLsf, submit: Submit) -> None:
    job = submit("exit 4")
    finish(fake_lsf, job)
    fake_lsf.inject("forgotten", by=["bjobs", "bhist"])
    assert fake_lsf.run("bjobs", "-a", job).stderr == f"Job <{job}> is not found\n"
    assert fake_lsf.run("bhist", "-l", job).returncode == 255
    assert "exit code 4" in fake_lsf.run("bhist", "-l", "-n", "0", job).stdout
    fake_lsf.inject("forgotten", by=["bjobs", "bhist", "bhist -n", "bacct"])
    assert fake_lsf.run("bhist", "-l", "-n", "0", job).returncode == 255
    assert f"Job <{job}>" not in fake_lsf.run("bacct", "-l", job).stdout


def test_forgotten_past_the_clean_period(fake_lsf: FakeLsf, submit: Submit) -> None:
    fake_lsf.env["FAKE_LSF_CLEAN_PERIOD"] = "0"
    job = submit("true")
    finish(fake_lsf, job)
    assert fake_lsf.run("bjobs", "-a", job).returncode == 255


@pytest.mark.parametrize("stat", ["PEND", "PROV", "WAIT"])
def test_held_back(fake_lsf: FakeLsf, submit: Submit, stat: str) -> None:
    fake_lsf.inject("held_back", stat=stat, jobs=["held*"])
    held, other = submit("-J", "held[1-2]", "true"), submit("true")
    finish(fake_lsf, other)
    assert fake_lsf.states(held) == [stat, stat]
    fake_lsf.clear("held_back")
    finish(fake_lsf, held)


@pytest.mark.parametrize("stat", ["USUSP", "SSUSP"])
def test_suspended(fake_lsf: FakeLsf, submit: Submit, tmp_path: Path, stat: str) -> None:
    fake_lsf.inject("suspended", stat=stat)
    job = submit("sleep 1; touch done")
    fake_lsf.wait(lambda: fake_lsf.states(job) == [stat])
    time.sleep(1.2)
    assert not (tmp_path / "done").exists()
    fake_lsf.clear("suspended")
    finish(fake_lsf, job)
    assert (tmp_path / "done").exists()


def test_unreachable_hides_the_end_of_a_job(fake_lsf: FakeLsf, submit: Submit, tmp_path: Path) -> None:
    job = submit(f"{HELD}; touch done")
    running(fake_lsf, job)
    fake_lsf.inject("unreachable")
    (tmp_path / "go").touch()
    fake_lsf.wait((tmp_path / "done").exists)
    time.sleep(0.5)
    assert columns(fake_lsf, job, "stat") == [["UNKWN"]]
    fake_lsf.clear("unreachable")
    finish(fake_lsf, job)
    assert fake_lsf.states(job) == ["DONE"]


def test_bkill_makes_a_zombie_of_an_unreachable_job(fake_lsf: FakeLsf, submit: Submit) -> None:
    fake_lsf.inject("unreachable")
    job = submit("sleep 30")
    fake_lsf.wait(lambda: fake_lsf.states(job) == ["UNKWN"])
    fake_lsf.run("bkill", job)
    assert columns(fake_lsf, job, "stat") == [["ZOMBI"]]
    fake_lsf.run("bkill", "-r", job)
    assert columns(fake_lsf, job, "stat") == [["EXIT"]]


def test_memory_kill(fake_lsf: FakeLsf, submit: Submit, tmp_path: Path) -> None:
    fake_lsf.inject("memory_kill", jobs=["a*"], times=1)
    job = submit("-J", "a[1-2]", HELD)
    fake_lsf.wait(lambda: "EXIT" in fake_lsf.states(job))
    (tmp_path / "go").touch()
    finish(fake_lsf, job)
    reason = "TERM_MEMLIMIT: job killed after reaching LSF memory usage limit"
    assert sorted(columns(fake_lsf, job, "stat exit_code exit_reason")) == [
        ["DONE", "-", "-"],
        ["EXIT", "137", reason],
    ]


def test_host_dies(fake_lsf: FakeLsf, submit: Submit, tmp_path: Path) -> None:
    job = submit("sleep 30; touch done")
    running(fake_lsf, job)
    fake_lsf.inject("host_dies", seconds=0.5)
    fake_lsf.wait(lambda: fake_lsf.states(job) == ["UNKWN"])
    finish(fake_lsf, job)
    reason = "TERM_ZOMBIE: job exited while LSF is not available"
    assert columns(fake_lsf, job, "stat exit_code exit_reason") == [["EXIT", "143", reason]]
    assert not (tmp_path / "done").exists()


def test_every_fault_is_documented_and_a_wrong_one_is_refused(fake_lsf: FakeLsf) -> None:
    import tests.fakes.lsf as package

    assert package.__doc__ is not None
    assert all(re.search(rf"^{fault} ", package.__doc__, re.M) for fault in FAULTS)
    with pytest.raises(ValueError, match="not a fault"):
        fake_lsf.inject("asleep")


# The harness


def test_calls_are_logged(fake_lsf: FakeLsf) -> None:
    fake_lsf.run("bjobs", "-a")
    fake_lsf.run("bhist", "1")
    assert [(call.command, call.argv) for call in fake_lsf.calls()] == [("bjobs", ["-a"]), ("bhist", ["1"])]
    assert len(fake_lsf.calls("bhist")) == 1


def test_close_leaves_no_process(tmp_path: Path) -> None:
    lsf = FakeLsf(tmp_path / "lsf")
    lsf.run("bsub", "trap '' INT TERM HUP; (setsid sleep 60 &) ; echo $$ > pid; sleep 60", cwd=tmp_path)
    lsf.wait(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    lsf.close()
    lsf.wait(
        lambda: not lsf.processes() and not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()
    )


# Words


def test_index_lists() -> None:
    assert parse_job_name("a[1-10:3, 4,8]%5") == ("a", [1, 4, 7, 8, 10], 5)


def test_long_lines_break_inside_words() -> None:
    assert wrap("x" * 79 + "y" * 60) == "x" * 79 + "\n" + " " * 21 + "y" * 58 + "\n" + " " * 21 + "yy"


# Golden files


@pytest.mark.parametrize(
    ("golden", "argv", "line"),
    [
        ("bjobs.10.1.txt", ["bjobs", "-a"], 0),
        ("bjobs-o.10.1.txt", ["bjobs", "-a", "-o", "jobid jobindex stat exit_code"], 0),
        ("bjobs-json.10.1.txt", ["bjobs", "-a", "-o", "jobid", "-json"], 1),
        ("bhist.10.1.txt", ["bhist", "-a"], 1),
        ("bhist-l.10.1.txt", ["bhist", "-l", "1"], -2),
        ("bacct-l.10.1.txt", ["bacct", "-l", "1"], 1),
        ("bacct-l.10.1.txt", ["bacct", "-l", "1"], -3),
    ],
    ids=["bjobs", "bjobs-o", "bjobs-json", "bhist", "bhist-l", "bacct-l", "bacct-l-summary"],
)
def test_the_stand_in_writes_the_headings_of_the_golden_files(
    fake_lsf: FakeLsf, submit: Submit, golden: str, argv: list[str], line: int
) -> None:
    finish(fake_lsf, submit("exit 1"))
    expected = (Path(__file__).parent / "golden" / golden).read_text().splitlines()[line]
    assert fake_lsf.run(*argv).stdout.splitlines()[line] == expected


def test_every_golden_file_names_its_page() -> None:
    golden = Path(__file__).parent / "golden"
    readme = (golden / "README.md").read_text()
    assert [path.name for path in golden.glob("*.txt") if f"`{path.name}`" not in readme] == []
