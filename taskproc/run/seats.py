"""Where the tasks of a run sit in the cache: their ids, which name their instance directories."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from ..plan.former import Former, signature
from ..plan.graph import Plan, TaskClass


class Seats:
    """The ids of a run's tasks.

    An id is allotted to each task that will run. Where small results are packed, most tasks never need a directory, so
    ids are set aside only, and noted when a directory has been made after all.

    Args:
        plan: The run's plan.
        is_packed_class: Says whether the small results of a class are packed.

    Attributes:
        ids: The tasks' ids, by node; -1 while a task has none.
    """

    def __init__(self, plan: Plan, is_packed_class: Callable[[TaskClass], bool]) -> None:
        self.ids: list[int] = [-1] * len(plan.graph)
        self._graph = plan.graph
        self._plan = plan
        self._is_packed_class = is_packed_class
        self._packed: set[type] = set()
        self._ready: dict[type, bytes] = {}  # the classes whose directories are, with their sources then
        self._set_aside: set[int] = set()
        self._results: dict[type, Path] = {}

    def allot(self) -> None:
        """Give ids to all tasks that will run, and make the directories above theirs."""
        for known in self._graph.classes.values():
            known.store.ids.note_found()
        self._allot(self._plan.stale)

    def grow(self, nodes: Iterable[int]) -> None:
        """Give ids to tasks that were added and will run."""
        self.ids += [-1] * (len(self._graph) - len(self.ids))
        self._allot(nodes)

    def _allot(self, nodes: Iterable[int]) -> None:
        for cls, of_class in self._graph.by_class(nodes).items():
            self._allot_in(cls, of_class)

    def _allot_in(self, cls: type, nodes: list[int]) -> None:
        known = self._graph.classes[cls]
        if self._ready.get(cls) != known.source:  # a run that grows comes here often
            self._make_ready(known)
            self._ready[cls] = known.source
        self._rename(known, nodes)
        if self._is_packed_class(known):
            self._packed.add(cls)
            self._reserve(known, nodes)
        else:
            ids = known.store.allot([self._graph.digest(node) for node in nodes])
            for node in nodes:
                self.ids[node] = ids[self._graph.digest(node)]

    def _make_ready(self, known: TaskClass) -> None:
        known.store.make_ready()
        if known.text is not None:
            known.store.save_source(known.source, known.text)
        known.store.save_signature(signature(known.config))

    def _rename(self, known: TaskClass, nodes: list[int]) -> None:
        """Let results that were made under a former identity of the class's tasks stay in their directories."""
        for node in nodes:
            found = self._plan.displaced.get(node)
            if isinstance(found, Former) and found.origin is known.store and found.meta.size:
                known.store.ids.rename(found.meta.identity, found.digest)

    def directory(self, node: int) -> str:
        """Give a task's instance directory."""
        return self._graph.class_of(node).store.instance_directory(self.ids[node])

    def path(self, node: int) -> Path:
        """Give a task's instance directory as a path; the part that its class shares is parsed once."""
        cls = type(self._graph.tasks[node])
        above = self._results.get(cls)
        if above is None:
            above = self._results[cls] = Path(self.directory(node)).parent
        return above / str(self.ids[node])

    def is_packed(self, node: int) -> bool:
        """Whether a task's result may go to its class's packed file."""
        task = self._graph.tasks[node]
        return type(task) in self._packed and not task._task_config.prefix_command

    def is_set_aside(self, node: int) -> bool:
        """Whether a task's id is yet to be noted, so that its directory cannot exist."""
        return node in self._set_aside

    def note(self, node: int) -> None:
        """Note a task's id, since its directory has been made after all. It stays set aside for this run's workers."""
        if node in self._set_aside:
            self._graph.class_of(node).store.ids.assign({self._graph.digest(node): self.ids[node]})

    def look_up(self, nodes: Iterable[int], *, thoroughly: bool = False) -> None:
        """Go by the ids that other drivers may have noted for these tasks since this run set its own aside.

        Args:
            nodes: The tasks.
            thoroughly: Whether to look at the directories too, for results whose driver died before it noted their
                ids. That takes time by the size of the class.
        """
        for cls, among in self._graph.by_class(self._set_aside.intersection(nodes)).items():
            table = self._graph.classes[cls].store.ids
            if thoroughly:
                table.look_again()
            ids = table.lookup([self._graph.digest(node) for node in among])
            if thoroughly:
                table.note_found()  # before anything is seen to of the run that made them, so that all go by one id
            for node in among:
                if self._graph.digest(node) in ids:
                    self.ids[node] = ids[self._graph.digest(node)]
                    self._set_aside.discard(node)

    def move_in(self, node: int, directory: str) -> bool:
        """Move to the directory that a dead run set aside for a task and filed its attempt in; whether it is ours.

        Args:
            node: The task.
            directory: The attempt's instance directory.
        """
        id = int(os.path.basename(directory))
        if node in self._set_aside:
            table, digest = self._graph.class_of(node).store.ids, self._graph.digest(node)
            table.assign({digest: id})
            self.ids[node] = table.lookup([digest])[digest]
            self._set_aside.discard(node)
        return self.ids[node] == id

    def find(self, node: int) -> int:
        """Give the id of a task that need not run, looking it up at the first call."""
        if self.ids[node] < 0:
            digest = self._graph.digest(node)
            self.ids[node] = self._graph.class_of(node).store.ids.lookup([digest])[digest]
        return self.ids[node]

    def _reserve(self, known: TaskClass, nodes: list[int]) -> None:
        ids = known.store.ids.lookup([self._graph.digest(node) for node in nodes])
        new = [node for node in nodes if self._graph.digest(node) not in ids]
        following = known.store.ids.reserve(len(new)) if new else 0
        for node in nodes:
            self.ids[node] = ids.get(self._graph.digest(node), -1)
        for node in new:
            self.ids[node], following = following, following + 1
        self._set_aside.update(new)
