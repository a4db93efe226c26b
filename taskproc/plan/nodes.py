"""The graph of tasks below one task, each behind its upstreams."""
from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, cast

from ..base.errors import TaskDefinitionError
from ..store.cache import Cache
from ..store.class_store import ClassStore
from ..store.meta import Meta
from ..tasks.config import TaskConfig
from ..tasks.construction import recent
from ..tasks.node import Node, TaskRecord
from ..tasks.source import same_source, source_digest
from .former import Former, Renamed, former_results
from .kinds import Kinds, two_classes
from .sources import NOTHING_READ, Asked, read_texts

if TYPE_CHECKING:
    import networkx

_LOGGER = logging.getLogger(__name__)
NO_SOURCE = b"\0" * 16


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

    def take(self, source: bytes) -> None:
        """Take note of the digest of the source; what other source is as good is to be found out anew if it differs."""
        if source != self.source:
            self.source = source
            self._accepted.clear()

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
        root: The task asked for.
        cache: Where their results lie.
        beside: Further tasks that are asked for.

    Attributes:
        cache: As given.
        root: The node of the task asked for: the last one, unless the graph grows while it runs.
        tasks: The tasks by node.
        upstreams: The nodes that each node needs, in the order of its requirements.
        node_of: The node of each task, by identity digest.
        read: The sources of the classes, with the texts that they were read from.
        kinds: What the tasks tell of their classes.
    """

    def __init__(self, root: Node, cache: Cache, beside: Sequence[Node] = ()) -> None:
        self.tasks: list[Node] = []
        self.upstreams: list[Sequence[int]] = []
        self.node_of: dict[bytes, int] = {}
        self.read = NOTHING_READ
        self.classes: dict[type, TaskClass] = {}
        self.kinds = Kinds()
        self.cache = cache
        self._digests: list[bytes] = []
        self._named: dict[str, type] = {}
        self.add([*beside, root])
        self.root = self.node_of[root._task.digest]

    def add(self, tasks: Iterable[Node]) -> None:
        """Add tasks and all that they need, as far as these are new, behind those that are there.

        Raises:
            TaskDefinitionError: Two classes have one name; nothing was added.
        """
        found = _collect(tasks, self.node_of, self.tasks)
        recent.let_go()
        classes: dict[type[Node], None] = dict.fromkeys(map(type, found))
        for cls in classes:
            if cls not in self.classes and self._named.setdefault(cls._task_config.name, cls) is not cls:
                raise two_classes(cls)
        first = len(self.tasks)
        self.tasks += found
        digests = [task._task.digest for task in found]
        self._digests += digests
        node_of = self.node_of
        node_of.update(zip(digests, range(first, len(self.tasks)), strict=True))
        self.upstreams += [
            [node_of[up._task.digest] for up in task._task.upstreams]  # type: ignore[union-attr]  # checked by _collect
            for task in found
        ]
        for cls in classes:
            if cls not in self.classes:
                config = cls._task_config
                self.classes[cls] = TaskClass(config, self.cache.class_store(config.name))

    def take_back(self, length: int) -> None:
        """Leave out what was added since there were so many tasks; its classes stay."""
        for digest in self._digests[length:]:
            del self.node_of[digest]
        self.kinds.forget(length)
        del self.tasks[length:], self._digests[length:], self.upstreams[length:]

    def renumber(self, order: Sequence[int]) -> None:
        """Number the tasks anew, in an order in which each stands behind its upstreams."""
        new = {node: number for number, node in enumerate(order)}
        self.tasks = [self.tasks[node] for node in order]
        self._digests = [self._digests[node] for node in order]
        self.upstreams = [[new[up] for up in self.upstreams[node]] for node in order]
        self.node_of = {digest: node for node, digest in enumerate(self._digests)}
        self.root = new[self.root]

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

    def read_sources(self, *, helpers: bool, files: bool = False, imported: bool = False) -> None:
        """Read the source of every class, and say so once of those that have none.

        Args:
            helpers: Whether what a class uses of the user's own modules is a part of its source.
            files: Whether these modules count as a whole.
            imported: Whether to find out all that is imported, too.

        Raises:
            SourceChangedError: What is loaded is not what a file says.
        """
        if helpers:
            self.kinds.look_at(self.tasks, self.upstreams)
        above = self.kinds.above() if helpers else {}
        values = self.kinds.values() if helpers else {}
        self.read = read_texts(
            {cls: Asked(known.config, values.get(cls, ()), above.get(cls, ())) for cls, known in self.classes.items()},
            helpers=helpers,
            files=files,
            imported=imported,
        )
        for cls, known in self.classes.items():
            known.text = self.read.sources[cls]
            if known.text is not None:
                known.take(source_digest(known.text))
            elif known.config.name not in _told:
                _told.add(known.config.name)
                _LOGGER.warning("%s has no source to read, so changes in it go unseen", known.config.name)

    def read_results(self, first: int = 0) -> list[Meta | None]:
        """Read the provenance of the results of all tasks, or of those from one on, class by class."""
        metas: list[Meta | None] = [None] * (len(self.tasks) - first)
        for cls, nodes in self.by_class(range(first, len(self))).items():
            if not first:
                self.classes[cls].store.ids.look_again()
            found = self.classes[cls].store.peek([self.digest(node) for node in nodes])
            for node, meta in zip(nodes, found, strict=True):
                metas[node - first] = meta
        return metas

    def read_former(self, metas: Sequence[Meta | None]) -> dict[int, Former]:
        """Read results that were made under former identities of tasks that have none by today's source."""
        found: dict[int, Former] = {}
        renamed: Renamed = {}
        by_class = cache(lambda: self.by_class(range(len(self))))  # of most graphs nobody asks for it

        def records_of(cls: type) -> dict[int, TaskRecord]:
            accepts = self.classes[cls].accepts
            without = (node for node in by_class()[cls] if (meta := metas[node]) is None or not accepts(meta.source))
            return {node: cast("TaskRecord", self.tasks[node]._task) for node in without}

        for cls, known in self.classes.items():
            found.update(former_results(known.config, known.store, partial(records_of, cls), renamed))
        return found

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


_told: set[str] = set()


def _collect(tasks: Iterable[Node], known: Mapping[bytes, int], among: Sequence[Node]) -> list[Node]:
    """List tasks and what they need, each behind its upstreams, without those that are known.

    A task is complete only after its upstreams are, so the order of construction is a topological one.
    """
    seen: dict[bytes, type] = {}
    found: list[Node] = []
    try:
        groups = (task._task.upstreams for task in found)  # type: ignore[union-attr]  # the except clause is the check
        for group in chain([tasks], groups):  # which grows as tasks are found
            for task in group:
                digest = task._task.digest
                if digest not in seen:
                    node = known.get(digest)
                    seen[digest] = type(task) if node is None else type(among[node])
                    if node is None:
                        found.append(task)
                if seen[digest] is not type(task):
                    raise two_classes(type(task))
        found.sort(key=attrgetter("_task.sequence"))
    except AttributeError:
        strangers = [task for task in found if not hasattr(task._task, "upstreams")]
        if not strangers:
            raise
        msg = f"{strangers[0]!r} came from another process without its upstreams; construct it anew to run it."
        raise TaskDefinitionError(msg) from None
    return found
