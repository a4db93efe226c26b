"""Reading what bsub, bjobs and bkill write. Sites add chatter of their own around it, which is skipped.

Their exit status says little (bjobs gives 255 when one of many jobs is unknown, and lists the rest), so the words
are judged. Formats: bsub(1), bjobs(1) with -o, -json and -w, bkill(1), bparams(1) of LSF 7 to 10.1 and of its
open-source relatives. The long formats are in `history`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from taskproc_backends.batch import Answer, Cause, JobState, NoRoom, Phase, Refused

from taskproc.plugin import BackendError, BackendUnavailable, SubmitUnknown

# What a state says. One that is not listed says nothing: the job is followed on.
PHASES: dict[str, Phase] = {
    "PEND": "waiting",
    "PROV": "waiting",
    "WAIT": "waiting",
    "PSUSP": "waiting",
    "RUN": "running",
    "USUSP": "running",
    "SSUSP": "running",
    "DONE": "ended",
    "EXIT": "ended",
    "UNKWN": "unknown",
    "ZOMBI": "unknown",
}
# "Termination reasons displayed by bacct, bhist, and bjobs", where they are somebody's or something's fault.
_CAUSES: dict[str, Cause] = {
    "TERM_MEMLIMIT": "memory",
    "TERM_SWAP": "memory",
    "TERM_RUNLIMIT": "time",
    "TERM_DEADLINE": "time",
    "TERM_OWNER": "cancelled",
    "TERM_FORCE_OWNER": "cancelled",
    "TERM_ADMIN": "cancelled",
    "TERM_FORCE_ADMIN": "cancelled",
    "TERM_BUCKET_KILL": "cancelled",
    "TERM_PREEMPT": "preempted",
    "TERM_LOAD": "preempted",
    "TERM_WINDOW": "preempted",
    "TERM_RC_RECLAIM": "preempted",
    "TERM_MC_RECALL": "preempted",
    "TERM_REQUEUE_OWNER": "preempted",
    "TERM_REQUEUE_ADMIN": "preempted",
    "TERM_ZOMBIE": "node",
    "TERM_REMOVE_HUNG_JOB": "node",
    "TERM_PRE_EXEC_FAIL": "node",
    "TERM_CSM_ALLOC": "node",
    "TERM_KUBE": "node",
}

# Of bsub, by its words; the first that fits counts, and any other refusal is for good.
_FULL = re.compile(
    r"pending job( slots?)? (threshold|limit)|has reached its job limit|array index too large", re.IGNORECASE
)
_PERHAPS_TAKEN = re.compile(
    r"time ?d? ?-?out|connection (was )?(reset|closed)|broken pipe|(protocol|internal|encode/decode) error"
    r"|system call failed|did not handled?",
    re.IGNORECASE,
)
_SILENT = re.compile(
    r"LSF is down|LIM is down|master LIM|not responding|daemon .*(down|cannot fork)|refused by server"
    r"|cannot connect|unable to contact|(is )?not connected|try(ing)? (again )?later|library call"
    r"|concurrent job query limit|no job id can be used|not registered|communication time ?-?out"
    r"|time ?d? ?-?out|internal error|protocol error|temporarily",
    re.IGNORECASE,
)
_NOTHING_FOUND = re.compile(r"no .*job.* found|is not found|no matching job", re.IGNORECASE)
_NOT_SPOKEN = re.compile(
    r"(illegal|invalid|unrecognized|unknown) option|^usage:|conflicts with option|option .* conflicts",
    re.IGNORECASE | re.MULTILINE,
)
_NO_SUCH_FIELD = re.compile(r"(illegal|invalid|not a valid|unknown|bad) field", re.IGNORECASE)

_SUBMITTED = re.compile(r"Job <(?P<id>\d+)> is submitted to\b")
_JOB = re.compile(r"(?P<id>\d+)(\[(?P<index>\d+)\])?(@\S+)?")
_NAME = re.compile(r"(?P<name>.*?)(\[(?P<index>\d+)\])?", re.DOTALL)
_ROW = re.compile(
    r"(?P<jobid>\d+(\[\d+\])?)\s+\S+\s+(?P<stat>[A-Z]+)\s+\S+\s+\S+\s+(?P<rest>.*\S)\s+"
    r"(?P<submit_time>[A-Z][a-z]{2}\s+\d+\s+\d+:\d+(:\d+)?(\s+\d{4})?)"
)
_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[KMGTP])?", re.IGNORECASE)
_PARAMETER = re.compile(r"^\s*(?P<name>[A-Z_]+)\s*=\s*(?P<value>\S+)", re.MULTILINE)
_VERSION = re.compile(r"\bLSF\b\D{0,40}?(?P<version>\d+(\.\d+)+)")

_DELIMITER = "|"
_MOST_SIGNALS = 64


@dataclass(frozen=True)
class Dialect:
    """A way to ask bjobs: its form, and the columns in it; those with free text come last.

    Attributes:
        form: `json` and `columns` are of `-o`; `table` is `-w`, for releases that know neither.
        columns: The fields of `-o`.
    """

    form: Literal["json", "columns", "table"]
    columns: tuple[str, ...] = ()

    @property
    def tells_why(self) -> bool:
        """Tell whether a job's end comes with LSF's reason."""
        return "exit_reason" in self.columns

    @property
    def flags(self) -> tuple[str, ...]:
        """Give bjobs' flags for it. There is no -noheader: not all know it, and a header is easily skipped."""
        if self.form == "table":
            return ("-w",)
        if self.form == "json":
            return ("-json", "-o", " ".join(self.columns))
        return ("-o", " ".join(self.columns) + f" delimiter='{_DELIMITER}'")


