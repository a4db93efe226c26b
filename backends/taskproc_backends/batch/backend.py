"""The backend over any scheduler: submits arrays, has them followed, finds them again, cancels them."""

from __future__ import annotations

import contextlib
import logging
import shlex
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from taskproc.plugin import (
    BackendContext,
    BackendError,
    BackendUnavailable,
    Capabilities,
    Job,
    JobRef,
    Outcome,
    SubmitUnknown,
)

from .adoption import Adoption, note_id
from .book import Book, Element, JobSet
from .cancelling import Canceller, target
from .commands import NoAnswer, Runner
from .diagnosis import LogCauses
from .follower import Follower
from .groups import Group, element_options, make_groups
from .options import BatchOptions
from .room import Room
from .scheduler import Command, NoRoom, Refused, Scheduler, Submission, Target
from .script import LOG_DIRECTORY, SCRIPT_FILE, script_text

_log = logging.getLogger(__name__)
# Stands for a set's directory where nothing is staged.
_PREVIEW = "taskproc-preview"


@dataclass(frozen=True)
class _Array:
    """Groups that go out as one array, away from hosts that failed them."""

    groups: Sequence[Group]
    avoid: tuple[str, ...]

    @property
    def jobs(self) -> list[Job]:
        return [job for group in self.groups for job in group]

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(job.nonce for job in self.jobs)


