"""One element of a staged set, on whatever machine runs it: the main program of a cluster job.

How a set lies on disk is told in `staging`, which workers do not import: it costs as much as a short task.
"""
from __future__ import annotations

import atexit
import os
import sys

from ..base.ended import BEGUN_BEFORE, Ended
from ..base.frames import read_element, unpack_group
from ..store import files
from .file import run_alone
from .handover import read_payload
from .worker import Attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from typing import NoReturn


def main(staged: str, index: str, variable: str = "", first: str = "0", start: str = "0") -> None:
    """Run one element's payloads, one after another, and leave a mark for each.

    When one of them runs a graph of its own, which may need one that stands behind it, those go on in a second process.

    Args:
        staged: The set's directory.
        index: The element, unless a variable of the environment names it.
        variable: The name of that variable, with the element's index counted from `first`.
        first: The variable's value for element 0.
        start: The number of its payloads that another process sees to.
    """
    open_before = _open_files()
    element = int(index)
    position = os.environ.get(variable, "") if variable else ""
    if position.isdigit() and int(position) >= int(first):
        element = int(position) - int(first)
    payloads = list(unpack_group(read_element(f"{staged}/payloads", element)))
    codes = []
    for number in range(int(start), len(payloads)):
        rest = _Rest([staged, str(element), "", "0", str(number + 1)], needed=number + 1 < len(payloads))
        assignment, body = read_payload(payloads[number])
        if not Attempt(assignment, b"").claim():
            codes.append(BEGUN_BEFORE)  # it was taken back, or another copy of this worker has it, and will tell
            continue
        ended = run_alone(assignment, body, on_nested=rest.start)
        codes.append(int(ended.exit_code != 0))
        _mark(staged, assignment.nonce, ended)
        if rest.process is not None:
            code = rest.process.wait()
            codes.append(code if code >= 0 else 128 - code)  # as a shell tells the end by a signal
            break
    _leave(max(codes, default=0), open_before)


class _Rest:
    """The process for the payloads behind one that runs a graph of its own.

    Args:
        arguments: Those of `main`.
        needed: Whether there are any.
    """

    def __init__(self, arguments: list[str], needed: bool) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._arguments = arguments
        self._needed = needed

    def start(self) -> None:
        """Start it, at the first call."""
        if self._needed and self.process is None:
            import subprocess

            from .command import BOOTSTRAP

            self.process = subprocess.Popen([sys.executable, BOOTSTRAP, "staged", *self._arguments])


def _open_files() -> list[str]:
    try:
        return os.listdir("/proc/self/fd")
    except OSError:  # no Linux
        return []


def _leave(status: int, open_before: list[str]) -> NoReturn:
    """End the process: at once where its tasks left no thread and no open file, whose rest Python would write out."""
    if "threading" in sys.modules or not open_before or _open_files() != open_before:
        sys.exit(status)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass
    os._exit(status)


def _mark(staged: str, nonce: str, ended: Ended) -> None:
    """Leave a job's end mark, with the reason for its end as content."""
    code = 128 + (ended.signal or 0) if ended.exit_code is None else ended.exit_code  # as a shell has it
    path = f"{staged}/ended/{nonce}-{code}"
    if not ended.reason:
        files.write_text(path, "")
        return
    try:
        files.write_text(f"{path}.tmp", ended.reason)
    except OSError:  # on a full disk the name alone must do
        pass
    os.replace(f"{path}.tmp", path)
