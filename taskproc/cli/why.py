"""`taskproc why`: why each task of a file would run, or not."""
from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .entry import load_entry_point
from .options import TaskNameType, arguments_option, cache_dir_option, entry_point_option

if TYPE_CHECKING:
    from ..look.explain import Explainer, Reason
    from ..plan.graph import Plan

_SHOWN = 10
_SHOWN_DIFF = 60  # lines


@click.command(short_help="Say why tasks would run: new arguments, a changed source with its diff, ...")
@click.argument("taskfile", type=click.Path(), metavar="TASKFILE")
@click.argument("name", type=TaskNameType(), metavar="[TASK]", required=False)
@entry_point_option
@arguments_option
@cache_dir_option
@click.option("-a", "--all", "everything", is_flag=True, help="Show every task, and all of each diff.")
def why(
    taskfile: str,
    name: str | None,
    entrypoint: str,
    arguments: tuple[tuple[str, str], ...],
    cache_dir: Path | None,
    everything: bool,
) -> int:
    """Say why the entry point of TASKFILE, and what it needs, would run or not; or only TASK.

    TASK is written Class, Class#7 (the id) or Class(n=3). Nothing is run, and of results only those
    are unpickled that are tasks, of classes with expands=True.
    """
    from ..look.explain import Explainer
    from ..run.request import RunRequest
    from ..run.run import make_plan
    from ..tasks.in_use import current_cache

    settings, task = load_entry_point(taskfile, entrypoint, arguments, cache_dir)
    cache = current_cache()
    plan = make_plan(task, RunRequest(), settings, cache)
    most = None if everything else _SHOWN
    explained = [(one, Explainer(one, cache)) for one in plan.with_inside()]
    if name is not None:
        chosen = next((one for one in explained if _has_class(one[0], name)), explained[0])
        lines = _of_one(*chosen, name, most)
    else:
        lines = itertools.chain.from_iterable(_of_all(*one, most) for one in explained)
    for line in lines:
        click.echo(line)
    return 0


def _of_one(plan: Plan, explainer: Explainer, name: str, most: int | None) -> Iterator[str]:
    """Explain the tasks of one name, each by itself."""
    nodes = _named(plan, explainer, name)
    for node in nodes[:most]:
        yield click.style(_label(plan, node), bold=True) + (
            " would run:" if plan.reasons[node] and node not in plan.displaced else " would not run:"
        )
        for reason in explainer.reasons(node, thorough=True):
            yield from _described(reason, most)
    if most is not None and len(nodes) > most:
        yield f"... and {len(nodes) - most} more (--all shows them)"


def _of_all(plan: Plan, explainer: Explainer, most: int | None) -> Iterator[str]:
    """Explain all tasks that would run: those that would by themselves, alike ones together, and then the others."""
    from .report import tasks_text

    if plan.around:
        yield f"Inside of these, {len(plan.stale)} of {tasks_text(len(plan.graph))} would run."
    elif not plan.stale:
        yield f"Nothing would run: {_label(plan, -1)} and all that it needs is cached."
        return
    else:
        yield f"{len(plan.stale)} of {tasks_text(len(plan.graph))} would run."
    groups: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    reasons: dict[int, list[Reason]] = {}
    following: dict[tuple[str, int], int] = {}
    for node in plan.stale:
        name, cause = plan.graph.class_of(node).config.name, explainer.causes[node]
        if cause != node:
            following[name, cause] = following.get((name, cause), 0) + 1
        else:
            reasons[node] = [reason for reason in explainer.reasons(node) if reason.kind != "upstream runs"]
            groups.setdefault((name, tuple(reason.text for reason in reasons[node])), []).append(node)
    for (name, _), nodes in list(groups.items())[:most]:
        yield _title(plan, name, nodes)
        for reason in reasons[nodes[0]]:
            yield from _described(reason, most)
    yield from _rest(len(groups), most)
    for (name, cause), number in list(following.items())[:most]:
        yield f"{tasks_text(number)} of {name}, because of {_label(plan, cause)}"
    yield from _rest(len(following), most)


def _rest(number: int, most: int | None) -> Iterator[str]:
    if most is not None and number > most:
        yield f"... and {number - most} more kinds (--all shows them)"


def _title(plan: Plan, name: str, nodes: Sequence[int]) -> str:
    from .report import tasks_text

    first = _label(plan, nodes[0])
    if len(nodes) == 1:
        return click.style(first, bold=True)
    return f"{click.style(f'{tasks_text(len(nodes))} of {name}', bold=True)}, as {first}"


def _described(reason: Reason, most: int | None) -> Iterator[str]:
    from .report import plain

    yield f"  {plain(reason.text)}"
    shown = reason.diff if most is None else reason.diff[:_SHOWN_DIFF]
    for line in shown:
        colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        yield "    " + click.style(plain(line), fg=colour)
    if len(reason.diff) > len(shown):
        yield f"    ... and {len(reason.diff) - len(shown)} more lines (--all shows them)"


def _has_class(plan: Plan, name: str) -> bool:
    from ..look.task_names import parse_task_name

    pattern = parse_task_name(name)
    return any(pattern.fits_class(known.config.name) for known in plan.graph.classes.values())


def _named(plan: Plan, explainer: Explainer, name: str) -> list[int]:
    """Find the nodes that somebody named.

    Raises:
        click.UsageError: There are none.
    """
    from ..base.options import nearest
    from ..look.task_names import parse_task_name

    pattern = parse_task_name(name)
    graph = plan.graph
    of_class = [node for node in range(len(graph)) if pattern.fits_class(graph.class_of(node).config.name)]
    if not of_class:
        known = sorted({known.config.short_name for known in graph.classes.values()})
        msg = f"{_label(plan, -1)} needs no task of a class {pattern.cls!r}; {nearest(pattern.cls, known)}"
        raise click.UsageError(msg)
    found = [
        node
        for node in of_class
        if pattern.fits(explainer.ids.get(node, -1), graph.tasks[node].task_args, _label(plan, node))
    ]
    if not found:
        labels = [_label(plan, node) for node in of_class[:1000]]
        msg = f"{_label(plan, -1)} needs no task {name}; {nearest(name, labels)}"
        raise click.UsageError(msg)
    return found


def _label(plan: Plan, node: int) -> str:
    from .report import plain

    return plain(repr(plan.graph.tasks[node]))
