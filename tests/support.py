"""Helpers that tests import: running scripts, counting what ran, waiting for things to happen."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import taskproc_backends

import taskproc
from taskproc.store.meta import Meta

PACKAGES = [str(Path(package.__path__[0]).parent) for package in (taskproc, taskproc_backends)]


@dataclass(frozen=True)
class Ended:
    """A process that has ended."""

    code: int
    out: str
    err: str


class ScriptRunner:
    """Runs Python texts as scripts.

    Args:
        home: The directory of the scripts, which is also their working directory.
        cache: Their cache directory.
    """

    def __init__(self, home: Path, cache: Path) -> None:
        self.home = home
        self.cache = cache

    def __call__(self, text: str, name: str = "script.py", *, check: bool = True, **others: Any) -> Ended:
        """Write a script, run it to its end, and see that it went well."""
        return self.run([sys.executable, str(self.write(text, name))], check=check, **others)

    def cells(self, cells: Sequence[str]) -> Ended:
        """Run cells one by one in a shell of IPython, as a notebook does, and see that they went well."""
        script = f"""
            from IPython.core.interactiveshell import InteractiveShell
            shell = InteractiveShell.instance()
            for cell in {cells!r}:
                shell.run_cell(cell, store_history=True).raise_error()
        """
        return self(script, "notebook.py", env={"IPYTHONDIR": str(self.home / "ipython")})

    def write(self, text: str, name: str) -> Path:
        """Write a script or a module beside the others."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def run(
        self, argv: list[str], *, check: bool = True, env: Mapping[str, str] | None = None, stdin: str = "",
        timeout: float = 120,
    ) -> Ended:
        """Run a command to its end."""
        process = self.start(argv, env=env, stdin=subprocess.PIPE)
        try:
            out, err = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            msg = f"still running after {timeout} s\n{out}\n{err}"
            raise AssertionError(msg) from None
        if check and process.returncode != 0:
            msg = f"exit status {process.returncode}\n{out}\n{err}"
            raise AssertionError(msg)
        return Ended(process.returncode, out, err)

    def start(self, argv: list[str], *, env: Mapping[str, str] | None = None, **others: Any) -> subprocess.Popen[str]:
        """Start a command, with this project's packages on its path."""
        return subprocess.Popen(
            argv, cwd=self.home, env=self.environment(env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            **others,
        )

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give the environment of the scripts."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TP_")}
        path = os.pathsep.join([*PACKAGES, *filter(None, [os.environ.get("PYTHONPATH")])])
        return {**inherited, "PYTHONPATH": path, "TP_CACHE_DIR": str(self.cache), **(more or {})}


def run_and_count(task: Any, **how: Any) -> tuple[Any, int]:
    """Run a task's graph; give the result and how many tasks ran."""
    result, stats = task.run_graph_with_stats(**how)
    return result, sum(stats["stats"].values())


def wait_for(happened: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Wait until something is true, and give it."""
    deadline = time.monotonic() + seconds
    while not (value := happened()):
        if time.monotonic() > deadline:
            msg = f"after {seconds} s still no {what}"
            raise AssertionError(msg)
        time.sleep(0.02)
    return value


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def end_quietly(process: subprocess.Popen[Any]) -> None:
    """End a process at the end of a test, if it still runs."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.communicate()


def provenance(**known: Any) -> Meta:
    """Make a result's provenance: as given, and else nothing."""
    digests = ("identity", "source", "upstreams", "upstream_values", "inputs", "value", "version", "commit")
    nothing = dict.fromkeys(digests, bytes(16))
    measured = {"made": 0.0, "seconds": 0.0, "cpu": 0.0, "memory": 0, "flags": 0, "notes": 0, "size": 0}
    return Meta(**{**nothing, **measured, **known})
