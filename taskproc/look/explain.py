"""Why a task would run or not, in more words than a plan needs: what changed, what became of its last attempt."""
from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from ..plan.graph import FORCED, Plan, TaskClass, follows_upstream
from ..runs import ledger
from ..store import files
from ..store.files import DamagedResultError
from ..store.meta import Meta
from ..tasks.source import source_diff, what_changed
from .history import RunReader, TaskState

if TYPE_CHECKING:
    from ..store.cache import Cache
    from ..tasks.node import Node

Kind = Literal[
    "fresh", "no result", "new arguments", "cleared", "failed", "unfinished", "damaged", "source changed",
    "input changed", "upstream newer", "upstream runs", "graph inside", "file changed", "expired", "displaced",
    "forced",
]  # fmt: skip

_MOST_ALIKE = 200  # other tasks whose arguments are compared
_MOST_CHANGED = 5  # names of what changed in a source
_MOST_HISTORY = 1 << 26  # bytes of ledgers that are read


@dataclass(frozen=True)
class Reason:
    """One reason why a task would run, or that it would not.

    Attributes:
        kind: What it is.
        text: Said in words, without the task's name.
        diff: What changed in the source, in lines of the unified format.
    """

    kind: Kind
    text: str
    diff: Sequence[str] = ()


class Explainer:
    """Says why tasks of a plan would run or not. Nothing is unpickled, and nothing is written.

    Args:
        plan: The plan.
        cache: The cache that it is about.
    """

    def __init__(self, plan: Plan, cache: Cache) -> None:
        self._plan = plan
        self._graph = plan.graph
        self._cache = cache
        self._diffs: dict[tuple[str, bytes], Sequence[str]] = {}
        self._changed: dict[tuple[str, bytes], Sequence[str]] = {}
        self._present: dict[str, list[int]] = {}

    @cached_property
    def ids(self) -> dict[int, int]:
        """The ids of those nodes that have one."""
        return self._graph.ids()

    @cached_property
    def causes(self) -> list[int]:
        """For each node, the first node above it that would run by itself; itself if it does, or would not run."""
        causes = list(range(len(self._graph)))
        for node in self._plan.stale:
            if follows_upstream(self._plan.reasons[node]):
                causes[node] = causes[next(iter(self._plan.running_above(node)), node)]
        return causes

    def reasons(self, node: int, *, thorough: bool = False) -> list[Reason]:
        """Give the reasons for one node.

        Args:
            node: The node.
            thorough: Whether to read the whole result for its checksum, and to compare with other tasks' arguments.
        """
        meta, found = self._plan.metas[node], []
        if meta is None:
            found.append(self._without_result(node, thorough))
        elif thorough and (damage := self._damage(node)):
            found.append(damage)
        if self._plan.reasons[node] == FORCED:
            found.append(Reason("forced", f"it is {FORCED}"))
        stale = self._plan.running_above(node)
        if stale:
            found.append(Reason("upstream runs", self._upstreams_text(node, stale)))
        if meta is None:
            missing = self._plan.inputs.missing(node)
            return [*found, *([Reason("input changed", f"its {missing}")] if missing else [])]
        if self._has_other_source(node, meta):
            found.append(self._source_changed(self._graph.class_of(node), meta))
        if (expires := self._graph.class_of(node).config.expires) and time.time() > meta.made + expires:
            found.append(Reason("expired", f"its result has expired: it was made on {_date(meta.made)}"))
        if inside := self._plan.nested.why_stale(node, meta):
            found.append(Reason("graph inside", inside))
        lacks_own, lacks = self._plan.named_files.reasons(node, meta)
        if lacks_own or (lacks and not stale):
            found.append(Reason("file changed", lacks_own or lacks))
        if changed := self._plan.inputs.why_stale(node, meta):
            found.append(Reason("input changed", changed))
        if not stale and self._graph.upstreams[node] and meta.upstreams != self._plan.upstreams_digest(node):
            found.append(Reason("upstream newer", self._newer_text(node, meta)))
        if not found and node in self._plan.displaced:
            found.append(Reason("displaced", f"it has {self._plan.displaced[node].words}"))
        if not found and self._plan.reasons[node]:
            return [Reason("no result", self._plan.reasons[node])]
        return found or [Reason("fresh", f"its result is fresh{self._made(meta)}")]

    def _has_other_source(self, node: int, meta: Meta) -> bool:
        return self._plan.detect_source_change and not self._graph.class_of(node).accepts(meta.source)

    # --- there is a result ---

    def _damage(self, node: int) -> Reason | None:
        try:
            self._graph.class_of(node).store.verify(self._graph.digest(node))
        except DamagedResultError as error:
            return Reason("damaged", f"its result is damaged, and will be dropped when it is read: {error}")
        return None

    def _source_changed(self, known: TaskClass, meta: Meta) -> Reason:
        key = known.config.name, meta.source
        if key not in self._diffs:
            stored = known.store.load_source(meta.source)
            self._diffs[key] = source_diff(stored, known.text or "") if stored is not None else ()
            self._changed[key] = what_changed(stored, known.text or "") if stored is not None else ()
        diff, changed = self._diffs[key], self._changed[key]
        if not diff:
            return Reason("source changed", "its source changed (the former one is not kept)")
        more = f" and {len(changed) - _MOST_CHANGED} more" if len(changed) > _MOST_CHANGED else ""
        named = f": {', '.join(changed[:_MOST_CHANGED])}{more}" if changed else ""
        return Reason("source changed", f"its source changed{named}", diff)

    def _newer_text(self, node: int, meta: Meta) -> str:
        own = self._ended.get(meta.commit.hex())
        newer = []
        upstreams, growth = self._graph.upstreams[node], self._plan.growth
        for up in dict.fromkeys(upstreams) if growth is None else growth.read_by(upstreams):
            found = self._plan.metas[up]
            ended = self._ended.get(found.commit.hex()) if found is not None else None
            if own is not None and ended is not None and ended > own:
                newer.append(self._graph.tasks[up])
        return f"{_some(newer)} has a newer result" if newer else "an upstream has a newer result"

    def _upstreams_text(self, node: int, stale: Sequence[int]) -> str:
        text = f"{_some([self._graph.tasks[up] for up in dict.fromkeys(stale)])} would run before it"
        cause = self.causes[stale[0]]
        if cause == stale[0]:
            return text
        return f"{text}, in the end because of {self._graph.tasks[cause]!r} ({self.reasons(cause)[0].text})"

    def _made(self, meta: Meta) -> str:
        ended = self._ended.get(meta.commit.hex())
        return f": it was made on {_date(ended)}, in {meta.seconds:.2f} s" if ended is not None else ""

    # --- there is none ---

    def _without_result(self, node: int, thorough: bool) -> Reason:
        known, id = self._graph.class_of(node), self.ids.get(node)
        directory = known.store.instance_directory(id) if id is not None else None
        return (
            self._damaged_file(directory)
            or self._failed(directory)
            or self._in_history(known, self._graph.tasks[node])
            or self._cleared(directory)
            or self._new(known, self._graph.tasks[node], thorough)
        )

    def _damaged_file(self, directory: str | None) -> Reason | None:
        try:
            if directory is None or files.peek(f"{directory}/{files.RESULT}") is None:
                return None
            text = f"{directory} holds the result of another task"
        except DamagedResultError as error:
            text = str(error)
        return Reason("damaged", f"its result is damaged: {text}")

    def _failed(self, directory: str | None) -> Reason | None:
        failure = files.read_object(f"{directory}/{files.FAILURE}") if directory is not None else {}
        if not failure:
            return None
        message = str(failure.get("message", "")).partition("\n")[0]
        when = failure.get("time")
        on = f" on {_date(when)}" if isinstance(when, (int, float)) else ""
        return Reason("failed", f"no result: its last attempt failed{on}: {failure.get('type')}: {message}")

    def _in_history(self, known: TaskClass, task: Node) -> Reason | None:
        told = self._history.get((known.config.name, repr(task)))
        if told is None:
            return None
        run, state = told
        if state.state in ("done", "cached"):
            return Reason("cleared", f"no result: run {run} made one, which was cleared since")
        if state.state == "failed":
            return Reason("failed", f"no result: {state.reason}")
        reason = f" ({state.reason})" if state.reason else ""
        return Reason("unfinished", f"no result: in run {run} it was {state.state}{reason}")

    def _cleared(self, directory: str | None) -> Reason | None:
        if directory is not None and os.path.exists(f"{directory}/{files.ARGS}"):
            return Reason("cleared", "no result: it was cleared, or its last attempt was killed")
        return None

    def _new(self, known: TaskClass, task: Node, thorough: bool) -> Reason:
        if not self._others(known) and not known.store.packed.exists():
            return Reason("no result", "no result: no task of its class has one")
        text = "no result with these arguments"
        nearest = self._nearest(known, task.task_args) if thorough else None
        if nearest is not None:
            id, changed = nearest
            text += f"; nearest is {known.config.short_name}#{id}, with {changed}"
        return Reason("new arguments", text)

    def _nearest(self, known: TaskClass, wanted: Mapping[str, Any]) -> tuple[int, str] | None:
        """Find the task with the fewest other arguments, among the newest ones, and say which these are."""
        found: list[tuple[int, int, str]] = []
        for id in self._others(known)[:_MOST_ALIKE]:
            args = files.read_object(f"{known.store.instance_directory(id)}/{files.ARGS}")
            changed = [name for name, value in wanted.items() if name not in args or args[name] != value]
            if args and changed:
                told = ", ".join(f"{name}={_short(args.get(name))}" for name in changed)
                found.append((len(changed), -id, told))
        return (-min(found)[1], min(found)[2]) if found else None

    def _others(self, known: TaskClass) -> list[int]:
        """List the ids in the directory of a class, the newest first."""
        name = known.config.name
        if name not in self._present:
            self._present[name] = sorted(known.store.ids.present(), reverse=True)
        return self._present[name]

    # --- what earlier runs tell ---

    @cached_property
    def _readers(self) -> list[RunReader]:
        readers, size = [], 0
        for directory in ledger.run_directories(self._cache.runs):
            try:
                with ledger.open_ledger(f"{directory}/ledger.jsonl") as file:
                    size += file.seek(0, os.SEEK_END)
            except (OSError, EOFError):
                continue
            if size > _MOST_HISTORY:
                break
            readers.append(RunReader(directory))
        return readers

    @cached_property
    def _history(self) -> dict[tuple[str, str], tuple[str, TaskState]]:
        """What the newest run that tried to run a task tells of it, by class and label."""
        found: dict[tuple[str, str], tuple[str, TaskState]] = {}
        for reader in self._readers:
            for task in reader.tasks():
                if task.attempts or task.state == "cached":
                    found.setdefault((task.name, task.label), (reader.run.id, task))
        return {key: told for key, told in found.items() if not key[1].endswith("...)")}

    @cached_property
    def _ended(self) -> dict[str, float]:
        """When the results were made, by commit id."""
        found: dict[str, float] = {}
        for reader in self._readers:
            for task in reader.tasks():
                for attempt in task.attempts:
                    if attempt.state == "done" and attempt.ended is not None:
                        found[attempt.nonce] = attempt.ended
        return found


def _some(tasks: Sequence[Node]) -> str:
    shown = ", ".join(map(repr, tasks[:3]))
    return f"{shown} and {len(tasks) - 3} more" if len(tasks) > 3 else shown


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _date(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
