"""A task as a notebook shows it: its arguments, its state, and the states of what it needs."""
from __future__ import annotations

import json
import os
from html import escape
from typing import TYPE_CHECKING

from ...base.errors import TaskprocError
from ...tasks.location import Location

if TYPE_CHECKING:
    from ...tasks.node import Node

_LONGEST = 500
_MOST_TASKS = 10_000  # the states of more take longer than one may wait for a cell
_COLOURS = {"cached": "#3d8a5a", "stale": "#b98414"}


def task_card(task: Node) -> str:
    """Write the card as HTML, in which all texts of the task's are escaped."""
    state, rows = _state(task)
    dot = f'<span style="color: {_COLOURS.get(state.partition(":")[0], "#888")}">&#9679;</span> ' if state else ""
    texts = {name: json.dumps(value, default=repr, ensure_ascii=False) for name, value in task.task_args.items()}
    body = "".join(_row(name, f"<code>{escape(_cut(text))}</code>") for name, text in texts.items())
    body += "".join(_row(name, escape(value)) for name, value in rows)
    return (
        f'<div class="taskproc-task"><b>{escape(type(task).task_name)}</b> {dot}{escape(state)}'
        f"<table>{body}</table></div>"
    )


def _state(task: Node) -> tuple[str, list[tuple[str, str]]]:
    """Give a task's state, and what else there is to say; what cannot be found out is left out."""
    if isinstance(task._task, Location):  # from another process, without its upstreams
        return "", []
    try:
        return _planned(task)
    except (TaskprocError, OSError) as error:
        return "", [("state", f"unknown: {error}")]


def _planned(task: Node) -> tuple[str, list[tuple[str, str]]]:
    from ...plan.graph import TaskGraph
    from ...run.request import RunRequest
    from ...run.run import make_plan
    from ...tasks.in_use import current_cache
    from ...tasks.settings import load_settings

    last = len(TaskGraph(task, current_cache())) - 1
    needs = f"{last} task{'' if last == 1 else 's'}"
    if last > _MOST_TASKS:
        return "", [("needs", needs)]
    plan = make_plan(task, RunRequest(), load_settings(), current_cache())
    last = plan.graph.root
    needs = f"{last} task{'' if last == 1 else 's'}"
    meta, reason, stale = plan.metas[last], plan.reasons[last], len(plan.stale)
    stale -= bool(reason)
    rows = [("needs", f"{needs}: {last - stale} cached, {stale} stale")] if last else []
    rows += [("time", f"{meta.seconds:.3g} s")] if meta is not None else []
    digest = plan.graph.digest(last)
    store = plan.graph.class_of(last).store
    directories = [store.instance_directory(id) for id in store.ids.lookup([digest]).values()]
    rows += [("directory", directory) for directory in directories if os.path.isdir(directory)]
    return (f"stale: {reason}" if reason else "cached"), rows


def _row(name: str, value: str) -> str:
    return f'<tr><td style="text-align: left">{escape(name)}</td><td style="text-align: left">{value}</td></tr>'


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} [...]"
