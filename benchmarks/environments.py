"""An environment for each peer, kept from one time to the next."""
from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

from .systems import System

ROOT = Path(__file__).resolve().parents[1]


class NotInstalled(Exception):
    """A peer cannot be installed here."""


def bin_of(system: System, directory: Path) -> Path:
    """Give the directory with the programs of a system's environment, which is made if need be.

    Args:
        system: The system. One without requirements runs in the environment of the runner.
        directory: Where environments are kept, by requirements and Python version.

    Raises:
        NotInstalled: pip cannot install it; with the last line of what pip said.
    """
    if not system.requirements:
        return Path(sys.executable).parent
    wanted = "\n".join([sys.version, *system.requirements])
    environment = directory / f"{system.module}-{hashlib.sha256(wanted.encode()).hexdigest()[:8]}"
    programs = environment / "bin"
    ready = environment / "ready"
    if not ready.exists():
        venv.create(environment, with_pip=True, clear=True)
        _install(programs / "python", system.requirements)
        ready.touch()
    _show_benchmarks(environment)
    return programs


def _install(python: Path, requirements: tuple[str, ...]) -> None:
    command = [str(python), "-m", "pip", "install", "-q", *requirements]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        lines = [line for line in answer.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
        raise NotInstalled(f"cannot be installed: {lines[-1].removeprefix('ERROR: ')}")


def _show_benchmarks(environment: Path) -> None:
    """Let its Python find `benchmarks`, behind all that is installed: a peer may be an older taskproc."""
    (packages,) = environment.glob("lib/python3*/site-packages")
    (packages / "benchmarks.pth").write_text(f"{ROOT}\n")
