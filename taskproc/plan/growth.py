"""How a plan grows: what expanding tasks have returned becomes a part of the graph, and is judged with it.

A task that needs an expanding one needs the results of all tasks that this has returned. So these count as judged, as
done, as a version, together: the expanding task is their knot, and nobody else has an edge to them.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from ..base.errors import CycleError, TaskprocError, UntrustedCacheError, UpstreamChangedError
from ..base.lean import blake2b
from ..base.telling import words_of
from ..store.meta import Meta
from ..tasks.expansion import Expansion
from ..tasks.node import Node
from ..tasks.trust import check_trust
from .circles import circle_through, reached, told_circle
from .inputs import Inputs
from .nodes import TaskGraph
from .returned import load_expansion


class Growth:
    """The expanding tasks of a plan, and what they have returned.

    Args:
        graph: The graph; it grows.
        metas: The provenance of each node's result, which grows with it.
        reasons: Why each node must run; likewise.
        why_stale: Says why a node must run, once its upstreams are judged.
        inputs: The inputs from outside, which grow likewise.
        helpers, files, imported: As for `TaskGraph.read_sources`.

    Attributes:
        returned: The nodes of the tasks that an expanding task has returned, each once.
        shapes: How they stand in what it has returned.
        running: For each of those that have not all got results: the first that runs.
        renewed: The classes whose sources are others than when the first node was judged, with their former digests:
            more is known of what their tasks may be given.
    """

    def __init__(
        self,
        graph: TaskGraph,
        metas: list[Meta | None],
        reasons: list[str],
        why_stale: Callable[[int, Meta | None], str],
        inputs: Inputs,
        *,
        helpers: bool,
        files: bool,
        imported: bool,
    ) -> None:
        self.returned: dict[int, list[int]] = {}
        self.shapes: dict[int, Expansion] = {}
        self.running: dict[int, int] = {}
        self.renewed: dict[type, bytes] = {}
        self._graph = graph
        self._metas = metas
        self._reasons = reasons
        self._why_stale = why_stale
        self._inputs = inputs
        self._helpers = helpers
        self._files = files
        self._imported = imported
        self._sums: dict[int, tuple[bytes, bytes]] = {}  # versions and values of what was returned, once it is done
        self._sure: dict[int, bool] = {}

    # --- what counts of an upstream ---

    def version(self, node: int) -> bytes:
        """Give the version of a node's result; of an expanding one, with those of the tasks that it returned."""
        return self._sums[node][0] if node in self._sums else self._meta(node).version

    def value(self, node: int) -> bytes:
        """Give the digest of a node's value; of an expanding one, with those of the tasks that it returned."""
        return self._sums[node][1] if node in self._sums else self._meta(node).value

    def below(self, nodes: Iterable[int]) -> int | None:
        """Give a task that runs and that one of these nodes, which are done themselves, has returned."""
        return next((self.running[node] for node in nodes if node in self.running), None) if self.running else None

    def read_by(self, nodes: Iterable[int]) -> list[int]:
        """Give nodes, each once, with all that those among them that expand have returned."""
        found = dict.fromkeys(nodes)
        waiting = list(found)
        for node in waiting:  # which grows
            for inner in self.returned.get(node, ()):
                if inner not in found:
                    found[inner] = None
                    waiting.append(inner)
        return list(found)

    def is_sure_to_change(self, node: int, is_sure: Callable[[int], bool]) -> bool:
        """Whether one of the tasks that a node has returned runs, and will surely give another result.

        Args:
            node: The node.
            is_sure: Says so of a task that runs.
        """
        for one in self.running:  # each behind those that it has returned
            if one not in self._sure:
                running = [inner for inner in self.returned[one] if self._reasons[inner]]
                self._sure[one] = any(map(is_sure, running)) or any(self._sure.get(up) for up in self.returned[one])
            if one == node:
                break
        return self._sure[node]

    def done(self, nodes: Iterable[int]) -> None:
        """Note that all that these have returned is done."""
        for node in nodes:
            self.running.pop(node, None)
            self._sum_up(node)

    def _sum_up(self, node: int) -> None:
        meta, inner = self._meta(node), self.returned[node]
        versions = [meta.version, *map(self.version, inner)]
        values = [meta.value, *map(self.value, inner)]
        self._sums[node] = digest_of(versions), digest_of(values)

    def _meta(self, node: int) -> Meta:
        meta = self._metas[node]
        assert meta is not None, "it has a result"
        return meta

    # --- growing ---

    def judge_all(self) -> dict[int, int]:
        """Judge all tasks of the graph, and add to it what fresh ones have returned.

        Returns:
            For each node its new number, by which each stands behind all that it waits for.
        """
        judging = _Judging(self, range(len(self._graph)))
        judging.judge()
        while circle := judging.circle():  # it may return something else now, and is told when it does not
            judging.forget(circle[0], words_of(self.circle(circle)))
            judging.judge()
        return self._number_anew(judging.order)

    def _number_anew(self, order: Sequence[int]) -> dict[int, int]:
        """Number the tasks in an order, without those that nobody needs who is not to run again first."""
        graph = self._graph
        needed = reached(graph.root, lambda node: [*graph.upstreams[node], *self.returned.get(node, ())])
        order = [node for node in order if node in needed]
        metas, reasons = self._metas, self._reasons
        graph.renumber(order)
        metas[:], reasons[:] = [metas[node] for node in order], [reasons[node] for node in order]
        new = {node: number for number, node in enumerate(order)}
        self.returned = {new[node]: [new[one] for one in ones] for node, ones in self.returned.items() if node in new}
        self.shapes = {new[node]: shape for node, shape in self.shapes.items() if node in new}
        self.running = {new[node]: new[one] for node, one in self.running.items() if node in new}
        self._sums = {new[node]: sums for node, sums in self._sums.items() if node in new}

        return new

    def grow(self, found: dict[int, Meta]) -> dict[int, BaseException]:
        """Go on from the results of expanding tasks, in a run: add to the graph what they have returned.

        Returns:
            Those for which this cannot be done, and why; they leave no trace.
        """
        failed: dict[int, BaseException] = {}
        for node, meta in found.items():
            before, reason, length = self._metas[node], self._reasons[node], len(self._graph)
            self._metas[node], self._reasons[node] = meta, ""
            try:
                judging = _Judging(self, ())
                judging.add(node, *self.load(node))
                judging.judge()
                self._refuse_circle(judging.circle() or circle_through(node, self._awaited))
            except Exception as error:
                self._take_back(length)
                self._metas[node], self._reasons[node] = before, reason
                self.returned.pop(node, None)
                self.running.pop(node, None)
                failed[node] = error
        return failed

    def _take_back(self, length: int) -> None:
        self._graph.take_back(length)
        self._inputs.forget(length)
        del self._metas[length:], self._reasons[length:]
        for node in [node for node in self.returned if node >= length]:
            del self.returned[node]
            self.running.pop(node, None)
            self._sums.pop(node, None)

    def load(self, node: int) -> tuple[Expansion, list[Node]]:
        """Read what an expanding task has returned, and construct these tasks anew.

        Raises:
            TaskprocError: That cannot be done.
        """
        expansion = load_expansion(self._graph.tasks[node], self._graph)
        (found,) = self._graph.class_of(node).store.peek([self._graph.digest(node)])
        if found is None or found.commit != self._meta(node).commit:
            msg = f"another run has replaced what {self._graph.tasks[node]!r} returned; run again"
            raise UpstreamChangedError(msg)
        return expansion, expansion.tasks()

    def add(self, node: int, expansion: Expansion, tasks: Sequence[Node]) -> Sequence[int]:
        """Add to the graph the tasks that a node has returned, and give the nodes that are new."""
        graph, first, classes = self._graph, len(self._graph), len(self._graph.classes)
        graph.add(tasks)
        if len(graph.classes) > classes:
            check_trust(graph.cache.root, [known.store.directory for known in graph.classes.values()])
        self._metas += graph.read_results(first)
        self._reasons += [""] * (len(graph) - first)
        self.returned[node] = [graph.node_of[task._task.digest] for task in tasks]
        self.shapes[node] = expansion
        self._read_sources(node, tasks)
        self._inputs.extend(first)
        return range(first, len(graph))

    def _read_sources(self, node: int, tasks: Iterable[Node]) -> None:
        """Read the sources anew if more is known of classes: whose results they may be given, with which values."""
        graph = self._graph
        is_more = graph.kinds.give(type(graph.tasks[node]), map(type, tasks))
        is_more = is_more or len(graph.read.sources) < len(graph.classes)
        if self._helpers:
            is_more = graph.kinds.look_at(graph.tasks, graph.upstreams) or is_more
        if is_more:
            before = {cls: known.source for cls, known in graph.classes.items() if known.text is not None}
            graph.read_sources(helpers=self._helpers, files=self._files, imported=self._imported)
            for cls, source in before.items():
                if graph.classes[cls].source != source:
                    self.renewed.setdefault(cls, source)

    def settle(self, node: int) -> None:
        """Note whether all that a node has returned is done, now that this has been judged."""
        for one in self.returned[node]:
            if self._reasons[one] or one in self.running:
                self.running[node] = one if self._reasons[one] else self.running[one]
                return
        self._sum_up(node)

    # --- circles ---

    def _refuse_circle(self, circle: Sequence[int] | None) -> None:
        """Refuse what a node has returned if it waits for that very node."""
        if circle:
            raise self.circle(circle)

    def _awaited(self, node: int) -> list[int]:
        """Give those unfinished nodes that one waits for."""
        nodes = self._graph.upstreams[node] if self._reasons[node] else self.returned.get(node, ())
        return [up for up in nodes if self._reasons[up] or up in self.running or up == node or self._is_open(up)]

    def _is_open(self, node: int) -> bool:
        return node in self.returned and node not in self._sums

    def circle(self, nodes: Sequence[int]) -> CycleError:
        """Say that tasks wait for each other; the first is the last again, and has returned the second."""
        return told_circle([repr(self._graph.tasks[node]) for node in nodes])


