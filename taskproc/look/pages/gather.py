"""Finds out what is to be shown of a task graph: from its plan, from the runs that told of it, and from its files."""
from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...base.errors import TaskprocError
from ...runs.ledger import run_directories
from ...store import files
from ...tasks.readable import readable
from ..history import RunReader, TaskState
from .logs import end_of_log
from .model import ShownGraph, ShownTask, State

if TYPE_CHECKING:
    from ...plan.graph import Plan
    from ...run.choice import BackendChoice
    from ...store.cache import Cache
    from ...tasks.node import Node
    from ..history import Attempt

_MOST_RUNS = 10  # how far back to look for who ran a task
_LONGEST_ARGUMENT = 2000
_LONGEST_BRIEF = 40
_MOST_LOGS = 500


def gather_graph(plan: Plan, choice: BackendChoice, cache: Cache) -> ShownGraph:
    """Find out what is to be shown of a plan's graph.

    Args:
        plan: The plan.
        choice: Says which backend a task would run on.
        cache: Where the results and the runs are.
    """
    runs = run_directories(cache.runs)[:_MOST_RUNS]
    tasks: list[ShownTask] = []
    numbers: dict[bytes, int] = {}
    for one in reversed(plan.with_inside()):  # what runs inside stands before what it runs inside of
        tasks += _of_one_plan(one, choice, runs, numbers, len(tasks))
    return ShownGraph(tasks, cache.root)


def _of_one_plan(
    plan: Plan, choice: BackendChoice, runs: Sequence[str], numbers: dict[bytes, int], begin: int
) -> list[ShownTask]:
    """Gather the tasks of one plan that are not shown yet.

    Args:
        plan: The plan.
        choice: Says which backend a task would run on.
        runs: The directories of runs to look into.
        numbers: The numbers of the tasks that are shown, by identity; it learns of these.
        begin: The number of the first one.
    """
    graph, ids = plan.graph, plan.graph.ids()
    told = _Told(plan, ids, runs)
    with_logs = set(_by_interest(plan, told)[:_MOST_LOGS])
    arguments = [_arguments(task) for task in graph.tasks]
    told_briefly = briefs([task.task_name for task in graph.tasks], arguments)
    shown: list[ShownTask] = []
    for node in range(len(graph)):
        if numbers.setdefault(graph.digest(node), begin + len(shown)) == begin + len(shown):
            upstreams = [numbers[digest] for digest in _below(plan, node) if digest in numbers]
            shown.append(
                _shown(
                    plan, choice, told, node, ids.get(node), arguments[node], told_briefly[node], upstreams,
                    with_logs=node in with_logs,
                )
            )
    return shown


def _below(plan: Plan, node: int) -> dict[bytes, None]:
    """Give what stands below a task: what it needs, what it returned, and what it ran inside."""
    returned = plan.growth.returned.get(node, ()) if plan.growth is not None else ()
    below = dict.fromkeys(map(plan.graph.digest, [*plan.graph.upstreams[node], *returned]))
    meta = plan.metas[node]
    ran = plan.nested.ran.get(meta.commit, ()) if meta is not None and meta.flags else ()
    return {**below, **{one.task._task.digest: None for one in ran if one.task is not None}}


class _Told:
    """What the newest runs tell of a plan's tasks.

    Attributes:
        made: The attempt that made each node's result.
        lately: What a node that must run did in the newest run that had it, if it failed, or if the run goes on.
    """

    def __init__(self, plan: Plan, ids: Mapping[int, int], runs: Sequence[str]) -> None:
        self.made: dict[int, Attempt] = {}
        self.lately: dict[int, TaskState] = {}
        commits = {meta.commit.hex(): node for node, meta in enumerate(plan.metas) if meta is not None}
        wanted = {(plan.graph.tasks[node].task_name, id): node for node, id in ids.items() if plan.reasons[node]}
        for directory in runs:
            if not commits and not wanted:
                break
            self._read(RunReader(directory), commits, wanted)

    def _read(self, reader: RunReader, commits: dict[str, int], wanted: dict[tuple[str, int], int]) -> None:
        """Take in what a run tells, and take that off what is still to be found."""
        for task in reader.tasks():
            for attempt in task.attempts:
                node = commits.pop(attempt.nonce, None)
                if node is not None:
                    self.made[node] = attempt
            node = wanted.pop((task.name, task.id), None) if task.attempts or reader.run.alive else None
            if node is not None and (task.state in ("failed", "running") or reader.run.alive):
                self.lately[node] = task


def _by_interest(plan: Plan, told: _Told) -> list[int]:
    """Order the nodes by how much one may want to read their logs: failed, running, asked for, and the others."""
    lately = {node: task.state for node, task in told.lately.items()}
    rank = {"failed": 0, "running": 1}
    last = len(plan.graph) - 1
    return sorted(range(last + 1), key=lambda node: (rank.get(lately.get(node, ""), 2), node != last, node))


