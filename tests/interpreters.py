"""Which other Pythons are on this machine: for the sessions of nox, and for tests of what must be the same on all."""
from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

SUPPORTED = ["3.10", "3.11", "3.12", "3.13", "3.14"]


@functools.cache
def find_interpreter(version: str) -> str | None:
    """Find a working Python of a version: on PATH, or where pyenv and uv keep theirs."""
    return next((candidate for candidate in _candidates(version) if _works(candidate, version)), None)


def _candidates(version: str) -> Iterator[str]:
    """Name what may be a Python of this version. A name that pyenv's shims give need not be one."""
    yield f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    uv = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local/share")) / "uv/python"
    for versions in (pyenv / "versions", uv):
        yield from map(str, sorted(versions.glob(f"*{version}.*/bin/python{version}"), reverse=True))


def _works(candidate: str, version: str) -> bool:
    """Whether this is a Python of that version."""
    code = "import sys; print(f'{sys.version_info[0]}.{sys.version_info[1]}')"
    try:
        answer = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return answer.returncode == 0 and answer.stdout.strip() == version
