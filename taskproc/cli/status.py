"""`taskproc status`: what a run has done, what runs where, what waits for what, and what failed, read from disk.

`--json` prints one object (with `--watch`, one a line), whose keys stay what they are:

    version   1
    cache     the cache's directory
    runs      those that go on, or else the newest:
      run, root, file, argv, host, pid, started, ended, status, cached, planned, done, failed   as in `history.Run`
      counts  tasks by state
      classes tasks by task name and state
      tasks   those that had to run:
        task, id, label, state, why, reason, directory   as in `history.TaskState`
        attempts
          state, submitted, started, ended, backend, host, pid, job, seconds, memory, reason   as in `history.Attempt`
"""
from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import cache_dir_option, json_option, place_argument
from .place import Place, find_cache

if TYPE_CHECKING:
    from ..look.history import Attempt, Run, RunReader, TaskState

_PAUSE = 1.0  # seconds between looks with --watch
_SHOWN = 10
_TOLD = {"done": "is done", "running": "runs", "interrupted": "was interrupted", "died": "was killed"}
_COLOURS = {"running": "cyan", "failed": "red", "lost": "red"}
_STATES = ("done", "running", "queued", "waiting", "failed", "cancelled", "lost", "cached")


@click.command(short_help="Show what a run has done, what it is at, and what waits for what.")
@place_argument
@cache_dir_option
@click.option("-r", "--run", "run_id", metavar="RUN", help="The run to show (see `taskproc runs`), or how it begins.")
@click.option("-w", "--watch", is_flag=True, help="Look again every second, until no run goes on.")
@click.option("-a", "--all", "everything", is_flag=True, help="Show every task, not only the first of each kind.")
@json_option
def status(
    place: str | None, cache_dir: Path | None, run_id: str | None, watch: bool, everything: bool, as_json: bool
) -> int:
    """Show the runs that go on, or else the newest one, of the cache of a task file or of a cache directory.

    Nothing is run, and no result is read; the driver may be on another machine that shares the cache.
    """
    screen = _Screen(find_cache(place, cache_dir), run_id, _SHOWN if not everything else None)
    going_on = screen.look()
    if not watch:
        click.echo(screen.as_json(2) if as_json else screen.as_text())
        return 0
    shown = None
    while True:
        text = screen.as_json() if as_json else screen.as_text()
        if text != shown:
            if not as_json:
                click.clear()  # which does nothing where there is no terminal
            click.echo(text)
            shown = text
        if not going_on:
            return 0
        time.sleep(_PAUSE)
        going_on = screen.look()


class _Screen:
    """What is shown, and read on from where it was.

    Args:
        place: Whose runs.
        run_id: The beginning of the name of the run to show; None for those that go on, or else the newest.
        most: How many tasks of a kind are shown; None for all.
    """

    def __init__(self, place: Place, run_id: str | None, most: int | None) -> None:
        self._place = place
        self._run_id = run_id
        self._most = most
        self._readers: dict[str, RunReader] = {}
        self._chosen: list[RunReader] = []

    def look(self) -> bool:
        """Read what is new; whether a run goes on."""
        from ..look.history import RunReader

        directories = self._place.chosen_runs(self._run_id)
        for reader in self._readers.values():
            reader.refresh()
        self._readers = {path: self._readers.get(path) or RunReader(path) for path in directories}
        self._chosen = list(self._readers.values())
        return any(reader.run.alive for reader in self._chosen)

    def as_json(self, indent: int | None = None) -> str:
        """Write it for programs."""
        runs = [_reader_as_json(reader) for reader in self._chosen]
        return json.dumps({"version": 1, "cache": self._place.cache.root, "runs": runs}, indent=indent)

    def as_text(self) -> str:
        """Write it for people."""
        if not self._chosen:
            return f"There is no run {self._place.described}."
        return "\n\n".join("\n".join(_described(reader, self._most)) for reader in self._chosen)


def run_as_json(run: Run) -> dict[str, Any]:
    """Give what is known of a run as a whole; the keys stay what they are."""
    known = {name: value for name, value in vars(run).items() if name not in ("id", "directory")}
    return {"run": run.id, **known}


def _reader_as_json(reader: RunReader) -> dict[str, Any]:
    classes = reader.counts()
    return {
        **run_as_json(reader.run),
        "counts": dict(sum(classes.values(), Counter())),
        "classes": {name: dict(+counts) for name, counts in classes.items()},
        "tasks": [_task_as_json(task) for task in reader.tasks()],
    }


