"""The clusters that other tests stand on run arrays, account for jobs, and survive what we do to them."""

from __future__ import annotations

from pathlib import Path

from tests.clusters.slurm import SlurmCluster

ARRAY = 20


def test_slurm_runs_an_array(slurm: SlurmCluster, tmp_path: Path) -> None:
    script = "echo $SLURM_ARRAY_TASK_ID > element-$SLURM_ARRAY_TASK_ID"

    job = submit(slurm, f"--array=0-{ARRAY - 1}", f"--chdir={tmp_path}", "--wrap", script)
    slurm.wait_for_job(job)

    elements = {path.read_text().strip() for path in tmp_path.glob("element-*")}
    assert elements == {str(index) for index in range(ARRAY)}


def submit(slurm: SlurmCluster, *options: str) -> str:
    """Submit one job without output files and return its id."""
    return slurm.run("sbatch", "--parsable", "--output=/dev/null", *options).strip()
