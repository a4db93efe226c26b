"""From a scheduler's account of a job to the sentence that a person reads, and whose fault it was."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from taskproc.plugin import Outcome, signal_name

from .scheduler import Cause, JobState

LogCauses = Sequence[tuple[str, Cause]]

_BLAMELESS = frozenset({"node", "preempted"})
_LOG_LINES = 8
_LOG_BYTES = 4096
# A job killed with this much of its memory in use has probably met its limit between two samples.
_NEARLY = 0.95


def needs_account(outcome: Outcome) -> bool:
    """Tell whether an end mark alone explains too little: the worker was killed, perhaps by the scheduler.

    >>> needs_account(Outcome("ended", exit_code=137)), needs_account(Outcome("ended", exit_code=1))
    (True, False)
    """
    return outcome.kind == "ended" and (outcome.signal is not None or (outcome.exit_code or 0) > 128)


def explained(state: JobState, job_id: str, mark: Outcome | None = None, log: str = "") -> Outcome:
    """Say how a job ended, from the scheduler's account and, if there is one, its end mark.

    Args:
        state: The scheduler's last word; its phase is `ended`.
        job_id: The element, as people call it.
        mark: What the end mark said; its numbers are nearer to the task than the scheduler's.
        log: The end of the element's log.

    Example:
        >>> state = JobState("7", 0, "ended", cause="memory", host="n3", memory_asked=2 << 30)
        >>> explained(state, "7_0").reason
        'job 7_0 was killed on n3 after exceeding its 2 GB of memory; ask for more with mem='
    """
    number = state.signal if mark is None else _signal(mark)
    code = state.exit_code if mark is None else mark.exit_code
    reason = _sentence(state, job_id, code, number)
    if log and state.cause not in ("memory", "time"):
        reason += f"\nthe end of its log:\n{log}"
    return Outcome(
        kind="lost" if state.cause in _BLAMELESS else "ended",
        reason=reason,
        exit_code=None if number is not None else code,
        signal=number,
        host=state.host,
    )


def cause_in(log: str, causes: LogCauses) -> Cause:
    """Find what the scheduler's own words in a log say about the end.

    >>> cause_in("JOB 7 CANCELLED DUE TO TIME LIMIT", [("DUE TO TIME LIMIT", "time")])
    'time'
    """
    for pattern, cause in causes:
        if re.search(pattern, log):
            return cause
    return ""


def with_log(outcome: Outcome, job_id: str, log: str) -> Outcome:
    """Complete an end mark that nobody explains: name the job, and quote the end of its log."""
    number = _signal(outcome)
    how = f"was killed by {signal_name(number)}" if number else f"ended with exit status {outcome.exit_code}"
    reason = f"job {job_id} {how}"
    return dataclasses.replace(outcome, reason=f"{reason}\nthe end of its log:\n{log}" if log else reason)


def forgotten(job_id: str, scheduler: str, log: str) -> Outcome:
    """Say that a job vanished: neither a mark nor the scheduler tells how it ended."""
    reason = f"job {job_id} left the queue without an end mark, and {scheduler} no longer knows it"
    return Outcome("lost", f"{reason}\nthe end of its log:\n{log}" if log else reason)


def read_log(path: Path) -> str:
    """Read the last lines of a log; empty if there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _LOG_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-_LOG_LINES:]).strip()


def _sentence(state: JobState, job_id: str, code: int | None, number: int | None) -> str:
    place = f" on {state.host}" if state.host else ""
    words = " ".join(word for word in (state.word, f"({state.reason})" if state.reason else "") if word)
    told = f": {words}" if words else ""
    if state.cause == "memory" or (number == 9 and _nearly_full(state)):
        return f"job {job_id} was killed{place} after exceeding its {_memory(state)}; ask for more with mem="
    if state.cause == "time":
        return f"job {job_id} was ended{place} at its time limit{_limit(state)}; ask for more with time="
    if state.cause == "node":
        return f"job {job_id} was lost because its node failed{place}{told}"
    if state.cause == "preempted":
        return f"job {job_id} was preempted{place}{told}"
    if state.cause == "cancelled":
        return f"job {job_id} was cancelled{place}, not by this run{told}"
    if number is not None:
        return f"job {job_id} was killed by {signal_name(number)}{place}{told}{_used(state)}"
    if code is None:
        return f"job {job_id} ended{place}, and nobody says how{told}"
    return f"job {job_id} ended{place} with exit status {code}{told}"


def _signal(mark: Outcome) -> int | None:
    if mark.signal is None and (mark.exit_code or 0) > 128:
        return (mark.exit_code or 0) - 128
    return mark.signal


def _nearly_full(state: JobState) -> bool:
    return bool(state.memory_asked and state.memory_used and state.memory_used >= _NEARLY * state.memory_asked)


def _memory(state: JobState) -> str:
    asked = f"{_size(state.memory_asked)} of memory" if state.memory_asked else "memory"
    return f"{asked} (it used {_size(state.memory_used)})" if state.memory_used else asked


def _limit(state: JobState) -> str:
    return f" of {_clock(state.time_asked)}" if state.time_asked else ""


def _used(state: JobState) -> str:
    if not (state.memory_asked and state.memory_used):
        return ""
    return f"; it used {_size(state.memory_used)} of {_size(state.memory_asked)} of memory"


def _size(count: int | None) -> str:
    number, units = float(count or 0), "BKMGTP"
    unit = 0
    while number >= 1024 and unit < len(units) - 1:
        number, unit = number / 1024, unit + 1
    return f"{number:.3g} {units[unit].replace('B', '')}B"


def _clock(total: int | None) -> str:
    minutes, secs = divmod(total or 0, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{secs:02}"
