"""Which tasks of a graph must run, and why."""
from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Literal

from ..base.lean import blake2b
from ..store.meta import EXPANDS, Meta
from ..tasks.node import Node
from ..tasks.outside import NO_INPUTS
from ..tasks.valued import Spec
from .displaced import Displaced, displaced
from .growth import Growth, digest_of
from .inputs import Inputs
from .named_files import NamedFiles
from .nested import NestedGraphs
from .nodes import NO_SOURCE, TaskClass, TaskGraph

if TYPE_CHECKING:
    from .packages import Tracked

__all__ = [
    "FORCED", "NO_SOURCE", "NO_UPSTREAMS", "Plan", "TaskClass", "TaskGraph", "follows_upstream", "general_reason",
    "kind_of_reason",
]  # fmt: skip

NO_UPSTREAMS = blake2b(digest_size=16).digest()
FORCED = "asked for by force"
_ITS_UPSTREAM = "its upstream "
_ITS_INPUTS = "its inputs: "


class Plan:
    """Which tasks of a graph must run, and why.

    Args:
        graph: The graph.
        detect_source_change: Whether a changed source makes results stale.
        detect_helper_change: Whether helpers of the user's own modules are a part of the source.
        detect_files: Whether these modules count as a whole.
        forced: The nodes that run in any case.
        track_packages: The installed packages whose versions count, of those that a class reaches.
        around: The digests of the tasks whose graphs inside these are.

    Attributes:
        forced, around: As given.
        inputs: The inputs from outside.
        nested: The graphs that tasks ran inside.
        inside: The plan of all of them; None if there are none.
        metas: The provenance of each node's result, if it has one.
        displaced: Those results that are yet to be put in their place.
        named_files: The files that these results name.
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
        track_packages: Tracked = (),
        around: frozenset[bytes] = frozenset(),
    ) -> None:
        self.graph = graph
        self.detect_source_change = detect_source_change
        self._helpers, self._files, self._tracked = detect_helper_change, detect_files, track_packages
        graph.read_sources(helpers=detect_helper_change, files=detect_files, imported=track_packages == "all")
        self._now = time.time()
        self.inputs = Inputs(graph, self._packages)
        self.metas = graph.read_results()
        self._former = graph.read_former(self.metas)
        flagged = {node: meta for node, meta in enumerate(self.metas) if meta is not None and meta.flags}
        self.named_files = NamedFiles(graph, self.metas, flagged)
        self.forced = frozenset(forced)
        self.around = around
        self.inside: Plan | None = None
        self.nested = NestedGraphs(graph, self._plan_inside, around)
        self.nested.look_at(flagged)
        self.reasons = [""] * len(graph)
        self.displaced: dict[int, Displaced] = {}
        for node in self.forced:
            self.reasons[node] = FORCED
        self.growth: Growth | None = None
        if any(known.config.expands for known in graph.classes.values()):
            self._judge_growing()
        else:
            self._judge_all()
        self.stale = [node for node, reason in enumerate(self.reasons) if reason]
        self.named_files.look_again()

    def _packages(self) -> Mapping[type, tuple[Spec, ...]]:
        if not self._tracked:
            return {}
        from .packages import tracked_packages  # which imports as much as all the rest

        return tracked_packages(self.graph.classes, self.graph.read.packages, self._tracked)

    def _plan_inside(self, tasks: Sequence[Node], around: frozenset[bytes]) -> Plan:
        self.inside = Plan(
            TaskGraph(tasks[-1], self.graph.cache, tasks[:-1]),
            detect_source_change=self.detect_source_change,
            detect_helper_change=self._helpers,
            detect_files=self._files,
            track_packages=self._tracked,
            around=around,
        )
        return self.inside

    def _judge_growing(self) -> None:
        self.growth = Growth(
            self.graph,
            self.metas,
            self.reasons,
            self.judged,
            self.inputs,
            helpers=self._helpers,
            files=self._files,
            imported=self._tracked == "all",
        )
        new = self.growth.judge_all()
        self.forced = frozenset(new[node] for node in self.forced)
        self.displaced = {new[node]: found for node, found in self.displaced.items()}
        self._former.clear()
        self.inputs.renumber(new)
        self.named_files.renumber(new)

    def _judge_all(self) -> None:
        graph = self.graph
        sources = {cls: known.source for cls, known in graph.classes.items() if not known.config.expires}
        inputs, with_files = self.inputs.wanted, self.named_files.nodes
        for node, (task, meta) in enumerate(zip(graph.tasks, self.metas, strict=True)):
            # Most tasks of most graphs need nothing, and their class has not changed: there is no more to ask.
            is_as_before = (
                meta is not None
                and not graph.upstreams[node]
                and meta.source == sources.get(type(task))
                and not meta.flags
                and meta.inputs == inputs.get(node, NO_INPUTS)
                and node not in with_files
            )
            if not is_as_before and not self.reasons[node]:
                self.reasons[node] = self.judged(node, meta)

    def judged(self, node: int, meta: Meta | None) -> str:
        """Say why a node must run, which has this result in its place; one elsewhere may do instead."""
        reason = self.why_stale(node, meta)
        if not reason:
            return ""
        former = self._former.get(node)
        beside = displaced(self.graph.class_of(node).store, self.graph.digest(node), meta)
        for found in chain(beside, [former] if former is not None else []):
            other = self.why_stale(node, found.meta, in_place=False)
            if not other or follows_upstream(other):
                self.displaced[node] = found
                self.metas[node] = found.meta
                return other or found.words
        if former is not None and meta is None:  # what else it is stale for is the better reason
            self.metas[node] = former.meta
            return self.why_stale(node, former.meta, in_place=False)
        return reason

    def why_stale(self, node: int, meta: Meta | None, *, in_place: bool = True) -> str:
        """Say why a result with this provenance will not do; nothing if it will.

        Args:
            node: The node.
            meta: The provenance.
            in_place: Whether the result is where its task has its own; else its notes and files are not looked at.
        """
        if meta is None:
            return "no result"
        known = self.graph.class_of(node)
        if bool(meta.flags & EXPANDS) != known.config.expands:
            return "its class expands now" if known.config.expands else "its class expands no more"
        if self.detect_source_change and not known.accepts(meta.source):
            return "its source changed"
        if known.config.expires and self._now > meta.made + known.config.expires:
            return "its result has expired"
        if changed := self.inputs.why_stale(node, meta):
            return f"{_ITS_INPUTS}{changed}"
        if meta.flags and in_place and (inside := self.nested.why_stale(node, meta)):
            return inside
        lacks_own, lacks = self.named_files.reasons(node, meta) if in_place else ("", "")
        if lacks_own:
            return lacks_own
        upstreams = self.graph.upstreams[node]
        for up in upstreams:
            if self.reasons[up]:
                return f"{_ITS_UPSTREAM}{self.graph.tasks[up]!r} runs"
        if self.growth is not None and (below := self.growth.below(upstreams)) is not None:
            return f"{_ITS_UPSTREAM}{self.graph.tasks[below]!r} runs"
        if upstreams and meta.upstreams != self.upstreams_digest(node):
            return "an upstream has a newer result"
        return lacks

    def upstreams_digest(self, node: int) -> bytes:
        """Digest the versions of a node's upstreams, all of which have results."""
        return self._digest_above(node, "version")

    def upstream_values_digest(self, node: int) -> bytes:
        """Digest the digests of the values of a node's upstreams, all of which have results."""
        return self._digest_above(node, "value")

    def _digest_above(self, node: int, part: Literal["version", "value"]) -> bytes:
        upstreams = self.graph.upstreams[node]
        if not upstreams:
            return NO_UPSTREAMS
        if self.growth is not None:
            return digest_of(map(getattr(self.growth, part), upstreams))
        return digest_of(map(attrgetter(part), map(self.metas.__getitem__, upstreams)))

    def with_inside(self) -> list[Plan]:
        """Give this plan, that of the graphs that its tasks ran inside, that of what ran inside of those, and so on."""
        return [self, *(self.inside.with_inside() if self.inside is not None else ())]

    def cause(self, node: int) -> int:
        """Find above a node that runs the first one that does so by itself; the node itself if it does."""
        while follows_upstream(self.reasons[node]) and (above := self.running_above(node)):
            node = above[0]
        return node

    def version(self, node: int) -> bytes:
        """Give the version of a node's result, which has one; of an expanding one, with those of what it returned."""
        if self.growth is not None:
            return self.growth.version(node)
        return self.metas[node].version  # type: ignore[union-attr]  # it has one

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
            is_doubtful = node in self.displaced or follows_upstream(self.reasons[node])
            upstreams = self.graph.upstreams[node] if is_doubtful else ()
            if is_doubtful and not any(map(is_sure, self.unfinished(upstreams))):
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


def kind_of_reason(reason: str) -> str:
    """Leave out of a plan's reason which upstream it is, and which input.

    >>> kind_of_reason("its inputs: in.csv changed (1.2 MB -> 1.3 MB)")
    'an input changed'
    """
    return "an input changed" if reason.startswith(_ITS_INPUTS) else general_reason(reason)