_FEW = ("jobid", "jobindex", "stat", "exit_code", "exec_host", "submit_time", "job_name")
_MANY = (*_FEW[:-1], "memlimit", "max_mem", "runtimelimit", "job_name", "exit_reason", "pend_reason")
# From the newest to the oldest.
DIALECTS = (
    Dialect("json", _MANY),
    Dialect("json", _FEW),
    Dialect("columns", _MANY),
    Dialect("columns", _FEW),
    Dialect("table"),
)


class NotSpoken(BackendUnavailable):
    """This release does not know what it was asked; `instead` is what to ask next time."""

    def __init__(self, words: str, instead: int) -> None:
        super().__init__(f"{words} (asking in an older way)")
        self.instead = instead


@dataclass(frozen=True)
class Site:
    """What bjobs -V and bparams tell of a site; None: they did not tell.

    Attributes:
        version: LSF's; () for an open-source relative.
        max_array: MAX_JOB_ARRAY_SIZE.
        per_task: Whether memory is reserved for every task of a job instead of once.
    """

    version: tuple[int, ...] | None
    max_array: int | None
    per_task: bool


def parse_site(text: str) -> Site:
    """Read a site's version and limits.

    >>> parse_site("IBM Spectrum LSF Standard 10.1.0.9, Oct 16 2019\\n    MAX_JOB_ARRAY_SIZE = 5000")
    Site(version=(10, 1, 0, 9), max_array=5000, per_task=False)
    >>> parse_site("volclava project 2.1.1, Nov 11 2025").version
    ()
    """
    parameters = {match["name"]: match["value"] for match in _PARAMETER.finditer(text)}
    size = parameters.get("MAX_JOB_ARRAY_SIZE", "")
    reserved = (parameters.get(f"RESOURCE_RESERVE_PER_{word}", "N") for word in ("TASK", "SLOT"))
    version: tuple[int, ...] | None = None
    if match := _VERSION.search(text):
        version = tuple(int(part) for part in match["version"].split("."))
    elif re.search("lava", text, re.IGNORECASE):
        version = ()
    max_array = int(size) if size.isdecimal() and int(size) > 0 else None
    return Site(version, max_array, any(w[0] in "Yy" for w in reserved))


def parse_submitted(answer: Answer) -> str:
    """Read the job id from bsub's answer, which may be on either stream, under a site's own chatter.

    Raises:
        BackendUnavailable, NoRoom, Refused: It was not taken: for now, for a limit, for good.
        SubmitUnknown: It may have been.
    """
    for text in (answer.out, answer.err):
        if found := _SUBMITTED.findall(text):
            return str(found[-1])
    raise _refusal(answer)