def _shown(
    plan: Plan,
    choice: BackendChoice,
    told: _Told,
    node: int,
    id: int | None,
    arguments: Mapping[str, str],
    brief: str,
    upstreams: Sequence[int],
    *,
    with_logs: bool,
) -> ShownTask:
    task, known, meta = plan.graph.tasks[node], plan.graph.class_of(node), plan.metas[node]
    state, reason = _state(plan.reasons[node], told.lately.get(node))
    lately = told.lately.get(node)
    attempt = lately.last if lately is not None else told.made.get(node)
    directory = known.store.instance_directory(id) if id is not None else ""
    names = _names(directory)
    return ShownTask(
        class_name=known.config.name,
        label=repr(task),
        brief=brief,
        arguments=arguments,
        state=state,
        reason=reason,
        upstreams=tuple(upstreams),
        backend=attempt.backend if attempt is not None and attempt.backend else _backend(choice, task),
        id=id,
        host=attempt.host if attempt is not None else "",
        pid=attempt.pid if attempt is not None else None,
        started=attempt.started if attempt is not None else None,
        seconds=meta.seconds if meta is not None else None,
        memory=meta.memory if meta is not None else None,
        directory=directory if names else "",
        logs=_logs(directory, names, with_logs),
    )


def _upstreams(plan: Plan, node: int) -> tuple[int, ...]:
    """Give what a task needs; one that has returned tasks gives their results, so they stand above it, too."""
    returned = plan.growth.returned.get(node, ()) if plan.growth is not None else ()
    return tuple(dict.fromkeys([*plan.graph.upstreams[node], *returned]))


def _state(reason: str, lately: TaskState | None) -> tuple[State, str]:
    if not reason:
        return "cached", ""
    if lately is None:
        return "stale", reason
    if lately.state == "failed":
        return "failed", lately.reason.removeprefix(f"{lately.label} failed: ")
    if lately.state == "running":
        return "running", reason
    now = f"{lately.state}: {lately.reason}" if lately.reason else lately.state
    return "stale", f"{reason}; {now}"


def _backend(choice: BackendChoice, task: Node) -> str:
    config = task._task_config
    if config.interactive:
        return "interactive"
    options = config.backend_options
    try:
        return choice.choose(config.name, config.channels, config.backend, {} if callable(options) else options)[0]
    except TaskprocError:  # what a run will say of it is not a picture's business
        return ""


def _arguments(task: Node) -> dict[str, str]:
    bound: dict[str, Any] = task._task.bound  # type: ignore[union-attr]  # constructed here
    return {name: _cut(json.dumps(_readable(value), default=repr, ensure_ascii=False)) for name, value in bound.items()}


def _readable(value: Any) -> Any:
    """Show an argument; a task in it by its label, for its own arguments are shown where it is."""
    if hasattr(value, "__taskproc_identity__"):
        return repr(value)
    if type(value) is dict:
        return {str(key): _readable(item) for key, item in value.items()}
    return [_readable(item) for item in value] if type(value) in (list, tuple) else readable(value)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_ARGUMENT else f"{text[:_LONGEST_ARGUMENT]} [...]"


def briefs(names: Sequence[str], arguments: Sequence[Mapping[str, str]]) -> list[str]:
    """Name for each task those arguments that are not the same in its whole class; all, if it is alone.

    >>> briefs(["A", "A", "B"], [{"n": "1", "k": "2"}, {"n": "3", "k": "2"}, {"s": '"x"'}])
    ['n=1', 'n=3', 's="x"']
    """
    first: dict[str, Mapping[str, str]] = {}
    telling: dict[str, dict[str, None]] = {}
    for name, own in zip(names, arguments, strict=True):
        pattern = first.setdefault(name, own)
        found = telling.setdefault(name, {})
        found.update(dict.fromkeys(key for key in own if own[key] != pattern.get(key)))
        found.update(dict.fromkeys(key for key in pattern if key not in own))
    return [
        ", ".join(f"{key}={_brief(own[key])}" for key in own if key in telling[name] or not telling[name])
        for name, own in zip(names, arguments, strict=True)
    ]


def _brief(text: str) -> str:
    return text if len(text) <= _LONGEST_BRIEF else f"{text[: _LONGEST_BRIEF - 12]}...{text[-9:]}"


def _names(directory: str) -> list[str]:
    """List the instance directory; nothing if it is not there."""
    try:
        return os.listdir(directory) if directory else []
    except OSError:
        return []


def _logs(directory: str, names: Sequence[str], with_text: bool) -> dict[str, str]:
    logs = [name for name in (files.STDOUT, files.STDERR) if name in names]
    return {name: end_of_log(f"{directory}/{name}") if with_text else "" for name in logs}
