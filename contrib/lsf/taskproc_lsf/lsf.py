"""LSF's command line: what to run. How to read the answers is in `answers` and `history`.

Formats: bsub(1), bjobs(1), bhist(1), bacct(1), bkill(1) of LSF 7 to 10.1, and of its open-source relatives, which
know fewer flags; whoever asks them what they know, and in what words, gets an older dialect next time.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from taskproc_backends.batch import Answer, BatchOptions, Command, JobState, Lookup, SetRef, Submission, Target

from taskproc.plugin import mebibytes, seconds

from .answers import DIALECTS, NotSpoken, has_reached, parse_jobs, parse_site, parse_submitted
from .history import parse_history

# Of an outer job, or of a person who bends the output of commands that we read.
_CLEANED = ("LSB_", "LS_", "BSUB_", "BJOBS_", "LSF_JOB", "LSF_INVOKE", "LSF_PM_", "LSF_TS_")
_KEPT = frozenset({"LSB_CONFDIR", "LSB_SHAREDIR", "LSB_DEFAULTQUEUE", "LSB_DEFAULTPROJECT", "LSB_DEFAULT_USERGROUP"})

# One try: we ask again ourselves. Otherwise a client waits for as long as LSF is down, or has no room.
_ONE_TRY = {"LSB_NTRIES": "1"}
_QUESTION = {**_ONE_TRY, "LC_ALL": "C"}

# The version is told on either stream; old releases of bparams have no -a. A missing bparams is no failure.
_PROBE = "bjobs -V 2>&1; bparams -a 2>&1 || bparams -l 2>&1 || [ $? -eq 127 ]"
_UNITS_SINCE = (10, 1, 0, 2)
_JSON_SINCE = (10, 1, 0, 2)
_COLUMNS_SINCE = (9, 1)

# More ids than this are left out of a command line: all jobs of the user are listed then.
_MOST_IDS = 200
# Arguments of one bkill.
_MOST_TARGETS = 100
# A word that a shell leaves alone: bsub joins the words of a command for one, on the execution host.
_PLAIN_PATH = re.compile(r"[\w@+=:,./-]+", re.ASCII)
_SECTION = re.compile(r"\s*(?P<name>[a-z]+)\[[^\[\]]*\]\s*")
_SCALES = {"KB": 1 / 1024, "MB": 1, "GB": 1024, "TB": 1024**2}


@dataclass
class Lsf:
    """Builds LSF's commands.

    Args:
        max_array: MAX_JOB_ARRAY_SIZE of the site.
        dialect: How bjobs is asked, an index of `DIALECTS`; it grows when a release does not understand.
        units: Whether amounts of memory may carry a unit.
        never_rerun: Whether bsub knows -rn.
        per_task: Whether the site reserves memory for each task of a job.
    """

    max_array: int = 1000
    dialect: int = 0
    units: bool = True
    never_rerun: bool = True
    per_task: bool = False

    name: ClassVar[str] = "lsf"
    client: ClassVar[str] = "bsub"
    variable: ClassVar[str] = "LSB_JOBINDEX"
    first: ClassVar[int] = 1

    def cleans(self, variable: str) -> bool:
        """Tell whether a variable is an outer job's, or bends our commands.

        >>> [Lsf().cleans(name) for name in ("LSB_JOBINDEX", "BSUB_QUIET", "LSF_ENVDIR", "LSB_DEFAULTQUEUE")]
        [True, True, False, False]
        """
        return variable.startswith(_CLEANED) and variable not in _KEPT

    def probe(self) -> Command:
        """Ask for the version and the limits."""
        return Command(("sh", "-c", _PROBE), environment=_QUESTION)

    def learn(self, answer: Answer) -> Lsf:
        """Read what this release knows, and MAX_JOB_ARRAY_SIZE."""
        site = parse_site(answer.out)
        version = site.version
        return dataclasses.replace(
            self,
            max_array=site.max_array or self.max_array,
            dialect=max(self.dialect, _first_dialect(version)),
            units=version is None or version >= _UNITS_SINCE,
            never_rerun=version is None or version >= (7,),
            per_task=site.per_task,
        )

    def submit(self, submission: Submission) -> Command:
        """Build the bsub call for one array; its indices start at 1.

        >>> from pathlib import Path
        >>> from taskproc_lsf import LsfOptions
        >>> options = LsfOptions(mem="2G", time="00:10:30", array_limit=2)
        >>> array = Submission("r1-a", Path("r1-a/job.sh"), "", 3, Path("r1-a/log"), options)
        >>> print(*Lsf().submit(array).argv)  # doctest: +NORMALIZE_WHITESPACE
        bsub -J r1-a[1-3]%2 -o /dev/null -e r1-a/log/%I.txt -rn -W 11 -M 2048MB -R rusage[mem=2048MB] r1-a/job.sh
        """
        options = submission.options
        throttle = f"%{options.array_limit}" if options.array_limit else ""
        argv = ["bsub", "-J", f"{submission.name}[1-{submission.size}]{throttle}", "-o", "/dev/null"]
        # What goes wrong before the script begins; from there on it writes to the same file. No report goes there.
        argv += ["-e", "/dev/null" if "%" in str(submission.logs) else f"{submission.logs}/%I.txt"]
        # A job that LSF runs again would find its attempt used up; we submit a new attempt instead.
        argv += ["-rn"] if self.never_rerun else []
        argv += [*self._limits(options), *_flags(options)]
        for requirement in self._requirements(options, submission.avoid):
            argv += ["-R", requirement]
        argv += options.extra
        script = str(submission.script)
        if getattr(options, "script", "argument") == "stdin" or not _PLAIN_PATH.fullmatch(script):
            return Command(tuple(argv), stdin=submission.text, environment=_ONE_TRY)
        return Command((*argv, script), environment=_ONE_TRY)

    def submitted(self, answer: Answer) -> str:
        """Read the job id, or raise what the refusal means."""
        return parse_submitted(answer)

    def job_id(self, id: str, element: int) -> str:
        """Write an element's id as LSF does.

        >>> Lsf().job_id("123", 4)
        '123[5]'
        """
        return f"{id}[{element + self.first}]"

    def queue(self, sets: Sequence[SetRef]) -> list[Lookup]:
        """Ask bjobs for all our arrays; where an id was lost or there are many, for all of this user's jobs."""
        ids = [one.id for one in sets if one.id]
        listed = ids if len(ids) == len(sets) <= _MOST_IDS else []
        asked = self.dialect
        argv = ("bjobs", "-a", *DIALECTS[asked].flags, *listed)
        return [Lookup(Command(argv, environment=_QUESTION), lambda answer: self._read_jobs(answer, asked))]

    def account(self, sets: Sequence[SetRef]) -> list[Lookup]:
        """Ask the logs for what bjobs has forgotten, and bjobs -l where the short format does not say why."""
        ids = [one.id for one in sets if one.id]
        lookups = []
        if ids:
            lookups.append(dataclasses.replace(_long("bacct", "-l", *ids), optional=True))
            lookups.append(_long("bhist", "-a", "-l", "-n", "0", *ids))
            if not DIALECTS[self.dialect].tells_why:
                lookups.append(_long("bjobs", "-a", "-l", *ids))
        return lookups + [_long("bhist", "-a", "-l", "-n", "0", "-J", one.name) for one in sets if not one.id]

    def cancel(self, targets: Sequence[Target]) -> list[Command]:
        """Build the bkill calls: whole arrays by their ids, elements as lists of ranges.

        >>> [" ".join(c.argv) for c in Lsf().cancel([Target("a", "7"), Target("b", "8", (0, 1, 2, 5))])]
        ['bkill 7 8[1-3,6]']
        """
        words = [target.id + _indices(target.elements) for target in targets if target.id]
        calls = [("bkill", *words[at : at + _MOST_TARGETS]) for at in range(0, len(words), _MOST_TARGETS)]
        calls += [("bkill", "-J", target.name, "0") for target in targets if not target.id]
        return [Command(argv, environment=_QUESTION) for argv in calls]

    def cancelled(self, answer: Answer) -> bool:
        """Tell whether bkill reached mbatchd."""
        return has_reached(answer)

    def _read_jobs(self, answer: Answer, asked: int) -> list[JobState]:
        try:
            return parse_jobs(answer, asked)
        except NotSpoken as misunderstanding:
            self.dialect = max(self.dialect, misunderstanding.instead)
            raise

    def _limits(self, options: BatchOptions) -> Iterator[str]:
        if options.time is not None:
            yield from ("-W", str(math.ceil(seconds(options.time) / 60)))
        if options.mem is not None:
            yield from ("-M", self._amount(mebibytes(options.mem), options, "KB"))
        if options.cpus is not None:
            yield from ("-n", str(options.cpus))

    def _requirements(self, options: BatchOptions, avoid: Sequence[str]) -> list[str]:
        """Build what goes behind -R: one string with each section once, as long as the user's lets us."""
        given = getattr(options, "resources", None) or ""
        sections = dict(self._sections(options, avoid))
        if re.search(r"\bspan\[", given):
            sections.pop("span", None)
        ours = " ".join(f"{name}[{text}]" for name, text in sections.items())
        if not given or not ours:
            return [one for one in (given, ours) if one]
        theirs = [match["name"] for match in _SECTION.finditer(given)]
        # The selection comes first, and need not be named.
        may_join = not sections.keys() & set(theirs) and "select" not in sections and _SECTION.sub("", given) == ""
        return [f"{given} {ours}"] if may_join else [given, ours]

    def _sections(self, options: BatchOptions, avoid: Sequence[str]) -> Iterator[tuple[str, str]]:
        if avoid:
            yield "select", " && ".join(f"hname!='{host}'" for host in avoid)
        usage = []
        if options.mem is not None:
            share = options.cpus or 1 if self.per_task else 1
            usage.append("mem=" + self._amount(math.ceil(mebibytes(options.mem) / share), options, "MB"))
        if options.gpus and getattr(options, "gpu", None) is None:
            usage.append(f"ngpus_physical={options.gpus}")
        if usage:
            yield "rusage", ":".join(usage)
        if options.cpus is not None:
            yield "span", "hosts=1"

    def _amount(self, amount: int, options: BatchOptions, usual: str) -> str:
        """Write mebibytes with a unit, or in the one that the site, or else LSF by itself, expects."""
        unit = getattr(options, "mem_unit", None)
        if unit is None and self.units:
            return f"{amount}MB"
        return str(math.ceil(amount / _SCALES[unit or usual]))


