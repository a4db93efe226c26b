"""The page on LSF does what it shows, with the stand-in."""
from __future__ import annotations

from pathlib import Path

from tests.docs.pages import Place
from tests.fakes.lsf.harness import FakeLsf

PAGE = Path(__file__).parents[3] / "docs/how-to/lsf.md"


def test_page_does_what_it_shows(fake_lsf: FakeLsf, tmp_path: Path) -> None:
    Place(tmp_path, fake_lsf.env).carry_out(PAGE)