class BatchBackend:
    """Runs jobs through a batch scheduler.

    Args:
        scheduler: The scheduler's command lines.
        context: The core's side.
        timeout: Seconds that one of the scheduler's commands may take.
        prologue: Makes shell lines that start every script, from the directory for logs: for a scheduler that
            would show a job's output only when it has ended, or whose own variables must not reach the tasks.
        log_causes: Regular expressions for what the scheduler itself writes into the log of a job that it ends,
            and the cause that each tells. They count for a job that was killed, if its account names no cause.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        context: BackendContext,
        *,
        timeout: float = 60.0,
        prologue: Callable[[Path], str] = lambda logs: "",
        log_causes: LogCauses = (),
    ) -> None:
        options: BatchOptions = context.options
        self.capabilities = Capabilities(
            durable=True, window=_window(options), gather=0.5, latency=options.latency_wait
        )
        self._scheduler = scheduler
        self._context = context
        self._prologue = prologue
        self._runner = Runner(scheduler.cleans, timeout)
        self._book = Book(context.report.finished)
        self._follower = Follower(scheduler, self._runner, context, self._book, options.query_interval, log_causes)
        self._room = Room()
        self._closing = threading.Event()
        self._canceller = Canceller(self._runner, self._closing)
        self._probed = False
        # Sets that were staged and then not taken, for when the same jobs come again.
        self._kept: dict[tuple[str, ...], Path] = {}
        # Where jobs are whose submission was not answered, until they are adopted.
        self._unsure: dict[str, Path] = {}

    # Submission.

    def submit(self, jobs: Sequence[Job]) -> None:
        """Submit the jobs as few arrays.

        Raises:
            BackendUnavailable: The scheduler does not answer, or has no room; none of the unreported was taken.
            SubmitUnknown: Its answer was lost.
        """
        if self._follower.broken:
            self._reject(jobs, self._follower.broken)
            return
        if not shutil.which(self._scheduler.client):
            self._reject(jobs, f"there is no {self._scheduler.client} on PATH here; is this a login node?")
            return
        self._probe()
        for array in self._arrays(jobs):
            self._submit_in_parts(array)

    def _submit_in_parts(self, array: _Array) -> None:
        groups = list(array.groups)
        options: BatchOptions = groups[0][0].options
        while groups:
            with self._book.lock:
                alive = self._book.size()
            size = self._room.grant(min(len(groups), self._scheduler.max_array), alive, options.max_submitted)
            if not size:
                msg = f"{self._scheduler.name} has no room for more jobs now: {self._room.reason}"
                raise BackendUnavailable(msg)
            part = _Array(self._with_payloads(groups[:size]), array.avoid)
            groups[:size] = part.groups
            if not part.groups:
                continue
            size = len(part.groups)
            try:
                self._submit_array(part, options)
                self._room.taken(size)
            except NoRoom as full:
                self._room.refused(size, alive, str(full))
                continue
            except BackendError:
                raise
            except Exception as error:  # before anything was submitted; other arrays are not concerned
                _log.exception("%s: an array cannot be submitted", self._scheduler.name)
                self._reject(part.jobs, f"it cannot be submitted: {type(error).__name__}: {error}")
            del groups[:size]

    def _with_payloads(self, groups: Sequence[Group]) -> list[Group]:
        """Make the payloads, once however often an array is cut smaller; reject the jobs that have none."""
        made = [[packed for job in group if (packed := self._with_payload(job))] for group in groups]
        return [group for group in made if group]

    def _with_payload(self, job: Job) -> Job | None:
        try:
            payload = job.payload()
        except Exception as error:
            self._reject([job], f"{type(error).__name__}: {error}")
            return None
        return replace(job, payload=lambda: payload)

    def _submit_array(self, array: _Array, options: BatchOptions) -> None:
        """Submit one array and report its jobs accepted, or rejected.

        Raises:
            NoRoom, BackendUnavailable: It was not taken; the set is kept for the next try.
            SubmitUnknown: It may have been taken.
        """
        staged = self._kept.pop(array.key, None) or self._context.staging.stage(array.groups)
        try:
            id = self._ask_submit(self._write(staged, array, options))
        except (NoRoom, BackendUnavailable):
            self._kept[array.key] = staged
            raise
        except SubmitUnknown:
            self._unsure.update(dict.fromkeys(array.key, staged))
            raise
        except Refused as refused:
            if array.avoid:
                # Perhaps no other host is left: better one that failed before than none.
                self._submit_array(_Array(array.groups, ()), options)
            else:
                self._reject(array.jobs, str(refused))
        else:
            self._accept(staged, id, array.groups, options)

    def _write(self, staged: Path, array: _Array, options: BatchOptions) -> Submission:
        submission = self._submission(staged, array, options)
        try:
            # The script's time is when the submission began, for whoever looks for the job later.
            submission.script.write_text(submission.text)
            submission.script.chmod(0o755)
            for directory in (submission.logs, staged / "ended"):
                directory.mkdir(exist_ok=True)
        except OSError as error:
            msg = f"cannot write the job script: {error}"
            raise BackendUnavailable(msg) from error
        return submission

    def _ask_submit(self, submission: Submission) -> str:
        try:
            answer = self._runner.run(self._scheduler.submit(submission))
        except NoAnswer as silence:
            raise SubmitUnknown(str(silence)) from silence
        except OSError as error:
            raise BackendUnavailable(str(error)) from error
        try:
            return self._scheduler.submitted(answer)
        except BackendError:
            raise
        except Exception as error:
            msg = f"the answer of {self._scheduler.client} cannot be read: {type(error).__name__}: {error}"
            raise SubmitUnknown(msg) from error

    def _accept(self, staged: Path, id: str, groups: Sequence[Group], options: BatchOptions) -> None:
        note_id(staged, id)
        # Payloads are on disk now; to keep them here for as long as their jobs run would fill the memory.
        light = [[replace(job, payload=bytes) for job in group] for group in groups]
        elements = {i: Element(i, {job.nonce: job for job in group}) for i, group in enumerate(light)}
        self._follow(JobSet(staged, id, time.time(), options.latency_wait, True, elements))

    def _follow(self, jobs: JobSet) -> None:
        """Take an array up, and then report its jobs accepted: if that fails, somebody follows them all the same."""
        taken = [(job, index) for index, element in jobs.elements.items() for job in element.jobs.values()]
        with self._book.lock:  # nothing is reported finished meanwhile
            self._book.follow(jobs)
            for job, index in taken:
                try:
                    self._context.report.accepted(job, self._scheduler.job_id(jobs.id, index))
                except Exception:
                    _log.exception("%s took %s, which could not be reported", self._scheduler.name, job.label)
        self._follower.nudge()

    def _reject(self, jobs: Sequence[Job], reason: str) -> None:
        for job in jobs:
            self._context.report.finished(job, Outcome("rejected", reason))

    def _submission(self, staged: Path, array: _Array, options: BatchOptions) -> Submission:
        scheduler = self._scheduler
        argv = self._context.staging.command(staged, variable=scheduler.variable, first=scheduler.first)
        if options.python:
            argv = [options.python, *argv[1:]]
        logs = staged / LOG_DIRECTORY
        setup = "\n".join(filter(None, [self._prologue(logs), options.setup]))
        return Submission(
            name=staged.name,
            script=staged / SCRIPT_FILE,
            text=script_text(_title(array.jobs), staged, argv, scheduler.variable, scheduler.first, setup),
            size=len(array.groups),
            logs=logs,
            options=element_options(options, array.groups),
            avoid=array.avoid,
        )

    def _arrays(self, jobs: Sequence[Job]) -> list[_Array]:
        """Put jobs into arrays: one for each set of hosts to avoid, which is mostly none."""
        by_hosts: dict[tuple[str, ...], list[Job]] = {}
        for job in jobs:
            by_hosts.setdefault(self._book.bad_hosts(job), []).append(job)
        size = jobs[0].options.group_size
        return [_Array(make_groups(some, size), hosts) for hosts, some in by_hosts.items()]

    def _probe(self) -> None:
        """Learn the site's limits, once; while the scheduler is silent, the usual ones count."""
        if self._probed:
            return
        try:
            command = self._scheduler.probe()
            answer = self._runner.run(command) if command is not None else None
            if answer is not None and answer.code == 0:
                self._scheduler = self._follower.scheduler = self._scheduler.learn(answer)
                self._probed = True
        except (NoAnswer, OSError):
            pass
        except Exception:
            _log.exception("%s: the site's limits cannot be learned; the usual ones count", self._scheduler.name)
            self._probed = True

    # Jobs of earlier drivers.

    def adopt(self, jobs: Sequence[tuple[Job, JobRef]]) -> Sequence[Job]:
        """Follow what the scheduler took of these; return what it never did. Waits for a silent scheduler."""
        if self._follower.broken:
            self._reject([job for job, _ in jobs], self._follower.broken)
            return []
        self._probe()
        taken, never = Adoption(self._follower, self._book, self._context.closing).sort(jobs)
        for job, _ in jobs:
            self._unsure.pop(job.nonce, None)
        for one in taken:
            self._follow(one)
        return never

    def preview(self, jobs: Sequence[Job]) -> str:
        """Write out the submit calls and their scripts, with a stand-in for the name that a set gets."""
        self._probe()
        staged = self._context.directory / _PREVIEW
        parts = []
        for array in self._arrays(jobs):
            for part in self._cut(array):
                submission = self._submission(staged, part, part.jobs[0].options)
                parts.append(_shown(self._scheduler.submit(submission), submission))
        return "\n".join(parts)

    def _cut(self, array: _Array) -> list[_Array]:
        step = self._scheduler.max_array
        return [_Array(array.groups[at : at + step], array.avoid) for at in range(0, len(array.groups), step)]

    # The end.

    def cancel(self, jobs: Sequence[Job]) -> None:
        """End these jobs by as few calls as possible. What ended by itself before is reported as it ended."""
        nonces = {job.nonce for job in jobs}
        with self._book.lock:
            sets = [one for one in self._book.sets() if any(e.jobs.keys() & nonces for e in one.elements.values())]
        with contextlib.suppress(OSError):
            self._follower.harvest(sets)
        unsure = {self._unsure[nonce].name for nonce in nonces & self._unsure.keys()}
        with self._book.lock:
            targets = [target(one, nonces) for one in sets if one.elements]
        targets += [Target(name, "") for name in sorted(unsure)]
        failure = self._canceller.end(self._scheduler, [one for one in targets if one.elements != ()])
        with self._book.lock:
            for job in jobs:
                self._book.finish(job.nonce, Outcome("cancelled", failure))
        for job in jobs:
            if self._unsure.pop(job.nonce, None):
                self._context.report.finished(job, Outcome("cancelled", failure))

    def close(self, detach: bool) -> None:
        """Stop following; without `detach`, end what is left."""
        self._closing.set()
        with self._book.lock:
            left = [job for _, element in self._book.elements() for job in element.jobs.values()]
        try:
            if left and not detach:
                self.cancel(left)
        finally:
            self._runner.close()
            self._follower.close()


def _window(options: BatchOptions) -> int | None:
    if options.max_submitted is None or options.group_size == "auto":
        return None
    return options.max_submitted * int(options.group_size)


def _title(jobs: Sequence[Job]) -> str:
    more = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
    return f"taskproc: {jobs[0].label}{more}"


def _shown(command: Command, submission: Submission) -> str:
    given = " < " + shlex.quote(str(submission.script)) if command.stdin else ""
    return f"$ {shlex.join(command.argv)}{given}\n{submission.text}"
