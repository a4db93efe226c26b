"""`run_graph`: from a task to its result, with everything in between put together here."""
from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..base.collector import eased_collector
from ..base.errors import CacheError, CycleError, SettingsError
from ..plan.graph import Plan, TaskGraph
from ..runs import claims
from ..store.cache import Cache
from ..store.files import DamagedResultError
from ..tasks.failed import FailedTaskError, FailedTasksError
from ..tasks.in_use import current_cache
from ..tasks.node import Node, located
from ..tasks.trust import check_trust
from ..work.nested import ancestors, note_nested, tell_of_nesting
from .request import OnError, RunRequest

if TYPE_CHECKING:
    from ..tasks.settings import Settings

_LOGGER = logging.getLogger(__name__)
_MOST_REPAIRS = 3


def run_graph(
    task: Node,
    *,
    rate_limits: Mapping[str, int] | None,
    backend_options: Mapping[str, Any] | None,
    on_error: str,
    **others: Any,
) -> tuple[Any, dict[str, Any]]:
    """Run a task's graph as `TaskBase.run_graph_with_stats` describes."""
    request = RunRequest(
        rate_limits=rate_limits or {},
        backend_options=backend_options or {},
        on_error=_checked_on_error(on_error),
        **others,
    )
    return run(task, request)


def run(task: Node, request: RunRequest) -> tuple[Any, dict[str, Any]]:
    """Run what is not cached, and give the task's result with an account of what ran.

    A result that turns out to be damaged is dropped and computed again; what has failed for good meanwhile is not.

    Raises:
        FailedTaskError: A task failed.
    """
    from ..tasks.settings import load_settings

    tell_of_nesting()
    stats: dict[str, Any] = {"stats": {}, "generations": []}
    failures: dict[bytes, FailedTaskError] = {}
    for _ in range(_MOST_REPAIRS):
        repaired = _run_once(task, request, stats, failures)
        if repaired:
            continue
        _raise_failures(list(failures.values()))
        try:
            return located(task).load_result(), stats
        except DamagedResultError as error:
            if not _drop_damaged_of(make_plan(task, request, load_settings(), current_cache())):
                _LOGGER.warning("%s; it is computed again", error)
                _store_of(task).discard_result(task._task.digest)
    _raise_failures(list(failures.values()))
    msg = f"{task!r} has a damaged result again and again; is the disk all right?"
    raise CacheError(msg)


def make_plan(task: Node, request: RunRequest, settings: Settings, cache: Cache) -> Plan:
    """Find out what a run would do, without doing it."""
    detect = settings.detect_source_change if request.detect_source_change is None else request.detect_source_change
    known: Plan | None = None
    with eased_collector:
        while True:
            graph = TaskGraph(task, cache)
            if known is not None:
                graph.kinds.know(known.graph.kinds)
            known = Plan(
                graph,
                detect_source_change=detect,
                detect_helper_change=settings.detect_helper_change,
                detect_files=settings.detect == "files",
                forced=[graph.root] if request.force else [],
                track_packages=settings.track_packages,
            )
            if known.growth is None or not known.growth.renewed:
                return known


def _run_once(
    task: Node, request: RunRequest, stats: dict[str, Any], failures: dict[bytes, FailedTaskError]
) -> bool:
    """Run the graph once; whether damaged results were found and dropped, so that it must be run again.

    Args:
        task: The task asked for.
        request: What was said about the run.
        stats: Learns what ran.
        failures: What failed for good, by identity; such tasks are not run again.
    """
    from ..tasks.settings import load_settings

    cache = current_cache()
    settings = load_settings()
    before = claims.standing(cache.runs)
    plan = make_plan(task, request, settings, cache)
    check_trust(cache.root, [known.store.directory for known in plan.graph.classes.values()])
    plan.inputs.remember()
    if not plan.stale:
        _note_inside(plan)
        if request.planned is not None:
            request.planned(plan)
        return False
    _refuse_circle(plan)
    plan.inputs.refuse_missing(plan.stale)
    from ..store.disk import disk_errors
    from .session import Session  # not before there is something to run

    node_of = plan.graph.node_of
    given_up = {node_of[digest]: failure.exception for digest, failure in failures.items() if digest in node_of}
    with disk_errors(cache.root), Session(plan, request, settings, cache, before) as session:
        plan.inputs.remember()
        account, damaged = session.drive(given_up)
    if request.planned is not None:
        request.planned(plan)
    for name, number in account.ran.items():
        stats["stats"][name] = stats["stats"].get(name, 0) + number
    stats["generations"] += account.generations or []
    repaired = _drop_damaged_above(plan, damaged)
    again = set(damaged) if repaired else set()
    _note_inside(plan)
    failures.update((plan.graph.digest(node), error) for node, error in account.failures.items() if node not in again)
    return repaired


def _note_inside(plan: Plan) -> None:
    """Have the task around this run, if there is one, go stale with it."""
    root = plan.graph.root
    if not plan.unfinished([root]):
        note_nested(plan.graph.tasks[root], plan.version(root))


def _raise_failures(failures: Sequence[FailedTaskError]) -> None:
    if len(failures) == 1:
        raise failures[0] from failures[0].exception
    if failures:
        raise FailedTasksError(failures) from failures[0].exception


def _drop_damaged_of(plan: Plan) -> bool:
    """Drop those damaged results that the task asked for gives, if it is one that gives those of others."""
    return plan.growth is not None and _drop_damaged(plan, plan.growth.read_by([plan.graph.root])[1:])


def _drop_damaged_above(plan: Plan, nodes: Sequence[int]) -> bool:
    """Check the results that these nodes read, as below."""
    upstreams = dict.fromkeys(up for node in nodes for up in plan.graph.upstreams[node])
    return _drop_damaged(plan, plan.growth.read_by(upstreams) if plan.growth is not None else upstreams)


def _drop_damaged(plan: Plan, nodes: Iterable[int]) -> bool:
    """Check the results of these nodes, drop those that are damaged, and tell whether to run once more.

    One that another run has replaced since is cause for it, too.
    """
    found = False
    for up in nodes:
        known = plan.graph.class_of(up)
        try:
            known.store.verify(plan.graph.digest(up))
        except DamagedResultError as error:
            _LOGGER.warning("%s; it is computed again", error)
            known.store.discard_result(plan.graph.digest(up))
            found = True
        (meta,), planned = known.store.peek([plan.graph.digest(up)]), plan.metas[up]
        found = found or (meta is not None and planned is not None and meta.commit != planned.commit)
    return found


def _refuse_circle(plan: Plan) -> None:
    """Refuse a graph that a task runs and that needs that very task: it would wait for itself."""
    running = set(ancestors())
    for node in plan.stale if running else ():
        if plan.graph.digest(node).hex() in running:
            msg = (
                f"a task needs itself: {plan.graph.tasks[node]!r} is running, and the graph of "
                f"{plan.graph.tasks[plan.graph.root]!r}, which it runs itself or through others, needs its result"
            )
            raise CycleError(msg)


def _store_of(task: Node) -> Any:
    return current_cache().class_store(task._task_config.name)


def _checked_on_error(value: str) -> OnError:
    """Accept `stop` or `continue`."""
    if value == "stop":
        return "stop"
    if value == "continue":
        return "continue"
    msg = f"on_error={value!r} is neither 'stop' nor 'continue'"
    raise SettingsError(msg)
