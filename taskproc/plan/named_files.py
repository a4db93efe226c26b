"""Whether the files are there that results name, and which tasks must run again for those that are not.

A file is the task's in whose data directory it lies. That task runs again, whoever names the file; who names it does
so where that task is not in the graph, or its running makes no difference to it.
"""
from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..store.meta import NAMES_FILES, NAMES_PLACE, Meta
from ..store.named_files import changes, is_elsewhere, owner_of, read_noted, told

if TYPE_CHECKING:
    from ..store.named_files import FileState
    from .nodes import TaskGraph

_CONCERNED = NAMES_FILES | NAMES_PLACE
_ELSEWHERE = "the cache was moved, and its result has paths in bytes or in an array, which lead to where it was"

_UNREADABLE = "what its result notes of its files cannot be read"


def whose_files(graph: TaskGraph, metas: Sequence[Meta | None]) -> set[tuple[str, int]]:
    """Give the tasks whose files results name, by the name of their class's directory and their id."""
    found: set[tuple[str, int]] = set()
    for node, meta in enumerate(metas):
        if meta is not None and meta.flags & NAMES_FILES:
            notes = graph.class_of(node).store.load_all_notes([meta]).get(meta.identity, {})
            found.update(owner for rest in read_noted(notes) or () if (owner := owner_of(rest)) is not None)
    return found


class NamedFiles:
    """The files that a graph's results name.

    Args:
        graph: The graph.
        metas: The provenance of each node's result.
        flagged: That of those which have flags.

    Attributes:
        lost: What is to be said of nodes whose files others' results name, if these have changed; and the commit ids
            of the results that were made with them.
        nodes: These, and those whose results name files.
    """

    def __init__(self, graph: TaskGraph, metas: Sequence[Meta | None], flagged: Mapping[int, Meta]) -> None:
        self._graph = graph
        self._node_at: dict[tuple[str, int], int] | None = None
        self.lost: dict[int, tuple[bytes, str]] = {}
        self._seen: dict[int, tuple[str, str]] = {}
        named = {node: meta for node, meta in flagged.items() if meta.flags & _CONCERNED}
        for nodes in graph.by_class(named).values():
            found = graph.class_of(nodes[0]).store.load_all_notes([named[node] for node in nodes])
            for node in nodes:
                self._seen[node] = self._judge(node, found.get(graph.digest(node)), metas)
        self.nodes = {*named, *self.lost}

    def reasons(self, node: int, meta: Meta) -> tuple[str, str]:
        """Say why a result will not do because of a file of the node's own, and of another's; nothing if it will."""
        if not meta.flags and not self.lost:
            return "", ""
        own = others = ""
        if meta.flags & _CONCERNED:
            own, others = self._seen.get(node) or self._judge(node, self._notes(node, meta), ())
        if not own and node in self.lost and self.lost[node][0] == meta.commit:
            own = self.lost[node][1]
        return own, others

    def look_again(self) -> None:
        """From now on, see for each result what has become of its files meanwhile."""
        self._seen.clear()

    def renumber(self, new: Mapping[int, int]) -> None:
        """Go by the new numbers of nodes."""
        self.lost = {new[node]: said for node, said in self.lost.items()}
        self.nodes = {new[node] for node in self.nodes}
        self._seen.clear()
        self._node_at = None

    def _notes(self, node: int, meta: Meta) -> Mapping[str, object] | None:
        return self._graph.class_of(node).store.load_all_notes([meta]).get(meta.identity)

    def _judge(
        self, node: int, notes: Mapping[str, object] | None, metas: Sequence[Meta | None]
    ) -> tuple[str, str]:
        """Do so for one result, and note whose files have changed, as far as results are given for that."""
        known = self._graph.class_of(node)
        directory = os.path.dirname(known.store.directory)
        noted = None if notes is None else read_noted(notes)
        if notes is None or noted is None:
            return _UNREADABLE, ""
        if is_elsewhere(directory, notes):  # whose file it is does not matter then
            return _ELSEWHERE, ""
        own = others = ""
        for change in changes(directory, noted, known.config.files):
            owner = self._owner(change[0])
            if owner == node:
                own = own or told(change, "its")
            elif owner is None:
                others = others or told(change, "another task's")
            elif self._counts(owner, directory, change[0], noted):
                others = others or told(change, f"{self._graph.tasks[owner]!r}'s")
                if metas and (meta := metas[owner]) is not None:
                    why = f"{told(change, 'its')}, which is in the result of {self._graph.tasks[node]!r}"
                    self.lost.setdefault(owner, (meta.commit, why))
        return own, others

    def _counts(self, owner: int, directory: str, rest: str, noted: Mapping[str, FileState | None]) -> bool:
        """Whether a change of a file counts for the task whose file it is, too."""
        kind = self._graph.class_of(owner).config.files
        inside = {path: noted[path] for path in (rest, f"{rest}/") if path in noted}
        return bool(changes(directory, inside, kind)) if inside else kind == "content"

    def _owner(self, rest: str) -> int | None:
        """Give the node in whose data directory a path leads; None if that task is not in the graph."""
        if self._node_at is None:
            classes = self._graph.class_of
            self._node_at = {
                (os.path.basename(classes(node).store.directory), id): node for node, id in self._graph.ids().items()
            }
        at = owner_of(rest)
        return self._node_at.get(at) if at is not None else None
