"""bjobs: choose the jobs, and show them as columns, as JSON or at length.

Formats: bjobs (options -a -d -p -r -s -A -J -u -q -l -UF -w -W -o -json -noheader), LSB_BJOBS_FORMAT,
LSB_BJOBS_CONSISTENT_EXIT_CODE, LSB_BJOBS_DISPLAY_ENH; LSF 10.1.
"""

from __future__ import annotations

import fnmatch
import getpass
import json
import os
import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from .front import Answer
from .names import parse_job_name, parse_reference, reference
from .state import FINISHED, HOST, PENDING, STARTED, SUBMIT_HOST, State, label, matches, setting
from .text import RULE, reason, short_stamp, stamp, wrap

_FLAGS = frozenset(
    (  # noqa: SIM905
        "a A d l noheader p p0 p1 p2 p3 r s w W WF WL WP UF X x json hms sum aff aps cname fwd gpu"
    ).split()
)
_WITH_VALUE = frozenset("app G g J Jd Lp m N o P q sla u".split())  # noqa: SIM905
# Which states an option asks for, and what is said when there are none.
_STATES = {
    "a": ((*PENDING, *STARTED, *FINISHED), "No job found"),
    "d": (FINISHED, "No DONE/EXIT job found"),
    "p": (PENDING, "No pending job found"),
    "r": (("RUN",), "No running job found"),
    "s": (("PSUSP", "USUSP", "SSUSP"), "No suspended job found"),
}
_UNFINISHED = ((*PENDING, *STARTED), "No unfinished job found")
_USAGE = 'Usage: bjobs [options] [job_ID | "job_ID[index_list]" ... ]'


class Wrong(Exception):
    """The call is wrong, with LSF's words."""


class Shown(NamedTuple):
    """A job with what was asked for at its submission."""

    job: sqlite3.Row
    spec: dict[str, Any]


def bjobs(state: State, argv: list[str]) -> Answer:
    """Show jobs; what was found is on stdout even when the exit code is not 0."""
    try:
        options, references = _parse(state, argv)
        shown, missing = _find(state, options, references)
        text = _show(state, options, shown, missing)
    except Wrong as error:
        return Answer(stderr=f"{error}\n", code=255)
    return _answer(options, text, found=bool(shown), missing=missing)


def _answer(options: dict[str, str], text: str, *, found: bool, missing: list[str]) -> Answer:
    if missing:
        words = (
            ""
            if "json" in options and "o" in options
            else "".join(f"{word} is not found\n" for word in missing)
        )
        return Answer(text, words, 255)
    if found or ("json" in options and text):
        return Answer(text)
    consistent = os.environ.get("LSB_BJOBS_CONSISTENT_EXIT_CODE", "").upper() == "Y"
    return Answer(stderr=_wanted(options)[1] + "\n", code=255 if consistent else 0)


def _parse(state: State, argv: list[str]) -> tuple[dict[str, str], list[str]]:
    old = state.fault("old_release")
    unknown = set(old.get("without", ["-o", "-json"])) if old else set()
    options: dict[str, str] = {}
    rest = list(argv)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        name = option[1:]
        if option in unknown or name not in _FLAGS | _WITH_VALUE:
            raise Wrong(f"bjobs: illegal option -- {name}\n{_USAGE}")
        if name in _WITH_VALUE and not rest:
            raise Wrong(f"bjobs: option requires an argument -- {name}\n{_USAGE}")
        options[name] = rest.pop(0) if name in _WITH_VALUE else ""
    if "json" in options and "noheader" in options:
        raise Wrong("bjobs: option -json conflicts with -noheader.")
    if (
        "-o" not in unknown
        and not {"o", "l", "UF", "w", "W", "A", "sum"} & set(options)
        and (columns := os.environ.get("LSB_BJOBS_FORMAT"))
    ):
        options["o"] = columns
    return options, rest


# Choosing


def _wanted(options: dict[str, str]) -> tuple[tuple[str, ...], str]:
    for name, wanted in _STATES.items():
        if name in options or (name == "p" and any(option[0] == "p" for option in options)):
            return wanted
    return _UNFINISHED


def _find(state: State, options: dict[str, str], references: list[str]) -> tuple[list[Shown], list[str]]:
    """Return the jobs to show, and what was asked for by name and is not known."""
    found: list[sqlite3.Row] = []
    missing: list[str] = []
    for text in references:
        try:
            job, indices = parse_reference(text)
        except ValueError as error:
            raise Wrong(str(error)) from None
        known = _known(state, state.jobs("id = ?", job) if job else state.jobs())
        named = [row for row in known if indices is None or row["idx"] in indices]
        # A job that is asked for by its id is shown in any state, unless states are asked for.
        wanted = _wanted(options)
        any_state = job and wanted is _UNFINISHED
        found += [row for row in named if any_state or row["stat"] in wanted[0]]
        if not named and job:
            missing.append(f"Job <{text}>")
    if not references:
        found = [row for row in _known(state, state.jobs()) if row["stat"] in _wanted(options)[0]]
    specs = {job: state.spec(job) for job in {row["id"] for row in found}}
    shown = [one for one in (Shown(row, specs[row["id"]]) for row in found) if _passes(options, one)]
    if "J" in options and not shown:
        missing.append(f"Job <{options['J']}>")
    return shown, missing


