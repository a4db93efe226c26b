"""`taskproc [run] file.py`: runs the entry point of a task file with all that it needs."""
from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from .entry import load_entry_point
from .options import (
    BackendName,
    JsonObject,
    Limit,
    Pair,
    arguments_option,
    cache_dir_option,
    entry_point_option,
    log_option,
    plugin_option,
    set_up_logging,
    trust_cache_option,
)
from .taskfile import told_as_users

if TYPE_CHECKING:
    from ..plan.graph import Plan, TaskGraph
    from ..run.request import RunRequest
    from ..task import TaskBase
    from ..tasks.config import TaskConfig
    from ..tasks.settings import Settings

_DONE, _FAILED, _INTERRUPTED = 0, 1, 130


@dataclass(frozen=True, kw_only=True)
class _Options:
    """The command line of `run`."""

    taskfile: str
    entrypoint: str
    backends: tuple[tuple[str, str], ...]
    backend_options: tuple[tuple[str, str], ...]
    max_workers: int | None
    arguments: tuple[tuple[str, str], ...]
    cache_dir: Path | None
    limits: tuple[tuple[str, int], ...]
    plugins: tuple[str, ...]
    disable_detect_source_change: bool
    force: bool
    keep_going: bool
    on_interrupt: Literal["cancel", "detach"]
    loglevel: str
    no_progress: bool
    dry_run: bool
    exec_type: str | None
    kwargs: dict[str, Any] | None
    rate_limits: dict[str, Any] | None
    interactive: bool
    dont_force_entrypoint: bool


@click.command(short_help="Run the tasks of a file; this word may be left out.")
@click.argument("taskfile", type=click.Path(), metavar="TASKFILE")
@entry_point_option
@click.option(
    "-b",
    "--backend",
    "backends",
    type=BackendName(),
    metavar="[CLASS=]NAME",
    multiple=True,
    help="The backend, or profile, for every task, or for one class or channel; repeatable.",
)
@click.option(
    "-o",
    "--backend-option",
    "backend_options",
    type=Pair("KEY=VALUE", "an option's name"),
    metavar="KEY=VALUE",
    multiple=True,
    help="An option for that backend (see `taskproc backends`); repeatable.",
)
@click.option("-w", "--max-workers", type=click.IntRange(min=1), metavar="N", help="How many tasks run at once here.")
@arguments_option
@cache_dir_option
@trust_cache_option
@click.option(
    "--limit",
    "limits",
    type=Limit(),
    metavar="LABEL=N",
    multiple=True,
    help="The most tasks at once with this channel, or of this class; repeatable.",
)
@plugin_option
@click.option(
    "-D", "--disable-detect-source-change", is_flag=True, help="Keep results of classes whose source has changed."
)
@click.option("--force", is_flag=True, help="Run the entry point even if it is cached.")
@click.option("--keep-going", is_flag=True, help="After a failure, run all that does not depend on it.")
@click.option(
    "--on-interrupt",
    type=click.Choice(["cancel", "detach"]),
    default="cancel",
    show_default=True,
    help="What Ctrl-C does to jobs on a cluster: end them, or leave them to the next run.",
)
@log_option
@click.option("--no-progress", is_flag=True, help="Show no progress bars.")
@click.option("--dry-run", is_flag=True, help="Say what would run, why, and on which backend; run nothing.")
@click.option("-t", "--exec-type", type=click.Choice(["process", "thread"]), hidden=True)
@click.option("--kwargs", type=JsonObject(), hidden=True)
@click.option("--rate-limits", type=JsonObject(), hidden=True)
@click.option("-i", "--interactive", is_flag=True, hidden=True)
@click.option("--dont-force-entrypoint", is_flag=True, hidden=True)
@click.option("--dont-show-progress", "no_progress", is_flag=True, hidden=True)
def run(**given: Any) -> int:
    """Run the entry point of TASKFILE, and before it all that it needs, as far as that is not cached.

    At the end, what the entry point printed is shown, also when it was cached.
    """
    options = _Options(**given)
    set_up_logging(options.loglevel)
    settings, task = load_entry_point(
        options.taskfile, options.entrypoint, options.arguments, options.cache_dir, options.kwargs or {}
    )
    request = _request(options)
    graph = _graph_of(task)
    request = _checked(task, graph, request, settings, dict(options.limits))
    if options.dry_run:
        from .dry_run import print_plan

        print_plan(task, request)
        return _DONE
    return _run(task, request)


