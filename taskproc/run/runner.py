"""One thread per backend that makes every call to it, and the reports that come back."""
from __future__ import annotations

import logging
import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ..base.errors import BackendError, BackendUnavailable, SubmitUnknown
from ..base.outcome import Outcome
from ..plugin import Backend, BackendPlugin, Job, JobRef
from ..runs.adoption import take_back

if TYPE_CHECKING:
    from ..runs.ledger import Ledger
    from ..runs.staging import StagedSets

_LOGGER = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0


class Message(NamedTuple):
    """Something that a backend, or its thread, tells the driver."""

    kind: str
    nonce: str = ""
    content: Any = None


Inbox = queue.SimpleQueue[Message]


class DriverReports:
    """Where one backend reports to (`plugin.Reports`)."""

    def __init__(self, inbox: Inbox, ledger: Ledger, durable: bool = False) -> None:
        self._inbox = inbox
        self._ledger = ledger
        self._lock = threading.Lock()
        self.durable = durable
        self.reported: set[str] = set()

    def accepted(self, job: Job, id: str) -> None:
        """Note that the job was taken; for a durable backend it is in the ledger when this returns."""
        self.reported.add(job.nonce)
        if self.durable:
            with self._lock:
                self._ledger.write({"kind": "accepted", "nonce": job.nonce, "id": id, "time": time.time()})
            self._inbox.put(Message("accepted", job.nonce, id))

    def waiting(self, job: Job, reason: str) -> None:
        """Pass on why a job waits."""
        self._inbox.put(Message("waiting", job.nonce, reason))

    def started(self, job: Job, host: str = "", pid: int | None = None) -> None:
        """Pass on that a job runs."""
        self._inbox.put(Message("started", job.nonce, (host, pid)))

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Pass on how a job ended."""
        self.reported.add(job.nonce)
        self._inbox.put(Message("finished", job.nonce, outcome))


@dataclass
class _Command:
    kind: str
    jobs: Sequence[Any] = field(default_factory=list)
    detach: bool = False


class Runner:
    """Drives one backend.

    Args:
        plugin: The backend's plugin.
        backend: The backend.
        reports: Where it reports to.
        staging: Where it files jobs.
        inbox: Where this thread reports to.

    Attributes:
        backlog: Nodes that are ready for it and wait for room; the driver's.
        load: How many of its jobs are not finished; the driver's.
        since: When the backlog began; the driver's.
        handed: When jobs were last handed over; the driver's.
    """

    def __init__(
        self, plugin: BackendPlugin, backend: Backend, reports: DriverReports, staging: StagedSets, inbox: Inbox
    ) -> None:
        self.name = plugin.name
        self.capabilities = backend.capabilities
        self.backlog: deque[int] = deque()
        self.load = 0
        self.since: float | None = None
        self.handed = 0.0
        self.closed = threading.Event()
        self._backend = backend
        self._reports = reports
        self._inbox = inbox
        self._commands: queue.SimpleQueue[_Command] = queue.SimpleQueue()
        self._held: deque[_Command] = deque()
        self._pause = _FIRST_PAUSE
        self._tried = 0.0
        self._staging = staging
        threading.Thread(target=self._run, name=f"taskproc-{plugin.name}", daemon=True).start()

    @property
    def room(self) -> int:
        """How many more jobs may be handed over now."""
        window = self.capabilities.window
        return len(self.backlog) if window is None else max(0, window - self.load)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Hand jobs over, soon, those of one options value together."""
        groups: dict[Any, list[Job]] = {}
        for job in jobs:
            groups.setdefault(job.options, []).append(job)
        for group in groups.values():
            self._commands.put(_Command("submit", group))

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Have jobs ended."""
        if jobs:
            self._commands.put(_Command("cancel", list(jobs)))

    def take_back(self, jobs: Sequence[Job]) -> None:
        """Have jobs ended that have not started, as far as is known; those that have started all the same run on."""
        if jobs:
            self._commands.put(_Command("take_back", list(jobs)))

    def adopt(self, jobs: Sequence[tuple[Job, JobRef]]) -> None:
        """Have jobs of an earlier driver followed; of those never taken, the driver is told."""
        for job, ref in jobs:
            self._staging.adopt(job.nonce, ref)
        self._commands.put(_Command("adopt", list(jobs)))

    def room_freed(self) -> None:
        """Learn that one of its jobs has ended, so that one that was not taken may be now."""
        if self._held and time.monotonic() > self._tried + _FIRST_PAUSE:
            self._tried = time.monotonic()
            self._commands.put(_Command("try_again"))

    def ref(self, nonce: str) -> JobRef | None:
        """Tell where an attempt was staged, if it was."""
        return self._staging.refs.get(nonce)

    def close(self, detach: bool) -> None:
        """Have the backend closed; `closed` is set when it is."""
        self._commands.put(_Command("close", detach=detach))

    def _run(self) -> None:
        while True:
            command = self._next()
            try:
                if command.kind == "close":
                    self._backend.close(command.detach)
                    return
                getattr(self, f"_{command.kind}")(command.jobs)
            except Exception as error:
                self._broken(command, error)
                if command.kind == "close":
                    return
            finally:
                if command.kind == "close":
                    self.closed.set()
                    self._inbox.put(Message("closed", self.name))

    def _next(self) -> _Command:
        """Wait for a command; meanwhile jobs that were not taken are offered again when their pause is over."""
        if not self._held:
            return self._commands.get()
        try:
            return self._commands.get(timeout=self._pause)
        except queue.Empty:
            return self._held.popleft()

    def _try_again(self, jobs: Sequence[Any]) -> None:
        """Offer again now what was not taken before."""
        self._pause = 0.0

    def _submit(self, jobs: Sequence[Job]) -> None:
        try:
            self._backend.submit(jobs)
            self._pause = _FIRST_PAUSE
        except BackendUnavailable as error:
            self._hold(_Command("submit", self._unreported(jobs)), error)
        except SubmitUnknown as error:
            _LOGGER.warning("%s: %s; looking for the jobs before any second try", self.name, error)
            self._look_for(self._unreported(jobs))

    def _hold(self, command: _Command, error: Exception) -> None:
        """Keep a call that the scheduler could not take, for later."""
        _LOGGER.warning("%s is not available (%s); %d jobs must wait for it", self.name, error, len(command.jobs))
        self._pause = min(_LONGEST_PAUSE, max(_FIRST_PAUSE, self._pause * 2))
        self._held.append(command)
        if command.kind == "submit":
            for job in command.jobs:
                self._reports.waiting(job, str(error))

    def _look_for(self, jobs: list[Job]) -> None:
        """After a submit without an answer, find out what became of its jobs."""
        adopt = getattr(self._backend, "adopt", None)
        if adopt is None:
            for job in jobs:
                self._reports.finished(job, Outcome("lost", "the backend does not know whether it took the job"))
            return
        refs = self._staging.refs
        self._adopt([(job, refs[job.nonce]) for job in jobs if job.nonce in refs])
        unstaged = [job for job in jobs if job.nonce not in refs]
        if unstaged:
            self._held.append(_Command("submit", unstaged))

    def _adopt(self, jobs: Sequence[tuple[Job, JobRef]]) -> None:
        try:
            never = self._backend.adopt(jobs)  # type: ignore[attr-defined]  # only durable backends are asked
        except BackendUnavailable as error:
            self._hold(_Command("adopt", jobs), error)
            return
        for job in never:
            self._inbox.put(Message("never taken", job.nonce))

    def _cancel(self, jobs: Sequence[Job]) -> None:
        """Drop what the scheduler has not taken yet, and have the rest ended."""
        doomed = {job.nonce for job in jobs}
        dropped: set[str] = set()
        held, self._held = self._held, deque()
        for command in held:
            if command.kind == "submit":
                dropped.update(job.nonce for job in command.jobs if job.nonce in doomed)
                command = _Command("submit", [job for job in command.jobs if job.nonce not in doomed])
            if command.jobs:
                self._held.append(command)
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

    def _unreported(self, jobs: Sequence[Job]) -> list[Job]:
        return [job for job in jobs if job.nonce not in self._reports.reported]

    def _broken(self, command: _Command, error: Exception) -> None:
        """A call raised what it should not: the jobs at hand fail, with the backend's traceback in the log."""
        _LOGGER.error("the backend %s broke in %s():\n%s", self.name, command.kind, traceback.format_exc())
        if command.kind in ("submit", "adopt"):
            jobs = command.jobs if command.kind == "submit" else [job for job, _ in command.jobs]
            text = str(error) if isinstance(error, BackendError) else f"{type(error).__name__}: {error}"
            for job in self._unreported(jobs):
                self._reports.finished(job, Outcome("rejected", f"the backend {self.name} broke: {text}"))