def _known(state: State, jobs: list[sqlite3.Row]) -> list[sqlite3.Row]:
    """Leave out what bjobs does not know: jobs too new under a fault, and finished ones past CLEAN_PERIOD."""
    now, period = time.time(), setting("FAKE_LSF_CLEAN_PERIOD", 3600)
    late, forgotten = state.fault("late_visibility"), state.fault("forgotten")

    def known(job: sqlite3.Row) -> bool:
        if late and matches(late, job) and now - job["submitted"] < late["seconds"]:
            return False
        if job["stat"] not in FINISHED:
            return True
        gone = forgotten and "bjobs" in forgotten.get("by", ["bjobs"]) and matches(forgotten, job)
        return not gone and now - job["ended"] < period

    return [job for job in jobs if known(job)]


def _passes(options: dict[str, str], one: Shown) -> bool:
    job, spec = one
    user = options.get("u", getpass.getuser())
    checks = {
        "q": "queue",
        "P": "project",
        "app": "app",
        "G": "user_group",
        "g": "group",
        "Jd": "description",
    }
    return (
        user in ("all", spec["user"])
        and all(options[option] == spec[key] for option, key in checks.items() if option in options)
        and ("m" not in options or (HOST in options["m"].split() and job["started"] is not None))
        and ("J" not in options or _is_named(options["J"], job))
    )


def _is_named(text: str, job: sqlite3.Row) -> bool:
    array = parse_job_name(text)
    name = job["name"].partition("[")[0]
    return fnmatch.fnmatchcase(name, array.name) and (not array.indices or job["idx"] in array.indices)


# Showing


def _show(state: State, options: dict[str, str], shown: list[Shown], missing: list[str]) -> str:
    if "o" in options:
        columns, delimiter = _columns(options["o"])
        if "json" in options:
            return _as_json(columns, shown, missing)
        return _as_columns(columns, delimiter, shown, header="noheader" not in options)
    if not shown:
        return ""
    if "l" in options or "UF" in options:
        line = wrap if "l" in options else str
        return f"{RULE}\n".join(_at_length(state, one, line) for one in shown)
    if "A" in options:
        return _arrays(shown)
    return _table(shown, wide=bool({"w", "W"} & set(options)), header="noheader" not in options)


class Column(NamedTuple):
    """One column of `-o`: field, width (none is unlimited) and side."""

    field: str
    width: int | None
    right: bool


_COLUMN = re.compile(r"(?P<name>[a-zA-Z_%]+)(?P<sized>:(?P<right>-)?(?P<width>\d+)?(?::\w+)?)?")
_DELIMITER = re.compile(r"delimiter=(['\"])(.*?)\1")


def _columns(text: str) -> tuple[list[Column], str]:
    delimiter = " "
    if match := _DELIMITER.search(text):
        delimiter = match[2]
        text = text.replace(match[0], " ")
    columns = []
    for word in text.split():
        match = _COLUMN.fullmatch(word)
        name = _ALIASES.get(match["name"].lower(), match["name"].lower()) if match else word
        if not match or name not in _FIELDS:
            raise Wrong(f"{word}: Illegal field name.")
        width = int(match["width"] or _FIELDS[name][0]) if match["sized"] else None
        columns.append(Column(name, width, bool(match["right"])))
    return columns, delimiter


def _as_columns(columns: list[Column], delimiter: str, shown: list[Shown], *, header: bool) -> str:
    rows = [[column.field.upper() for column in columns]] if header and shown else []
    rows += [[_FIELDS[column.field][1](one) or "-" for column in columns] for one in shown]
    lines = [
        delimiter.join(_fit(value, column) for value, column in zip(row, columns, strict=True))
        for row in rows
    ]
    return "".join(f"{line}\n" for line in lines)


def _fit(value: str, column: Column) -> str:
    if column.width is None:
        return value
    if len(value) > column.width:
        value = "*" + value[-column.width + 1 :] if column.field == "job_name" else value[: column.width]
    return value.rjust(column.width) if column.right else value.ljust(column.width)


