"""The commands for Slurm say what the options ask for, and nothing reaches a shell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from taskproc_backends.batch import Answer, Scheduler, SetRef, Submission, Target
from taskproc_slurm import Slurm, SlurmOptions

from taskproc.base.errors import OptionError
from taskproc.base.options import build_options


def options(**values: Any) -> SlurmOptions:
    return build_options(SlurmOptions, values, "slurm")


def submit(size: int = 1, avoid: tuple[str, ...] = (), **values: Any) -> list[str]:
    submission = Submission("tp-1", Path("s/job.sh"), "", size, Path("s/log"), options(**values), avoid)
    return list(Slurm().submit(submission).argv)


def test_slurm_is_a_scheduler() -> None:
    scheduler: Scheduler = Slurm()
    assert scheduler.name == "slurm"


def test_portable_options_become_flags() -> None:
    argv = submit(cpus=8, mem="32G", time="2:00:00", gpus=1, partition="gpu")

    assert {"--cpus-per-task=8", "--mem=32G", "--time=02:00:00", "--gpus=1", "--partition=gpu"} <= set(argv)


def test_values_stay_one_argument() -> None:
    assert "--comment=it's; rm -rf $HOME" in submit(comment="it's; rm -rf $HOME")


def test_the_script_comes_last_after_further_flags() -> None:
    assert submit(extra="--exclusive --licenses='a b'")[-3:] == ["--exclusive", "--licenses=a b", "s/job.sh"]


def test_an_array_starts_at_zero_and_may_be_throttled() -> None:
    assert "--array=0-999%50" in submit(size=1000, array_limit=50)


def test_failed_nodes_join_those_to_exclude() -> None:
    assert "--exclude=n[1-2],n7" in submit(exclude="n[1-2]", avoid=("n7",))


def test_a_percent_sign_in_a_path_is_no_placeholder() -> None:
    submission = Submission("tp-1", Path("job.sh"), "", 1, Path("/a%b/log"), SlurmOptions())

    assert "--output=/a%%b/log/%a.txt" in Slurm().submit(submission).argv


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        pytest.param({"mem": "1G", "mem_per_cpu": "1G"}, "exclude each other", id="both memories"),
        pytest.param({"partion": "gpu"}, "did you mean 'partition'", id="misspelt"),
        pytest.param({"mem": "lots"}, "write for example 512M", id="no amount"),
        pytest.param({"comment": "a\nb"}, "newline", id="newline"),
        pytest.param({"extra": ["--comment=a\nb"]}, "newline", id="newline in a flag"),
        pytest.param({"extra": "--array=3"}, "taskproc sets it", id="our flag"),
        pytest.param({"extra": "-J name"}, "taskproc sets it", id="our short flag"),
        pytest.param({"extra": "--wait"}, "taskproc sets it", id="a flag that would block us"),
        pytest.param({"group_size": 0}, "whole number from 1", id="empty groups"),
    ],
)
def test_wrong_options_are_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        options(**values)


def test_setup_may_have_lines() -> None:
    assert options(setup="module load a\nmodule load b").setup.count("\n") == 1


def test_one_question_covers_all_sets() -> None:
    sets = [SetRef(f"tp-{i}", str(i), 0.0) for i in range(300)]

    (lookup,) = Slurm().queue(sets)

    assert lookup.command.argv[-1].startswith("--name=tp-0,tp-1,")
    assert lookup.command.environment["SLURM_TIME_FORMAT"] == "%s"


def test_more_names_than_a_command_line_holds_are_left_out() -> None:
    (lookup,) = Slurm().queue([SetRef(f"tp-{i}", str(i), 0.0) for i in range(5000)])

    assert len(lookup.command.argv) < 10
    assert not any("--name" in word for word in lookup.command.argv)


def test_each_cluster_is_asked_by_name() -> None:
    lookups = Slurm().queue([SetRef("a", "1", 0.0), SetRef("b", "2;east", 0.0)])

    assert ["--clusters=east" in lookup.command.argv for lookup in lookups] == [False, True]


def test_accounts_come_from_sacct_or_else_from_scontrol() -> None:
    sets = [SetRef("a", "1", 0.0), SetRef("b", "2", 0.0)]

    assert [lookup.command.argv[0] for lookup in Slurm(accounting=True).account(sets)] == ["sacct"]
    assert [lookup.command.argv[-1] for lookup in Slurm().account(sets)] == ["1", "2"]


def test_a_lost_id_is_looked_for_by_name_among_ended_jobs_too() -> None:
    first, second = Slurm(accounting=True).account([SetRef("a", "", 1e9)])

    assert "--states=all" in first.command.argv
    assert "--name=a" in second.command.argv


def test_many_targets_are_cancelled_in_chunks() -> None:
    calls = Slurm().cancel([Target(f"t{i}", str(i)) for i in range(250)])

    assert [len(call.argv) - 1 for call in calls] == [100, 100, 50]


def test_a_target_without_an_id_is_cancelled_by_name() -> None:
    (call,) = Slurm().cancel([Target("tp-1", "")])

    assert call.argv == ("scancel", "--me", "--name=tp-1")


def test_another_clusters_job_is_cancelled_there() -> None:
    (call,) = Slurm().cancel([Target("a", "7;east", (0, 1))])

    assert call.argv == ("scancel", "--clusters=east", "7_[0-1]")


@pytest.mark.parametrize(
    ("answer", "reached"),
    [
        (Answer(0), True),
        (Answer(1, "", "scancel: error: Kill job error on job id 7: Job/step already completing or completed"), True),
        (Answer(1, "", "scancel: error: Unable to contact slurm controller (connect failure)"), False),
    ],
)
def test_scancel_fails_only_if_slurm_was_not_reached(answer: Answer, reached: bool) -> None:
    assert Slurm().cancelled(answer) is reached


@pytest.mark.parametrize("name", ["SLURM_MEM_PER_NODE", "SLURM_CPU_BIND", "SQUEUE_STATES", "SBATCH_WAIT", "PMI_RANK"])
def test_an_outer_jobs_variables_are_cleaned(name: str) -> None:
    assert Slurm().cleans(name)


@pytest.mark.parametrize("name", ["SLURM_CONF", "SLURM_JWT", "SBATCH_ACCOUNT", "PATH"])
def test_what_the_clients_need_is_kept(name: str) -> None:
    assert not Slurm().cleans(name)


def test_the_sites_limits_are_learned() -> None:
    config = "MaxArraySize = 11\nAccountingStorageType = accounting_storage/slurmdbd\n"

    learned = Slurm().learn(Answer(0, config))

    assert (learned.max_array, learned.accounting) == (11, True)
