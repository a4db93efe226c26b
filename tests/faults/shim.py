"""Builds the shim of disk.c."""
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def build(directory: Path) -> Path:
    """Compile the shim into a directory; skip the test where there is no compiler, or another system than Linux."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler for the shim that breaks the disk")
    library = directory / "disk.so"
    source = Path(__file__).with_name("disk.c")
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the shim that breaks the disk cannot be built here: {done.stderr[-500:]}")
    return library
