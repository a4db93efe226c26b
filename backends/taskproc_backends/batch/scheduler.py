"""What a scheduler is to us: command lines to run and answers to read, as pure functions.

A site engineer writes one class that follows `Scheduler`; `BatchBackend` does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from taskproc.plugin import BackendError

from .options import BatchOptions

Phase = Literal["waiting", "running", "ended", "unknown"]
Cause = Literal["", "memory", "time", "node", "preempted", "cancelled"]


class NoRoom(BackendError):
    """The scheduler takes no more jobs of this user for now; it took none of these."""


class Refused(BackendError):
    """The scheduler will never take these jobs as they are; the message is its own sentence."""


@dataclass(frozen=True)
class Command:
    """One call of a scheduler's client.

    Args:
        argv: The program and its arguments; no shell sees them.
        stdin: What it reads.
        environment: Variables to add to the cleaned environment.
    """

    argv: tuple[str, ...]
    stdin: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What a command left: its exit status (negative: a signal) and what it wrote."""

    code: int
    out: str = ""
    err: str = ""

    @property
    def words(self) -> str:
        """Give what it said on standard error, or else on standard output, in one line.

        >>> Answer(1, "", "error: no\\nerror: never\\n").words
        'error: no; error: never'
        """
        said = self.err.strip() or self.out.strip()
        return "; ".join(line.strip() for line in said.splitlines() if line.strip())


@dataclass(frozen=True)
class Submission:
    """One array to submit.

    Args:
        name: The job's name, safe on a command line, unique in this cache.
        script: The job script on disk, executable.
        text: The same script, for a scheduler that reads it on stdin.
        size: How many elements; the first one's index is `Scheduler.first`.
        logs: A directory, there already, for what the elements and the scheduler write: `<index>.txt` each.
        options: The options of all jobs in it, `time` multiplied by the tasks of an element.
        avoid: Hosts that failed tasks of this array before.
    """

    name: str
    script: Path
    text: str
    size: int
    logs: Path
    options: BatchOptions
    avoid: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobState:
    """What a scheduler says of one element, or of a whole array.

    Args:
        id: The id of the job or of the whole array, as `Scheduler.submitted` returned it.
        element: The element, counted from 0; None speaks for every element that no other line names.
        phase: `unknown`: the scheduler has lost contact; the job may still run, so it is followed on.
        word: The scheduler's own word for the state.
        name: The job's name, for finding jobs whose id was never noted.
        reason: Why it waits, or why it ended, in the scheduler's words.
        cause: What ended it, where the scheduler tells; `node` and `preempted` are not the task's fault.
        host: Where it runs or ran.
        exit_code: Its exit status, once it has ended.
        signal: The signal that ended it.
        submitted: When, in seconds since the epoch.
        memory_asked: Bytes; likewise used.
        time_asked: Seconds; likewise used.
    """

    id: str
    element: int | None
    phase: Phase
    word: str = ""
    name: str = ""
    reason: str = ""
    cause: Cause = ""
    host: str = ""
    exit_code: int | None = None
    signal: int | None = None
    submitted: float | None = None
    memory_asked: int | None = None
    memory_used: int | None = None
    time_asked: int | None = None
    time_used: int | None = None


@dataclass(frozen=True)
class SetRef:
    """An array to ask about: its name, its id ("" if the answer was lost), and when it was submitted."""

    name: str
    id: str
    submitted: float


@dataclass(frozen=True)
class Target:
    """What to cancel: an array, or some of its elements; without an id, whatever bears the name."""

    name: str
    id: str
    elements: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Lookup:
    """A question: the command, and the function that reads its answer.

    `read` raises `BackendUnavailable` for what is not an answer (the daemon is down, the words are strange).
    It returns what it was told and no more: a job that is not among the states has left the queue, or is not
    visible yet, or is forgotten. It is never taken as done.

    Args:
        command: What to run.
        read: Reads its answer.
        optional: Whether the question may stay without an answer: its source is slow, or not open to all.
    """

    command: Command
    read: Callable[[Answer], Sequence[JobState]]
    optional: bool = False


class Scheduler(Protocol):
    """One scheduler's command lines, without files, threads or tasks. What its author must supply:

    Attributes:
        name: `slurm`.
        client: The program that submits; if it is not on PATH, jobs are rejected, and told why.
        variable: The environment variable that holds an element's index where it runs.
        first: The index of an array's first element, 0 or 1.
        max_array: The most elements of one array.

    `probe` and `learn` adapt it to the site before the first submit; `submit` and `submitted` bring jobs in;
    `queue` asks for all of them at once, in every cycle; `account` asks for more about the few that left the
    queue unexplained, or whose id was lost; `cancel` ends them in bulk. The values in `Submission.options` are
    checked already.
    """

    @property
    def name(self) -> str: ...
    @property
    def client(self) -> str: ...
    @property
    def variable(self) -> str: ...
    @property
    def first(self) -> int: ...
    @property
    def max_array(self) -> int: ...

    def cleans(self, variable: str) -> bool:
        """Tell whether a variable is an outer job's, or bends our commands: they never see it.

        Args:
            variable: Its name.
        """
        ...

    def probe(self) -> Command | None:
        """Build the question for the site's limits, asked once a run.

        Returns:
            The command; None if there is nothing to ask.
        """
        ...

    def learn(self, answer: Answer) -> Scheduler:
        """Read the site's limits from the answer to `probe`.

        Args:
            answer: It may be of any kind, also that of a command that failed.

        Returns:
            The scheduler as this site has it; itself, when the answer says nothing.
        """
        ...

    def submit(self, submission: Submission) -> Command:
        """Build the call that submits one array.

        Args:
            submission: Its script lies on the disk already.
        """
        ...

    def submitted(self, answer: Answer) -> str:
        """Read the array's id from the answer to `submit`.

        Args:
            answer: Whatever the command left, a site's chatter included.

        Returns:
            What the scheduler calls the array in its other answers.

        Raises:
            BackendUnavailable: Nothing was taken, and it is worth trying again.
            NoRoom: Nothing was taken: a limit on the number of jobs is reached.
            Refused: Nothing was taken, nor would be.
            SubmitUnknown: It may have been taken.
        """
        ...

    def job_id(self, id: str, element: int) -> str:
        """Write an element's id the way that people give it to the scheduler's commands.

        Args:
            id: The array's.
            element: Counted from 0.
        """
        ...

    def queue(self, sets: Sequence[SetRef]) -> Sequence[Lookup]:
        """Ask for the state of all jobs in the queue: one command, whatever their number.

        Args:
            sets: The arrays that have elements without an end mark.

        Returns:
            The questions; their answers together are what is known.
        """
        ...

    def account(self, sets: Sequence[SetRef]) -> Sequence[Lookup]:
        """Ask for all that is known about these arrays, ended or not; by name where the id is missing.

        Args:
            sets: The few arrays that left the queue unexplained, or whose id was lost.

        Returns:
            The questions; none if the scheduler keeps no account.
        """
        ...

    def cancel(self, targets: Sequence[Target]) -> Sequence[Command]:
        """Build as few calls as possible that end all targets.

        Args:
            targets: Whole arrays, and elements of others.
        """
        ...

    def cancelled(self, answer: Answer) -> bool:
        """Tell whether a `cancel` reached the scheduler; that a job had ended already is no failure.

        Args:
            answer: What one of the calls of `cancel` left.
        """
        ...
