"""The one place that knows which array elements are unfinished, and what was last heard of each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taskproc.plugin import Job, Outcome

from .scheduler import JobState, SetRef

# Clocks differ between machines, and some schedulers tell the time only to the minute.
_CLOCK_SKEW = 600.0


@dataclass(eq=False)
class Element:
    """One array element that has unfinished jobs.

    Args:
        index: Its number in the array, from 0.
        jobs: Its unfinished jobs by nonce, in the order in which they run.
        state: The scheduler's last word, if it has said any.
        told: The last reason or job that was reported, so that it is reported once.
        gone: Since when it is not in the queue, or is there as ended (monotonic).
        held: End marks that wait for the scheduler's account, at most until `hold_until` (monotonic).
    """

    index: int
    jobs: dict[str, Job]
    state: JobState | None = None
    told: str = ""
    gone: float | None = None
    held: dict[str, Outcome] = field(default_factory=dict)
    hold_until: float = 0.0

    @property
    def ended(self) -> bool:
        """Tell whether the scheduler has said that it ended."""
        return self.state is not None and self.state.phase == "ended"


@dataclass(eq=False)
class JobSet:
    """One array: a staged set, submitted under its name.

    Args:
        staged: The set's directory.
        id: The scheduler's id of the array; "" while unknown.
        submitted: When, in seconds since the epoch, by this machine's clock.
        latency: Seconds until what a node wrote must be visible.
        whole: Whether all jobs of the array are known here, so that it can be cancelled as one.
        elements: The elements with unfinished jobs.
    """

    staged: Path
    id: str
    submitted: float
    latency: float
    whole: bool
    elements: dict[int, Element]

    @property
    def ref(self) -> SetRef:
        """Give what a scheduler needs to be asked about it."""
        return SetRef(self.staged.name, self.id, self.submitted)

    def is_meant(self, state: JobState) -> bool:
        """Tell whether a state is about this array: ids wrap, names may be cut or repeat in other caches."""
        if self.id and state.id != self.id:
            return False
        recent = state.submitted is not None and state.submitted >= self.submitted - _CLOCK_SKEW
        if state.name == self.staged.name:
            return True  # a name that nobody else has; clocks need not agree
        if not state.name or self.staged.name.startswith(state.name):
            return bool(self.id) or recent or state.submitted is None
        # Some sites rename jobs; then id and time must do.
        return bool(self.id) and recent


class Book:
    """What is submitted and not finished. Its methods expect `lock` to be held.

    Args:
        finished: Called once for every job that ends, with its outcome, while the lock is held.
    """

    def __init__(self, finished: Callable[[Job, Outcome], None]) -> None:
        self.lock = threading.RLock()
        self._finished = finished
        self._sets: dict[Path, JobSet] = {}
        self._where: dict[str, tuple[JobSet, Element]] = {}
        # By instance directory, which all attempts at a task share.
        self._bad_hosts: dict[Path, frozenset[str]] = {}

    def follow(self, jobs: JobSet) -> None:
        """Take up an array; more elements of one that is followed join it."""
        known = self._sets.setdefault(jobs.staged, jobs)
        known.id = known.id or jobs.id
        for index, element in jobs.elements.items():
            mine = known.elements.setdefault(index, element)
            mine.jobs.update(element.jobs)
            self._where.update(dict.fromkeys(element.jobs, (known, mine)))

    def sets(self) -> list[JobSet]:
        """List the arrays with unfinished elements."""
        return list(self._sets.values())

    def elements(self) -> Iterator[tuple[JobSet, Element]]:
        """Go through all unfinished elements."""
        for jobs in self.sets():
            for element in list(jobs.elements.values()):
                yield jobs, element

    @property
    def empty(self) -> bool:
        """Tell whether nothing is unfinished; this needs no lock."""
        return not self._sets

    def size(self) -> int:
        """Count the unfinished elements."""
        return sum(len(jobs.elements) for jobs in self._sets.values())

    def find(self, nonce: str) -> tuple[JobSet, Element] | None:
        """Find where an unfinished job is."""
        return self._where.get(nonce)

    def finish(self, nonce: str, outcome: Outcome) -> None:
        """Report a job's end and forget it; nothing happens if it is not followed."""
        where = self._where.pop(nonce, None)
        if where is None:
            return
        jobs, element = where
        job = element.jobs.pop(nonce)
        element.held.pop(nonce, None)
        if not element.jobs:
            del jobs.elements[element.index]
        if not jobs.elements:
            del self._sets[jobs.staged]
        self._finished(job, outcome)

    def finish_all(self, outcome: Outcome) -> None:
        """Report the same end of all that is unfinished."""
        for nonce in list(self._where):
            self.finish(nonce, outcome)

    def blame(self, jobs: Iterable[Job], host: str) -> None:
        """Note that a host failed these jobs; of several hosts nobody knows which."""
        if host and not set(host) & set(",["):
            for job in jobs:
                self._bad_hosts[job.directory] = self._bad_hosts.get(job.directory, frozenset()) | {host}

    def bad_hosts(self, job: Job) -> tuple[str, ...]:
        """Name the hosts that failed earlier attempts at the job's task."""
        return tuple(sorted(self._bad_hosts.get(job.directory, ())))

    def match(self, states: Iterable[JobState]) -> list[tuple[JobSet, Element, JobState]]:
        """Match what the scheduler said to unfinished elements; a state without one is for all unnamed."""
        by_id: dict[str, list[JobState]] = {}
        for state in states:
            by_id.setdefault(state.id, []).append(state)
        matched = []
        for jobs in self.sets():
            lines = by_id.get(jobs.id, ()) if jobs.id else [s for many in by_id.values() for s in many]
            matched += _match(jobs, [state for state in lines if jobs.is_meant(state)])
        return matched


def _match(jobs: JobSet, states: Sequence[JobState]) -> list[tuple[JobSet, Element, JobState]]:
    if not states:
        return []
    named = {state.element: state for state in states}
    rest = named.get(None)
    found = []
    for index, element in jobs.elements.items():
        if state := named.get(index, rest):
            found.append((jobs, element, state))
    return found