class _Judging:
    """Judges nodes, each once those that it waits for are judged, and adds what they have returned.

    Args:
        growth: Learns what comes of it.
        nodes: The nodes to judge.

    Attributes:
        order: What was judged, each behind all that it waits for.
    """

    def __init__(self, growth: Growth, nodes: Iterable[int]) -> None:
        self._growth = growth
        self._graph = growth._graph
        self._unjudged: set[int] = set()  # or judged, while what it has returned is not
        self._missing: dict[int, int] = {}
        self._waiting: dict[int, list[int]] = {}
        self._ready: deque[int] = deque()
        self.order: list[int] = []
        self._enter(nodes)

    def judge(self) -> None:
        """Judge all that can be, one after another."""
        while self._ready:
            node = self._ready.popleft()
            if node in self._growth.returned:
                self._growth.settle(node)
                self._settled(node)
                continue
            self._judge(node)
            if self._is_fresh_expanding(node):
                self._expand(node)
            else:
                self._settled(node)

    def forget(self, node: int, why: str) -> None:
        """Have a node run again, since what it has returned is of no use."""
        self._growth.returned.pop(node, None)
        self._growth._reasons[node] = f"what it returned is of no use any more ({why})"
        self._settled(node)

    def add(self, node: int, expansion: Expansion, tasks: Sequence[Node]) -> None:
        """Add what a node has returned, and have it judged, and the node itself settled after that."""
        new = self._growth.add(node, expansion, tasks)
        self._unjudged.add(node)
        self._enter(new)
        self._wait(node, self._growth.returned[node])

    def _expand(self, node: int) -> None:
        """Add what a node that has a result has returned, or else find that it must run again."""
        try:
            expansion, tasks = self._growth.load(node)
        except UntrustedCacheError:
            raise
        except TaskprocError as error:
            self.forget(node, words_of(error))
        else:
            self.add(node, expansion, tasks)

    def _is_fresh_expanding(self, node: int) -> bool:
        return not self._growth._reasons[node] and self._graph.class_of(node).config.expands

    def _judge(self, node: int) -> None:
        growth = self._growth
        if not growth._reasons[node]:
            growth._reasons[node] = growth._why_stale(node, growth._metas[node])

    def _enter(self, nodes: Iterable[int]) -> None:
        self._unjudged.update(nodes)
        for node in nodes:
            self._wait(node, self._graph.upstreams[node])

    def _wait(self, node: int, others: Iterable[int]) -> None:
        """Have a node wait for others, as far as they are to be judged."""
        missing = [other for other in dict.fromkeys(others) if other in self._unjudged]
        if not missing:
            self._ready.append(node)
            return
        self._missing[node] = len(missing)
        for other in missing:
            self._waiting.setdefault(other, []).append(node)

    def _settled(self, node: int) -> None:
        self._unjudged.discard(node)
        self.order.append(node)
        for other in self._waiting.pop(node, ()):
            self._missing[other] -= 1
            if not self._missing[other] and other in self._unjudged:
                self._ready.append(other)

    def circle(self) -> list[int]:
        """Find tasks that wait for each other, if any are left, so that one stands at both ends that returned one."""
        if not self._unjudged:
            return []
        came: dict[int, None] = {}
        node = next(iter(self._unjudged))
        while node not in came:
            came[node] = None
            waits_for = self._growth.returned.get(node) or self._graph.upstreams[node]
            node = next(one for one in waits_for if one in self._unjudged)
        circle = list(came)[list(came).index(node) :]
        at = next(at for at, one in enumerate(circle) if one in self._growth.returned)
        return [*circle[at:], *circle[: at + 1]]


def digest_of(parts: Iterable[bytes]) -> bytes:
    """Digest several digests together."""
    return blake2b(b"".join(parts), digest_size=16).digest()
