"""Which tasks of a graph must run, and why."""
from __future__ import annotations

from collections.abc import Iterable

from ..base.lean import blake2b
from ..store.meta import EXPANDS, Meta
from .growth import Growth
from .nodes import TaskClass, TaskGraph

__all__ = ["FORCED", "NO_UPSTREAMS", "Plan", "TaskClass", "TaskGraph", "follows_upstream", "general_reason"]

NO_UPSTREAMS = blake2b(digest_size=16).digest()
FORCED = "asked for by force"
_ITS_UPSTREAM = "its upstream "


class Plan:
    """Which tasks of a graph must run, and why.

    Args:
        graph: The graph.
        detect_source_change: Whether a changed source makes results stale.
        detect_helper_change: Whether helpers of the user's own modules are a part of the source.
        detect_files: Whether these modules count as a whole.
        forced: The nodes that run in any case.

    Attributes:
        forced: As given.
        metas: The provenance of each node's result, if it has one.
        reasons: Why each node must run; empty for a fresh one.
        growth: What tasks that expand returned; None if none of the graph does.
        stale: The nodes that must run, each behind its upstreams.
    """

    def __init__(
        self,
        graph: TaskGraph,
        *,
        detect_source_change: bool,
        detect_helper_change: bool = True,
        detect_files: bool = False,
        forced: Iterable[int] = (),
    ) -> None:
        self.graph = graph
        self.detect_source_change = detect_source_change
        graph.read_sources(helpers=detect_helper_change, files=detect_files)
        self.metas = graph.read_results()
        self.forced = frozenset(forced)
        self.reasons = [""] * len(graph)
        for node in self.forced:
            self.reasons[node] = FORCED
        self.growth: Growth | None = None
        if any(known.config.expands for known in graph.classes.values()):
            self.growth = Growth(
                graph, self.metas, self.reasons, self.why_stale, helpers=detect_helper_change, files=detect_files
            )
            new = self.growth.judge_all()
            self.forced = frozenset(new[node] for node in self.forced)
        else:
            self._judge_all()
        self.stale = [node for node, reason in enumerate(self.reasons) if reason]

    def _judge_all(self) -> None:
        graph = self.graph
        sources = {cls: known.source for cls, known in graph.classes.items()}
        for node, (task, meta) in enumerate(zip(graph.tasks, self.metas, strict=True)):
            # Most tasks of most graphs need nothing, and their class has not changed: there is no more to ask.
            is_as_before = meta is not None and not graph.upstreams[node] and meta.source == sources[type(task)]
            if (not is_as_before or meta.flags) and not self.reasons[node]:  # type: ignore[union-attr]  # it is there
                self.reasons[node] = self.why_stale(node, meta)

    def why_stale(self, node: int, meta: Meta | None) -> str:
        """Say why a result with this provenance will not do; nothing if it will."""
        if meta is None:
            return "no result"
        known = self.graph.class_of(node)
        if bool(meta.flags & EXPANDS) != known.config.expands:
            return "its class expands now" if known.config.expands else "its class expands no more"
        if self.detect_source_change and not known.accepts(meta.source):
            return "its source changed"
        upstreams = self.graph.upstreams[node]
        for up in upstreams:
            if self.reasons[up]:
                return f"{_ITS_UPSTREAM}{self.graph.tasks[up]!r} runs"
        if self.growth is not None and (below := self.growth.below(upstreams)) is not None:
            return f"{_ITS_UPSTREAM}{self.graph.tasks[below]!r} runs"
        if upstreams and meta.upstreams != self.upstreams_digest(node):
            return "an upstream has a newer result"
        return ""

    def upstreams_digest(self, node: int) -> bytes:
        """Digest the versions of a node's upstreams, all of which have results."""
        upstreams = self.graph.upstreams[node]
        if not upstreams:
            return NO_UPSTREAMS
        if self.growth is not None:
            return _digest([self.growth.version(up) for up in upstreams])
        metas = self.metas
        return _digest([metas[up].version for up in upstreams])  # type: ignore[union-attr]  # all have results

    def upstream_values_digest(self, node: int) -> bytes:
        """Digest the digests of the values of a node's upstreams, all of which have results."""
        upstreams = self.graph.upstreams[node]
        if not upstreams:
            return NO_UPSTREAMS
        if self.growth is not None:
            return _digest([self.growth.value(up) for up in upstreams])
        metas = self.metas
        return _digest([metas[up].value for up in upstreams])  # type: ignore[union-attr]  # all have results

    def stale_upstreams(self) -> dict[int, list[int]]:
        """Give, for each node that must run, those of its upstreams that must run too, each once."""
        return {node: self.unfinished(self.graph.upstreams[node]) for node in self.stale}

    def unfinished(self, nodes: Iterable[int]) -> list[int]:
        """Give those of some nodes, each once, that have no results yet to give."""
        reasons = self.reasons
        running = self.growth.running if self.growth is not None else ()
        return [node for node in dict.fromkeys(nodes) if reasons[node] or node in running]

    def running_above(self, node: int) -> list[int]:
        """Give the nodes that must run and whose results one gets, each once: upstreams, and what these returned."""
        upstreams = self.graph.upstreams[node]
        ups = self.growth.read_by(self.unfinished(upstreams)) if self.growth is not None else dict.fromkeys(upstreams)
        return [up for up in ups if self.reasons[up]]

    def expanding(self) -> list[int]:
        """Give the nodes that must run and will return tasks, which nobody knows before."""
        return [node for node in self.stale if self.graph.tasks[node]._task_config.expands]

    def expanded(self) -> dict[int, list[int]]:
        """Give the nodes that have returned tasks which are not all done, with those of them that are not."""
        if self.growth is None:
            return {}
        return {node: self.unfinished(self.growth.returned[node]) for node in self.growth.running}

    def doubtful(self) -> set[int]:
        """Give the nodes that need not run after all if their upstreams give again what they gave."""
        found: set[int] = set()

        def is_sure(node: int) -> bool:
            if not self.reasons[node] and self.growth is not None:
                return self.growth.is_sure_to_change(node, is_sure)
            return node not in found and self._is_sure_to_change(node)

        for node in self.stale:
            upstreams = self.graph.upstreams[node] if follows_upstream(self.reasons[node]) else ()
            if upstreams and not any(map(is_sure, self.unfinished(upstreams))):
                found.add(node)
        return found

    def _is_sure_to_change(self, node: int) -> bool:
        """Whether what a node that runs gives will not count as what it gave before."""
        return self.metas[node] is None or node in self.forced or not self.graph.class_of(node).config.cutoff

    def done(self, node: int, meta: Meta) -> None:
        """Note that a node has a fresh result now."""
        self.metas[node] = meta
        self.reasons[node] = ""

    def counts(self, nodes: Iterable[int]) -> dict[str, int]:
        """Count nodes by task name."""
        counts: dict[str, int] = {}
        for node in nodes:
            name = self.graph.tasks[node]._task_config.name
            counts[name] = counts.get(name, 0) + 1
        return counts


def follows_upstream(reason: str) -> bool:
    """Whether a plan's reason is that an upstream of the task runs."""
    return reason.startswith(_ITS_UPSTREAM)


def general_reason(reason: str) -> str:
    """Leave out of a plan's reason which upstream it is, as there may be as many as tasks.

    >>> general_reason("its upstream Load(n=3) runs")
    'an upstream runs'
    """
    return "an upstream runs" if follows_upstream(reason) else reason


def _digest(parts: Iterable[bytes]) -> bytes:
    return blake2b(b"".join(parts), digest_size=16).digest()
