"""The clusters that other tests stand on run arrays, account for jobs, and survive what we do to them."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.clusters.daemons import ClusterError, ClusterMissing, processes_at
from tests.clusters.plugin import start_or_skip
from tests.clusters.sge import SgeCluster, as_user, open_directory
from tests.clusters.slurm import SlurmCluster

PROJECT = Path(__file__).parents[2]
ARRAY = 20
ONE_OF_AN_ARRAY = "echo $SLURM_ARRAY_TASK_ID > element-$SLURM_ARRAY_TASK_ID"
SPENDTHRIFT = "import time; memory = bytearray(200_000_000); time.sleep(60)"


def test_slurm_runs_an_array(slurm: SlurmCluster, tmp_path: Path) -> None:
    job = submit(slurm, f"--array=0-{ARRAY - 1}", f"--chdir={tmp_path}", "--wrap", ONE_OF_AN_ARRAY)
    slurm.wait_for_job(job)

    elements = {path.read_text().strip() for path in tmp_path.glob("element-*")}
    assert elements == {str(index) for index in range(ARRAY)}


def test_slurm_gives_gpus(slurm: SlurmCluster, tmp_path: Path) -> None:
    script = "echo $CUDA_VISIBLE_DEVICES > gpus"

    job = submit(slurm, "--partition=gpu", "--gpus=2", f"--chdir={tmp_path}", "--wrap", script)
    slurm.wait_for_job(job)

    assert (tmp_path / "gpus").read_text() == "0,1\n"


def test_slurm_kills_a_job_over_its_memory(slurm: SlurmCluster) -> None:
    job = submit(slurm, "--mem=50M", "--wrap", f"{sys.executable} -c '{SPENDTHRIFT}'")
    slurm.wait_for_job(job, seconds=30)

    assert state(slurm, job) == "FAILED"


def test_slurm_forgets_no_job_when_its_controller_restarts(breakable_slurm: SlurmCluster) -> None:
    job = submit(breakable_slurm, "--wrap", "sleep 60")

    breakable_slurm.restart_controller()

    assert state(breakable_slurm, job) in {"PENDING", "RUNNING"}


def test_slurm_reports_a_job_whose_node_died(breakable_slurm: SlurmCluster) -> None:
    job = submit(breakable_slurm, "--no-requeue", "--nodelist=n1", "--wrap", "sleep 60")
    wait_until(lambda: state(breakable_slurm, job) == "RUNNING")

    breakable_slurm.kill_node("n1")
    breakable_slurm.mark_down("n1")

    assert state(breakable_slurm, job) == "NODE_FAIL"


def test_slurm_accounts_for_every_element(slurm_accounting: SlurmCluster) -> None:
    job = submit(slurm_accounting, f"--array=0-{ARRAY - 1}", "--wrap", "true")
    slurm_accounting.wait_for_job(job)

    # The controller hands its records over in batches, so that for seconds sacct knows less than squeue.
    query = ("sacct", "--allocations", "--noheader", "--parsable2", f"--jobs={job}", "--format=JobID,State")
    expected = {f"{job}_{index}|COMPLETED" for index in range(ARRAY)}
    wait_until(lambda: set(slurm_accounting.run(*query).splitlines()) == expected)


def test_slurm_without_accounting_has_no_sacct(slurm_plain: SlurmCluster) -> None:
    answer = slurm_plain.try_run("sacct")

    assert "accounting storage is disabled" in answer.stderr


@pytest.mark.parametrize("user", [getpass.getuser(), "nobody"])
def test_sge_runs_an_array(sge: SgeCluster, everyones_directory: Path, user: str) -> None:
    prefix = [] if user == getpass.getuser() else as_user(user)
    if prefix and os.geteuid() != 0:
        pytest.skip("only root may submit as others")
    script = everyones_directory / "element.sh"
    script.write_text("echo $SGE_TASK_ID $(id -un) > element-$SGE_TASK_ID")
    options = ["-terse", "-t", f"1-{ARRAY}", "-wd", str(everyones_directory), "-o", "/dev/null", "-j", "y"]

    job = sge.run(*prefix, "qsub", *options, script).strip()
    sge.wait_for_job(job)

    elements = {path.read_text().strip() for path in everyones_directory.glob("element-*")}
    assert elements == {f"{index} {user}" for index in range(1, ARRAY + 1)}


def test_sge_forgets_no_job_when_its_qmaster_restarts(breakable_sge: SgeCluster) -> None:
    options = ["-terse", "-b", "y", "-o", "/dev/null", "-j", "y"]
    job = breakable_sge.run("qsub", *options, "sleep", "60").strip()

    breakable_sge.restart_controller()

    assert job in breakable_sge.run("qstat")


def test_killed_owner_leaves_no_daemon(tmp_path: Path, slurm_plain: SlurmCluster) -> None:
    command = [sys.executable, "-m", "tests.clusters.slurm", "--nodes=1", f"--directory={tmp_path}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT) as owner:
        assert owner.stdout is not None
        # The last line it prints when all is up.
        while not owner.stdout.readline().startswith("#"):
            pass
        daemons = psutil.Process(owner.pid).children()
        owner.kill()

    _, alive = psutil.wait_procs(daemons, timeout=20)

    assert not [daemon for daemon in alive if daemon.status() != psutil.STATUS_ZOMBIE]


def test_failed_start_shows_the_log_and_leaves_no_daemon(tmp_path: Path, slurm_plain: SlurmCluster) -> None:
    broken = SlurmCluster(tmp_path, nodes=1, settings={"SelectType": "select/nonsense"})

    with pytest.raises(ClusterError, match=r"(?s)slurmctld ended.*select/nonsense"):
        broken.start()

    assert not processes_at(tmp_path, "munged")


def test_missing_programs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.clusters.daemons.system_path", lambda: str(tmp_path))

    with pytest.raises(ClusterMissing, match=r"no .*slurmctld.*packages.txt"):
        SlurmCluster(tmp_path).start()


def test_missing_cluster_skips_or_fails_in_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.clusters.daemons.system_path", lambda: str(tmp_path))

    monkeypatch.delenv("TASKPROC_REQUIRE_CLUSTERS", raising=False)
    with pytest.raises(pytest.skip.Exception):
        start_or_skip(SlurmCluster(tmp_path))

    monkeypatch.setenv("TASKPROC_REQUIRE_CLUSTERS", "1")
    with pytest.raises(ClusterMissing):
        start_or_skip(SlurmCluster(tmp_path))


@pytest.fixture
def everyones_directory() -> Iterator[Path]:
    """Give a directory in which every user may write."""
    directory = open_directory()
    directory.chmod(0o777)
    yield directory
    shutil.rmtree(directory)


def submit(slurm: SlurmCluster, *options: str) -> str:
    """Submit one job without output files and return its id."""
    return slurm.run("sbatch", "--parsable", "--output=/dev/null", *options).strip()


def state(slurm: SlurmCluster, job: str) -> str:
    """Return what squeue says of a job, also of one that has ended."""
    return slurm.run("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T").strip()


def wait_until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for what the cluster does in its own time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
