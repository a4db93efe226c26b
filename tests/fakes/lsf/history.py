"""bhist and bacct: what is known of jobs from the logs of events and of accounting.

Formats: bhist (-l, -w, -n, -a), bacct (-l); LSF 10.1.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from .front import Answer
from .names import parse_reference
from .state import FINISHED, HOST, SUBMIT_HOST, State, label, matches
from .text import RULE, reason, stamp, wrap

_BHIST_VALUES = frozenset("app C D f g G J Jd Lp m N n P q S T u".split())  # noqa: SIM905
_BACCT_VALUES = frozenset("app C D f Lp m M N P q sla S u U".split())  # noqa: SIM905
_FLAGS = frozenset("a aff b cname d data e E gpu hostfile l p r s t UF w x X".split())  # noqa: SIM905


def bhist(state: State, argv: list[str]) -> Answer:
    """Tell jobs from the event log; the logs before it are read only with `-n`."""
    try:
        options, references = _parse("bhist", argv, _BHIST_VALUES)
        jobs = _named(state, references)
    except ValueError as error:
        return Answer(stderr=f"{error}\n", code=255)
    log = "bhist -n" if "n" in options else "bhist"
    jobs = [job for job in jobs if _remembers(state, job, {log, "bhist -n"})]
    if not references and "a" not in options:
        finished = bool({"d", "e"} & set(options))
        jobs = [job for job in jobs if (job["stat"] in FINISHED) == finished]
    if "J" in options:
        jobs = [job for job in jobs if job["name"].partition("[")[0] == options["J"]]
    if not jobs:
        return Answer(stderr="No matching job found\n", code=255)
    if "l" in options or "UF" in options:
        return Answer(f"{RULE}\n".join(_history(state, job, unformatted="UF" in options) for job in jobs))
    return Answer(_summary(state, jobs, wide="w" in options))


def bacct(state: State, argv: list[str]) -> Answer:
    """Tell finished jobs from the accounting log."""
    try:
        options, references = _parse("bacct", argv, _BACCT_VALUES)
        jobs = _named(state, references)
    except ValueError as error:
        return Answer(stderr=f"{error}\n", code=255)
    jobs = [job for job in jobs if job["stat"] in FINISHED and _remembers(state, job, {"bacct"})]
    text = (
        "\nAccounting information about jobs that are: \n  - submitted by all users.\n"
        "  - accounted on all projects.\n  - completed normally or exited\n"
        "  - executed on all hosts.\n  - submitted to all queues.\n  - accounted on all service classes.\n"
        f"{RULE}\n"
    )
    if "l" in options:
        text += "".join(_account(state, job) for job in jobs)
    return Answer(text + _totals(jobs))


def _parse(command: str, argv: list[str], values: frozenset[str]) -> tuple[dict[str, str], list[str]]:
    options: dict[str, str] = {}
    rest = list(argv)
    while rest and rest[0].startswith("-"):
        name = rest.pop(0)[1:]
        if name not in values | _FLAGS or (name in values and not rest):
            msg = f"{command}: illegal option -- {name}\nUsage: {command} [options] [job_ID ...]"
            raise ValueError(msg)
        options[name] = rest.pop(0) if name in values else ""
    return options, rest


def _named(state: State, references: list[str]) -> list[sqlite3.Row]:
    if not references:
        return state.jobs()
    found: list[sqlite3.Row] = []
    for text in references:
        job, indices = parse_reference(text)
        found += [row for row in state.jobs("id = ?", job) if indices is None or row["idx"] in indices]
    return found


def _remembers(state: State, job: sqlite3.Row, logs: set[str]) -> bool:
    """Say whether a log still has a job; `bhist` has lost what `bhist -n` has lost too."""
    fault = state.fault("forgotten")
    return not (
        fault and job["stat"] in FINISHED and logs & set(fault.get("by", ["bjobs"])) and matches(fault, job)
    )


# bhist


def _history(state: State, job: sqlite3.Row, *, unformatted: bool) -> str:
    spec = state.spec(job["id"])
    line = str if unformatted else wrap
    lines = [
        _header(job, spec) + f", Command <{spec['command']}>",
        f"{stamp(job['submitted'])}: Submitted from host <{SUBMIT_HOST}>, to Queue <{job['queue']}>, CWD"
        f" <{spec['submit_cwd']}>"
        + (f", Output File <{spec['out']}>" if spec["out"] else "")
        + (f", Error File <{spec['err']}>" if spec["err"] else "")
        + f", {job['slots']} Task(s);",
        *(f"{stamp(event['at'])}: {event['text']}" for event in state.events(job)),
    ]
    times = _times(job)
    return (
        "\n" + "\n".join(line(each) for each in lines) + "\n\n"
        f"Summary of time in seconds spent in various states by  {stamp(time.time())}\n"
        "  PEND     PSUSP    RUN      USUSP    SSUSP    UNKWN    TOTAL\n"
        "  " + "".join(f"{seconds:<9}" for seconds in (*times, sum(times))).rstrip() + "\n"
    )


def _header(job: sqlite3.Row, spec: dict[str, Any]) -> str:
    name = f"Job Name <{job['name']}>, " if job["name"] != spec["command"] else ""
    return f"Job <{label(job)}>, {name}User <{spec['user']}>, Project <{spec['project']}>"


def _times(job: sqlite3.Row) -> list[int]:
    """Count the seconds by state; a job's suspended and lost time is told as RUN."""
    end = job["ended"] or time.time()
    waited = int((job["started"] or end) - job["submitted"])
    ran = int(end - job["started"]) if job["started"] is not None else 0
    return [waited, 0, ran, 0, 0, 0]


