"""What people install: the wheel, the source distribution, and what is there once they are installed."""
from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"taskproc": ROOT / "taskproc", "taskproc_backends": ROOT / "backends" / "taskproc_backends"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both distributions, and give their directory."""
    pytest.importorskip("hatchling", reason="only where the build tools are installed")
    directory = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(directory), cwd=ROOT)
    return directory


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an empty environment, and give the environment's `bin`."""
    environment = tmp_path_factory.mktemp("an environment") / "venv"
    call(sys.executable, "-m", "venv", str(environment))
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt")]
    call(*pip, str(next(built.glob("*.whl"))))
    return environment / "bin"


def test_wheel_holds_both_packages_and_the_licence(built: Path) -> None:
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()

    sources = {f"{name}/{path.relative_to(package)}" for name, package in PACKAGES.items() for path in modules(package)}
    assert sources <= set(names)
    assert {"taskproc/py.typed", "taskproc_backends/py.typed"} <= set(names)
    assets = ROOT / "taskproc/look/pages/assets"
    assert {str(path.relative_to(ROOT)) for path in assets.iterdir() if path.is_file()} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("licenses/taskproc/look/pages/assets/dagre.min.js.LEGAL.txt") for name in names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"taskproc", "taskproc_backends"}


def test_source_distribution_builds_the_same_wheel(built: Path, tmp_path: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (unpacked,) = tmp_path.iterdir()
    call(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "again"), cwd=unpacked)

    first, second = next(built.glob("*.whl")), next((tmp_path / "again").glob("*.whl"))
    assert contents(first) == contents(second)
    assert (unpacked / "README.md").exists()
    assert (unpacked / "tests" / "e2e" / Path(__file__).name).exists()


def test_installed_command_runs_a_task_file(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(
        "from taskproc import TaskBase\n"
        "class Main(TaskBase):\n"
        "    def run_task(self):\n"
        "        print('it runs')\n"
    )

    assert "taskproc 1.0.0" in call(str(installed / "taskproc"), "--version")
    assert "it runs" in call(str(installed / "taskproc"), "tasks.py", cwd=tmp_path)
    assert "process" in call(str(installed / "taskproc"), "backends")


def test_type_checker_sees_the_types_of_the_installed_package(installed: Path, tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="only where the type checkers are installed")
    example = tmp_path / "right.py"
    example.write_text((ROOT / "tests" / "typing" / "right.py").read_text())

    call(
        sys.executable, "-m", "mypy", "--strict", "--python-executable", str(installed / "python"), "right.py",
        cwd=tmp_path,
    )


def modules(package: Path) -> Iterator[Path]:
    """List the files of a package."""
    return (path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def contents(wheel: Path) -> dict[str, bytes]:
    """Read a wheel, but for the list of its files."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("RECORD")}


def call(*command: str, cwd: Path | None = None) -> str:
    """Run a command with nothing of this checkout on its path, and give what it prints."""
    hidden = ("PYTHONPATH", "VIRTUAL_ENV")
    environment = {
        name: value for name, value in os.environ.items() if name not in hidden and not name.startswith(("TP_", "COV_"))
    }
    ended = subprocess.run(command, cwd=cwd or Path("/"), env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
