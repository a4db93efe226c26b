"""The driver's side: jobs become Dask tasks, a few short jobs together."""
from __future__ import annotations

import contextlib
import importlib
import logging
import secrets
import threading
from collections.abc import Iterator, Sequence
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
_CONNECT_SECONDS = 30
_CLOSE_SECONDS = 3


@dataclass(eq=False)
class _Group:
    """Jobs that one Dask task runs; `payloads` by nonce, kept in case that some come back."""

    jobs: dict[str, Job]
    payloads: dict[str, bytes]
    future: Any = field(default=None, repr=False)


class DaskBackend:
    """Hands jobs to a Dask scheduler, and reports as the futures end."""

    def __init__(self, context: BackendContext) -> None:
        self.capabilities = Capabilities(window=_WINDOW, latency=0.0 if _is_here(context.options) else 10.0)
        self._context = context
        self._options: DaskOptions = context.options
        self._report = context.report
        self._started = context.directory / "started"
        self._run = Run(tuple(context.serve), str(self._started), f"taskproc-{secrets.token_hex(8)}")
        self._cluster: Any = None
        self._client: Any = None
        self._groups: dict[str, _Group] = {}
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, jobs: Sequence[Job]) -> None:
        self._connect()
        ready: list[tuple[Job, bytes]] = []
        for job in jobs:
            try:
                ready.append((job, job.payload()))
            except Exception as error:
                self._report.finished(job, Outcome("rejected", f"{type(error).__name__}: {error}"))
        for group in _grouped(ready, self._slots()):
            for job in group.jobs.values():
                self._report.accepted(job, self._key(job.nonce))
            self._send(group)

    def cancel(self, jobs: Sequence[Job]) -> None:
        wanted = {job.nonce for job in jobs}
        with self._lock:
            groups = [group for group in self._groups.values() if wanted & group.jobs.keys()]
        if not groups:
            return
        nonces = sorted(nonce for group in groups for nonce in wanted & group.jobs.keys())
        running = {nonce for found in self._on_workers(cancel_jobs, nonces) for nonce in found}
        # A group that runs answers by itself, now that its job was ended; one that waits need not be waited for.
        waiting = [group.future for group in groups if group.jobs.keys() <= wanted and not running & group.jobs.keys()]
        with contextlib.suppress(Exception):
            self._client.cancel(waiting, asynchronous=False)

    def close(self, detach: bool) -> None:
        self._closed = True
        if self._client is None:
            return
        with self._lock:
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

    def _slots(self) -> int:
        """How many jobs run at once, as far as is known."""
        workers = self._client.scheduler_info(n_workers=-1).get("workers", {})
        return sum(worker.get("nthreads", 1) for worker in workers.values()) or self._context.max_workers

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

    def _send(self, group: _Group) -> None:
        first = next(iter(group.jobs.values()))
        tell = not _short(first)
        key = self._key(first.nonce)
        with self._lock:
            self._groups[key] = group
        group.future = self._client.submit(
            run_group, self._run, list(group.payloads.items()), tell, key=key, pure=False, retries=0
        )
        group.future.add_done_callback(partial(self._done, key))

    def _key(self, nonce: str) -> str:
        return f"taskproc-{nonce}"

    def _done(self, key: str, future: Future) -> None:
        with self._lock:
            group = self._groups.pop(key)
        if self._closed:
            return
        if future.cancelled():
            answers = [(nonce, Outcome("cancelled")) for nonce in group.jobs]
        else:
            answers = self._answers(group, future)
        for nonce, outcome in answers:
            if outcome is None:
                again = f"{self._key(nonce)}-again"
                self._send_again(group, nonce, again)
            else:
                self._report.finished(group.jobs[nonce], outcome)

    def _answers(self, group: _Group, future: Future) -> Any:
        try:
            return future.result()
        except Exception as error:
            return [(nonce, Outcome("lost", f"{type(error).__name__}: {error}")) for nonce in group.jobs]

    def _send_again(self, group: _Group, nonce: str, key: str) -> None:
        """Submit a job anew that waited behind one which runs a graph of its own."""
        self._send(_Group({nonce: group.jobs[nonce]}, {nonce: group.payloads[nonce]}))

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
            n_workers=workers, threads_per_worker=1, processes=False, dashboard_address=None, silence_logs=logging.ERROR
        )
    module, _, name = options.cluster.partition(":")
    try:
        kind = getattr(importlib.import_module(module), name)
        cluster = kind(**options.arguments())
    except Exception as error:
        msg = f"the Dask cluster {options.cluster} cannot be started: {type(error).__name__}: {error}"
        raise BackendError(msg) from error
    cluster.scale(workers)
    return cluster


def _short(job: Job) -> bool:
    return job.expected is not None and job.expected < _GROUP_SECONDS


def _grouped(ready: Sequence[tuple[Job, bytes]], slots: int) -> Iterator[_Group]:
    """Put short jobs together, but leave something for every slot."""
    fair = max(1, len(ready) // (2 * slots))
    group = _Group({}, {})
    for job, payload in ready:
        group.jobs[job.nonce] = job
        group.payloads[job.nonce] = payload
        size = min(_LARGEST_GROUP, int(_GROUP_SECONDS / max(job.expected or 0.0, 1e-4))) if _short(job) else 1
        if len(group.jobs) >= min(size, fair):
            yield group
            group = _Group({}, {})
    if group.jobs:
        yield group