def _as_json(columns: list[Column], shown: list[Shown], missing: list[str]) -> str:
    """Write every value as a string, an empty one for none, and slashes escaped, as LSF does."""
    records: list[dict[str, str]] = [
        {c.field.upper(): _FIELDS[c.field][1](one) for c in columns} for one in shown
    ]
    records += [{"JOBID": word[5:-1], "ERROR": f"{word} is not found"} for word in missing]
    answer = {"COMMAND": "bjobs", "JOBS": len(records), "RECORDS": records}
    return json.dumps(answer, indent=2, separators=(",", ":"), ensure_ascii=False).replace("/", "\\/") + "\n"


_TABLE = ("JOBID", "USER", "STAT", "QUEUE", "FROM_HOST", "EXEC_HOST", "JOB_NAME", "SUBMIT_TIME")
_TABLE_WIDTHS = (7, 7, 5, 10, 11, 11, 10, 12)


def _table(shown: list[Shown], *, wide: bool, header: bool) -> str:
    """Write the table without `-o`; only `-w` does not cut what is too long."""
    rows: list[tuple[str, ...]] = [_TABLE] if header else []
    rows += [tuple(_FIELDS[field.lower()][1](one) for field in _TABLE) for one in shown]
    return "".join(
        " ".join(_cell(row, at, wide) for at in range(len(_TABLE))).rstrip() + "\n" for row in rows
    )


def _cell(row: tuple[str, ...], at: int, wide: bool) -> str:
    value, width = row[at], _TABLE_WIDTHS[at]
    if not wide and len(value) > width:
        value = "*" + value[-width + 1 :] if _TABLE[at] == "JOB_NAME" else value[:width]
    return value.ljust(width)


def _arrays(shown: list[Shown]) -> str:
    lines = ["JOBID      ARRAY_SPEC  OWNER   NJOBS PEND DONE  RUN EXIT SSUSP USUSP PSUSP"]
    for job in sorted({one.job["id"] for one in shown if one.job["idx"]}):
        elements = [one for one in shown if one.job["id"] == job]
        states = [one.job["stat"] for one in elements]
        counts = [states.count(stat) for stat in ("PEND", "DONE", "RUN", "EXIT", "SSUSP", "USUSP", "PSUSP")]
        spec = elements[0].spec
        lines.append(
            f"{job:<10} {spec['array_name'][:10]:<11} {spec['user']:<7} {len(states):5} "
            + " ".join(f"{n:>{w}}" for n, w in zip(counts, (4, 4, 4, 4, 5, 5, 5), strict=True))
        )
    return "\n".join(lines) + "\n"


def _at_length(state: State, one: Shown, line: Callable[[str], str]) -> str:
    """Write one job as `-l` does: a header, its history and why it waits."""
    job, spec = one
    name = f"Job Name <{job['name']}>, " if job["name"] != spec["command"] else ""
    lines = [
        f"Job <{label(job)}>, {name}User <{spec['user']}>, Project <{spec['project']}>, Status"
        f" <{job['stat']}>, Queue <{job['queue']}>, Command <{spec['command']}>",
        f"{stamp(job['submitted'])}: Submitted from host <{SUBMIT_HOST}>, CWD <{spec['cwd']}>,"
        + (f" Output File <{spec['out']}>," if spec["out"] else "")
        + (f" Error File <{spec['err']}>," if spec["err"] else "")
        + f" {job['slots']} Task(s), Requested Resources <{spec['resreq']}>;",
    ]
    if job["started"] is not None:
        lines.append(
            f"{stamp(job['started'])}: Started {job['slots']} Task(s) on Host(s) <{HOST}>, Allocated"
            f" {job['slots']} Slot(s) on Host(s) <{HOST}>, Execution Home <{Path.home()}>, Execution CWD"
            f" <{spec['cwd']}>;"
        )
    lines += _end_at_length(job)
    text = "\n".join(line(each) for each in lines) + "\n"
    if job["runlimit"] is not None:
        text += f"\n RUNLIMIT                \n {job['runlimit']:.1f} min of {HOST}\n"
    if job["stat"] in PENDING:
        text += f" PENDING REASONS:\n {_pending_reason(one)}\n"
    return (
        f"\n{text}\n SCHEDULING PARAMETERS:\n"
        "           r15s   r1m  r15m   ut      pg    io   ls    it    tmp    swp    mem\n"
        " loadSched   -     -     -     -       -     -    -     -     -      -      -  \n"
        " loadStop    -     -     -     -       -     -    -     -     -      -      -  \n"
    )


def _end_at_length(job: sqlite3.Row) -> list[str]:
    """Tell the end in the words of bjobs -l, which end in full stops where bhist has semicolons."""
    if job["stat"] not in FINISHED:
        return []
    at, used = stamp(job["ended"]), f"The CPU time used is {job['cpu'] or 0:.1f} seconds."
    if job["stat"] == "DONE":
        return [f"{at}: Done successfully. {used}"]
    why = f"; {reason(job['reason'])}." if job["reason"] else "."
    if job["started"] is None:
        return [f"{at}: Exited{why}", f"{at}: Completed <exit>{why}"]
    how = (
        f"Exited by signal {job['signal']}."
        if job["signal"]
        else f"Exited with exit code {job['exit_code']}."
    )
    return [f"{at}: {how} {used}", f"{at}: Completed <exit>{why}"]


