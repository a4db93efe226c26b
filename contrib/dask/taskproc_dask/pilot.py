"""What runs in a Dask worker: it feeds taskproc's own worker processes, and keeps them warm.

A task therefore runs apart from Dask's own process: it may crash, be ended, or write to its descriptors without harm
to the Dask worker, which lives on as a pilot.
"""
from __future__ import annotations

import contextlib
import os
import pickle
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from distributed import get_worker, secede

from taskproc.plugin import FrameBuffer, Outcome, end_process_trees, frame, pack_group

_READ = 1 << 20
# A worker process that has nothing to do ends soon: its driver may have died without a word.
_IDLE_SECONDS = 10.0
_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Run:
    """What a pilot must know of a run.

    Args:
        serve: The command of a worker process that is fed on its stdin.
        started: A directory with a file for each attempt that has started.
        topic: Where to tell that a job runs.
    """

    serve: tuple[str, ...]
    started: str
    topic: str


class Server:
    """One of taskproc's worker processes."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, cwd="/"
        )
        self._frames = FrameBuffer()
        self._answers: deque[bytes] = deque()
        self.pid = self._process.pid
        self.idle_since = 0.0

    def send(self, payloads: Sequence[bytes]) -> None:
        """Hand over a group; a worker that is gone shows when it is asked."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(frame(pack_group(payloads)))
            self._process.stdin.flush()

    def answer(self) -> tuple[str, Any] | None:
        """Wait for the next answer; None if the process has ended."""
        assert self._process.stdout is not None
        while not self._answers:
            data = os.read(self._process.stdout.fileno(), _READ)
            if not data:
                return None
            self._answers.extend(self._frames.feed(data))
        answer: tuple[str, Any] = pickle.loads(self._answers.popleft())
        return answer

    def code(self) -> int:
        """Wait for its end, and give its return code."""
        return self._process.wait()

    def close(self) -> None:
        """Let it end, by closing its pipes."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()
        threading.Thread(target=self._process.wait, daemon=True).start()


class Servers:
    """The worker processes of this Dask worker process, and the groups of jobs that run in them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, ...], list[Server]] = {}
        self._running: dict[str, Server] = {}
        self._cancelled: set[str] = set()
        self._groups: set[_Group] = set()
        self._janitor: threading.Thread | None = None

    @contextlib.contextmanager
    def watch(self, group: _Group) -> Iterator[None]:
        """Look now and then whether somebody still wants a group to be run."""
        with self._lock:
            self._groups.add(group)
            if self._janitor is None:
                self._janitor = threading.Thread(target=self._tidy_up, name="taskproc-janitor", daemon=True)
                self._janitor.start()
        try:
            yield
        finally:
            with self._lock:
                self._groups.discard(group)

    @contextlib.contextmanager
    def one(self, command: tuple[str, ...]) -> Iterator[Server]:
        """Lend a process of a run: a warm one, or a new one; it is dropped after an error."""
        with self._lock:
            idle = self._idle.get(command)
            server = idle.pop() if idle else None
        server = server or Server(command)
        try:
            yield server
        except BaseException:
            server.close()
            raise
        with self._lock:
            server.idle_since = time.monotonic()
            self._idle.setdefault(command, []).append(server)

    def begin(self, nonce: str, server: Server) -> None:
        """Note which process a job runs in."""
        with self._lock:
            self._running[nonce] = server
            cancelled = nonce in self._cancelled
        if cancelled:
            end_process_trees([server.pid])

    def end(self, nonce: str) -> bool:
        """Note that a job has ended; whether it was cancelled."""
        with self._lock:
            self._running.pop(nonce, None)
            cancelled = nonce in self._cancelled
            self._cancelled.discard(nonce)
        return cancelled

    def cancel(self, nonces: Sequence[str]) -> list[str]:
        """End jobs, and let those that wait never start; give those that run here."""
        with self._lock:
            self._cancelled.update(nonces)
            victims = {nonce: self._running[nonce] for nonce in nonces if nonce in self._running}
        end_process_trees([server.pid for server in victims.values()])
        return list(victims)

    def close(self, command: tuple[str, ...]) -> None:
        """End the processes of a run that have nothing to do."""
        with self._lock:
            idle = self._idle.pop(command, [])
        for server in idle:
            server.close()

    def _tidy_up(self) -> None:
        """End what nobody wants any more, until there is nothing left to look after."""
        while True:
            time.sleep(_LOOK_SECONDS)
            before = time.monotonic() - _IDLE_SECONDS
            with self._lock:
                old = [server for servers in self._idle.values() for server in servers if server.idle_since < before]
                for servers in self._idle.values():
                    servers[:] = [server for server in servers if server.idle_since >= before]
                groups = list(self._groups)
                ended = not groups and not any(self._idle.values())
                if ended:
                    self._idle.clear()
                    self._janitor = None
            for server in old:
                server.close()
            for group in groups:
                group.end_if_unwanted()
            if ended:
                return


