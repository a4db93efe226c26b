"""Type checkers see through tasks: what is right passes, and what is wrong is refused where it is marked."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_mypy_sees_the_types_of_tasks(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="the type checkers are installed on one Python only")

    check("mypy", "--strict", f"--cache-dir={tmp_path}", "tests/typing/right.py", "tests/typing/wrong.py")


def test_pyright_sees_the_types_of_tasks() -> None:
    pytest.importorskip("pyright", reason="the type checkers are installed on one Python only")

    check("pyright", "--project", "tests/typing", "--pythonpath", sys.executable)


def test_every_error_is_marked_for_both_checkers() -> None:
    marked = [line for line in Path(__file__).with_name("wrong.py").read_text().splitlines() if "ignore[" in line]

    assert len(marked) > 15
    assert all("# type: ignore[" in line and "# pyright: ignore[" in line for line in marked)


def check(checker: str, *arguments: str) -> None:
    """Run a type checker from the project's root, and fail with what it says."""
    run = subprocess.run([sys.executable, "-m", checker, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