def _refusal(answer: Answer) -> BackendError:
    words = answer.words
    if not words or answer.code < 0:
        return SubmitUnknown(words or f"bsub ended with status {answer.code} and no words")
    if _FULL.search(words):
        return NoRoom(words)
    if _PERHAPS_TAKEN.search(words):
        return SubmitUnknown(words)
    if _SILENT.search(words):
        return BackendUnavailable(words)
    if answer.code == 0:
        return SubmitUnknown(f"bsub answered without a job id: {words}")
    return Refused(words)


def has_reached(answer: Answer) -> bool:
    """Tell whether a command reached mbatchd, whatever that said: for bkill, a job that has ended is no failure."""
    if answer.code == 0:
        return True
    return bool(answer.words) and not is_silent(answer)


def is_silent(answer: Answer) -> bool:
    """Tell whether a failing command spoke of LSF itself, instead of jobs."""
    return answer.code != 0 and bool(_SILENT.search(f"{answer.err}\n{answer.out}"))


def parse_jobs(answer: Answer, asked: int) -> list[JobState]:
    """Read bjobs' answer in `DIALECTS[asked]`.

    An end that this dialect tells without its reason is left out, for `history` to explain.

    Raises:
        NotSpoken: This release does not know the dialect.
        BackendUnavailable: It is no answer: its silence says nothing about any job.
    """
    dialect = DIALECTS[asked]
    if is_silent(answer):
        raise BackendUnavailable(answer.words)
    records = list(_records(answer, dialect))
    if not records:
        _require_answer(answer, asked)
    states = [_state(record) for record in records if _JOB.fullmatch(record.get("jobid", ""))]
    return [state for state in states if dialect.tells_why or not _is_unexplained(state)]


def _require_answer(answer: Answer, asked: int) -> None:
    """Tell an empty answer from none."""
    words = f"{answer.err}\n{answer.out}"
    if answer.code == 0 or _NOTHING_FOUND.search(words):
        return
    form = DIALECTS[asked].form
    if _NO_SUCH_FIELD.search(words) and form != "table":
        raise NotSpoken(answer.words, asked + 1)
    if _NOT_SPOKEN.search(words) and form != "table":
        raise NotSpoken(answer.words, min(i for i, d in enumerate(DIALECTS) if i > asked and d.form != form))
    raise BackendUnavailable(answer.words or f"bjobs ended with status {answer.code}")


def _is_unexplained(state: JobState) -> bool:
    return state.word == "EXIT" and not state.exit_code


def _records(answer: Answer, dialect: Dialect) -> Iterator[Mapping[str, str]]:
    """Give each job's fields by their names in lower case."""
    if dialect.form == "json":
        return _json_records(answer)
    lines = answer.out.splitlines()
    return _table_records(lines) if dialect.form == "table" else _column_records(lines, dialect.columns)