_servers = Servers()


def run_group(
    run: Run, jobs: Sequence[tuple[str, bytes]], tell: bool
) -> tuple[list[tuple[str, Outcome | None]], float]:
    """Run jobs, one after another; say how each ended, and how long it took in all.

    A job that is to be submitted anew has None for an outcome.

    Args:
        run: The run.
        jobs: Nonce and payload of each.
        tell: Whether to tell, job by job, that they run.
    """
    began = time.perf_counter()
    return _Group(run, jobs, tell).run(), time.perf_counter() - began


def cancel_jobs(nonces: Sequence[str]) -> list[str]:
    """End jobs in this Dask worker, and let those that wait never start; give those that run here."""
    return _servers.cancel(nonces)


def close_servers(serve: tuple[str, ...]) -> None:
    """End the processes of a run in this Dask worker."""
    _servers.close(serve)


class _Died(Exception):
    """A worker process ended while it had work."""


class _Group:
    """Jobs that one Dask task runs."""

    def __init__(self, run: Run, jobs: Sequence[tuple[str, bytes]], tell: bool) -> None:
        self._run = run
        self._tell = tell
        self._waiting = dict(jobs)
        self._claimed: set[str] = set()
        self._answers: list[tuple[str, Outcome | None]] = []
        self._seceded = False
        self._worker = get_worker()
        self._key = self._worker.get_current_task()
        self._unwanted = False
        self._server: Server | None = None

    def run(self) -> list[tuple[str, Outcome | None]]:
        with _servers.watch(self):
            while self._waiting and not self._unwanted:
                try:
                    with _servers.one(self._run.serve) as self._server:
                        self._feed(self._server)
                except _Died:
                    continue  # what was behind the job that died goes to another process
        return self._answers

    def end_if_unwanted(self) -> None:
        """End what runs if Dask has forgotten this task: its driver is gone, or has cancelled it."""
        task = self._worker.state.tasks.get(self._key)
        if task is None or task.state == "cancelled":
            self._unwanted = True
            if self._server is not None:
                end_process_trees([self._server.pid])

    def _feed(self, server: Server) -> None:
        """Have one process run all that waits."""
        self._sort_out()
        if not self._waiting:
            return
        server.send(list(self._waiting.values()))
        self._begin(server)
        while self._waiting:
            answer = server.answer()
            if answer is None:
                head = next(iter(self._waiting))
                code = server.code()
                self._answer(head, Outcome("cancelled") if _servers.end(head) else Outcome.of_process(code))
                raise _Died
            nonce, content = answer
            if content == "nested":
                self._leave_place()
            elif content == "returned":
                os.unlink(self._mark(nonce))
                self._answer(nonce, None)
            else:
                _servers.end(nonce)
                self._answer(nonce, content)
                self._begin(server)

    def _sort_out(self) -> None:
        """Leave out what was cancelled, and what has started before: Dask runs a task again when a worker is lost."""
        for nonce in [nonce for nonce in self._waiting if nonce not in self._claimed]:
            if _servers.end(nonce):
                self._answer(nonce, Outcome("cancelled"))
                continue
            try:
                os.close(os.open(self._mark(nonce), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
                self._claimed.add(nonce)
            except FileExistsError:
                self._answer(nonce, Outcome("lost", "the Dask worker that ran it was lost"))

    def _begin(self, server: Server) -> None:
        """Note that the job at the head runs now."""
        if self._waiting:
            nonce = next(iter(self._waiting))
            _servers.begin(nonce, server)
            if self._tell:
                told = {"nonce": nonce, "host": socket.gethostname(), "pid": server.pid}
                self._worker.log_event(self._run.topic, told)

    def _leave_place(self) -> None:
        """Let the Dask worker take other tasks, since this one may wait for them."""
        if not self._seceded:
            self._seceded = True
            secede()

    def _mark(self, nonce: str) -> str:
        return f"{self._run.started}/{nonce}"

    def _answer(self, nonce: str, outcome: Outcome | None) -> None:
        del self._waiting[nonce]
        self._answers.append((nonce, outcome))
