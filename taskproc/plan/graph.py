"""The graph of tasks below one task, and which of them must run."""
from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING

from ..base.errors import SourceChangedError, TaskDefinitionError
from ..base.lean import blake2b
from ..store.cache import Cache
from ..store.class_store import ClassStore
from ..store.meta import Meta
from ..tasks.config import TaskConfig, definitions, where_defined
from ..tasks.construction import recent
from ..tasks.node import Node
from ..tasks.source import same_source, source_digest
from ..tasks.values import PLAIN, is_former, value_classes
from .named_files import NamedFiles
from .sources import NOTHING_READ, Asked, read_texts

if TYPE_CHECKING:
    import networkx

_LOGGER = logging.getLogger(__name__)
NO_SOURCE = b"\0" * 16
NO_UPSTREAMS = blake2b(digest_size=16).digest()
FORCED = "asked for by force"
_ITS_UPSTREAM = "its upstream "


@dataclass
class TaskClass:
    """One class of the graph, with its place in the cache and the source that it has now.

    Attributes:
        source: The digest of the normalised source; zeros when there is none to read.
        text: The normalised source.
    """

    config: TaskConfig
    store: ClassStore
    source: bytes = NO_SOURCE
    text: str | None = None
    _accepted: dict[bytes, bool] = field(default_factory=dict)

    def accepts(self, stored: bytes) -> bool:
        """Whether a result computed by that source is as good as one computed by today's."""
        if stored == self.source:
            return True
        if self.text is None:  # of a result by some source nobody can say whether it is the class's
            return False
        if stored not in self._accepted:
            text = self.store.load_source(stored)
            same = text is not None and same_source(text, self.text)
            self._accepted[stored] = same or stored in self.store.accepted_sources(self.source)
        return self._accepted[stored]

    def accept(self, stored: Iterable[bytes]) -> None:
        """From now on, results computed by these sources are as good as ones computed by today's."""
        assert self.text is not None, "a class without a source takes every result"
        self.store.save_source(self.source, self.text)
        self.store.accept_sources(self.source, stored)
        self._accepted.clear()


