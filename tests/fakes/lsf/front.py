"""One call of one command: log it, let faults on the command itself strike, answer."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .state import State


class Answer(NamedTuple):
    """What a command prints, and its exit code."""

    stdout: str = ""
    stderr: str = ""
    code: int = 0


def main(argv: list[str]) -> int:
    """Run the command that `argv[0]` names and return its exit code."""
    if not os.environ.get("FAKE_LSF_DIR"):
        print("FAKE_LSF_DIR is not set: the LSF stand-in keeps its state there.", file=sys.stderr)
        return 255
    state = State(Path(os.environ["FAKE_LSF_DIR"]).absolute())
    name = Path(argv[0]).name
    _log_call(state, name, argv[1:])
    answer = _trouble(state, name) or _command(name)(state, argv[1:])
    try:
        sys.stderr.write(answer.stderr)
        sys.stderr.flush()
        sys.stdout.write(answer.stdout)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return answer.code


def _command(name: str) -> Callable[[State, list[str]], Answer]:
    """Import only what the command needs: the start of Python is most of its time."""
    if name == "bsub":
        from .bsub import bsub

        return bsub
    if name == "bjobs":
        from .bjobs import bjobs

        return bjobs
    if name == "bkill":
        from .bkill import bkill

        return bkill
    from .history import bacct, bhist

    return {"bhist": bhist, "bacct": bacct}[name]


def _log_call(state: State, command: str, argv: list[str]) -> None:
    call = {"time": time.time(), "command": command, "argv": argv, "cwd": os.getcwd(), "pid": os.getpid()}
    line = (json.dumps(call) + "\n").encode()
    log = os.open(state.directory / "calls.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(log, line)
    os.close(log)


def _trouble(state: State, command: str) -> Answer | None:
    if fault := state.use("slow", command):
        time.sleep(fault["seconds"])
    if fault := state.use("down", command):
        end = time.time() + fault.get("wait", 0)
        while time.time() < end:
            print("LSF is down. Please wait ...", file=sys.stderr, flush=True)
            time.sleep(min(1, max(0, end - time.time())))
        return Answer(stderr="LSF is down. Please wait ...\n", code=255)
    return None