def _first_dialect(version: tuple[int, ...] | None) -> int:
    """Choose where to begin; what a release does not know is found out as well, but later."""
    forms = [(dialect.form, dialect.tells_why) for dialect in DIALECTS]
    if version is None or version >= _JSON_SINCE:
        return 0
    if version >= _COLUMNS_SINCE:
        return forms.index(("columns", True))
    return forms.index(("table", False)) if version else forms.index(("json", False))


def _flags(options: BatchOptions) -> Iterator[str]:
    names = {
        "queue": "-q",
        "project": "-P",
        "user_group": "-G",
        "application": "-app",
        "job_group": "-g",
        "hosts": "-m",
    }
    for name, flag in names.items():
        value = getattr(options, name, None)
        if value is not None:
            yield from (flag, str(value))
    if getattr(options, "exclusive", False):
        yield "-x"
    how = getattr(options, "gpu", None)
    if options.gpus and how is not None:
        yield from ("-gpu", f"num={options.gpus}:{how}" if how else f"num={options.gpus}")


def _long(*argv: str) -> Lookup:
    return Lookup(Command(argv, environment=_QUESTION), parse_history)


def _indices(elements: tuple[int, ...] | None) -> str:
    """Write elements as an index list.

    >>> _indices((3, 4, 5, 9)), _indices(None)
    ('[4-6,10]', '')
    """
    if elements is None:
        return ""
    ranges: list[list[int]] = []
    for element in sorted(elements):
        if ranges and element == ranges[-1][1]:
            ranges[-1][1] = element + Lsf.first
        else:
            ranges.append([element + Lsf.first] * 2)
    return "[" + ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges) + "]"
