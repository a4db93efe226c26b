"""The command's first answer, its help, and its names."""
from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from taskproc.cli import main


@pytest.mark.parametrize(
    "words",
    [["--help"], ["run", "--help"], ["--version"], ["clear", "--help"], ["graph", "--help"], ["report", "--help"]],
)
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\nfrom taskproc.cli import main\n"
        f"main({words!r}, standalone_mode=False)\n"
        "heavy = {'networkx', 'diskcache', 'taskproc.run.run', 'tqdm', 'psutil', 'cloudpickle'}\n"
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or None)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_names_the_options_and_the_commands() -> None:
    text = CliRunner().invoke(main, ["--help"]).output
    for word in ("--entrypoint", "--backend", "--dry-run", "--version", "backends", "clear", "TASKFILE", "130"):
        assert word in text


def test_the_names_of_0_13_are_there() -> None:
    from taskproc.app import main as older

    assert older is main


def test_no_word_at_all_is_bad_usage_or_help() -> None:
    result = CliRunner().invoke(main, [])
    assert "Usage: taskproc TASKFILE" in result.output