def _task_as_json(task: TaskState) -> dict[str, Any]:
    return {
        "task": task.name,
        "id": task.id,
        "label": task.label,
        "state": task.state,
        "why": task.why,
        "reason": task.reason,
        "directory": task.directory,
        "attempts": [
            {name: value for name, value in vars(attempt).items() if name != "nonce"} for attempt in task.attempts
        ],
    }


def _described(reader: RunReader, most: int | None) -> Iterator[str]:
    from .report import duration, plain

    run, counts = reader.run, reader.counts()
    total: Counter[Any] = sum(counts.values(), Counter())
    state = _TOLD.get(run.status, run.status)
    took = duration(max(0.0, (run.ended or time.time()) - run.started)) if run.ended or run.alive else ""
    since = f" for {took}" if run.alive else f" after {took}" if took else ""
    yield f"{click.style(plain(run.root), bold=True)} {state}{since} (run {run.id}, pid {run.pid} on {plain(run.host)})"
    yield "  " + (", ".join(f"{total[state]} {state}" for state in _STATES if total[state]) or "nothing planned yet")
    if len(counts) > 1:
        yield from _table(counts)
    groups: dict[str, list[TaskState]] = {}
    for task in reader.tasks():
        groups.setdefault(task.state, []).append(task)
    for state in ("running", "queued", "waiting", "failed", "cancelled", "lost"):
        if state in groups:
            lines = _waiting(groups[state]) if state == "waiting" else _one_by_one(state, groups[state])
            yield click.style(f"{state}:", fg=_COLOURS.get(state))
            yield from _first(lines, most)


def _table(counts: dict[str, Counter[Any]]) -> Iterator[str]:
    from .report import plain

    names = {name: plain(name) for name in counts}
    states = [state for state in _STATES if any(of_class[state] for of_class in counts.values())]
    width = max(map(len, names.values()))
    yield "  " + " " * width + "".join(f"{state:>11}" for state in states)
    for name, of_class in counts.items():
        numbers = "".join(f"{of_class[state] or '':>11}" for state in states)
        yield f"  {names[name]:{width}}{numbers}".rstrip()


def _one_by_one(state: str, tasks: Sequence[TaskState]) -> list[str]:
    from .report import plain

    lines = []
    for task in tasks:
        last = task.last
        where = plain(_where(last)) if last and state in ("running", "queued") else ""
        line = ": ".join(filter(None, [f"  {plain(task.label)}{where}", plain(_reason(task))]))
        lines.append(f"{line}\n    {task.directory}" if state == "failed" else line)
    return lines


def _where(attempt: Attempt) -> str:
    from .report import duration

    since = attempt.started if attempt.state == "running" else attempt.submitted
    known = [
        f" on {attempt.backend}" if attempt.backend else "",
        f" job {attempt.job}" if attempt.job else "",
        f" at {attempt.host}" if attempt.host else "",
        f" pid {attempt.pid}" if attempt.pid else "",
        f" for {duration(max(0.0, time.time() - since))}" if since else "",
    ]
    return "".join(known)


def _reason(task: TaskState) -> str:
    """Say why without saying again whose reason it is."""
    return task.reason.removeprefix(f"{task.label} failed: ")


def _waiting(tasks: Sequence[TaskState]) -> list[str]:
    """Tell of many tasks at once: those of a class that wait for the same."""
    from .report import plain, tasks_text

    groups: dict[tuple[str, str], list[TaskState]] = {}
    for task in tasks:
        what = "upstreams" if task.reason.startswith("needs ") and "failed" not in task.reason else task.reason
        groups.setdefault((task.name, what), []).append(task)
    lines = []
    for (name, what), group in groups.items():
        if len(group) == 1:
            lines.append(f"  {plain(group[0].label)}: {plain(group[0].reason)}")
        else:
            example = f", as {group[0].label} {group[0].reason}" if what == "upstreams" else ""
            lines.append(plain(f"  {tasks_text(len(group))} of {name} for {what}{example}"))
    return lines


def _first(lines: Sequence[str], most: int | None) -> Iterator[str]:
    yield from lines[:most]
    if most is not None and len(lines) > most:
        yield f"  ... and {len(lines) - most} more (--all shows them)"