class TaskGraph:
    """All tasks that one task needs, each behind its upstreams, numbered from 0 in that order.

    Args:
        root: The task asked for; it is the last node.
        cache: Where their results lie.

    Attributes:
        tasks: The tasks by node.
        upstreams: The nodes that each node needs, in the order of its requirements.
        node_of: The node of each task, by identity digest.
        read: The sources of the classes, with the texts that they were read from.
    """

    def __init__(self, root: Node, cache: Cache) -> None:
        self.tasks = _collect(root)
        recent.let_go()
        self._digests = [task._task.digest for task in self.tasks]
        self.node_of = {digest: node for node, digest in enumerate(self._digests)}
        node_of = self.node_of
        self.upstreams: list[Sequence[int]] = [
            [node_of[up._task.digest] for up in task._task.upstreams]  # type: ignore[union-attr]  # checked by _collect
            for task in self.tasks
        ]
        self.read = NOTHING_READ
        self.classes: dict[type, TaskClass] = {}
        named: dict[str, type] = {}
        for task in self.tasks:
            if type(task) not in self.classes:
                config = task._task_config
                if named.setdefault(config.name, type(task)) is not type(task):
                    raise _two_classes(type(task))
                self.classes[type(task)] = TaskClass(config, cache.class_store(config.name))

    def __len__(self) -> int:
        return len(self.tasks)

    def class_of(self, node: int) -> TaskClass:
        """Give the class of a node's task."""
        return self.classes[type(self.tasks[node])]

    def digest(self, node: int) -> bytes:
        """Give the identity of a node's task."""
        return self._digests[node]

    def by_class(self, nodes: Iterable[int]) -> dict[type, list[int]]:
        """Group nodes by the classes of their tasks."""
        tasks = self.tasks
        nodes_of: dict[type, list[int]] = {}
        for node in nodes:
            nodes_of.setdefault(type(tasks[node]), []).append(node)
        return nodes_of

    def read_sources(self, *, helpers: bool, files: bool = False) -> None:
        """Read the source of every class, and say so once of those that have none.

        Args:
            helpers: Whether what a class uses of the user's own modules is a part of its source.
            files: Whether these modules count as a whole.

        Raises:
            SourceChangedError: What is loaded is not what a file says.
        """
        above = self._classes_above() if helpers else {}
        values = self._classes_of_values() if helpers else {}
        self.read = read_texts(
            {cls: Asked(known.config, values.get(cls, ()), above.get(cls, ())) for cls, known in self.classes.items()},
            helpers=helpers,
            files=files,
        )
        for cls, known in self.classes.items():
            known.text = self.read.sources[cls]
            if known.text is not None:
                known.source = source_digest(known.text)
            elif known.config.name not in _told:
                _told.add(known.config.name)
                _LOGGER.warning("%s has no source to read, so changes in it go unseen", known.config.name)

    def _classes_above(self) -> dict[type, set[type]]:
        """Give for each class those whose results its tasks may be given, also as a part of others' results."""
        above: dict[type, set[type]] = {cls: set() for cls in self.classes}
        kinds = list(map(type, self.tasks))
        for kind, up in {(kind, kinds[up]) for kind, ups in zip(kinds, self.upstreams, strict=True) for up in ups}:
            above[kind].add(up)
        return {cls: _closure(cls, above) for cls in above}

    def _classes_of_values(self) -> dict[type, set[type]]:
        """Give for each class those of the values that its tasks were given as arguments."""
        bound = [task._task.bound.values() for task in self.tasks]  # type: ignore[union-attr]  # checked by _collect
        found: dict[type, set[type]] = {}
        if not PLAIN.issuperset(map(type, chain.from_iterable(bound))):
            for task, values in zip(self.tasks, bound, strict=True):
                found.setdefault(type(task), set()).update(value_classes(values))
            _refuse_former(filter(is_former, chain.from_iterable(found.values())))
        return found

    def read_results(self) -> list[Meta | None]:
        """Read the provenance of every task's result, class by class."""
        metas: list[Meta | None] = [None] * len(self.tasks)
        for cls, nodes in self.by_class(range(len(self))).items():
            self.classes[cls].store.ids.look_again()
            found = self.classes[cls].store.peek([self.digest(node) for node in nodes])
            for node, meta in zip(nodes, found, strict=True):
                metas[node] = meta
        return metas

    def ids(self) -> dict[int, int]:
        """Read the ids of those nodes that have one, class by class."""
        found: dict[int, int] = {}
        for cls, nodes in self.by_class(range(len(self))).items():
            ids = self.classes[cls].store.ids.lookup([self.digest(node) for node in nodes])
            found.update((node, ids[digest]) for node in nodes if (digest := self.digest(node)) in ids)
        return found

    def to_networkx(self) -> networkx.DiGraph:
        """Give the graph to networkx: nodes by number with their `task`, edges from upstream to downstream."""
        import networkx as nx

        graph = nx.DiGraph()
        graph.add_nodes_from((node, {"task": task}) for node, task in enumerate(self.tasks))
        graph.add_edges_from((up, node) for node, ups in enumerate(self.upstreams) for up in ups)
        return graph


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
        named_files: The files that these results name.
        reasons: Why each node must run; empty for a fresh one.
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
        self.named_files = NamedFiles(graph, self.metas)
        self.forced = frozenset(forced)
        self.reasons = [""] * len(graph)
        for node in self.forced:
            self.reasons[node] = FORCED
        with_files = self.named_files.nodes
        sources = {cls: known.source for cls, known in graph.classes.items()}
        for node, (task, meta) in enumerate(zip(graph.tasks, self.metas, strict=True)):
            # Most tasks of most graphs need nothing, and their class has not changed: there is no more to ask.
            is_as_before = meta is not None and not graph.upstreams[node] and meta.source == sources[type(task)]
            if (not is_as_before or node in with_files) and not self.reasons[node]:
                self.reasons[node] = self.why_stale(node, meta)
        self.stale = [node for node, reason in enumerate(self.reasons) if reason]
        self.named_files.look_again()

    def why_stale(self, node: int, meta: Meta | None) -> str:
        """Say why a result with this provenance will not do; nothing if it will."""
        if meta is None:
            return "no result"
        if self.detect_source_change and not self.graph.class_of(node).accepts(meta.source):
            return "its source changed"
        lacks_own, lacks = self.named_files.reasons(node, meta)
        if lacks_own:
            return lacks_own
        upstreams = self.graph.upstreams[node]
        for up in upstreams:
            if self.reasons[up]:
                return f"{_ITS_UPSTREAM}{self.graph.tasks[up]!r} runs"
        if upstreams and meta.upstreams != self.upstreams_digest(node):
            return "an upstream has a newer result"
        return lacks

    def upstreams_digest(self, node: int) -> bytes:
        """Digest the versions of a node's upstreams, all of which have results."""
        upstreams = self.graph.upstreams[node]
        if not upstreams:
            return NO_UPSTREAMS
        metas = self.metas
        return blake2b(b"".join([metas[up].version for up in upstreams]), digest_size=16).digest()  # type: ignore[union-attr]  # all have results

    def upstream_values_digest(self, node: int) -> bytes:
        """Digest the digests of the values of a node's upstreams, all of which have results."""
        upstreams = self.graph.upstreams[node]
        if not upstreams:
            return NO_UPSTREAMS
        metas = self.metas
        return blake2b(b"".join([metas[up].value for up in upstreams]), digest_size=16).digest()  # type: ignore[union-attr]  # all have results

    def stale_upstreams(self) -> dict[int, list[int]]:
        """Give, for each node that must run, those of its upstreams that must run too, each once."""
        upstreams, reasons = self.graph.upstreams, self.reasons
        return {node: [up for up in dict.fromkeys(upstreams[node]) if reasons[up]] for node in self.stale}

    def doubtful(self) -> set[int]:
        """Give the nodes that need not run after all if their upstreams give again what they gave."""
        found: set[int] = set()
        for node in self.stale:
            if follows_upstream(self.reasons[node]):
                stale = [up for up in self.graph.upstreams[node] if self.reasons[up]]
                if not any(up not in found and self._is_sure_to_change(up) for up in stale):
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


