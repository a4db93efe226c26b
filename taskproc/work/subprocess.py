"""Runs an attempt in a process of its own: behind its prefix command, or where a timeout must be able to end it."""
from __future__ import annotations

import os
import pickle
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from ..base.ended import Ended, of_process
from ..base.errors import PrefixError, WorkerDiedError
from ..base.exit_status import signal_name
from ..base.private import DIRECTORY_MODE, make_directories, opener
from ..base.processes import end_process_trees
from ..base.telling import told
from ..store import files
from .command import BOOTSTRAP
from .worker import Attempt

if TYPE_CHECKING:
    from .handover import Assignment

_VISIBLE = 10.0  # seconds until a result that was written on another machine must be visible here
NESTED = "nested"
_PAYLOAD = "payload"
_LOOK = 0.2  # seconds between looks for the sign that a task runs a graph of its own
_SHOWN = 2000  # characters of a failed prefix command's output that its error shows

_running: dict[str, int] = {}
_cancelled: set[str] = set()
_lock = threading.Lock()


def run_apart(assignment: Assignment, body: bytes, on_nested: Callable[[], None] | None = None) -> Ended:
    """Run an attempt in a process of its own, and put the logs together.

    The prefix is text for a shell, and comes first on its line; what we add to it is quoted. A filed attempt was
    claimed before this; that process keeps its result only while the attempt's file shows that it is still ours.
    """
    prefix = assignment.prefix
    inner = assignment._replace(prefix="", packed=False, filed=True)
    attempt = Attempt(inner, b"")
    place = f"{os.path.dirname(assignment.context)}/apart/{assignment.nonce}"
    try:
        make_directories(os.path.dirname(place))
        os.mkdir(place, DIRECTORY_MODE)
    except FileExistsError:
        return Ended("lost", "another copy of this worker has begun the attempt")
    try:
        with open(f"{place}/{_PAYLOAD}", "wb", opener=opener) as file:
            file.write(pickle.dumps((inner, body), 5))
        if not assignment.filed:
            attempt.begin_filed()
        command = [sys.executable, BOOTSTRAP, "one", f"{place}/{_PAYLOAD}"]
        line = f"{prefix} {shlex.join(command)}"
        with _listening(f"{place}/{NESTED}", on_nested):
            code = _run(assignment.nonce, line, place)
        return _outcome(attempt, line if prefix else "", code, place)
    except OSError as error:  # of the disk, or no process could be started
        return Ended(reason=told(error), exit_code=1, host=os.uname().nodename)
    finally:
        with _lock:
            _cancelled.discard(assignment.nonce)
        attempt.let_go()
        shutil.rmtree(place, ignore_errors=True)


def cancel(nonce: str) -> None:
    """End the process of an attempt that runs apart in this process; one that has none yet will get none."""
    with _lock:
        _cancelled.add(nonce)
        pid = _running.get(nonce)
    if pid is not None:
        end_process_trees([pid])


@contextmanager
def _listening(sign: str, on_nested: Callable[[], None] | None) -> Iterator[None]:
    """Watch for the sign that the task, which may be on another machine, runs a graph of its own."""
    if on_nested is None:
        yield
        return
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK):
            if os.path.exists(sign):
                on_nested()
                return

    watcher = threading.Thread(target=watch, name="taskproc-nesting", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _run(nonce: str, line: str, place: str) -> int:
    """Run the line, and give its return code; nothing is started for an attempt that was cancelled before."""
    with open(f"{place}/stdout", "wb") as out, open(f"{place}/stderr", "wb") as err:
        with _lock:
            if nonce in _cancelled:
                return 0
            # The pipe is the worker's sign of life: it hangs up when this process is gone.
            process = subprocess.Popen(
                line, shell=True, stdin=subprocess.PIPE, stdout=out, stderr=err, start_new_session=True
            )
            _running[nonce] = process.pid
        try:
            return process.wait()
        finally:
            with _lock:
                _running.pop(nonce, None)
            assert process.stdin is not None
            process.stdin.close()


def _outcome(attempt: Attempt, line: str, code: int, place: str) -> Ended:
    nonce = attempt.assignment.nonce
    if nonce in _cancelled:
        return Ended("cancelled")
    if _wait_for_end(attempt, code, place):
        if line:
            _join_logs(attempt.directory, place)
        ended = of_process(code)
        if line and code != 0 and _committed(attempt):
            reason = f"the prefix command ended with {_status(code)} after the result was kept: {line}"
            return Ended(reason=reason, exit_code=max(code, 0))
        return ended
    if line:
        error: Exception = PrefixError(_explain(line, code, place))
    else:
        error = WorkerDiedError(f"the worker ended with {_status(code)}, without a result")
    waiting = _is_waiting(place)
    ended = attempt.fail(error, f"{told(error)}\n") if waiting else attempt.fail_beside(error)
    if line and attempt.is_ours():
        _join_logs(attempt.directory, place)
    return ended


def _wait_for_end(attempt: Attempt, code: int, place: str) -> bool:
    """Whether the worker left a result or a failure; on another machine it may have, unseen yet."""
    deadline = time.monotonic() + (_VISIBLE if code == 0 else 0.0)
    while True:
        if _committed(attempt) or files.load_failure(attempt.directory, attempt.assignment.nonce):
            return True
        if _is_waiting(place) or time.monotonic() >= deadline:
            return False
        time.sleep(0.1)
        os.listdir(attempt.directory)


def _is_waiting(place: str) -> bool:
    """Whether no worker has taken the payload."""
    # By a listing: on a network's disk, what is known of one file may be old.
    return _PAYLOAD in os.listdir(place)


def _committed(attempt: Attempt) -> bool:
    try:
        meta = files.peek(f"{attempt.directory}/{files.RESULT}")
    except files.DamagedResultError:
        return False
    return meta is not None and meta.commit.hex() == attempt.assignment.nonce


def _join_logs(directory: str, place: str) -> None:
    """Put what the prefix printed before what the task printed."""
    for stream, name in (("stdout", files.STDOUT), ("stderr", files.STDERR)):
        with open(f"{place}/joined", "wb") as joined:
            joined.write(b"=== caller log ===\n")
            _append(joined, f"{place}/{stream}")
            joined.write(b"=== callee log ===\n")
            _append(joined, f"{directory}/{name}")
        os.replace(f"{place}/joined", f"{directory}/{name}")


def _append(joined: BinaryIO, path: str) -> None:
    try:
        with open(path, "rb") as file:
            shutil.copyfileobj(file, joined)
    except FileNotFoundError:
        pass


def _explain(line: str, code: int, place: str) -> str:
    if code == 0:
        what = "ended with exit status 0 without running the task"
    elif code == 127:
        what = "was not found, or did not find what it should run (exit status 127)"
    else:
        what = f"ended with {_status(code)} without a result"
    output = "".join(_tail(f"{place}/{stream}") for stream in ("stdout", "stderr")).strip()
    return f"the prefix command {what}: {line}\nIts output: {output or 'none'}"


def _tail(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()[-_SHOWN:]


def _status(code: int) -> str:
    return f"exit status {code}" if code >= 0 else f"signal {signal_name(-code)}"
