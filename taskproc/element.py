"""One element of a staged set, on whatever machine runs it: the main program of a cluster job.

How a set lies on disk is told in `staging`, which workers do not import: it costs as much as a short task.
"""
from __future__ import annotations

import os
import sys
from contextlib import suppress

from .ended import BEGUN_BEFORE, Ended
from .frames import unpack_group
from .handover import read_payload
from .serve import run_alone
from .store import files


def run_element(staged: str, index: str, variable: str = "", first: str = "0") -> None:
    """Run one element's payloads, one after another, and leave a mark for each.

    Args:
        staged: The set's directory.
        index: The element, unless a variable of the environment names it.
        variable: The name of that variable, with the element's index counted from `first`.
        first: The variable's value for element 0.
    """
    element = int(index)
    position = os.environ.get(variable, "") if variable else ""
    if position.isdigit() and int(position) >= int(first):
        element = int(position) - int(first)
    with open(f"{staged}/payloads/{element}", "rb") as file:
        content = file.read()
    failed = begun_before = False
    for payload in unpack_group(content):
        assignment, body = read_payload(payload)
        ended = run_alone(assignment, body)
        if ended.exit_code is None:
            begun_before = True  # another copy of this worker has it, and will say how it ended, if it lives
            continue
        failed = failed or ended.exit_code != 0
        _mark(staged, assignment.nonce, ended)
    sys.exit(BEGUN_BEFORE if begun_before else int(failed))


def _mark(staged: str, nonce: str, ended: Ended) -> None:
    """Leave a job's end mark, with the reason for its end as content."""
    path = f"{staged}/ended/{nonce}-{ended.exit_code}"
    with suppress(OSError):  # on a full disk the name alone must do
        files.write_text(f"{path}.tmp", ended.reason)
    os.replace(f"{path}.tmp", path)
