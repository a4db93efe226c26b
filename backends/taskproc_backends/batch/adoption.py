"""Finding jobs again that an earlier driver left, or whose submission was never answered."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from taskproc.plugin import BackendUnavailable, Job, JobRef

from .book import Book, Element, JobSet
from .follower import Follower
from .scheduler import JobState
from .script import ID_FILE, SCRIPT_FILE

_log = logging.getLogger(__name__)
# A client that lost its driver may still deliver its submission for so long.
_LANDING_SECONDS = 10.0
_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0


class Adoption:
    """Sorts attempts of an earlier driver into those that the scheduler took and those that it never saw.

    Args:
        follower: Asks the scheduler, and reads the end marks.
        book: Takes up what was found.
        closing: Set when the run is closing: then nothing is waited for.
    """

    def __init__(self, follower: Follower, book: Book, closing: threading.Event) -> None:
        self._follower = follower
        self._book = book
        self._closing = closing

    def sort(self, jobs: Sequence[tuple[Job, JobRef]]) -> tuple[list[JobSet], list[Job]]:
        """Find the arrays that were taken, and the jobs that never were.

        While the scheduler is silent nobody knows, and this waits: neither guess is safe.

        Raises:
            BackendUnavailable: The run is closing.
        """
        sets = _gathered(jobs)
        unknown = [jobs for jobs in sets if not jobs.id]
        landed = {jobs.staged: time.monotonic() + _until_landed(jobs) for jobs in unknown}
        while unknown:
            self._look_up_patiently(unknown)
            unknown = [jobs for jobs in unknown if not jobs.id and time.monotonic() < landed[jobs.staged]]
            if unknown and self._closing.wait(_PAUSE_SECONDS):
                break
        taken = [jobs for jobs in sets if jobs.id or _has_run(jobs)]
        never = [job for jobs in sets if jobs not in taken for e in jobs.elements.values() for job in e.jobs.values()]
        return taken, never

    def _look_up_patiently(self, sets: Sequence[JobSet]) -> None:
        pause = _PAUSE_SECONDS
        while True:
            try:
                return self._look_up(sets)
            except BackendUnavailable as error:
                _log.warning("%s does not answer, asking again: %s", self._follower.scheduler.name, error)
                if self._closing.wait(pause):
                    raise
                pause = min(_LONGEST_PAUSE_SECONDS, 2 * pause)

    def _look_up(self, sets: Sequence[JobSet]) -> None:
        """Note the ids of those that the scheduler knows by name: in the queue, or ended."""
        refs = [jobs.ref for jobs in sets]
        scheduler = self._follower.scheduler
        states = self._follower.ask(lambda: [*scheduler.queue(refs), *scheduler.account(refs)])
        for jobs in sets:
            meant = [state for state in states if state.name and jobs.is_meant(state)]
            if meant:
                jobs.id = max(meant, key=_when).id
                note_id(jobs.staged, jobs.id)


def note_id(staged: Path, id: str) -> None:
    """Keep the scheduler's id of an array beside it, for the next driver; the ledger and the name tell, too."""
    with contextlib.suppress(OSError):
        (staged / ID_FILE).write_text(id)


def _gathered(jobs: Sequence[tuple[Job, JobRef]]) -> list[JobSet]:
    """Put attempts back into their arrays, with the ids that their driver noted."""
    sets: dict[Path, JobSet] = {}
    for job, ref in jobs:
        if ref.staged not in sets:
            sets[ref.staged] = _read_set(ref.staged, job)
        element = sets[ref.staged].elements.setdefault(ref.element, Element(ref.element, {}))
        element.jobs[job.nonce] = job
    return list(sets.values())


def _read_set(staged: Path, job: Job) -> JobSet:
    age = _age(staged)
    submitted = 0.0 if age is None else time.time() - age
    try:
        id = (staged / ID_FILE).read_text().strip()
    except OSError:
        id = ""
    return JobSet(staged, id, submitted, job.options.latency_wait, False, {})


def _age(staged: Path) -> float | None:
    """Say how many seconds ago a set's script was written; None if it was not.

    The time of a file is by its file server's clock, so it is compared with that of a file made now.
    """
    try:
        written = (staged / SCRIPT_FILE).stat().st_mtime
    except OSError:
        return None
    try:
        with tempfile.TemporaryFile(dir=staged) as file:
            file.write(b"now")
            file.flush()
            return max(0.0, os.fstat(file.fileno()).st_mtime - written)
    except OSError:
        return 0.0


def _until_landed(jobs: JobSet) -> float:
    """Say for how many seconds a submission may still be on its way; without a script none was begun."""
    if not jobs.submitted:
        return 0.0
    return min(_LANDING_SECONDS, jobs.submitted + _LANDING_SECONDS - time.time())


def _has_run(jobs: JobSet) -> bool:
    """Tell whether an element left a mark, although the scheduler knows of no such job any more."""
    try:
        return any((jobs.staged / "ended").iterdir())
    except OSError:
        return False


def _when(state: JobState) -> float:
    return state.submitted or 0.0
