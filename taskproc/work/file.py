"""A worker process that nobody feeds: it runs a payload from a file, and ends.

As a main program, it stands behind a prefix command.
"""
from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from functools import partial

from ..base.ended import Ended
from .execute import run_assignment
from .handover import Assignment, read_payload
from .watch import Watch, detach_stdin, hold_run
from .worker import CapturedDescriptors

_watch: Watch | None = None


def main(path: str) -> None:
    """Run the payload in a file, behind a prefix command; what prefix commands print stays theirs.

    A prefix may start several of these, as `srun -n3` does: whoever renames the file runs it.
    """
    taken = f"{path}.taken"
    try:
        os.rename(path, taken)
    except FileNotFoundError:
        return
    with open(taken, "rb") as file:
        assignment, body = read_payload(file.read())
    ended = run_alone(assignment, body, direct=False, on_nested=partial(_show_nesting, os.path.dirname(path)))
    sys.exit(ended.exit_code or 0)


def _show_nesting(place: str) -> None:
    from .subprocess import NESTED

    with open(f"{place}/{NESTED}", "wb"):
        pass


def run_alone(
    assignment: Assignment, body: bytes, direct: bool = True, on_nested: Callable[[], None] | None = None
) -> Ended:
    """Run a payload in a process that nobody feeds, with its output captured.

    Args:
        assignment: What is to be done.
        body: The task.
        direct: Whether a pipe on the standard input surely comes from the driver.
        on_nested: Called before the task runs a graph of its own.
    """
    global _watch
    if _watch is None:
        kind = os.fstat(0).st_mode
        piped = stat.S_ISFIFO(kind)  # as a driver on this machine does, and a cluster does not
        life = os.dup(0) if piped or stat.S_ISSOCK(kind) or os.isatty(0) else None
        if piped:
            hold_run(os.path.dirname(assignment.context))
        detach_stdin()
        _watch = Watch(life, piped and direct)
    with CapturedDescriptors(os.path.dirname(assignment.context)):
        _watch.begin(assignment)
        ended = run_assignment(assignment, body, "fd", on_nested)
        _watch.end()
    return ended
