"""The profile `torque` through Slurm's own qsub, qstat and qdel, on a real Slurm: no Torque can be installed here.

They come in Debian's `slurm-wlm-torque`, which cannot be installed beside Grid Engine's clients. Unpack it with what
it needs into a directory, and name that to run these tests:

    apt-get download slurm-wlm-torque libslurm-perl libslurm38 libswitch-perl
    for package in *.deb; do dpkg -x $package torque; done
    TASKPROC_SLURM_TORQUE=$PWD/torque pytest tests/clusters/test_torque.py
"""
from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from taskproc_backends.shell import Shell, ShellOptions, prologue
from taskproc_backends.templates import load

from tests.backends.batch_kit import Bench
from tests.clusters.slurm import SlurmCluster

MakeBench = Callable[..., Bench]

# Slurm's qstat knows no elements, so that each array has one; and it says nothing of what it does not find.
TORQUE_OF_SLURM = replace(
    load("torque"),
    variable="SLURM_ARRAY_TASK_ID",
    max_array=1,
    query=("qstat", "-f", "{ids}"),
    row=r"(?smx)^Job\ Id:\s*(?P<id>\d+)\S*$ (?:(?!^Job\ Id:).)*? ^\s+Job_Name\s*=\s*(?P<name>\S+)"
    r" (?:(?!^Job\ Id:).)*? ^\s+job_state\s*=\s*(?P<state>\w)",
    row_id="{id}",
    find=None,
    nothing=r"^\s*$",
)


@pytest.fixture
def make_bench(
    slurm_plain: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeBench]:
    for name, value in slurm_plain.env.items():
        monkeypatch.setenv(name, value)
    _use_slurms_qsub(tmp_path / "bin", slurm_plain, monkeypatch)
    made: list[Bench] = []

    def make(**options: Any) -> Bench:
        given = {"query_interval": 0.5, "latency_wait": 4.0, **options}
        scheduler = Shell("torque", TORQUE_OF_SLURM)
        made.append(Bench(tmp_path, scheduler, ShellOptions(**given), prologue=partial(prologue, 0)))
        return made[-1]

    yield make
    for bench in made:
        bench.backend.close(detach=False)
    slurm_plain.heal()


def _use_slurms_qsub(directory: Path, slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the programs into one directory: qsub calls the sbatch beside it."""
    root = os.environ.get("TASKPROC_SLURM_TORQUE")
    if not root:
        pytest.skip("slurm-wlm-torque is not unpacked; see the top of tests/clusters/test_torque.py")
    directory.mkdir()
    for name in ("qsub", "qstat", "qdel"):
        shutil.copy(Path(root, "usr/bin", name), directory)
    sbatch = shutil.which("sbatch", path=slurm.env["PATH"])
    assert sbatch
    (directory / "sbatch").symlink_to(sbatch)
    libraries = [Path(root, "usr/share/perl5"), *Path(root, "usr/lib").glob("*/perl5/*")]
    monkeypatch.setenv("PERL5LIB", os.pathsep.join(map(str, libraries)))
    monkeypatch.setenv("LD_LIBRARY_PATH", os.pathsep.join(map(str, Path(root, "usr/lib").glob("*-linux-gnu"))))
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{slurm.env['PATH']}")


def test_successes_failures_and_a_crash(make_bench: MakeBench) -> None:
    bench = make_bench()
    fine, bad, crash = bench.job(), bench.job("exit 3"), bench.job("echo last words; kill -SEGV $PPID")

    bench.backend.submit([fine, bad, crash])

    assert bench.report.outcome(fine).exit_code == 0
    assert bench.report.outcome(bad).exit_code == 3
    outcome = bench.report.outcome(crash)
    assert (outcome.kind, outcome.signal) == ("ended", 11)
    assert "last words" in outcome.reason


@pytest.mark.parametrize(
    ("options", "arrived"),
    [
        ({"cpus": 2}, '[ "$SLURM_NTASKS" = 2 ]'),
        ({"mem": "100M"}, '[ "$SLURM_MEM_PER_NODE" = 100 ]'),
        ({"queue": "gpu"}, '[ "$SLURM_JOB_PARTITION" = gpu ]'),
    ],
)
def test_options_arrive(make_bench: MakeBench, options: dict[str, Any], arrived: str) -> None:
    # One by one: unlike Torque's, this qsub takes the last of several -l only.
    bench = make_bench(**options)
    job = bench.job(arrived)

    bench.backend.submit([job])

    assert bench.report.outcome(job).exit_code == 0


def test_running_jobs_are_known_and_cancelled(make_bench: MakeBench, slurm_plain: SlurmCluster) -> None:
    bench = make_bench()
    jobs = bench.jobs(3, "sleep 100")
    bench.backend.submit(jobs)
    bench.report.until(lambda: len(bench.report.hosts) == 3)

    bench.backend.cancel(jobs)

    assert {bench.report.outcome(job).kind for job in jobs} == {"cancelled"}
    for job in jobs:
        slurm_plain.wait_for_job(bench.report.accepted_ids[job.nonce].partition("[")[0], 30)


def test_the_next_driver_takes_up_what_runs(make_bench: MakeBench) -> None:
    first, second = make_bench(), make_bench()
    job = first.job("sleep 5; exit 4")
    first.backend.submit([job])
    first.backend.close(detach=True)

    assert second.backend.adopt(first.refs([job])) == []

    assert second.report.outcome(job).exit_code == 4


def test_a_refusal_is_told(make_bench: MakeBench) -> None:
    bench = make_bench(queue="nosuch")
    job = bench.job()

    bench.backend.submit([job])

    outcome = bench.report.outcome(job)
    assert outcome.kind in ("rejected", "cancelled")
    assert "nvalid partition" in outcome.reason