def _request(options: _Options) -> RunRequest:
    from ..look.progress import Progress
    from ..run.request import RunRequest

    overall = [name for label, name in options.backends if not label]
    if len(overall) > 1:
        msg = f"-b names more than one backend for every task: {', '.join(overall)}; write CLASS=NAME for a class."
        raise click.UsageError(msg)
    return RunRequest(
        max_workers=options.max_workers,
        rate_limits=options.rate_limits or {},
        detect_source_change=False if options.disable_detect_source_change else None,
        backend=overall[0] if overall else options.exec_type,
        specific={label: name for label, name in options.backends if label},
        backend_options=dict(options.backend_options),
        on_error="continue" if options.keep_going else "stop",
        force_interactive=options.interactive,
        force=options.force,
        progress=None if options.no_progress else Progress,
        detach=options.on_interrupt == "detach",
        plugins=options.plugins,
    )


def _graph_of(task: TaskBase[Any]) -> TaskGraph:
    from ..plan.graph import TaskGraph
    from ..tasks.in_use import current_cache

    with told_as_users():
        return TaskGraph(task, current_cache())


def _checked(
    task: TaskBase[Any], graph: TaskGraph, request: RunRequest, settings: Settings, limits: dict[str, int]
) -> RunRequest:
    """Refuse, before anything runs, what the command line says of backends, options and labels that are not there."""
    from dataclasses import replace

    from ..base.options import nearest
    from ..look.preview import check_backends

    configs = _configs(graph)
    labels = {label for config in configs for label in config.channels}
    unknown = [
        given for given in check_backends(graph, request, settings)
        if given not in labels and not any(config.name.endswith(f".{given}") for config in configs)
    ]  # fmt: skip
    chosen = dict(request.rate_limits)
    for given, number in limits.items():
        meant = [given] if given in labels else [c.name for c in configs if c.name.endswith(f".{given}")]
        chosen.update(dict.fromkeys(meant, number))
        unknown += [] if meant else [given]
    if unknown:
        known_as = sorted(labels | {config.short_name for config in configs})
        msg = f"{task!r} needs no task of a class or channel {unknown[0]!r}; {nearest(unknown[0], known_as)}"
        raise click.UsageError(msg)
    return replace(request, rate_limits=chosen)


def _configs(graph: TaskGraph) -> list[TaskConfig]:
    """Give the settings of the classes that a graph has, or may come to have: of any class, if a task of it expands."""
    configs = [known.config for known in graph.classes.values()]
    if any(config.expands for config in configs):
        from ..tasks.anew import defined_tasks

        configs += [cls._task_config for cls in defined_tasks()]
    return configs


def _run(task: TaskBase[Any], request: RunRequest) -> int:
    from dataclasses import replace

    from ..run.run import run as run_request
    from ..tasks.failed import FailedTaskError, FailedTasksError
    from . import report

    tally = report.Tally()
    plans: list[Plan] = []
    try:
        run_request(task, replace(request, watchers=[tally], planned=plans.append))
    except FailedTaskError as error:
        failures = error.failures if isinstance(error, FailedTasksError) else [error]
        report.print_failures(failures, tally)
        return _FAILED
    except KeyboardInterrupt:
        report.print_interrupted(tally, request.detach)
        return _INTERRUPTED
    report.print_summary(task, tally, plans[-1].counts(range(len(plans[-1].graph))))
    report.print_output(task)
    sys.stdout.flush()
    return _DONE
