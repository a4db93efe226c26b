"""Drives one backend as the core does, job by job, and notes what it reports."""
from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ..base.errors import BackendUnavailable, SubmitUnknown
from ..base.outcome import Outcome
from ..contract.plugins import Plugins
from ..plugin import BackendContext, BackendPlugin, Job, JobRef
from ..run.choice import BackendChoice
from ..run.packing import Packer
from ..run.payloads import Payloads
from ..run.places import Place, Places
from ..run.request import RunRequest
from ..run.run import make_plan
from ..run.seats import Seats
from ..runs.adoption import take_back
from ..runs.ledger import Ledger, RunDirectory
from ..runs.staging import StagedSets
from ..store.meta import META_SIZE, Meta
from ..task import TaskBase
from ..tasks.in_use import current_cache
from ..tasks.settings import load_settings
from ..work.command import serve_command
from ..work.handover import forget_context, note_own_context, write_context
from ..work.setup import describe
from .clauses import ContractBroken, breach, require
from .recorder import Recorder
from .tasks import Count

T = TypeVar("T")
_Call = tuple[Callable[[], Any], "queue.SimpleQueue[Any]"]


class Bench:
    """One driver's backend, without the driver.

    Args:
        name: The backend's name.
        tasks: What its jobs will run. None may need another.
        options: The run's options for it.
        plugins: Modules and files that bring it, if it is not installed.
        max_workers: As in `BackendContext`.
        patience: Seconds until something that has not happened will not happen.

    Attributes:
        jobs: A job for each task.
        report: What the backend reports.
        backend: The backend itself.
    """

    def __init__(
        self,
        name: str,
        tasks: Sequence[TaskBase[Any]],
        *,
        options: Mapping[str, Any],
        plugins: Sequence[str] = (),
        max_workers: int = 2,
        patience: float = 60.0,
    ) -> None:
        self.name = name
        self.patience = patience
        self.report = Recorder()
        self.closed = False
        self._payloads: dict[str, int] = {}
        self._submitted: list[Job] = []
        settings, cache = load_settings(), current_cache()
        plan = make_plan(Count(*tasks), RunRequest(force=True), settings, cache)
        self._run = RunDirectory(cache.runs, "a conformance test")
        setup = describe(settings.worker_setup)
        write_context(self._run.context, os.path.dirname(cache.root), self._run.run, False, setup)
        note_own_context(self._run.context, False, setup)
        self._ledger = Ledger(f"{self._run.path}/ledger.jsonl")
        found = Plugins([*settings.plugins, *plugins], profiles=settings.profiles)
        self._places = Places(plan.graph, found, BackendChoice(settings, name, {}, options))
        seats, packer = Seats(plan, lambda known: False), Packer(self._run.path)
        packer.register(plan.graph.classes, plan.graph.read.beside)
        seats.allot()
        self._maker = Payloads(plan, seats, packer, self._run.context)
        self._graph = plan.graph
        nodes = [plan.graph.node_of[task._task.digest] for task in tasks]
        self._node_of: dict[str, int] = {}
        self.jobs = [self._job(node) for node in nodes]
        place = self._places.choose(nodes[0], 0)
        self.plugin: BackendPlugin = place.plugin
        self.staging = StagedSets(f"{self._run.path}/{self.plugin.name}", self._ledger, self.plugin.name)
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=f"bench-{name}", daemon=True).start()
        self.backend = self._made(place, max_workers)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Close the backend, and look over what it reported."""
        __tracebackhide__ = True
        if kind is not None:
            with suppress(AssertionError):
                self.close()
            self._let_go()
            return
        self.close()
        self._let_go()
        require(not self.report.wrong, "R3", f"the backend {self.name!r}: {'; '.join(self.report.wrong)}.")
        for job in self.jobs:
            outcomes = self.report.outcomes.get(job.nonce, [])
            if len(outcomes) > 1:
                times = f"{len(outcomes)} times: {outcomes}"
                breach("R2", f"the backend {self.name!r} reported {job.label} finished {times}.")

    @property
    def capabilities(self) -> Any:
        """What the backend says of itself."""
        return self.backend.capabilities

    def submit(self, jobs: Sequence[Job] | None = None) -> None:
        """Hand jobs over as the core does: no more at a time than the window has room for."""
        __tracebackhide__ = True
        left = list(self.jobs if jobs is None else jobs)
        while left:
            room = self.room
            if not room:
                self._wait_for_room()
                continue
            part, left = left[:room], left[room:]
            self._submitted += part
            self._hand_over(part)

    @property
    def room(self) -> int:
        """How many more jobs the backend would be given now."""
        window = self.capabilities.window
        unfinished = sum(1 for job in self._submitted if job.nonce not in self.report.outcomes)
        return sys.maxsize if window is None else max(0, window - unfinished)

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Have jobs ended, as the core does: an attempt that was staged and has not started is taken back first."""
        __tracebackhide__ = True
        for job in jobs:
            if job.nonce in self.staging.refs:
                take_back(str(job.directory), job.nonce)
        try:
            self.call("cancel", jobs)
        except ContractBroken:
            raise
        except Exception as error:
            breach("C3", f"cancel() of the backend {self.name!r} raised {type(error).__name__}: {error}.")

    def adopt(self, jobs: Sequence[tuple[Job, JobRef]]) -> Sequence[Job]:
        """Have jobs of an earlier bench followed; give those that were never taken."""
        __tracebackhide__ = True
        self.report.expect(job for job, _ in jobs)
        self.jobs += [job for job, _ in jobs if job not in self.jobs]
        for job, ref in jobs:
            self.staging.adopt(job.nonce, ref)
        try:
            return list(self.call("adopt", jobs))
        except ContractBroken:
            raise
        except Exception as error:
            breach("D2", f"adopt() of the backend {self.name!r} raised {type(error).__name__}: {error}.")

    def close(self, detach: bool = False) -> None:
        """Close the backend, once."""
        __tracebackhide__ = True
        if self.closed:
            return
        self.closed = True
        try:
            self.call("close", detach)
        except ContractBroken:
            raise
        except Exception as error:
            breach("X1", f"close({detach}) of the backend {self.name!r} raised {type(error).__name__}: {error}.")

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the backend in the backend's own thread, and wait for its end."""
        __tracebackhide__ = True
        clause = {"submit": "S1", "cancel": "C2", "close": "X1", "adopt": "D2", "preview": "D5"}[method]
        function = getattr(self.backend, method)
        return self._in_thread(lambda: function(*arguments), clause, f"{method}()")

    def outcome(self, job: Job, clause: str = "R1") -> Outcome:
        """Wait for the outcome of a job; the clause is the one that is broken if there comes none."""
        __tracebackhide__ = True
        if not self.report.wait(lambda: job.nonce in self.report.outcomes, self.patience):
            after = f"in {self.patience:g} seconds"
            what = "cancelled while it ran" if clause == "C2" else "taken"
            breach(clause, f"{job.label} was {what}, and the backend {self.name!r} did not report it finished {after}.")
        return self.report.outcomes[job.nonce][0]

    def outcomes(self, jobs: Sequence[Job] | None = None) -> list[Outcome]:
        """Wait for the outcomes of jobs, by default of all."""
        __tracebackhide__ = True
        jobs = self.jobs if jobs is None else jobs
        known = self.report.outcomes
        self.report.wait(lambda: all(job.nonce in known for job in jobs), self.patience)
        silent = [job.label for job in jobs if job.nonce not in known]
        if silent:
            breach(
                "R1",
                f"the backend {self.name!r} did not report {len(silent)} of {len(jobs)} jobs finished in "
                f"{self.patience:g} seconds: {', '.join(silent[:5])}.",
            )
        return [known[job.nonce][0] for job in jobs]

    def has_result(self, job: Job) -> bool:
        """Whether this very attempt's result is there, as soon as it must be visible."""
        deadline = time.monotonic() + self.capabilities.latency
        while not self._has_result(job):
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.2)
        return True

    def refs(self, jobs: Sequence[Job]) -> list[tuple[Job, JobRef]]:
        """Give what this driver's ledger would tell the next driver."""
        __tracebackhide__ = True
        strays = [job.label for job in jobs if job.nonce not in self.staging.refs]
        if strays:
            breach("D1", f"the durable backend {self.name!r} never staged {', '.join(strays[:5])}.")
        ids = self.report.accepted_ids
        return [(job, replace(self.staging.refs[job.nonce], id=ids.get(job.nonce, ""))) for job in jobs]

    def read_payloads(self, job: Job) -> int:
        """How often a job's payload was asked for."""
        return self._payloads.get(job.nonce, 0)

    def _wait_for_room(self) -> None:
        __tracebackhide__ = True
        if not self.report.wait(lambda: self.room, self.patience):
            waiting = [job.label for job in self._submitted if job.nonce not in self.report.outcomes]
            which = f"{len(waiting)} jobs finished in {self.patience:g} seconds: {', '.join(waiting[:5])}"
            breach("R1", f"the backend {self.name!r} reported none of {which}.")

    def _hand_over(self, jobs: Sequence[Job]) -> None:
        """Submit jobs; what was not taken is offered again, what may have been is looked for."""
        __tracebackhide__ = True
        self.report.expect(jobs)
        deadline = time.monotonic() + self.patience
        while jobs:
            try:
                self.call("submit", jobs)
            except BackendUnavailable as error:
                time.sleep(0.5)
                require(time.monotonic() < deadline, "S1", f"the backend {self.name!r} stays unavailable: {error}.")
            except SubmitUnknown as error:
                jobs = self._looked_for(jobs, error)
            except ContractBroken:
                raise
            except Exception as error:
                breach("S1", f"submit() of the backend {self.name!r} raised {type(error).__name__}: {error}.")
            else:
                self._check_reports(jobs)
            jobs = self._unreported(jobs)

    def _check_reports(self, jobs: Sequence[Job]) -> None:
        __tracebackhide__ = True
        if silent := self._unreported(jobs):
            labels = ", ".join(job.label for job in silent[:5])
            breach(
                "S1",
                f"submit() of the backend {self.name!r} returned without a word on {len(silent)} of {len(jobs)} jobs: "
                f"{labels}.",
            )

    def _job(self, node: int) -> Job:
        job = self._maker.make(node, self._places.choose(node, 0).options)
        self._node_of[job.nonce] = node
        make = job.payload

        def payload() -> bytes:
            self._payloads[job.nonce] = self._payloads.get(job.nonce, 0) + 1
            return make()

        return replace(job, payload=payload)

    def _made(self, place: Place, max_workers: int) -> Any:
        __tracebackhide__ = True
        factory = self.plugin.factory
        if factory is None:
            breach("P2", f"the backend {self.name!r} has no factory.")
        context = BackendContext(
            options=place.options,
            max_workers=max_workers,
            directory=Path(f"{self._run.path}/{self.plugin.name}"),
            report=self.report,
            staging=self.staging,
            serve=serve_command(self._run.path),
        )
        return factory(context)

    def _in_thread(self, call: Callable[[], T], clause: str, what: str) -> T:
        __tracebackhide__ = True
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._calls.put((call, answers))
        try:
            value, error = answers.get(timeout=self.patience)
        except queue.Empty:
            breach(clause, f"{what} of the backend {self.name!r} did not return in {self.patience:g} seconds.")
        if error is not None:
            raise error
        result: T = value
        return result

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            call, answers = item
            try:
                answers.put((call(), None))
            except Exception as error:
                answers.put((None, error))

    def _looked_for(self, jobs: Sequence[Job], error: Exception) -> list[Job]:
        __tracebackhide__ = True
        if not hasattr(self.backend, "adopt"):
            breach("S1", f"the backend {self.name!r} raised SubmitUnknown ({error}) but has no adopt().")
        known = [job for job in self._unreported(jobs) if job.nonce in self.staging.refs]
        return [*self.adopt(self.refs(known)), *[job for job in self._unreported(jobs) if job not in known]]

    def _unreported(self, jobs: Sequence[Job]) -> list[Job]:
        reported = {*self.report.accepted_ids, *self.report.outcomes}
        return [job for job in jobs if job.nonce not in reported]

    def _has_result(self, job: Job) -> bool:
        digest = self._graph.digest(self._node_of[job.nonce]) if job.nonce in self._node_of else None
        for outcome in self.report.outcomes.get(job.nonce, []):
            if outcome.value and Meta.unpack(outcome.value[:META_SIZE]).commit.hex() == job.nonce:
                return True
        if digest is None:
            return (job.directory / "result.pkl.gz").exists()
        store = self._graph.class_of(self._node_of[job.nonce]).store
        meta = store.peek_instance(str(job.directory), digest)
        return meta is not None and meta.commit.hex() == job.nonce

    def _let_go(self) -> None:
        self._calls.put(None)
        self._ledger.close()
        self._run.close(True)
        forget_context(self._run.context)
