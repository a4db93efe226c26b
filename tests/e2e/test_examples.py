"""The examples run as the README says, and what they computed is not computed again."""
from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.e2e.command import Command

ROOT = Path(__file__).parents[2]
# Neither side ends before the other has begun.
PYTHON_OF_BOTH_SIDES = """\
#!/bin/sh
cd "${{0%/*}}"
meet() {{ touch "$1"; until [ -e "$2" ]; do sleep 0.1; done; }}
case $* in
*"-s tests") echo the suite begins; meet suite others; echo the suite ends; exit {suite} ;;
*"-t beside") meet others suite; echo the others end; exit {beside} ;;
esac
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def examples(taskproc: Command) -> Path:
    """Give the examples, without what an earlier run has left beside them."""
    ignored = shutil.ignore_patterns(".cache", "__pycache__")
    return Path(shutil.copytree(ROOT / "examples", taskproc.home / "examples", ignore=ignored))


def test_word_count_counts_the_standard_library_once(taskproc: Command, examples: Path) -> None:
    first = taskproc(examples / "word_count.py")
    again = taskproc(examples / "word_count.py")

    assert "self" in first.out
    assert "0 cached" in first.out
    assert "up to date: nothing ran" in again.out
    assert "self" in again.out  # what Main printed is shown again
    assert (first.code, again.code) == (0, 0), first.err + again.err


def test_word_count_leaves_a_table_per_package_and_runs_behind_its_prefix(taskproc: Command, examples: Path) -> None:
    taskproc(examples / "word_count.py")

    cache = examples / ".cache" / "taskproc"
    tables = list(cache.glob("word_count.CountWords/results/*/data/files.csv"))
    packages = [path for path in Path(sysconfig.get_path("stdlib")).glob("*/__init__.py") if path.parent.name != "test"]
    assert len(tables) >= len(packages)
    assert len(list(cache.glob("word_count.Chart/results/*/data/chart.txt"))) == 2
    log = next(cache.glob("word_count.Chart/results/*/stdout.txt")).read_text()
    assert log.startswith("=== caller log ===")


def test_digits_grid_trains_only_what_is_new(taskproc: Command, examples: Path) -> None:
    pytest.importorskip("sklearn", reason="the extra `examples` is installed on one Python only")
    file = examples / "digits_grid.py"

    first = taskproc(file, timeout=120)
    file.write_text(file.read_text().replace('"C": [', '"C": [30.0, '))
    wider = taskproc(file, timeout=120)

    assert (first.code, wider.code) == (0, 0), first.err + wider.err
    assert ran("Train", first.out) == 12
    assert ran("Train", wider.out) == 3
    assert ran("Load", wider.out) == 0


def test_scripts_leave_an_environment_of_somebody_else_alone(tmp_path: Path) -> None:
    checkout = tmp_path / "a checkout"
    shutil.copytree(ROOT / "scripts", checkout / "scripts")
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "mine").touch()

    ended = subprocess.run(["sh", checkout / "scripts" / "example.sh"], capture_output=True, text=True, cwd=tmp_path)

    assert ended.returncode == 1
    assert "was not made by this script" in ended.stderr
    assert (checkout / ".venv" / "mine").exists()


@pytest.mark.parametrize(("suite", "beside", "status"), [(0, 0, 0), (1, 0, 1), (0, 1, 1)])
def test_a_failure_on_either_side_counts_and_the_suite_has_the_last_word(
    tmp_path: Path, suite: int, beside: int, status: int
) -> None:
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for name in ("pyproject.toml", "constraints.txt", "contrib/lsf/pyproject.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON_OF_BOTH_SIDES.format(suite=suite, beside=beside))
    python.chmod(0o755)
    (tmp_path / ".venv" / "made-for-checkout").write_text(f"{tmp_path}\n")

    ended = subprocess.run(["sh", tmp_path / "scripts" / "test.sh"], capture_output=True, text=True)

    assert ended.returncode == status, ended.stderr
    assert ended.stdout.splitlines()[-3:] == ["the others end", "the suite begins", "the suite ends"]


def test_ci_calls_the_test_command_of_the_readme() -> None:
    command = "sh scripts/test.sh"

    assert f"```sh\n{command}\n```" in (ROOT / "README.md").read_text()
    assert f"\nexec {command}\n" in (ROOT / ".ci" / "run").read_text()


def ran(name: str, summary: str) -> int:
    """Read from the command's summary how many tasks of a class ran."""
    found = [line.split() for line in summary.splitlines() if f".{name} " in line]
    return int(found[0][1]) if found and "ran" in found[0] else 0
