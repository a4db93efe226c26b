"""`shell`: any other batch scheduler, by templates in `taskproc.toml`; `sge`, `pbs`, `torque`, `htcondor`, `flux`.

    [backends.shell]
    scheduler = "sge"                       # begin with a shipped profile, or with a file of one's own
    flags = { cpus = ["-pe", "openmp", "{cpus}"] }

The profiles beside this module show what can be said, and say on what they were tried.
"""
from __future__ import annotations

import getpass
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from taskproc.plugin import (
    BackendContext,
    BackendPlugin,
    BackendUnavailable,
    Job,
    SubmitUnknown,
    mebibytes,
    option,
    seconds,
)

from .batch import (
    Answer,
    BatchBackend,
    BatchOptions,
    Cause,
    Command,
    JobState,
    Lookup,
    NoRoom,
    Phase,
    Refused,
    SetRef,
    Submission,
    Target,
)
from .templates import Templates, check_complete, fill, load, merged

_MOST_TARGETS = 100
_PERHAPS_TAKEN = re.compile(r"time ?d?-? ?out|(read|receive) (error|failure)|reset by peer|broken pipe", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")
_RANGE = re.compile(r"(?P<first>\d+)(-(?P<last>\d+)(:(?P<step>\d+))?)?")
_MOST_SIGNALS = 64
_MOST_ELEMENTS = 1 << 22  # what is said of more is said of all


@dataclass(frozen=True)
class ShellOptions(Templates, BatchOptions):
    """The portable options, what all batch schedulers share, and the templates."""

    scheduler: str | None = option(None, help="A shipped profile to begin with, or a file (….toml).")
    queue: str | None = option(None, help="Queue to submit to.")
    account: str | None = option(None, help="Account or project to charge.")


@dataclass(frozen=True)
class Shell:
    """Builds the commands of a scheduler from its templates."""

    name: str
    templates: Templates

    @property
    def client(self) -> str:
        """The program that submits."""
        return (self.templates.submit or ("",))[0]

    @property
    def variable(self) -> str:
        """The variable with an element's index."""
        return self.templates.variable or ""

    @property
    def first(self) -> int:
        """Its value for the first element."""
        return self.templates.first or 0

    @property
    def max_array(self) -> int:
        """The most elements of an array."""
        return self.templates.max_array or 1000

    def cleans(self, variable: str) -> bool:
        """Tell whether a variable is an outer job's."""
        return variable == self.variable or variable.startswith(self.templates.cleans or ("\0",))

    def probe(self) -> Command | None:
        """Ask nothing: the templates say what there is to know."""
        return None

    def learn(self, answer: Answer) -> Shell:
        """Stay as it is."""
        return self

    def submit(self, submission: Submission) -> Command:
        """Fill in `submit`.

        >>> from .templates import load
        >>> array = Submission("tp-1", Path("tp-1/job.sh"), "", 3, Path("tp-1/log"), ShellOptions(mem="2G"))
        >>> print(*Shell("sge", load("sge")).submit(array).argv)  # doctest: +NORMALIZE_WHITESPACE
        qsub -terse -b y -shell n -N tp-1 -V -cwd -r n -o /dev/null -j y -t 1-3 -l h_vmem=2048M tp-1/job.sh
        """
        templates, values = self.templates, _values(submission, self.first)
        array: list[str] = []
        if submission.size >= (templates.least_array or 1):
            array += fill(templates.array or (), values)
            array += fill(templates.throttle or (), values) if submission.options.array_limit else ()
        flags = [word for words in self._flags(submission.options) for word in fill(words, values)]
        spread = {"array": array, "flags": flags, "extra": submission.options.extra}
        stdin = (templates.stdin or "").format_map(values)
        return Command(fill(templates.submit or (), values, spread), stdin=stdin)

    def submitted(self, answer: Answer) -> str:
        """Find the id, or raise what the refusal means."""
        id = self._id(f"{answer.out}\n{answer.err}")
        if id and answer.code == 0:
            return id
        words = answer.words
        if not words or answer.code <= 0 or _PERHAPS_TAKEN.search(words):
            raise SubmitUnknown(words or f"{self.client} ended with status {answer.code} and no words")
        if _says(self.templates.full, words):
            raise NoRoom(words)
        if _says(self.templates.busy, words):
            raise BackendUnavailable(words)
        raise Refused(words)

    def job_id(self, id: str, element: int) -> str:
        """Write an element's id as the scheduler does."""
        return (self.templates.element or "{id}").format_map(_identity("", id, element + self.first))

    def queue(self, sets: Sequence[SetRef]) -> list[Lookup]:
        """Ask for all jobs at once; an id that was lost is looked for by name, where the scheduler can do that."""
        templates = self.templates
        ids = [one.id for one in sets if one.id]
        values = {"user": getpass.getuser()}
        lookups = []
        if ids or "{ids}" not in (templates.query or ()):
            argv = fill(templates.query or (), values, {"ids": ids})
            lookups.append(Lookup(Command(argv), partial(self._read, templates.row or "")))
        for one in sets:
            if not one.id and templates.find:
                argv = fill(templates.find, {"name": one.name})
                lookups.append(Lookup(Command(argv), partial(self._found, one.name)))
        return lookups

    def account(self, sets: Sequence[SetRef]) -> list[Lookup]:
        """Ask how these ended, array by array."""
        templates = self.templates
        if not templates.explain:
            return []
        read = partial(self._read, templates.explain_row or "")
        return [
            Lookup(Command(fill(templates.explain, _identity(one.name, one.id or one.name))), read, optional=True)
            for one in sets
        ]

    def cancel(self, targets: Sequence[Target]) -> list[Command]:
        """Fill in `cancel`, for many targets at once."""
        words = [word for target in targets for word in self._targets(target)]
        parts = [words[at : at + _MOST_TARGETS] for at in range(0, len(words), _MOST_TARGETS)]
        return [Command(fill(self.templates.cancel or (), {}, {"targets": part})) for part in parts]

    def cancelled(self, answer: Answer) -> bool:
        """Tell whether the scheduler was reached; that it knows no such job is no failure."""
        return answer.code == 0 or bool(answer.words and not _says(self.templates.busy, answer.words))

    def _flags(self, options: BatchOptions) -> Iterator[tuple[str, ...]]:
        for name, words in self.templates.flags or ():
            if getattr(options, name, None):
                yield words

    def _targets(self, target: Target) -> Iterator[str]:
        templates = self.templates
        if not target.id:
            if templates.named:
                yield templates.named.format_map({"name": target.name})
        elif target.elements is None:
            yield (templates.whole or "{id}").format_map(_identity(target.name, target.id))
        else:
            yield from (self.job_id(target.id, element) for element in target.elements)

    def _found(self, name: str, answer: Answer) -> list[JobState]:
        """Read the id of a job that was looked for by its name."""
        self._require(answer)
        id = self._id(answer.out)
        return [JobState(id, None, "unknown", name=name)] if id else []

    def _id(self, answer: str) -> str:
        match = re.search(self.templates.job_id or "", answer)
        if match is None:
            return ""
        return str(match["id"] if "id" in match.groupdict() else match[1 if match.groups() else 0])

    def _read(self, row: str, answer: Answer) -> list[JobState]:
        self._require(answer)
        return [state for match in re.finditer(row, answer.out) for state in self._states(match)]

    def _require(self, answer: Answer) -> None:
        if answer.code != 0 and not _says(self.templates.nothing, f"{answer.err}\n{answer.out}"):
            raise BackendUnavailable(answer.words or f"{self.name} answered with status {answer.code}")

    def _states(self, match: re.Match[str]) -> Iterator[JobState]:
        told = {name: (value or "").strip() for name, value in match.groupdict().items()}
        exit_code, signal = _exit(told.get("exit", ""))
        word = told.get("state", "")
        phase = self._phase(word) if word else "ended"
        state = JobState(
            id=(self.templates.row_id or "{id}").format_map(told),
            element=None,
            phase=phase,
            word=word,
            name=told.get("name", ""),
            reason=" ".join(told.get("reason", "").split()),
            cause=self._cause(f"{word} {told.get('reason', '')}") if phase == "ended" else "",
            host=told.get("host", ""),
            exit_code=exit_code if phase == "ended" else None,
            signal=signal if phase == "ended" else None,
        )
        for element in self._elements(told.get("index", "")):
            yield replace(state, element=element)

    def _elements(self, indices: str) -> list[int | None]:
        r"""Read `3`, or `4-9:1`, or `1,5-6`; something else speaks for all that are not named."""
        found: list[int | None] = []
        for part in indices.split(","):
            match = _RANGE.fullmatch(part.strip())
            first, last = (int(match["first"]), int(match["last"] or match["first"])) if match else (0, _MOST_ELEMENTS)
            if match is None or first < self.first or last - first >= _MOST_ELEMENTS:
                found.append(None)
            else:
                found += [i - self.first for i in range(first, last + 1, int(match["step"] or 1) or 1)]
        return found

    def _phase(self, word: str) -> Phase:
        for phase, words in self.templates.states or ():
            if word in words:
                return phase  # type: ignore[return-value]  # the table's keys were checked
        return "unknown"

    def _cause(self, words: str) -> Cause:
        for cause, patterns in self.templates.causes or ():
            if any(re.search(pattern, words) for pattern in patterns):
                return cause  # type: ignore[return-value]  # the table's keys were checked
        return ""


def _values(submission: Submission, first: int) -> dict[str, Any]:
    options = submission.options
    limit = seconds(options.time) if options.time else 0
    mem = mebibytes(options.mem) if options.mem else 0
    return {
        "name": submission.name,
        "script": submission.script,
        "logs": submission.logs,
        "size": submission.size,
        "first": first,
        "last": first + submission.size - 1,
        "limit": options.array_limit,
        "user": getpass.getuser(),
        "cpus": options.cpus or 1,
        "mem": options.mem,
        "mem_mb": mem,
        "mem_mb_per_cpu": -(-mem // (options.cpus or 1)),
        "time": f"{limit // 3600:02}:{limit // 60 % 60:02}:{limit % 60:02}",
        "seconds": limit,
        "minutes": -(-limit // 60),
        "gpus": options.gpus,
        "queue": getattr(options, "queue", None),
        "account": getattr(options, "account", None),
    }


def _identity(name: str, id: str, index: int | None = None) -> Mapping[str, Any]:
    digits = _DIGITS.match(id)
    return {"name": name or id, "id": id, "number": digits[0] if digits else id, "index": index}


def _exit(text: str) -> tuple[int | None, int | None]:
    if not text.isdecimal():
        return None, None
    code = int(text)
    return (None, code - 128) if 128 < code <= 128 + _MOST_SIGNALS else (code, None)


def _says(pattern: str | None, words: str) -> bool:
    return pattern is not None and re.search(pattern, words) is not None


class ShellBackend(BatchBackend):
    """A cluster backend that speaks to the one scheduler whose templates its first options hold."""

    def submit(self, jobs: Sequence[Job]) -> None:
        """Submit the jobs, but for those that were meant for another scheduler."""
        said = _said(self._context.options)
        strangers = [job for job in jobs if _said(job.options) != said]
        if strangers:
            self._reject(
                strangers,
                f"its templates differ from those that this run's {self._scheduler.name!r} began with, and one backend"
                " speaks to one scheduler; give the second one a name of its own, in a plugin file with"
                " plugin = taskproc_backends.shell.scheduler(...)",
            )
        super().submit([job for job in jobs if _said(job.options) == said] if strangers else jobs)


def _said(options: ShellOptions) -> tuple[Any, ...]:
    """Give what options say of the scheduler, rather than of the job."""
    return (options.scheduler, *(getattr(options, field.name) for field in fields(Templates)))


def _make(name: str, profile: str | None, context: BackendContext) -> BatchBackend:
    wanted = context.options.scheduler or profile
    templates = merged(load(wanted) if wanted else Templates(), context.options)
    check_complete(templates, name)
    return ShellBackend(Shell(name, templates), context, prologue=partial(prologue, templates.first or 0))


def prologue(first: int, logs: Path) -> str:
    """Write what a script does first: send its output where it belongs, and as it comes."""
    return f'exec >> {shlex.quote(str(logs))}/"$((element + {first}))".txt 2>&1'


def scheduler(name: str, summary: str, profile: str | None) -> BackendPlugin:
    """Make a plugin of a profile, for a plugin file of one's own as well: `plugin = scheduler("mine", …)`."""
    factory: Callable[[BackendContext], BatchBackend] = partial(_make, name, profile)
    return BackendPlugin(name, summary, ShellOptions, factory)


plugin = scheduler("shell", "Any batch scheduler, by templates in the settings.", None)
sge = scheduler("sge", "Grid Engine task arrays.", "sge")
pbs = scheduler("pbs", "PBS Pro and OpenPBS job arrays.", "pbs")
torque = scheduler("torque", "Torque job arrays.", "torque")
htcondor = scheduler("htcondor", "HTCondor clusters of jobs.", "htcondor")
flux = scheduler("flux", "Flux jobs.", "flux")