def _summary(state: State, jobs: list[sqlite3.Row], *, wide: bool) -> str:
    lines = [
        "Summary of time in seconds spent in various states:",
        "JOBID   USER    JOB_NAME  PEND    PSUSP   RUN     USUSP   SSUSP   UNKWN   TOTAL",
    ]
    for job in jobs:
        times, user = _times(job), state.spec(job["id"])["user"]
        name = job["name"] if wide or len(job["name"]) <= 9 else "*" + job["name"][-8:]
        lines.append(
            f"{label(job)[:7]:<8}{user[:7]:<8}{name:<10}"
            + "".join(f"{seconds:<8}" for seconds in (*times, sum(times))).rstrip()
        )
    return "\n".join(lines) + "\n"


# bacct


def _account(state: State, job: sqlite3.Row) -> str:
    spec = state.spec(job["id"])
    wait = int((job["started"] or job["ended"]) - job["submitted"])
    turnaround = int(job["ended"] - job["submitted"])
    why = f"; {reason(job['reason'])}." if job["reason"] else "."
    lines = [
        _header(job, spec) + f", Status <{job['stat']}>, Queue <{job['queue']}>, Command <{spec['command']}>",
        f"{stamp(job['submitted'])}: Submitted from host <{SUBMIT_HOST}>, CWD <{spec['submit_cwd']}>;",
    ]
    if job["started"] is not None:
        lines.append(
            f"{stamp(job['started'])}: Dispatched {job['slots']} Task(s) on Host(s) <{HOST}>, Allocated"
            f" {job['slots']} Slot(s) on Host(s) <{HOST}>, Effective RES_REQ <select[type == local] >;"
        )
    lines.append(f"{stamp(job['ended'])}: Completed <{'done' if job['stat'] == 'DONE' else 'exit'}>{why}")
    cpu = job["cpu"] or 0
    return (
        "\n" + "\n".join(wrap(line) for line in lines) + "\n\nAccounting information about this job:\n"
        "     CPU_T     WAIT     TURNAROUND   STATUS     HOG_FACTOR    MEM    SWAP\n"
        f"{cpu:10.2f} {wait:8} {turnaround:14} {job['stat'].lower():>8} {cpu / max(turnaround, 1):14.4f}"
        f" {'0M':>6} {'0M':>7}\n{RULE}\n"
    )


def _totals(jobs: list[sqlite3.Row]) -> str:
    done = sum(job["stat"] == "DONE" for job in jobs)
    cpu = sum(job["cpu"] or 0 for job in jobs)
    average = cpu / max(len(jobs), 1)
    return (
        "\nSUMMARY:      ( time unit: second ) \n"
        f" Total number of done jobs:  {done:8}      Total number of exited jobs: {len(jobs) - done:8}\n"
        f" Total CPU time consumed:    {cpu:8.1f}      Average CPU time consumed:   {average:8.1f}\n"
    )
