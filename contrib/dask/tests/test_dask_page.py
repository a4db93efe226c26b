"""The page on Dask does what it shows, on a cluster of its own."""
from __future__ import annotations

from pathlib import Path

from tests.docs.pages import Place

PAGE = Path(__file__).parents[3] / "docs/how-to/dask.md"


def test_page_does_what_it_shows(tmp_path: Path) -> None:
    Place(tmp_path).carry_out(PAGE)