# Fields


def _pending_reason(one: Shown) -> str:
    if one.job["stat"] == "PSUSP":
        return "Job was suspended by the user while pending;"
    if one.job["stat"] not in PENDING:
        return ""
    return "New job is waiting for scheduling;"


def _exit_code(one: Shown) -> str:
    return str(one.job["exit_code"] or "") if one.job["stat"] == "EXIT" else ""


def _job_id(one: Shown) -> str:
    enhanced = os.environ.get("LSB_BJOBS_DISPLAY_ENH", "").upper() == "Y"
    return label(one.job) if enhanced else reference(one.job["id"], 0)


def _finish_time(one: Shown) -> str:
    """Write the time of the end, marked L when a run limit would have set it."""
    mark = " L" if one.job["runlimit"] is not None else ""
    return short_stamp(one.job["ended"]) + mark if one.job["ended"] is not None else ""


def _run_time(one: Shown) -> str:
    if one.job["started"] is None:
        return "0 second(s)"
    return f"{int((one.job['ended'] or time.time()) - one.job['started'])} second(s)"


def _when(column: str) -> Callable[[Shown], str]:
    return lambda one: short_stamp(one.job[column]) if one.job[column] is not None else ""


def _of_spec(key: str) -> Callable[[Shown], str]:
    return lambda one: str(one.spec[key] or "")


def _host(one: Shown) -> str:
    if one.job["started"] is None:
        return ""
    return HOST if one.job["slots"] == 1 else f"{one.job['slots']}*{HOST}"


# Field of -o: its recommended width, and its value; no value is "", shown as "-" in columns.
_FIELDS: dict[str, tuple[int, Callable[[Shown], str]]] = {
    "jobid": (7, _job_id),
    "jobindex": (8, lambda one: str(one.job["idx"])),
    "stat": (5, lambda one: one.job["stat"]),
    "user": (7, _of_spec("user")),
    "user_group": (15, _of_spec("user_group")),
    "queue": (10, lambda one: one.job["queue"]),
    "job_name": (10, lambda one: one.job["name"]),
    "job_description": (17, _of_spec("description")),
    "proj_name": (11, _of_spec("project")),
    "application": (13, _of_spec("app")),
    "job_group": (10, _of_spec("group")),
    "pend_reason": (11, _pending_reason),
    "exit_code": (10, _exit_code),
    "exit_reason": (50, lambda one: reason(one.job["reason"])),
    "from_host": (11, lambda one: SUBMIT_HOST),
    "first_host": (11, lambda one: HOST if one.job["started"] is not None else ""),
    "exec_host": (11, _host),
    "nexec_host": (10, lambda one: "1" if one.job["started"] is not None else ""),
    "submit_time": (15, _when("submitted")),
    "start_time": (15, _when("started")),
    "finish_time": (16, _finish_time),
    "cpu_used": (10, lambda one: f"{one.job['cpu'] or 0:.1f} second(s)"),
    "run_time": (15, _run_time),
    "slots": (5, lambda one: str(one.job["slots"]) if one.job["started"] is not None else ""),
    "min_req_proc": (12, lambda one: str(one.job["slots"])),
    "max_req_proc": (12, lambda one: str(one.job["slots"])),
    "mem": (15, lambda one: ""),
    "max_mem": (15, lambda one: ""),
    "avg_mem": (15, lambda one: ""),
    "memlimit": (10, _of_spec("memlimit")),
    "swap": (15, lambda one: ""),
    "runtimelimit": (12, lambda one: f"{one.job['runlimit']:.1f}" if one.job["runlimit"] is not None else ""),
    "pids": (20, lambda one: str(one.job["pid"]) if one.job["stat"] in STARTED else ""),
    "combined_resreq": (20, _of_spec("resreq")),
    "input_file": (10, _of_spec("stdin")),
    "output_file": (11, _of_spec("out")),
    "error_file": (10, _of_spec("err")),
    "sub_cwd": (10, _of_spec("submit_cwd")),
    "exec_home": (10, lambda one: str(Path.home()) if one.job["started"] is not None else ""),
    "exec_cwd": (10, lambda one: one.spec["cwd"] if one.job["started"] is not None else ""),
    "command": (15, _of_spec("command")),
}
_ALIASES = {
    "id": "jobid",
    "ugroup": "user_group",
    "name": "job_name",
    "description": "job_description",
    "proj": "proj_name",
    "project": "proj_name",
    "app": "application",
    "group": "job_group",
    "cmd": "command",
}
