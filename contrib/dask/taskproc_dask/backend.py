"""The driver's side: jobs become Dask tasks, a few short jobs together."""
from __future__ import annotations

import contextlib
import importlib
import itertools
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from distributed import Client, Future, LocalCluster

from taskproc.plugin import BackendContext, BackendError, BackendUnavailable, Capabilities, Job, Outcome

from .options import DaskOptions
from .pilot import Run, cancel_jobs, close_servers, run_group

_WINDOW = 2000
_GROUP_SECONDS = 0.2  # a Dask task holds about as much work as this
_LARGEST_GROUP = 64
_AHEAD = 3  # Dask tasks of short jobs that are sent ahead, for each slot
_PROBE_SECONDS = 1.0  # jobs of a class that nobody knows are short if some have ended by then
_CONNECT_SECONDS = 30
_NOBODY_ELSE = "127.0.0.1:0"  # Dask serves its dashboard, whether asked to or not; let it be for this machine alone
_CLOSE_SECONDS = 3


@dataclass(eq=False)
class _Group:
    """Jobs that one Dask task runs; `payloads` by nonce, kept in case that some come back."""

    jobs: dict[str, Job]
    payloads: dict[str, bytes]
    future: Any = field(default=None, repr=False)


class DaskBackend:
    """Hands jobs to a Dask scheduler, and reports as the futures end.

    Long jobs go to Dask at once, whatever their number: it queues them, and a cluster that adapts sees the demand.
    Short ones are put together into groups, and kept here until there is room for them.
    """

    def __init__(self, context: BackendContext) -> None:
        self.capabilities = Capabilities(window=_WINDOW, latency=0.0 if _is_here(context.options) else 10.0)
        self._context = context
        self._options: DaskOptions = context.options
        self._report = context.report
        self._started = context.directory / "started"
        self._run = Run(tuple(context.serve), str(self._started), f"taskproc-{secrets.token_hex(8)}")
        self._cluster: Any = None
        self._client: Any = None
        self._queues: dict[str, deque[Job]] = {}
        self._seconds: dict[str, float] = {}
        self._groups: dict[str, _Group] = {}
        self._lock = threading.RLock()
        self._slots = context.max_workers
        self._looked = float("-inf")
        self._numbers = itertools.count()
        self._closed = False

    def submit(self, jobs: Sequence[Job]) -> None:
        self._connect()
        for job in jobs:
            self._report.accepted(job, self._key(job.nonce))
        with self._lock:
            for job in jobs:
                self._queues.setdefault(job.task, deque()).append(job)
                if job.expected is not None:
                    self._seconds.setdefault(job.task, job.expected)
        self._pump()
        unknown = [task for task in self._queues if task not in self._seconds]
        if unknown:
            probe = threading.Timer(_PROBE_SECONDS, self._take_for_long, [unknown])
            probe.daemon = True
            probe.start()

    def cancel(self, jobs: Sequence[Job]) -> None:
        wanted = {job.nonce for job in jobs}
        with self._lock:
            queued = [job for queue in self._queues.values() for job in queue if job.nonce in wanted]
            for task, queue in self._queues.items():
                self._queues[task] = deque(job for job in queue if job.nonce not in wanted)
            groups = [group for group in self._groups.values() if wanted & group.jobs.keys()]
        for job in queued:
            self._report.finished(job, Outcome("cancelled"))
        if not groups:
            return
        nonces = sorted(nonce for group in groups for nonce in wanted & group.jobs.keys())
        running = {nonce for found in self._on_workers(cancel_jobs, nonces) for nonce in found}
        # A group that runs answers by itself, now that its job was ended; one that waits need not be waited for.
        waiting = [group.future for group in groups if group.jobs.keys() <= wanted and not running & group.jobs.keys()]
        with contextlib.suppress(Exception):
            self._client.cancel([future for future in waiting if future is not None])

    def close(self, detach: bool) -> None:
        self._closed = True
        if self._client is None:
            return
        with self._lock:
            self._queues.clear()
            left = [nonce for group in self._groups.values() for nonce in group.jobs]
        if left:
            self._on_workers(cancel_jobs, left)
        self._on_workers(close_servers, self._run.serve)
        closing = threading.Thread(target=self._let_go, name="taskproc-dask-close", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)

    # --- the cluster ---

    def _connect(self) -> None:
        """Start or find the cluster, at the first submit."""
        if self._client is not None:
            return
        self._started.mkdir(parents=True, exist_ok=True)
        options = self._options
        if options.address is None and self._cluster is None:
            self._cluster = _start_cluster(options, self._context.max_workers)
        try:
            self._client = Client(options.address or self._cluster, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError) as error:
            msg = f"no Dask scheduler answers at {options.address or 'the cluster that was started'}: {error}"
            raise BackendUnavailable(msg) from error
        self._client.subscribe_topic(self._run.topic, self._tell_started)

    def _look_at_slots(self) -> None:
        """See, now and then, how many jobs run at once."""
        now = time.monotonic()
        if now < self._looked + 1.0:
            return
        self._looked = now
        with contextlib.suppress(Exception):
            threads = sum(self._client.nthreads().values())
            self._slots = max(threads, self._options.workers or 1)

    def _on_workers(self, function: Any, argument: Any) -> list[Any]:
        """Call a function in every Dask worker; those that cannot be reached have lost their jobs anyway."""
        try:
            found = self._client.run(function, argument, on_error="ignore")
            return [answer for answer in found.values() if answer is not None]
        except Exception:
            return []

    def _let_go(self) -> None:
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        for closable in (self._client, self._cluster):
            with contextlib.suppress(Exception):
                if closable is not None:
                    closable.close(timeout=_CLOSE_SECONDS)

    # --- jobs ---

    def _pump(self) -> None:
        """Send what there is room for."""
        self._look_at_slots()
        with self._lock:
            room = _AHEAD * self._slots - len(self._groups)
            for task, queue in self._queues.items():
                while queue and (room > 0 or self._is_long(task)):
                    room -= 1
                    self._send_first(queue, self._size(task, len(queue)))

    def _is_long(self, task: str) -> bool:
        return self._seconds.get(task, 0.0) >= _GROUP_SECONDS

    def _size(self, task: str, waiting: int) -> int:
        """How many jobs to put together: as many as make up some work, but something is left for every slot."""
        if task not in self._seconds:
            return 1
        worthwhile = int(_GROUP_SECONDS / max(self._seconds[task], 1e-4))
        return max(1, min(_LARGEST_GROUP, worthwhile, -(-waiting // self._slots)))

    def _take_for_long(self, tasks: Sequence[str]) -> None:
        """Take jobs of which none has ended for long ones."""
        with self._lock:
            for task in tasks:
                self._seconds.setdefault(task, _GROUP_SECONDS)
        self._pump()

    def _send_first(self, queue: deque[Job], size: int) -> None:
        """Send the first jobs of a queue, but for those that cannot be pickled."""
        group = _Group({}, {})
        while queue and len(group.jobs) < size:
            job = queue.popleft()
            try:
                group.payloads[job.nonce] = job.payload()
                group.jobs[job.nonce] = job
            except Exception as error:
                self._report.finished(job, Outcome("rejected", f"{type(error).__name__}: {error}"))
        if group.jobs:
            self._send(group)

    def _send(self, group: _Group) -> None:
        first = next(iter(group.jobs.values()))
        key = f"{self._key(first.nonce)}-{next(self._numbers)}"  # Dask would give the old answer to a key that it knows
        tell = first.task not in self._seconds or self._is_long(first.task)
        with self._lock:
            self._groups[key] = group
        try:
            group.future = self._client.submit(
                run_group, self._run, list(group.payloads.items()), tell, key=key, pure=False, retries=0
            )
        except Exception as error:
            self._settle(key, [(nonce, Outcome("lost", f"{type(error).__name__}: {error}")) for nonce in group.jobs])
            return
        group.future.add_done_callback(partial(self._done, key))

    def _key(self, nonce: str) -> str:
        return f"taskproc-{nonce}"

    def _done(self, key: str, future: Future) -> None:
        group = self._groups[key]
        answers: list[tuple[str, Outcome | None]]
        try:
            if future.cancelled():
                answers = [(nonce, Outcome("cancelled")) for nonce in group.jobs]
            else:
                answers, seconds = future.result()
                self._learn(group, seconds)
        except Exception as error:
            answers = [(nonce, Outcome("lost", f"{type(error).__name__}: {error}")) for nonce in group.jobs]
        self._settle(key, answers)
        if not self._closed:
            self._pump()

    def _learn(self, group: _Group, seconds: float) -> None:
        """Note how long jobs of a class take, in the long run."""
        task = next(iter(group.jobs.values())).task
        each = seconds / len(group.jobs)
        before = self._seconds.get(task)
        self._seconds[task] = each if before is None else 0.7 * before + 0.3 * each

    def _settle(self, key: str, answers: Sequence[tuple[str, Outcome | None]]) -> None:
        """Report how the jobs of a group ended."""
        with self._lock:
            group = self._groups.pop(key)
        if self._closed:
            return
        for nonce, outcome in answers:
            if outcome is None:  # it waited behind one that runs a graph of its own
                self._send(_Group({nonce: group.jobs[nonce]}, {nonce: group.payloads[nonce]}))
            else:
                self._report.finished(group.jobs[nonce], outcome)

    def _tell_started(self, event: tuple[float, dict[str, Any]]) -> None:
        told = event[1]
        with self._lock:
            jobs = [group.jobs[told["nonce"]] for group in self._groups.values() if told["nonce"] in group.jobs]
        for job in jobs:
            self._report.started(job, told["host"], told["pid"])


def _is_here(options: DaskOptions) -> bool:
    return options.address is None and options.cluster is None


def _start_cluster(options: DaskOptions, max_workers: int) -> Any:
    workers = options.workers or max_workers
    if options.cluster is None:
        # Its workers are threads of this process: they only feed processes of our own.
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=False,
            dashboard_address=_NOBODY_ELSE,
            worker_dashboard_address=_NOBODY_ELSE,
            silence_logs=logging.ERROR,
        )
    module, _, name = options.cluster.partition(":")
    try:
        kind = getattr(importlib.import_module(module), name)
        cluster = kind(**options.arguments())
    except Exception as error:
        root = _root(error)
        msg = f"the Dask cluster {options.cluster} cannot be started: {type(root).__name__}: {root}"
        raise BackendError(msg) from error
    cluster.scale(workers)
    return cluster


def _root(error: BaseException) -> BaseException:
    """Give the error that all began with."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
