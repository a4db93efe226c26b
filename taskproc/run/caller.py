"""The thread that makes every call to one backend, and the reports that come back from it."""
from __future__ import annotations

import logging
import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from ..base.errors import BackendError, BackendUnavailable, SubmitUnknown
from ..base.outcome import Outcome
from ..plugin import Backend, Job, JobRef
from ..runs.adoption import take_back
from ..runs.ledger import Ledger
from ..runs.staging import StagedSets

_LOGGER = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds before jobs that were not taken are offered again


class Message(NamedTuple):
    """Something that a backend, or the thread that calls it, tells the loop."""

    kind: Literal["waiting", "started", "finished", "never taken", "closed"]
    name: str  # the attempt's nonce; of "closed", the backend
    content: Any = None


Inbox = queue.SimpleQueue[Message]


class DriverReports:
    """Where one backend reports to (`plugin.Reports`)."""

    def __init__(self, inbox: Inbox, ledger: Ledger) -> None:
        self._inbox = inbox
        self._ledger = ledger
        self.durable = False
        self.reported: set[str] = set()

    def accepted(self, job: Job, id: str) -> None:
        """Note that the job was taken; for a durable backend it is in the ledger when this returns."""
        if self.durable:
            try:
                self._ledger.write({"kind": "accepted", "nonce": job.nonce, "id": id, "time": time.time()})
            except OSError as error:  # the job is found all the same, by the name of its set, which is in the ledger
                _LOGGER.warning("that %s was taken as %s could not be noted: %s", job.label, id, error.strerror)
        self.reported.add(job.nonce)

    def waiting(self, job: Job, reason: str) -> None:
        """Pass on why a job waits."""
        self._inbox.put(Message("waiting", job.nonce, str(reason)))

    def started(self, job: Job, host: str = "", pid: int | None = None) -> None:
        """Pass on that a job runs."""
        self._inbox.put(Message("started", job.nonce, (str(host), pid if isinstance(pid, int) else None)))

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Pass on how a job ended."""
        given: Any = outcome
        if not isinstance(given, Outcome):
            outcome = Outcome("rejected", f"its backend said that it ended as {given!r}, which is no Outcome")
        self.reported.add(job.nonce)
        self._inbox.put(Message("finished", job.nonce, outcome))

    def unreported(self, jobs: Iterable[Job]) -> list[Job]:
        """Give those jobs that were neither taken nor refused, as far as the backend has said."""
        return [job for job in jobs if job.nonce not in self.reported]


class _Call(NamedTuple):
    """A call to make: to submit, cancel or take back jobs, to adopt jobs with the places where they went, to close."""

    kind: Literal["submit", "cancel", "take_back", "adopt", "try_again", "close"]
    jobs: Sequence[Job] = ()
    refs: Sequence[JobRef] = ()
    detach: bool = False


class Caller:
    """Calls one backend, each call after the one before.

    A backend that raises what it should not, or would end the thread, fails the jobs at hand and is told of. Should the
    thread end all the same, its last word is the message "closed".

    Args:
        name: The backend's name.
        backend: The backend.
        reports: Where it reports to.
        staging: Where it files jobs.
        inbox: Where this thread reports to.

    Attributes:
        closed: Set when the backend is closed, and the thread at its end.
    """

    def __init__(self, name: str, backend: Backend, reports: DriverReports, staging: StagedSets, inbox: Inbox) -> None:
        self.closed = threading.Event()
        self._name = name
        self._backend = backend
        self._reports = reports
        self._staging = staging
        self._inbox = inbox
        self._calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        self._refused_calls: deque[_Call] = deque()
        self._pause = _FIRST_PAUSE
        self._due = 0.0  # when to offer again what is held, on the monotonic clock
        self._refusal = ""
        self._offered = False  # whether the last call was one that had been refused before
        threading.Thread(target=self._run, name=f"taskproc-{name}", daemon=True).start()

    @property
    def holds(self) -> bool:
        """Whether there are jobs that the backend could not take yet."""
        return bool(self._refused_calls)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Have jobs submitted, soon."""
        self._calls.put(_Call("submit", jobs))

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Have jobs ended."""
        self._calls.put(_Call("cancel", jobs))

    def take_back(self, jobs: Sequence[Job]) -> None:
        """Have jobs ended that have not started, as far as is known; those that have started all the same run on."""
        self._calls.put(_Call("take_back", jobs))

    def adopt(self, jobs: Sequence[Job], refs: Sequence[JobRef]) -> None:
        """Have jobs of an earlier driver followed; of those never taken, the loop is told."""
        self._calls.put(_Call("adopt", jobs, refs))

    def try_again(self) -> None:
        """Have what is held offered now."""
        self._calls.put(_Call("try_again"))

    def close(self, detach: bool) -> None:
        """Have the backend closed."""
        self._calls.put(_Call("close", detach=detach))

    def _run(self) -> None:
        try:
            call = self._next()
            while call.kind != "close":
                self._make(call)
                call = self._next()
            self._make(call)
        finally:
            self.closed.set()
            self._inbox.put(Message("closed", self._name))

    def _next(self) -> _Call:
        """Wait for a call; what the backend could not take is offered again when its pause is over.

        New calls and offers take turns, so that neither keeps the other waiting.
        """
        while self._refused_calls:
            left = self._due - time.monotonic()
            if left <= 0 and not self._offered:
                self._offered = True
                return self._refused_calls.popleft()
            self._offered = False
            try:
                return self._calls.get(timeout=max(0.001, left))
            except queue.Empty:
                continue
        return self._calls.get()

    def _make(self, call: _Call) -> None:
        try:
            if call.kind == "submit":
                self._submit(call)
            elif call.kind == "adopt":
                self._adopt(call)
            elif call.kind == "cancel":
                self._cancel(call.jobs)
            elif call.kind == "take_back":
                self._take_back(call.jobs)
            elif call.kind == "try_again":
                self._due = 0.0
            else:
                self._backend.close(call.detach)
        except BaseException as error:  # a client library may call sys.exit()
            self._broken(call, error)

    def _submit(self, call: _Call) -> None:
        jobs = self._reports.unreported(call.jobs)
        if not jobs:
            return
        if self._refused_calls and time.monotonic() < self._due:
            self._hold(call._replace(jobs=jobs), self._refusal)
            return
        try:
            self._backend.submit(jobs)
            self._pause, self._due = _FIRST_PAUSE, 0.0
            for job in self._reports.unreported(jobs):
                self._reports.finished(job, Outcome("rejected", f"the backend {self._name} said nothing of it"))
        except BackendUnavailable as error:
            self._refuse(call._replace(jobs=self._reports.unreported(jobs)), str(error))
        except SubmitUnknown as error:
            _LOGGER.warning("%s: %s; looking for the jobs before any second try", self._name, error)
            self._look_for(self._reports.unreported(jobs))

    def _refuse(self, call: _Call, reason: str) -> None:
        """Keep a call that the scheduler could not take, with a pause that grows."""
        _LOGGER.warning("%s is not available (%s); %d jobs must wait for it", self._name, reason, len(call.jobs))
        self._refusal = reason
        self._due = time.monotonic() + self._pause
        self._pause = min(_LONGEST_PAUSE, self._pause * 2)
        self._hold(call, reason)

    def _hold(self, call: _Call, reason: str) -> None:
        if call.jobs:
            self._refused_calls.append(call)
        if call.kind == "submit":
            for job in call.jobs:
                self._reports.waiting(job, reason)

    def _look_for(self, jobs: Sequence[Job]) -> None:
        """After a submission without an answer, find out what became of its jobs."""
        if not hasattr(self._backend, "adopt"):
            for job in jobs:
                self._reports.finished(job, Outcome("lost", "the backend does not know whether it took the job"))
            return
        refs = self._staging.refs
        staged = [job for job in jobs if job.nonce in refs]
        unstaged = [job for job in jobs if job.nonce not in refs]
        if unstaged:
            self._refuse(_Call("submit", unstaged), "it does not say whether it took them")
        if staged:
            self._adopt(_Call("adopt", staged, [refs[job.nonce] for job in staged]))

    def _adopt(self, call: _Call) -> None:
        backend: Any = self._backend  # only durable backends are asked
        try:
            never = backend.adopt(list(zip(call.jobs, call.refs, strict=True)))
        except BackendUnavailable as error:
            self._refuse(call, str(error))
            return
        for job in never:
            self._inbox.put(Message("never taken", job.nonce))

    def _cancel(self, jobs: Sequence[Job]) -> None:
        """Drop what the scheduler has not taken yet, and have the rest ended."""
        doomed = {job.nonce for job in jobs}
        dropped: set[str] = set()
        held, self._refused_calls = self._refused_calls, deque()
        for call in held:
            if call.kind == "submit":
                dropped.update(job.nonce for job in call.jobs if job.nonce in doomed)
                call = call._replace(jobs=[job for job in call.jobs if job.nonce not in doomed])
            if call.jobs:
                self._refused_calls.append(call)
        for job in jobs:
            if job.nonce in dropped:
                self._reports.finished(job, Outcome("cancelled"))
        ending = [job for job in jobs if job.nonce not in dropped]
        for job in ending:
            if job.nonce in self._staging.refs:
                take_back(str(job.directory), job.nonce)  # a scheduler may start it once more before it hears of this
        self._backend.cancel(ending)

    def _take_back(self, jobs: Sequence[Job]) -> None:
        """End what waits. Of a staged job its file tells, before any scheduler does, whether it runs."""
        staged = self._staging.refs
        waiting = [job for job in jobs if job.nonce not in staged or take_back(str(job.directory), job.nonce)]
        if waiting:
            self._cancel(waiting)

    def _broken(self, call: _Call, error: BaseException) -> None:
        """The backend raised what it should not: the jobs at hand fail, with its traceback in the log."""
        _LOGGER.error("the backend %s broke in %s():\n%s", self._name, call.kind, traceback.format_exc())
        text = str(error) if isinstance(error, BackendError) else f"{type(error).__name__}: {error}"
        at_hand = call.jobs if call.kind == "adopt" else self._reports.unreported(call.jobs)
        for job in at_hand if call.kind in ("submit", "adopt") else ():
            self._reports.finished(job, Outcome("rejected", f"the backend {self._name} broke: {text}"))
