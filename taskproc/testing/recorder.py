"""`Reports` that only take notes."""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ..base.outcome import Outcome
from ..plugin import Job


class Recorder:
    """Notes what a backend reports, and lets a test wait for it.

    Attributes:
        accepted_ids: The scheduler's id of each accepted job, by nonce.
        outcomes: Every outcome reported for a job, by nonce.
        started_on: Where a job was said to run: host and process id, by nonce.
        reasons: Why a job was said to wait, by nonce.
        wrong: What was wrong with the reports themselves, in words.
    """

    def __init__(self) -> None:
        self.accepted_ids: dict[str, str] = {}
        self.outcomes: dict[str, list[Outcome]] = {}
        self.started_on: dict[str, tuple[str, int | None]] = {}
        self.reasons: dict[str, list[str]] = {}
        self.wrong: list[str] = []
        self._known: set[str] = set()
        self._changed = threading.Condition()

    def expect(self, jobs: Iterable[Job]) -> None:
        """Take note of jobs that are about to be handed over."""
        with self._changed:
            self._known.update(job.nonce for job in jobs)

    def accepted(self, job: Job, id: str) -> None:
        """Note that the job was taken."""
        with self._noted("accepted", job):
            if not isinstance(id, str):
                self.wrong.append(f"accepted() of {job.label} got the id {id!r}, which is no str")
            self.accepted_ids[job.nonce] = id

    def waiting(self, job: Job, reason: str) -> None:
        """Note why it waits."""
        with self._noted("waiting", job):
            self.reasons.setdefault(job.nonce, []).append(reason)

    def started(self, job: Job, host: str = "", pid: int | None = None) -> None:
        """Note where it runs."""
        with self._noted("started", job):
            self.started_on[job.nonce] = (host, pid)

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Note how it ended."""
        with self._noted("finished", job):
            if not isinstance(outcome, Outcome):
                self.wrong.append(f"finished() of {job.label} got {outcome!r}, which is no Outcome")
            self.outcomes.setdefault(job.nonce, []).append(outcome)

    def wait(self, condition: Callable[[], Any], seconds: float) -> bool:
        """Wait until a condition on these notes is true.

        Args:
            condition: Called after each report.
            seconds: How long to wait.

        Returns:
            Whether it came true.
        """
        with self._changed:
            return bool(self._changed.wait_for(lambda: bool(condition()), seconds))

    @contextmanager
    def _noted(self, report: str, job: Job) -> Iterator[None]:
        """Hold the notes for one report, and wake who waits for it."""
        with self._changed:
            if job.nonce not in self._known:
                self.wrong.append(f"{report}() told of {job.label}, which was never handed over")
            yield
            self._changed.notify_all()
