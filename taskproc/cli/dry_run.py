"""`--dry-run`: what would run, why, on which backend, and what a scheduler would be told."""
from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from ..base.errors import InputError
from .report import tasks_text

if TYPE_CHECKING:
    from ..look.preview import PlannedTask, Preview
    from ..run.request import RunRequest
    from ..task import TaskBase

_SHOWN_TASKS = 5


def print_plan(task: TaskBase[Any], request: RunRequest) -> None:
    """Print what a run would do."""
    from ..look.preview import Preview
    from ..plan.graph import kind_of_reason
    from ..tasks.in_use import current_cache
    from ..tasks.settings import load_settings

    preview = Preview(task, request, load_settings(None), current_cache())
    planned = list(preview.tasks())
    if not planned:
        click.echo(f"Nothing would run: {task!r} and all that it needs is cached.")
        return
    uncertain = sum(not one.is_certain for one in planned)
    if_changed = f", {uncertain} of them only if what they need gives other results than before" if uncertain else ""
    click.echo(f"{len(planned)} of {tasks_text(len(planned) + preview.cached)} would run{if_changed}:")
    for (name, place), tasks in _grouped(planned).items():
        click.echo(f"\n  {name}: {len(tasks)} on {place}")
        for one in tasks[:_SHOWN_TASKS]:
            perhaps = "" if one.is_certain else "may run, "
            click.echo(f"    {_short(repr(one.task))}: {perhaps}{_short(one.reason)}")
        if len(tasks) > _SHOWN_TASKS:
            reasons = Counter(kind_of_reason(one.reason) for one in tasks[_SHOWN_TASKS:])
            told = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common())
            click.echo(f"    ... and {len(tasks) - _SHOWN_TASKS} more: {told}")
    expanding = preview.expanding()
    if expanding:
        more = f" and {len(expanding) - 1} more" if len(expanding) > 1 else ""
        click.echo(f"\nWhich tasks follow will be known when {_short(repr(expanding[0]))}{more} has run.")
    _print_inside(preview)
    _print_submissions(preview)
    try:
        preview.plan.inputs.refuse_missing(preview.plan.stale)
    except InputError as error:
        click.echo(f"\nA run would be refused. {error}")


def _print_inside(preview: Preview) -> None:
    """Print what would run in graphs that tasks run inside, as far as that is known from the last time."""
    for plan in preview.plan.with_inside()[1:]:
        if plan.stale:
            counts = ", ".join(f"{number} {name}" for name, number in plan.counts(plan.stale).items())
            click.echo(f"\n  and inside of these, by what they ran the last time: {counts}")


def _grouped(planned: list[PlannedTask]) -> dict[tuple[str, str], list[PlannedTask]]:
    groups: dict[tuple[str, str], list[PlannedTask]] = {}
    for one in planned:
        options = ", ".join(f"{name}={value}" for name, value in one.options.items())
        place = f"{one.backend} ({options})" if options else one.backend
        groups.setdefault((one.task.task_name, place), []).append(one)
    return groups


def _print_submissions(preview: Preview) -> None:
    for submission in preview.submissions():
        after = "" if submission.wave == 1 else ", once the tasks before them have run"
        click.echo(f"\n==== {submission.backend} would be given (wave {submission.wave}{after}) ====")
        click.echo(submission.text)


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:100]} [...] {text[-90:]}"
