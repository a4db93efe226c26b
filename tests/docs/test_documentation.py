"""What the documentation shows is true: every page is carried out, in a directory and with a cache of its own."""
from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from taskproc.contract.plugins import Plugins
from taskproc.tasks.settings import load_settings
from tests.docs.pages import Place, find_blocks

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [path for path in [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))] if "```" in path.read_text()]
ON_A_CLUSTER = {DOCS / f"how-to/{page}.md" for page in ("dask", "lsf", "slurm")}  # played beside their own tests
LANGUAGES = {"console", "python", "text", "toml"}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page not in ON_A_CLUSTER], ids=name)
def test_page_does_what_it_shows(page: Path, tmp_path: Path) -> None:
    Place(tmp_path).carry_out(page)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_blocks_of_a_page_say_what_they_are(page: Path) -> None:
    known = LANGUAGES if page.is_relative_to(DOCS) else LANGUAGES | {"sh"}  # of the checkout: see tests/e2e
    blocks = [block for block in find_blocks(page.read_text(encoding="utf-8")) if not block.language.startswith("{")]

    assert [f"line {block.line}" for block in blocks if block.language not in known] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_settings_that_a_page_shows_are_settings(page: Path, tmp_path: Path) -> None:
    tables = [block for block in find_blocks(page.read_text(encoding="utf-8")) if block.language == "toml"]
    for number, block in enumerate(tables):
        assert tomllib.loads(block.text)
        if block.file_name:
            directory = tmp_path / str(number)
            directory.mkdir()
            (directory / Path(block.file_name).name).write_text(block.text, encoding="utf-8")

            assert load_settings(directory).file == directory / Path(block.file_name).name


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:)([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8"))
    broken = []
    for target, anchor in links:
        led_to = page.parent / target if target else page
        if not led_to.exists() or (anchor and anchor not in anchors(led_to)):
            broken.append(f"{target}#{anchor}")

    assert broken == []


def anchors(page: Path) -> set[str]:
    """Name the headings of a page as links do; those that a directive makes are Sphinx's to check."""
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    made = re.findall(r"\{taskproc-backends\}", text)
    names = [backend.name for backend in Plugins().available()] if made else []
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in [*headings, *names]}


def test_reference_names_every_setting_and_variable() -> None:
    page = (DOCS / "reference/settings.md").read_text(encoding="utf-8")
    from taskproc.tasks import settings

    tables = {"backends": "backends.NAME", "profile": "profile.NAME", "worker": "worker.setup"}
    missing = [key for key in settings._READERS if f"`{tables.get(key, key)}`" not in page]
    missing += [variable for variable in settings._ALL_VARIABLES if f"`{variable}`" not in page]

    assert missing == []
