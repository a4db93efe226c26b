"""The example backend is what the guide shows, and passes the conformance suite where only its wheel is installed."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import find_blocks

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "contrib" / "example-backend"
AT_ONCE = ["-n", "4", "--dist", "worksteal"]  # most of the tests wait


def test_guide_shows_the_example():
    guide = (ROOT / "docs" / "write-a-backend.md").read_text(encoding="utf-8")
    (shown,) = [block.text for block in find_blocks(guide) if block.file_name == "nice.py"]
    assert shown == "# nice.py\n" + (EXAMPLE / "taskproc_nice" / "__init__.py").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_example_passes_the_suite_from_its_wheel(tmp_path: Path):
    for project in (ROOT, EXAMPLE):
        build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
        run([*build, str(project)], tmp_path)
    python = make_environment(tmp_path / "venv")
    wheels = sorted(map(str, tmp_path.glob("*.whl")))
    assert len(wheels) == 2
    run([python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", *wheels], tmp_path)

    suite = (EXAMPLE / "tests" / "test_nice.py").read_text(encoding="utf-8")
    (tmp_path / "test_nice.py").write_text(suite.replace("many = 30", "many = 5"), encoding="utf-8")
    said = run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *AT_ONCE, "test_nice.py"], tmp_path)
    where = run([python, "-c", "import taskproc_nice as n, taskproc as t; print(n.__file__, t.__file__)"], tmp_path)
    assert "passed" in said
    assert all(str(tmp_path) in path for path in where.split())


def make_environment(directory: Path) -> str:
    """Make an environment that has this one's other packages, but not its taskproc."""
    run([sys.executable, "-m", "venv", "--without-pip", str(directory)], directory.parent)
    packages = [path for path in sys.path if path.endswith("site-packages")]
    (site,) = directory.glob("lib/python*/site-packages")
    for package in packages:
        for path in Path(package).iterdir():
            if "taskproc" not in path.name and path.suffix != ".pth" and not (site / path.name).exists():
                (site / path.name).symlink_to(path)
    return str(directory / "bin" / "python")


def run(command: list[str], directory: Path) -> str:
    """Run a command that must go well, with none of this project on its path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH" and name[:3] != "TP_"}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=1000)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout
