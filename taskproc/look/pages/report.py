"""A report on a run, as a page: what took how long and where, what was cached, what failed, and what to speed up."""
from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...base.version import __version__
from ...store import files
from ..history import Run, RunReader, TaskState
from ..progress import short_names
from .analysis import Analysis, analyse, seconds_of
from .lanes import Timeline, timeline
from .logs import end_of_log
from .page import link, page_text

_STYLES = ("theme.css", "page.css", "report.css")
_SCRIPTS = ("page.js", "timeline.js", "report.js")
_MOST_BARS = 20_000
_MOST_FAILURES = 200
_MOST_LOGS = 50
_MOST_STEPS = 200
_MOST_SLOW = 15

_BODY = """<header><h1></h1><p class="about"></p></header>
<main>
<section id="summary"><div class="numbers"></div></section>
<section id="failures" hidden><h2>Failures</h2></section>
<section id="advice"><h2>What to speed up first</h2></section>
<section id="times"><h2>Timeline</h2><div class="legend"></div>
<div class="chart" tabindex="0" role="img" aria-label="Timeline of attempts by worker; the tables below tell the same">
<canvas></canvas></div>
<p class="faint" role="status"></p></section>
<section id="classes"><h2>Task classes</h2><div class="wide"></div></section>
<section id="path"><h2>Critical path</h2><p class="faint"></p><div class="wide"></div></section>
<section id="slow"><h2>Longest tasks</h2><div class="wide"></div></section>
</main>
<noscript>This page is drawn by a script, which this browser does not run.</noscript>"""


def report_page(directory: str, base: Path | None) -> str:
    """Write the report on a run.

    Args:
        directory: The run's directory.
        base: The directory that the page will lie in, if that is known.
    """
    reader = RunReader(directory)
    return report_text(reader.run, list(reader.tasks()), base)


def report_text(run: Run, tasks: Sequence[TaskState], base: Path | None) -> str:
    """Write the report on a run whose tasks are known, each behind its upstreams."""
    return page_text(f"{run.root} - run {run.id}", _BODY, _STYLES, _SCRIPTS, _report_data(run, tasks, base))


def _report_data(run: Run, tasks: Sequence[TaskState], base: Path | None) -> dict[str, Any]:
    now = run.ended if run.ended is not None else time.time() if run.alive else _last_moment(run, tasks)
    lanes = timeline(tasks, now)
    analysis = analyse(tasks, run.cached, lanes.at_once)
    names = [one.name for one in analysis.classes]
    short = short_names(names)
    numbers = {name: number for number, name in enumerate(names)}
    return {
        "run": run.id,
        "root": run.root,
        "status": run.status,
        "host": run.host,
        "pid": run.pid,
        "argv": list(run.argv),
        "started": run.started,
        "seconds": max(0.0, now - run.started),
        "made": time.time(),
        "version": __version__,
        "work": analysis.work,
        "atOnce": analysis.at_once,
        "least": analysis.least,
        "pathSeconds": analysis.path_seconds,
        "classes": [{**vars(one), "short": short[one.name]} for one in analysis.classes],
        "gains": [{**vars(gain), "name": short[gain.name]} for gain in analysis.gains],
        "path": _steps(analysis, numbers),
        "slow": [_told(task, numbers) for task in _slowest(tasks)],
        "failures": _failures(tasks, numbers, base),
        "failed": sum(task.state == "failed" for task in tasks),
        **_timeline_data(lanes, numbers, run.started),
    }


def _last_moment(run: Run, tasks: Sequence[TaskState]) -> float:
    """Give when a driver that was killed was last known to be at work."""
    moments = [moment for task in tasks for a in task.attempts for moment in (a.started, a.ended) if moment is not None]
    return max(moments, default=run.started)


def _told(task: TaskState, numbers: Mapping[str, int]) -> dict[str, Any]:
    last = task.last
    return {
        "cls": numbers[task.name],
        "label": task.label,
        "id": task.id,
        "state": task.state,
        "why": task.why,
        "seconds": sum(map(seconds_of, task.attempts)),
        "memory": max((attempt.memory or 0 for attempt in task.attempts), default=0),
        "attempts": len(task.attempts),
        "host": last.host if last else "",
        "backend": last.backend if last else "",
    }


def _steps(analysis: Analysis, numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    """Give the longest chain; of a very long one, the steps that took most, in their order."""
    longest = sorted(range(len(analysis.path)), key=lambda step: -_seconds(analysis.path[step]))[:_MOST_STEPS]
    return [{"step": step + 1, **_told(analysis.path[step], numbers)} for step in sorted(longest)]


def _slowest(tasks: Sequence[TaskState]) -> list[TaskState]:
    ran = [task for task in tasks if _seconds(task) > 0]
    return sorted(ran, key=_seconds, reverse=True)[:_MOST_SLOW]


def _seconds(task: TaskState) -> float:
    return sum(map(seconds_of, task.attempts))


def _failures(tasks: Sequence[TaskState], numbers: Mapping[str, int], base: Path | None) -> list[dict[str, Any]]:
    failed = [task for task in tasks if task.state in ("failed", "lost")][:_MOST_FAILURES]
    return [
        {
            **_told(task, numbers),
            "reason": task.reason.removeprefix(f"{task.label} failed: "),
            **_left_by(task, base, number < _MOST_LOGS),
        }
        for number, task in enumerate(failed)
    ]


def _left_by(task: TaskState, base: Path | None, with_logs: bool) -> dict[str, Any]:
    """Give what a failed task left in its directory, unless another attempt has been there since."""
    nonce = task.last.nonce if task.last else ""
    failure = files.read_object(f"{task.directory}/{files.FAILURE}")
    if not os.path.isdir(task.directory) or failure.get("nonce", nonce) != nonce:
        return {"directory": "", "logs": [], "traceback": ""}
    names = [name for name in (files.STDOUT, files.STDERR) if os.path.exists(f"{task.directory}/{name}")]
    logs = [
        [name, end_of_log(f"{task.directory}/{name}") if with_logs else "", link(f"{task.directory}/{name}", base)]
        for name in names
    ]
    printed = files.STDERR in names
    traceback = "" if printed or not with_logs else str(failure.get("traceback", ""))
    return {"directory": link(task.directory, base), "logs": logs, "traceback": traceback}


def _timeline_data(lanes: Timeline, numbers: Mapping[str, int], began: float) -> dict[str, Any]:
    """Give the bars in rows; of very many, the longest."""
    bars = lanes.bars
    if len(bars) > _MOST_BARS:
        bars = sorted(bars, key=lambda bar: bar.start - bar.end)[:_MOST_BARS]
    rows = [
        [bar.lane, round(bar.start - began, 4), round(bar.end - bar.start, 6), numbers[bar.task.name],
         bar.attempt.state, bar.task.label]
        for bar in bars
    ]  # fmt: skip
    return {"lanes": lanes.lanes, "bars": rows, "allBars": len(lanes.bars)}
