"""Following submitted jobs to their end: end marks are read often, and the scheduler is asked rarely.

A job's end is known from the mark that its worker or its script left. The scheduler's queue tells why jobs
wait, which have started, and which are gone; a job that is gone and left no mark within `latency` ends as the
scheduler's account says, and as lost when there is none. An answer that fails, or lacks a job, ends nothing.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from taskproc.plugin import BackendContext, BackendUnavailable, Outcome

from .book import Book, Element, JobSet
from .commands import NoAnswer, Runner
from .diagnosis import LogCauses, cause_in, explained, forgotten, needs_account, read_log, with_log
from .loop import Loop
from .scheduler import JobState, Lookup, Scheduler
from .script import LOG_DIRECTORY

_log = logging.getLogger(__name__)
_MARKS_FAST, _MARKS_SLOW = 0.2, 1.0
_QUERY_SLOW = 30.0
# How long the end of a killed job is held back for the scheduler's account of it.
_ACCOUNT_SECONDS = 20.0
# How much longer a job that left the queue is kept, while the scheduler gives no account of any.
_SILENCE_SECONDS = 300.0

_Matched = tuple[JobSet, Element, JobState]


class Follower:
    """Two loops, one over end marks and one over the scheduler's answers, on one book.

    Args:
        scheduler: Whom to ask.
        runner: Runs the questions.
        context: Where the marks are, and where to report.
        book: What is followed.
        query_interval: Least seconds between two questions.
        log_causes: What the scheduler's own words in an element's log say (see `BatchBackend`).

    Attributes:
        broken: Why nothing is followed any more; empty as long as all is well.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        runner: Runner,
        context: BackendContext,
        book: Book,
        query_interval: float,
        log_causes: LogCauses,
    ) -> None:
        self.scheduler = scheduler
        self._runner = runner
        self._context = context
        self._book = book
        self._log_causes = log_causes
        self._harvesting = threading.Lock()
        self._silent = False
        self.broken = ""
        name, often = scheduler.name, max(query_interval, 0.05)
        idle, lost = self._idle, self._lost
        self._marks = Loop(f"{name}-marks", self._read_marks, idle, lost, fast=_MARKS_FAST, slow=_MARKS_SLOW)
        self._queue = Loop(f"{name}-queue", self._ask_queue, idle, lost, fast=often, slow=_QUERY_SLOW)

    def nudge(self) -> None:
        """Expect news: jobs were submitted."""
        self._marks.nudge()
        self._queue.nudge()

    def close(self) -> None:
        """Stop following."""
        self._marks.close()
        self._queue.close()

    def harvest(self, sets: Iterable[JobSet]) -> int:
        """Read the new end marks of these arrays and settle their jobs; return how many there were."""
        return sum(self._harvest_one(jobs) for jobs in sets)

    def ask(self, questions: Callable[[], Sequence[Lookup]]) -> list[JobState]:
        """Put questions to the scheduler, and give all that it said.

        Args:
            questions: Makes them.

        Raises:
            BackendUnavailable: One of them got no answer, or they could not be made.
        """
        states: list[JobState] = []
        try:
            lookups = questions()
        except Exception as error:
            msg = f"the question to {self.scheduler.name} cannot be made: {type(error).__name__}: {error}"
            raise BackendUnavailable(msg) from error
        for lookup in lookups:
            try:
                states += self._ask_one(lookup)
            except BackendUnavailable:
                if not lookup.optional:
                    raise
        return states

    def _ask_one(self, lookup: Lookup) -> Sequence[JobState]:
        try:
            answer = self._runner.run(lookup.command)
        except (NoAnswer, OSError) as error:
            raise BackendUnavailable(str(error)) from error
        try:
            return lookup.read(answer)
        except BackendUnavailable:
            raise
        except Exception as error:
            msg = f"the answer of {lookup.command.argv[0]} cannot be read: {type(error).__name__}: {error}"
            raise BackendUnavailable(msg) from error

    def _lost(self, error: BaseException) -> None:
        """Tell of all jobs, when a loop has ended, that nobody follows them any more."""
        with self._book.lock:
            what = f"{type(error).__name__}: {error}"
            self.broken = f"the thread that follows jobs of {self.scheduler.name} ended: {what}"
            self._book.finish_all(Outcome("lost", self.broken))

    def _idle(self) -> bool:
        # Without the lock: a loop asks while others, who hold it, nudge the loop.
        return self._book.empty

    # End marks.

    def _read_marks(self) -> bool:
        with self._book.lock:
            sets = self._book.sets()
        return self.harvest(sets) > 0

    def _harvest_one(self, jobs: JobSet) -> int:
        marks: list[tuple[str, Outcome]] = []
        with self._harvesting:
            try:
                marks.extend(self._context.staging.ended(jobs.staged))
            finally:
                with self._book.lock:
                    for nonce, outcome in marks:
                        self._settle_surely(nonce, outcome)
        return len(marks)

    def _settle_surely(self, nonce: str, outcome: Outcome) -> None:
        """Settle a job by its mark, which is read once, even if the words about it cannot be found."""
        try:
            self._settle(nonce, outcome)
        except Exception:
            _log.exception("%s: the end of a job cannot be explained", self.scheduler.name)
            self._book.finish(nonce, outcome)

    def _settle(self, nonce: str, outcome: Outcome) -> None:
        where = self._book.find(nonce)
        if where is None:
            return
        jobs, element = where
        if needs_account(outcome):
            if not element.held:
                element.hold_until = time.monotonic() + _ACCOUNT_SECONDS
                self._queue.nudge()
            element.held[nonce] = outcome
        elif outcome.exit_code and not outcome.reason:
            self._book.finish(nonce, with_log(outcome, self._job_id(jobs, element), self._log(jobs, element)))
        else:
            self._book.finish(nonce, outcome)

    # The scheduler's queue.

    def _ask_queue(self) -> bool:
        """Ask once; return whether to ask again soon."""
        with self._book.lock:
            asked = [(jobs, element) for jobs, element in self._book.elements()]
            refs = [jobs.ref for jobs in self._book.sets()]
        states = self._answer(lambda: self.scheduler.queue(refs))
        news = False
        if states is not None:
            with self._book.lock:
                matched = self._matched(states)
                news = matched is not None and self._note_queue(matched, asked)
            self._read_marks()
        return self._explain() or news

    def _answer(self, questions: Callable[[], Sequence[Lookup]]) -> list[JobState] | None:
        """Ask, and give None for a scheduler that is silent; that it is silent is said once."""
        try:
            states = self.ask(questions)
        except BackendUnavailable as error:
            if not self._silent:
                _log.warning("%s does not answer, asking again: %s", self.scheduler.name, error)
            self._silent = True
            return None
        if self._silent:
            _log.warning("%s answers again", self.scheduler.name)
        self._silent = False
        return states

    def _matched(self, states: Sequence[JobState]) -> list[_Matched] | None:
        """Match an answer to what is followed; None for one that is no answer, since it cannot be matched."""
        try:
            return self._book.match(states)
        except Exception:
            _log.exception("%s: an answer is passed over that means no jobs", self.scheduler.name)
            return None

    def _note_queue(self, matched: Sequence[_Matched], asked: Sequence[tuple[JobSet, Element]]) -> bool:
        news = False
        for _, element, state in matched:
            news |= element.state is None or element.state.phase != state.phase
            element.state = state
            if state.phase == "ended":
                self._note_gone(element)
            else:
                element.gone = None
                self._tell(element, state)
        listed = {id(element) for _, element, _ in matched}
        for _, element in asked:
            if id(element) not in listed:
                self._note_gone(element)
        return news

    def _note_gone(self, element: Element) -> None:
        if element.gone is None:
            element.gone = time.monotonic()

    def _tell(self, element: Element, state: JobState) -> None:
        """Report that an element's first unfinished job runs, or why all of them wait; each once."""
        first = next(iter(element.jobs.values()), None)
        if first is None:
            return
        news = first.nonce if state.phase == "running" else state.reason
        if news == element.told:
            return
        element.told = news
        if state.phase == "running":
            self._context.report.started(first, host=state.host)
        elif state.phase == "waiting" and state.reason:
            for job in element.jobs.values():
                self._context.report.waiting(job, state.reason)

    # Ends that no mark explains.

    def _explain(self) -> bool:
        """Ask for an account of what is gone or was killed; end what is explained or waited long enough."""
        with self._book.lock:
            sets = {jobs.staged: jobs for jobs, element in self._book.elements() if _needs_words(element)}
        refs = [jobs.ref for jobs in sets.values()]
        states = self._answer(lambda: self.scheduler.account(refs)) if sets else []
        with self._book.lock:
            matched = self._matched(states) if states is not None else None
            for _, element, state in matched or ():
                self._note_account(element, state)
            for jobs, element in list(self._book.elements()):
                self._conclude(jobs, element, matched is not None)
            return any(element.held or element.gone is not None for _, element in self._book.elements())

    def _note_account(self, element: Element, state: JobState) -> None:
        if state.phase == "ended":
            element.state = state
            self._note_gone(element)
        elif state.phase != "unknown" and not element.ended:
            # The queue left it out, but it lives: follow it on.
            element.state, element.gone = state, None

    def _conclude(self, jobs: JobSet, element: Element, answered: bool) -> None:
        now = time.monotonic()
        if element.held and (element.ended or now > element.hold_until):
            for nonce, mark in list(element.held.items()):
                self._book.finish(nonce, self._outcome(jobs, element, mark))
        if element.gone is None or not element.jobs:
            return
        patience = jobs.latency if element.ended or answered else jobs.latency + _SILENCE_SECONDS
        if now > element.gone + patience:
            outcome = self._outcome(jobs, element, None)
            for nonce in list(element.jobs):
                self._book.finish(nonce, outcome)

    def _outcome(self, jobs: JobSet, element: Element, mark: Outcome | None) -> Outcome:
        try:
            return self._explained(jobs, element, mark)
        except Exception as error:
            _log.exception("%s: the end of a job cannot be explained", self.scheduler.name)
            told = f"how it ended cannot be told: {type(error).__name__}: {error}"
            return mark or Outcome("lost", told)

    def _explained(self, jobs: JobSet, element: Element, mark: Outcome | None) -> Outcome:
        job_id, log = self._job_id(jobs, element), self._log(jobs, element)
        state = self._final_state(element, mark, log)
        if state is not None:
            if state.cause == "node":
                self._book.blame(element.jobs.values(), state.host)
            return explained(state, job_id, mark, log)
        return with_log(mark, job_id, log) if mark is not None else forgotten(job_id, self.scheduler.name, log)

    def _final_state(self, element: Element, mark: Outcome | None, log: str) -> JobState | None:
        """Give the scheduler's account of an end, with the cause from its words in the log if it names none."""
        state = element.state if element.ended else None
        if (state is None and mark is None) or (state is not None and state.cause):
            return state
        cause = cause_in(log, self._log_causes)
        if not cause:
            return state
        host = element.state.host if element.state else ""
        return dataclasses.replace(state or JobState("", element.index, "ended", host=host), cause=cause)

    def _job_id(self, jobs: JobSet, element: Element) -> str:
        return self.scheduler.job_id(jobs.id, element.index)

    def _log(self, jobs: JobSet, element: Element) -> str:
        return read_log(jobs.staged / LOG_DIRECTORY / f"{element.index + self.scheduler.first}.txt")


def _needs_words(element: Element) -> bool:
    return not element.ended and (bool(element.held) or element.gone is not None)