def _json_records(answer: Answer) -> Iterator[Mapping[str, str]]:
    start = answer.out.find("{")
    if start < 0:
        return
    try:
        told, _ = json.JSONDecoder(strict=False).raw_decode(answer.out, start)
        records = [dict(record) for record in told["RECORDS"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotSpoken(f"bjobs -json wrote no JSON: {error}", 2) from None
    for record in records:
        fields = {str(name).lower(): str(value).strip() for name, value in record.items()}
        trouble = fields.get("error", "")
        if trouble and not _NOTHING_FOUND.search(trouble):
            raise BackendUnavailable(trouble)
        if not trouble:
            yield fields


def _column_records(lines: Iterable[str], columns: tuple[str, ...]) -> Iterator[Mapping[str, str]]:
    for line in lines:
        values = [value.strip() for value in line.split(_DELIMITER, len(columns) - 1)]
        if len(values) == len(columns) and _JOB.fullmatch(values[0]):
            yield dict(zip(columns, values, strict=True))


def _table_records(lines: Iterable[str]) -> Iterator[Mapping[str, str]]:
    for line in lines:
        if match := _ROW.fullmatch(line.strip()):
            # A host is there unless the job waits, and our names hold no blanks.
            *host, name = match["rest"].split()
            fields = {key: match[key] for key in ("jobid", "stat", "submit_time")}
            yield {**fields, "exec_host": host[0] if host else "", "job_name": name}


def _state(record: Mapping[str, str]) -> JobState:
    fields = {name: "" if value == "-" else value for name, value in record.items()}
    job, name = _JOB.fullmatch(fields["jobid"]), _NAME.fullmatch(fields.get("job_name", ""))
    assert job is not None  # asked for by parse_jobs
    assert name is not None  # matches anything
    word, why = fields.get("stat", ""), fields.get("exit_reason", "")
    exit_code, signal = parse_exit(fields.get("exit_code", ""), word)
    return JobState(
        id=job["id"],
        element=element_of(fields.get("jobindex") or job["index"] or name["index"]),
        phase=PHASES.get(word, "unknown"),
        word=word,
        # A cut name starts with an asterisk and is worth nothing.
        name="" if name["name"].startswith("*") else name["name"],
        reason=" ".join((why or fields.get("pend_reason", "")).rstrip(";").split()),
        cause=parse_cause(why),
        host=parse_hosts(fields.get("exec_host", "")),
        exit_code=exit_code,
        signal=signal,
        submitted=parse_time(fields.get("submit_time", "")),
        memory_asked=_size(fields.get("memlimit", "")),
        memory_used=_size(fields.get("max_mem", "")),
        time_asked=_minutes(fields.get("runtimelimit", "")),
    )


def element_of(index: str | None) -> int | None:
    """Turn an index into an element; 0 and nothing mean that there is no array.

    >>> element_of("3"), element_of("0"), element_of(None)
    (2, None, None)
    """
    return int(index) - 1 if index and index.isdecimal() and int(index) > 0 else None


def parse_cause(words: str) -> Cause:
    """Read what ended a job from LSF's reason.

    >>> parse_cause("TERM_MEMLIMIT: job killed after reaching LSF memory usage limit")
    'memory'
    """
    match = re.search(r"\bTERM_[A-Z_]+", words)
    return _CAUSES.get(match[0], "") if match else ""


def parse_exit(text: str, word: str) -> tuple[int | None, int | None]:
    """Read an exit code as an exit status or a signal, of which a job that ended has at most one.

    >>> parse_exit("3", "EXIT"), parse_exit("137", "EXIT"), parse_exit("", "DONE"), parse_exit("0", "EXIT")
    ((3, None), (None, 9), (0, None), (None, None))
    """
    if word == "DONE":
        return 0, None
    code = int(text) if word == "EXIT" and text.isdecimal() else 0
    if 128 < code <= 128 + _MOST_SIGNALS:
        return None, code - 128
    # Some releases write 0 for a job that a signal ended.
    return code or None, None


def parse_hosts(text: str) -> str:
    """Read `4*node18:2*node19`.

    >>> parse_hosts("4*node18"), parse_hosts("a:a:b")
    ('node18', 'a,b')
    """
    hosts = (part.rpartition("*")[2].strip() for part in text.split(":"))
    return ",".join(dict.fromkeys(host for host in hosts if host and host != "-"))


def parse_time(text: str) -> float | None:
    """Read a local time such as `Mar  3 16:46`; without a year it is the last such time.

    >>> parse_time("Mar  3 16:46:07 2026") - parse_time("Mar  3 16:46 2026")
    7.0
    """
    words = text.split()
    if len(words) not in (3, 4):
        return None
    if len(words) == 4:
        return _timestamp(words[3], words)
    year = datetime.now().year
    times = [_timestamp(str(candidate), words) for candidate in (year, year - 1)]
    latest = (datetime.now() + timedelta(days=1)).timestamp()
    return next((time for time in times if time is not None and time <= latest), None)


def _timestamp(year: str, words: Sequence[str]) -> float | None:
    clock = words[2] if words[2].count(":") == 2 else f"{words[2]}:00"
    try:
        return datetime.strptime(f"{year} {words[0]} {words[1]} {clock}", "%Y %b %d %H:%M:%S").timestamp()
    except ValueError:
        return None


def _size(text: str) -> int | None:
    """Read an amount of memory in bytes: `2 G`, `812 Mbytes`; without a unit it may be any."""
    match = _SIZE.match(text)
    if not match or not match["unit"]:
        return None
    return int(float(match["number"]) * 1024 ** (" KMGTP".index(match["unit"].upper()))) or None


def _minutes(text: str) -> int | None:
    match = re.match(r"\d+(\.\d+)?", text)
    return int(float(match[0]) * 60) or None if match else None
