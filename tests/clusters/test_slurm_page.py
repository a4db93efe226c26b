"""The page on Slurm does what it shows, on real daemons."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clusters.slurm import SlurmCluster
from tests.docs.pages import Place

PAGE = Path(__file__).parents[2] / "docs/how-to/slurm.md"


@pytest.mark.slow
def test_page_does_what_it_shows(slurm_plain: SlurmCluster, tmp_path: Path) -> None:
    Place(tmp_path, slurm_plain.env).carry_out(PAGE)
