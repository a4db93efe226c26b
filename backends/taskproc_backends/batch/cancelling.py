"""Ending jobs at the scheduler, by few calls, each tried more than once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from .book import JobSet
from .commands import NoAnswer, Runner
from .scheduler import Command, Scheduler, Target

_log = logging.getLogger(__name__)
_TRIES = 3


class Canceller:
    """Ends jobs at a scheduler.

    Args:
        runner: Runs its commands.
        closing: Set when the run is closing: then nothing is tried twice.
    """

    def __init__(self, runner: Runner, closing: threading.Event) -> None:
        self._runner = runner
        self._closing = closing

    def end(self, scheduler: Scheduler, targets: Sequence[Target]) -> str:
        """Cancel at the scheduler; return why it failed, or nothing."""
        try:
            commands = scheduler.cancel(targets) if targets else []
            failure = "; ".join(filter(None, [self._end_some(scheduler, command) for command in commands]))
        except Exception as error:  # of the scheduler's plugin; whoever waits for these jobs must hear of it
            failure = f"{type(error).__name__}: {error}"
        if failure:
            _log.warning("%s: some jobs may run on, they could not be cancelled: %s", scheduler.name, failure)
        return failure

    def _end_some(self, scheduler: Scheduler, command: Command) -> str:
        failure = ""
        for _ in range(_TRIES):
            try:
                answer = self._runner.run(command)
            except (NoAnswer, OSError) as error:
                failure = str(error)
            else:
                if scheduler.cancelled(answer):
                    return ""
                failure = answer.words
            if self._closing.wait(1.0):
                break
        return failure


def target(jobs: JobSet, nonces: set[str]) -> Target:
    """Name the elements of which every unfinished job is to end; the whole array, if that is all there is."""
    doomed = tuple(index for index, element in jobs.elements.items() if element.jobs.keys() <= nonces)
    if jobs.whole and len(doomed) == len(jobs.elements):
        return Target(jobs.staged.name, jobs.id)
    return Target(jobs.staged.name, jobs.id, doomed)
