"""Reading what Slurm's commands write. Sites add chatter of their own around it, which is skipped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from taskproc_backends.batch import Answer, Cause, JobState, NoRoom, Phase, Refused

from taskproc.plugin import BackendError, BackendUnavailable, SubmitUnknown

Parser = Callable[[Answer], Sequence[JobState]]

QUEUE_FORMAT = "%i|%j|%T|%V|%N|%r"
ACCOUNT_FORMAT = "JobID,JobName,State,ExitCode,NodeList,Submit,ReqMem,MaxRSS,TimelimitRaw,ElapsedRaw,AllocCPUS"

# What a state says. One that is not listed says nothing: the job is followed on.
_WAITING = frozenset(["PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"])
_RUNNING = frozenset(
    [
        "CONFIGURING",
        "COMPLETING",
        "RESIZING",
        "RUNNING",
        "SIGNALING",
        "STAGE_OUT",
        "STOPPED",
        "SUSPENDED",
        "POWER_UP_NODE",
    ]
)
_ENDED: dict[str, Cause] = {
    "BOOT_FAIL": "node",
    "CANCELLED": "cancelled",
    "COMPLETED": "",
    "DEADLINE": "time",
    "FAILED": "",
    "LAUNCH_FAILED": "node",
    "NODE_FAIL": "node",
    "OUT_OF_MEMORY": "memory",
    "PREEMPTED": "preempted",
    "RECONFIG_FAIL": "node",
    "REVOKED": "preempted",
    "TIMEOUT": "time",
}

# What slurmstepd writes into the log of a job that it ends.
LOG_CAUSES: tuple[tuple[str, Cause], ...] = (
    (r"(?i)slurmstepd.*(exceeded (job |step )?memory limit|oom.kill|out of memory)", "memory"),
    (r"\*\*\* (JOB|STEP) .* DUE TO TIME LIMIT", "time"),
    (r"\*\*\* (JOB|STEP) .* DUE TO PREEMPTION", "preempted"),
    (r"\*\*\* (JOB|STEP) .* DUE TO NODE FAILURE", "node"),
    # A busy slurmd of 22.05 now and then loses a script before it is started, and calls that the job's failure.
    (r"slurmstepd.*error: execve\(\): \S*/slurm_script: No such file", "node"),
)

# What a refusal means, by its words; the first that fits counts, and any other is for good.
_NOT_TAKEN = re.compile(
    r"Unable to contact slurm controller(?! \((send|receive|shutdown) failure)"
    r"|connection refused|standby mode"
    r"|Rate limit exceeded|temporarily unable|try again|configuration source|fetch config"
    r"|authentication error|Munge|I/O error writing|submissions disabled|presently disabled|not known"
    r"|Unable to resolve|res_nsearch",
    re.IGNORECASE,
)
_PERHAPS_TAKEN = re.compile(
    r"timed? ?out|(send|receive|shutdown) failure|Zero Bytes|Unexpected message|connection failure"
    r"|not connected|connection reset|Unspecified error|Broken pipe",
    re.IGNORECASE,
)
_FULL = re.compile(r"\b(Assoc|QOS|Account)\w*Submit\w*Limit\b|MaxJobCount limit", re.IGNORECASE)

_SUBMITTED = re.compile(r"(?P<id>\d+(;[\w.-]+)?)")
_JOB = re.compile(r"(?P<id>\d+)(\+\d+)?(_(\[(?P<many>[^\]]*)\]|(?P<one>\d+)))?(?P<step>\.\S+)?")
_RANGE = re.compile(r"(?P<first>\d+)(-(?P<last>\d+)(:(?P<step>\d+))?)?")
_EXIT = re.compile(r"(?P<code>\d+):(?P<signal>\d+)")
_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>[KMGTP]?)(?P<per>[nc]?)", re.IGNORECASE)
_MOST_ELEMENTS = 1 << 22  # slurm.conf(5): MaxArraySize is 4000001 at most
_FIELD = re.compile(r"(\w+)=(\S*)")


@dataclass(frozen=True)
class Limits:
    """What `scontrol show config` tells of a site; 0: it did not tell."""

    max_array: int
    accounting: bool


def parse_config(text: str) -> Limits:
    """Read the limits from `scontrol show config`.

    >>> parse_config("MaxArraySize            = 1001\\nAccountingStorageType   = accounting_storage/none")
    Limits(max_array=1001, accounting=False)
    """
    pairs = (line.partition("=") for line in text.splitlines())
    found = {name.strip(): value.strip() for name, _, value in pairs}
    size, kind = found.get("MaxArraySize", ""), found.get("AccountingStorageType", "")
    accounting = bool(kind) and "none" not in kind and kind != "(null)"
    # Indices go up to MaxArraySize - 1, and ours start at 0.
    return Limits(_number(size) or 0, accounting)


def parse_submitted(answer: Answer) -> str:
    """Read the job id from `sbatch --parsable`, which may append `;cluster`, under a site's own chatter.

    Raises:
        BackendUnavailable, NoRoom, Refused: It was not taken: for now, for a limit, for good.
        SubmitUnknown: It may have been.
    """
    if answer.code == 0:
        for line in reversed(answer.out.splitlines()):
            if match := _SUBMITTED.fullmatch(line.strip()):
                return match["id"]
        msg = f"sbatch answered without a job id: {answer.out.strip()!r}"
        raise SubmitUnknown(msg)
    raise _refusal(answer)


def _refusal(answer: Answer) -> BackendError:
    words = answer.words
    if _FULL.search(words):
        return NoRoom(words)
    if not words or answer.code < 0 or _PERHAPS_TAKEN.search(words):
        return SubmitUnknown(words or f"sbatch ended with status {answer.code} and no words")
    if _NOT_TAKEN.search(words):
        return BackendUnavailable(words)
    return Refused(words)


def has_reached(answer: Answer) -> bool:
    """Tell whether a command reached slurmctld, whatever that said."""
    if answer.code == 0:
        return True
    words = answer.words
    return bool(words) and not _NOT_TAKEN.search(words) and not _PERHAPS_TAKEN.search(words)


def parse_queue(answer: Answer, cluster: str = "") -> list[JobState]:
    """Read squeue's lines in `QUEUE_FORMAT`.

    Raises:
        BackendUnavailable: squeue failed: its silence says nothing about any job.
    """
    _require(answer, "squeue")
    states: list[JobState] = []
    for line in answer.out.splitlines():
        id, *rest = line.strip().split("|", 5)
        match = _JOB.fullmatch(id)
        if match and len(rest) == 5:
            name, word, submitted, host, reason = rest
            state = JobState(
                id=_id(match["id"], cluster),
                element=None,
                phase=_phase(word),
                word=word,
                name=name,
                reason="" if reason in ("None", "N/A", "(null)") else reason,
                cause=_cause(word),
                host=host,
                submitted=_time(submitted),
            )
            states += [replace(state, element=element) for element in _elements(match)]
    return states


def parse_account(answer: Answer, cluster: str = "") -> list[JobState]:
    """Read sacct's lines in `ACCOUNT_FORMAT`; the memory of a job's steps counts for the job.

    Raises:
        BackendUnavailable: sacct failed.
    """
    _require(answer, "sacct")
    states: dict[tuple[str, int | None], JobState] = {}
    used: dict[tuple[str, int | None], int] = {}
    unfinished = set()
    for match, fields in _account_lines(answer.out):
        for element in _elements(match):
            key = (match["id"], element)
            if not match["step"]:
                states[key] = _account_state(_id(match["id"], cluster), element, fields)
            elif _phase(fields["State"]) == "running":
                unfinished.add(key)
            used[key] = max(used.get(key, 0), _size(fields["MaxRSS"]) or 0)
    # A job's end may be recorded before the end of its steps, which tells the memory: then it is asked again.
    for key in unfinished & states.keys():
        if states[key].phase == "ended" and states[key].signal:
            states[key] = replace(states[key], phase="unknown")
    return [replace(state, memory_used=used[key] or None) for key, state in states.items()]


def parse_jobs(answer: Answer, cluster: str = "") -> list[JobState]:
    """Read `scontrol --oneliner show job`, which knows a job until MinJobAge after its end.

    Raises:
        BackendUnavailable: slurmctld was not reached; that it does not know the job is an answer.
    """
    if not has_reached(answer):
        raise BackendUnavailable(answer.words or f"scontrol ended with status {answer.code}")
    return [state for line in answer.out.splitlines() for state in _job_states(line, cluster)]


def _require(answer: Answer, command: str) -> None:
    if answer.code != 0:
        raise BackendUnavailable(answer.words or f"{command} ended with status {answer.code}")


def _account_lines(text: str) -> Iterator[tuple[re.Match[str], dict[str, str]]]:
    names = ACCOUNT_FORMAT.split(",")
    for line in text.splitlines():
        fields = line.strip().split("|")
        match = _JOB.fullmatch(fields[0])
        if match and len(fields) == len(names):
            yield match, dict(zip(names, fields, strict=True))


def _account_state(id: str, element: int | None, fields: dict[str, str]) -> JobState:
    asked = _size(fields["ReqMem"])
    if asked and fields["ReqMem"].endswith("c"):
        asked *= _number(fields["AllocCPUS"]) or 1
    minutes = _number(fields["TimelimitRaw"])
    word = fields["State"]
    exit_code, signal = _exit(fields["ExitCode"], word)
    return JobState(
        id=id,
        element=element,
        phase=_phase(word),
        word=word,
        name=fields["JobName"],
        cause=_cause(word),
        host="" if fields["NodeList"] == "None assigned" else fields["NodeList"],
        submitted=_time(fields["Submit"]),
        memory_asked=asked,
        time_asked=minutes * 60 if minutes else None,
        time_used=_number(fields["ElapsedRaw"]),
        exit_code=exit_code,
        signal=signal,
    )


def _job_states(line: str, cluster: str) -> Iterator[JobState]:
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(line):
        # The first counts: a user's comment further on may look like anything.
        fields.setdefault(name, "" if value in ("(null)", "None", "N/A") else value)
    word, id = fields.get("JobState", ""), fields.get("ArrayJobId") or fields.get("JobId", "")
    if not word or not id.isdecimal():
        return
    indices = fields.get("ArrayTaskId")
    exit_code, signal = _exit(fields.get("ExitCode", ""), word)
    state = JobState(
        id=_id(id, cluster),
        element=None,
        phase=_phase(word),
        word=word,
        name=fields.get("JobName", ""),
        reason=fields.get("Reason", ""),
        cause=_cause(word),
        host=fields.get("NodeList", ""),
        submitted=_time(fields.get("SubmitTime", "")),
        exit_code=exit_code,
        signal=signal,
    )
    for element in _expanded(indices) if indices else [None]:
        yield replace(state, element=element)


def _elements(match: re.Match[str]) -> Iterable[int | None]:
    if match["one"] is not None:
        return [int(match["one"])]
    return _expanded(match["many"]) if match["many"] is not None else [None]


def _expanded(text: str) -> list[int | None]:
    """Expand an array expression; None stands for what is cut off or endless, hence for all that is not named.

    >>> _expanded("4-9:2%2"), _expanded("1,5-6,...")
    ([4, 6, 8], [1, 5, 6, None])
    """
    found: list[int | None] = []
    for part in text.partition("%")[0].split(","):
        match = _RANGE.fullmatch(part.strip())
        first, last = (int(match["first"]), int(match["last"] or match["first"])) if match else (0, _MOST_ELEMENTS)
        if match and last - first < _MOST_ELEMENTS:
            found += range(first, last + 1, int(match["step"] or 1) or 1)
        else:
            found.append(None)
    return found


def _id(number: str, cluster: str) -> str:
    return f"{number};{cluster}" if cluster else number


def _word(text: str) -> str:
    """Take the state out of `CANCELLED by 1000` or `CANCELLED+`."""
    match = re.match(r"[A-Z_]+", text)
    return match[0] if match else ""


def _phase(text: str) -> Phase:
    word = _word(text)
    if word in _ENDED:
        return "ended"
    if word in _RUNNING:
        return "running"
    return "waiting" if word in _WAITING else "unknown"


def _cause(text: str) -> Cause:
    return _ENDED.get(_word(text), "")


def _exit(text: str, word: str) -> tuple[int | None, int | None]:
    """Read `3:0` or `0:9` as exit status and signal, of which a job that ended has one."""
    match = _EXIT.fullmatch(text)
    if _phase(word) != "ended" or not match:
        return None, None
    code, signal = int(match["code"]), int(match["signal"])
    return (None, signal) if signal else (code, None)


def _size(text: str) -> int | None:
    """Read an amount of memory in bytes: `323720K`, `2Gn`; without a unit, bytes."""
    match = _SIZE.fullmatch(text)
    if not match:
        return None
    scale = 1024 ** (" KMGTP".index(match["unit"].upper()) if match["unit"] else 0)
    return int(float(match["number"]) * scale) or None


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _time(text: str) -> float | None:
    """Read seconds since the epoch, or a local time such as 2024-05-01T10:00:00."""
    if text.isdecimal():
        return float(text)
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None
