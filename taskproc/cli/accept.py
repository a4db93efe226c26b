"""`taskproc accept`: keeps results although the source of their classes has changed."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .entry import load_entry_point
from .options import arguments_option, cache_dir_option, entry_point_option
from .report import tasks_text

if TYPE_CHECKING:
    from ..plan.graph import TaskClass, TaskGraph


@click.command(short_help="Keep results after a change of source that does not matter.")
@click.argument("taskfile", type=click.Path(), metavar="TASKFILE")
@click.argument("classes", nargs=-1, metavar="[CLASS]...")
@entry_point_option
@arguments_option
@cache_dir_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def accept(
    taskfile: str,
    classes: tuple[str, ...],
    entrypoint: str,
    arguments: tuple[tuple[str, str], ...],
    cache_dir: Path | None,
    yes: bool,
) -> int:
    """Take the results of CLASSes as made by today's source of TASKFILE, or those of all classes that it needs.

    Use it after a change that you know to be cosmetic, in a task class or in what it calls. `taskproc why` shows the
    change. Results that are stale for another reason still are.
    """
    from ..run.request import RunRequest
    from ..run.run import make_plan
    from ..tasks.in_use import current_cache

    settings, task = load_entry_point(taskfile, entrypoint, arguments, cache_dir)
    graph = make_plan(task, RunRequest(), settings, current_cache()).graph
    superseded = _superseded(graph, classes)
    if not superseded:
        click.echo("Nothing to accept: no result was made by another source.")
        return 0
    for known, stored in superseded:
        results = "1 result was" if len(stored) == 1 else f"{len(stored)} results were"
        click.echo(f"{known.config.name}: {results} made by another source.")
    if not yes and not click.confirm("Take them as made by today's?"):
        click.echo("Nothing was accepted.")
        return 1
    for known, stored in superseded:
        known.accept(stored)
    click.echo(f"Accepted the results of {tasks_text(sum(len(stored) for _, stored in superseded))}.")
    return 0


def _superseded(graph: TaskGraph, classes: Sequence[str]) -> list[tuple[TaskClass, list[bytes]]]:
    """Give the classes with results by other sources, and the digests of these, one for each result."""
    chosen = _chosen(list(graph.classes.values()), classes)
    stored: dict[str, list[bytes]] = {}
    metas = graph.read_results()
    former = graph.read_former(metas)
    for node, own in enumerate(metas):
        meta = former[node].meta if own is None and node in former else own
        known = graph.class_of(node)
        if meta is not None and not known.accepts(meta.source):
            stored.setdefault(known.config.name, []).append(meta.source)
    return [(known, stored[known.config.name]) for known in chosen if known.config.name in stored]


def _chosen(known: Sequence[TaskClass], classes: Sequence[str]) -> list[TaskClass]:
    from ..base.options import nearest

    named = {one.config.short_name: one for one in known} | {one.config.name: one for one in known}
    for given in classes:
        if given not in named:
            msg = f"the entry point needs no task of a class {given!r}; {nearest(given, list(named))}"
            raise click.UsageError(msg)
    return [named[given] for given in dict.fromkeys(classes)] if classes else list(known)
