"""bkill: ask for signals, and say job by job what was done.

Formats: bkill (options -s -r -J -q -u -stat, job ID 0), JOB_TERMINATE_INTERVAL; LSF 10.1.
"""

from __future__ import annotations

import fnmatch
import getpass
import signal
import sqlite3
import time

from .front import Answer
from .names import parse_job_name, parse_reference, reference
from .state import FINISHED, PENDING, STARTED, State, label, setting
from .text import reason

_WITH_VALUE = frozenset("app C g J m q s sla stat u".split())  # noqa: SIM905
_FLAGS = frozenset("b l r d".split())  # noqa: SIM905
_SEQUENCE = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


def bkill(state: State, argv: list[str]) -> Answer:
    """Kill, suspend, resume or signal jobs."""
    options: dict[str, str] = {}
    rest = list(argv)
    while rest and rest[0].startswith("-"):
        name = rest.pop(0)[1:]
        if name not in _FLAGS | _WITH_VALUE or (name in _WITH_VALUE and not rest):
            return Answer(
                stderr=f"bkill: illegal option -- {name}\nUsage: bkill [options] [job_ID ...]\n", code=255
            )
        options[name] = rest.pop(0) if name in _WITH_VALUE else ""
    if not rest and not {"app", "g", "J", "m", "q", "u"} & set(options):
        return Answer(stderr="Job ID or one of -app, -g, -J, -m, -u, -q must be given.\n", code=255)
    try:
        number = _signal(options.get("s"))
        with state.transaction():
            answer = _kill(state, options, rest, number)
    except ValueError as error:
        return Answer(stderr=f"{error}\n", code=255)
    state.wake_daemon()
    return answer


def _kill(state: State, options: dict[str, str], references: list[str], number: int | None) -> Answer:
    out: list[str] = []
    finished: list[tuple[int, int]] = []
    errors: list[str] = []
    for text in references:
        job, indices = parse_reference(text)
        if job == 0:
            out += [_strike(state, one, number, options) for one in _filtered(state, options)]
            continue
        named = [one for one in state.jobs("id = ?", job) if indices is None or one["idx"] in indices]
        live = [one for one in named if one["stat"] not in FINISHED]
        words = [_strike(state, one, number, options) for one in live]
        # A whole array is one line; so is a single job. Elements that were named have a line each.
        out += [words[0].replace(label(live[0]), str(job))] if words and indices is None else words
        if not named:
            errors.append(f"Job <{text}>: No matching job found")
        elif not live:
            finished += [(job, 0)] if indices is None else [(job, one["idx"]) for one in named]
    if not references:
        out += [_strike(state, one, number, options) for one in _filtered(state, options)[-1:]]
    if not out and (not references or references == ["0"]):
        errors.append("No matching job found")
    errors += [f"Job <{text}>: Job has already finished" for text in _in_ranges(finished)]
    return Answer(
        "".join(f"{line}\n" for line in out), "".join(f"{line}\n" for line in errors), 255 if errors else 0
    )


def _filtered(state: State, options: dict[str, str]) -> list[sqlite3.Row]:
    """Return unfinished jobs that the options name."""
    if options.get("u", getpass.getuser()) not in ("all", getpass.getuser()):
        return []
    states = {"run": STARTED, "pend": PENDING, "susp": ("PSUSP", "USUSP", "SSUSP")}.get(
        options.get("stat", "")
    )
    jobs = state.jobs(f"stat IN {states or (*PENDING, *STARTED)}")
    if "q" in options:
        jobs = [job for job in jobs if job["queue"] == options["q"]]
    if "g" in options:
        jobs = [job for job in jobs if state.spec(job["id"])["group"] == options["g"]]
    if "J" in options:
        array = parse_job_name(options["J"])
        jobs = [
            job
            for job in jobs
            if fnmatch.fnmatchcase(job["name"].partition("[")[0], array.name)
            and (not array.indices or job["idx"] in array.indices)
        ]
    return jobs


def _strike(state: State, job: sqlite3.Row, number: int | None, options: dict[str, str]) -> str:
    """Ask for the signal and return the line that says so."""
    if number == signal.SIGSTOP:
        return _suspend(state, job)
    if number == signal.SIGCONT:
        return _resume(state, job)
    if job["stat"] in PENDING and number not in (None, signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        return f"Job <{label(job)}>: Job has not started yet"
    verb = "being terminated" if number is None else "being signaled"
    if job["stat"] in PENDING:
        _end_at_once(state, job, "TERM_OWNER")
    elif job["fault"] == "unreachable" or job["lost_until"] is not None:
        # Its host does not answer: it becomes a zombie, or with -r is given up by mbatchd.
        if "r" in options:
            _end_at_once(state, job, "TERM_FORCE_OWNER")
        else:
            state.change(job, stat="ZOMBI")
    else:
        _signal_job(state, job, number, "r" in options)
    return f"Job <{label(job)}> is {verb}"


def _signal_job(state: State, job: sqlite3.Row, number: int | None, force: bool) -> None:
    name = signal.Signals(number or signal.SIGKILL).name[3:]
    state.log(job, f"Signal <{name}> requested by user or administrator <{getpass.getuser()}>;")
    if number is not None or force:
        fatal = number in (None, *_SEQUENCE)
        state.send(job, number or signal.SIGKILL, "TERM_OWNER" if fatal else None)
        return
    for step, each in enumerate(_SEQUENCE):
        state.send(job, each, "TERM_OWNER", step * setting("FAKE_LSF_TERMINATE_INTERVAL", 10))


def _end_at_once(state: State, job: sqlite3.Row, why: str) -> None:
    state.change(job, stat="EXIT", ended=time.time(), reason=why, fault=None)
    state.log(job, f"Signal <KILL> requested by user or administrator <{getpass.getuser()}>;")
    state.log(
        job,
        "Exited by signal 9. The CPU time used is 0.0 seconds;" if job["started"] is not None else "Exited;",
    )
    state.log(job, f"Completed <exit>; {reason(why)};")


def _suspend(state: State, job: sqlite3.Row) -> str:
    if job["stat"] in PENDING:
        state.change(job, stat="PSUSP", fault=None)
    else:
        state.send(job, signal.SIGSTOP, None)
    return f"Job <{label(job)}> is being stopped"


def _resume(state: State, job: sqlite3.Row) -> str:
    if job["stat"] in PENDING:
        state.change(job, stat="PEND", fault=None)
    else:
        state.send(job, signal.SIGCONT, None)
    return f"Job <{label(job)}> is being resumed"


def _signal(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(text) if text.isdigit() else signal.Signals[f"SIG{text.upper().removeprefix('SIG')}"].value
    except KeyError:
        msg = f"{text}: Illegal signal value"
        raise ValueError(msg) from None


def _in_ranges(elements: list[tuple[int, int]]) -> list[str]:
    """Name elements as LSF 10.1 may: consecutive ones of an array as one range.

    >>> _in_ranges([(7, 1), (7, 2), (8, 0)])
    ['7[1-2:1]', '8']
    """
    ranges: list[list[int]] = []
    for job, index in elements:
        if ranges and index and ranges[-1][0] == job and ranges[-1][2] == index - 1 and ranges[-1][1]:
            ranges[-1][2] = index
        else:
            ranges.append([job, index, index])
    return [
        f"{job}[{first}-{last}:1]" if last > first else reference(job, first) for job, first, last in ranges
    ]