_told: set[str] = set()


def _two_classes(cls: type[Node]) -> TaskDefinitionError:
    msg = (
        f"{where_defined(cls)}two classes of one graph are called {cls._task_config.name}, so their results could not "
        "be told apart. Give each a name of its own, or make one class of them whose __init__ takes what differs; if "
        "the class was defined again, construct the tasks anew."
    )
    return TaskDefinitionError(msg)


def _refuse_former(kinds: Iterable[type]) -> None:
    for kind in kinds:
        definitions.renew()
        msg = (
            f"{kind.__qualname__} was defined again since a task was given one as an argument: that is an instance of "
            "the former class. Construct the tasks anew."
        )
        raise SourceChangedError(msg)


def _closure(cls: type, above: dict[type, set[type]]) -> set[type]:
    found: set[type] = set()
    waiting = [cls]
    while waiting:
        new = above[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def _collect(root: Node) -> list[Node]:
    """List the tasks that one needs, itself the last, each behind its upstreams.

    A task is complete only after its upstreams are, so the order of construction is a topological one.
    """
    seen = {root._task.digest: type(root)}
    found = [root]
    try:
        for task in found:
            for upstream in task._task.upstreams:  # type: ignore[union-attr]  # the except clause is the check
                digest = upstream._task.digest
                if digest not in seen:
                    seen[digest] = type(upstream)
                    found.append(upstream)
                elif seen[digest] is not type(upstream):
                    raise _two_classes(type(upstream))
        found.sort(key=attrgetter("_task.sequence"))
    except AttributeError:
        strangers = [task for task in found if not hasattr(task._task, "upstreams")]
        if not strangers:
            raise
        msg = f"{strangers[0]!r} came from another process without its upstreams; construct it anew to run it."
        raise TaskDefinitionError(msg) from None
    return found
