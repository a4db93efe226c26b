"""Builds the shim of disk.c."""
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

REQUIRED = "TASKPROC_REQUIRE_COMPILER"


def build(directory: Path) -> Path:
    """Compile the shim into a directory; where that cannot be, skip the test, or fail it if a compiler is required."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        missing("no C compiler for the shim that breaks the disk; its packages are in tests/faults/packages.txt")
    library = directory / "disk.so"
    source = Path(__file__).with_name("disk.c")
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"the shim that breaks the disk cannot be built here: {done.stderr[-500:]}")
    return library


def missing(reason: str) -> NoReturn:
    """Skip a test for want of a compiler, or fail it where one is required."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(reason)
    pytest.skip(reason)
