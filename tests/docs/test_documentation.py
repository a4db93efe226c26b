"""What the documentation shows is true: every page is carried out, in a directory and with a cache of its own."""
from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from taskproc.settings import load_settings
from tests.docs.pages import read_page
from tests.support import PACKAGES

ROOT = Path(__file__).parents[2]
PAGES = [path for path in [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))] if "```" in path.read_text()]


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_page_does_what_it_shows(path: Path, tmp_path: Path) -> None:
    page = read_page(path)
    for name, content in page.files.items():
        if name.endswith(".py"):  # settings would change what the page shows before them
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")

    if page.script:
        (tmp_path / "page.py").write_text(page.script, encoding="utf-8")
        assert_in_order(page.printed, run([sys.executable, "page.py"], tmp_path))
    for command in page.commands:
        program, *arguments = shlex.split(command)
        module = ["-m", "taskproc"] if program == "taskproc" else []
        run([sys.executable, *module, *arguments], tmp_path)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_settings_that_a_page_shows_are_settings(path: Path, tmp_path: Path) -> None:
    for number, (name, content) in enumerate(read_page(path).files.items()):
        if name.endswith(".toml"):
            directory = tmp_path / str(number)
            directory.mkdir()
            (directory / Path(name).name).write_text(content, encoding="utf-8")

            assert load_settings(directory).file == directory / Path(name).name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_of_a_page_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|mailto:)([^)#\s]+)", path.read_text(encoding="utf-8"))

    assert [target for target in targets if not (path.parent / target).exists()] == []


def run(command: list[str], directory: Path) -> str:
    """Run a command as a reader would, and give what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TP_")}
    environment["PYTHONPATH"] = os.pathsep.join([*PACKAGES, *filter(None, [environment.get("PYTHONPATH")])])
    ended = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, f"{shlex.join(command)}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def assert_in_order(expected: list[str], output: str) -> None:
    """Check that lines are printed in this order, with any others between them."""
    printed = iter(output.splitlines())
    for line in expected:
        assert line in printed, f"{line!r} was not printed, or not in its place:\n{output}"
