"""From a node that is ready to a job that a backend can run: its backend, its options, and its payload."""
from __future__ import annotations

import itertools
import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import OptionError, SettingsError
from ..base.options import build_options
from ..plan.graph import Plan, TaskClass
from ..plugin import BackendPlugin, Job
from ..tasks.label import label
from ..tasks.requires import PRIVATE, parts
from ..tasks.substitutes import Const, MappedTask
from ..work.handover import Assignment, PackedResult, StoredResult
from .packing import Packer

if TYPE_CHECKING:
    from ..contract.plugins import Plugins
    from ..tasks.node import Node
    from .choice import BackendChoice

_LONGEST_LINK = 150
_write_args = json.JSONEncoder(default=repr).encode
_HELD_VALUE = 1024  # bytes: larger packed values are read from the file again


@dataclass(frozen=True)
class Place:
    """Where a node's attempt goes: a leaf backend, with checked options."""

    plugin: BackendPlugin
    options: Any


class JobMaker:
    """Makes the jobs of one run.

    Args:
        plan: The run's plan.
        packer: Pickles tasks.
        plugins: Finds backends.
        choice: Chooses among them.
        context: The path of the run's context file.
        packed: The classes whose small results are packed.
        values: Packed results of this run that downstream tasks will want.
    """

    def __init__(
        self, plan: Plan, packer: Packer, plugins: Plugins, choice: BackendChoice, context: str, packed: set[type]
    ) -> None:
        self.plan = plan
        self.graph = plan.graph
        self.ids: list[int] = [-1] * len(plan.graph)
        self.values: dict[int, bytes] = {}
        self._packer = packer
        self._plugins = plugins
        self._choice = choice
        self._context = context
        self._packed = packed
        self._fresh: set[int] = set()
        self._places: dict[tuple[type, str], Place] = {}
        self._own_places: dict[int, tuple[int, Place]] = {}
        self._results: dict[type, Path] = {}
        self._seconds: dict[type, float] = {}
        self._nonces = secrets.token_hex(12)
        self._counter = itertools.count()

    def prepare(self) -> None:
        """Check the options of all that will run, allot their ids, and make the directories above theirs.

        Raises:
            BackendError: A class's backend cannot be had, or does not take its options.
        """
        nodes_of = self.graph.by_class(self.plan.stale)
        for cls, nodes in nodes_of.items():
            if not cls._task_config.interactive and not callable(cls._task_config.backend_options):  # type: ignore[attr-defined]  # a task class
                self.place(nodes[0], 0)
        self._packer.register(nodes_of)
        for known in self.graph.classes.values():
            known.store.ids.note_found()
        for cls, nodes in nodes_of.items():
            known = self.graph.classes[cls]
            known.store.make_ready()
            if known.text is not None:
                known.store.save_source(known.source, known.text)
            if cls in self._packed:
                self._reserve(known, nodes)
            else:
                ids = known.store.allot([self.graph.digest(node) for node in nodes])
                for node in nodes:
                    self.ids[node] = ids[self.graph.digest(node)]

    def place(self, node: int, attempt: int) -> Place:
        """Choose the backend of a node's attempt, and check its options.

        Raises:
            OptionError: Options that the backend does not take.
        """
        task = self.graph.tasks[node]
        config = task._task_config
        key = (type(task), config.prefix_command)
        if not callable(config.backend_options) and key in self._places:
            return self._places[key]
        if callable(config.backend_options):
            return self._own_place(node, attempt)
        place = self._places[key] = self._choose(task, config.backend_options, attempt)
        return place

    def _own_place(self, node: int, attempt: int) -> Place:
        """Choose for one attempt alone, asking the class's callable once."""
        known, place = self._own_places.get(node, (-1, None))
        if place is None or known != attempt:
            task = self.graph.tasks[node]
            place = self._choose(task, task._task_config.backend_options, attempt)
            self._own_places[node] = (attempt, place)
        return place

    def default_place(self, name: str) -> Place:
        """Give a backend by name, with its own default options."""
        plugin = self._plugins.backend(name)
        return Place(plugin, build_options(plugin.options, {}, name))

    def make(self, node: int, place: Place, nonce: str = "") -> Job:
        """Make the job of one attempt: a new one, or one that goes on under its own nonce."""
        task = self.graph.tasks[node]
        config = task._task_config
        nonce = nonce or f"{self._nonces}{next(self._counter):08x}"
        return Job(
            nonce=nonce,
            task=config.name,
            label=f"{config.short_name}-{self.ids[node]}",
            directory=self._results_of(node) / str(self.ids[node]),
            options=place.options,
            prefix=config.prefix_command if not config.interactive else "",
            timeout=config.timeout,
            expected=self.expected(node),
            payload=partial(self.payload, node, nonce),
        )

    def payload(self, node: int, nonce: str) -> bytes:
        """Pickle the worker of one attempt."""
        task = self.graph.tasks[node]
        known = self.graph.class_of(node)
        config = known.config
        record = task._task
        prefix = "" if config.interactive else config.prefix_command
        assignment = Assignment(
            nonce=nonce,
            context=self._context,
            name=config.name,
            label=label(config, record.bound),  # type: ignore[union-attr]  # constructed here
            digest=record.digest,
            source=known.source,
            upstreams=self.plan.upstreams_digest(node),
            class_directory=known.store.directory,
            id=self.ids[node],
            args=_write_args(record.args()),
            deps=self._deps(task) if config.requirements else None,
            level=config.compress_level,
            packed=self.is_packed(node),
            fresh=node in self._fresh,
            filed=False,
            prefix=prefix,
            timeout=config.timeout,
        )
        return self._packer.pack(assignment, task, partial(self._reference, self._packed_values(node)))

    def directory(self, node: int) -> str:
        """Give a node's instance directory."""
        return self.graph.class_of(node).store.instance_directory(self.ids[node])

    def _results_of(self, node: int) -> Path:
        """Give the directory above a node's own; a path takes long to parse."""
        cls = type(self.graph.tasks[node])
        path = self._results.get(cls)
        if path is None:
            path = self._results[cls] = Path(self.directory(node)).parent
        return path

    def is_packed(self, node: int) -> bool:
        """Whether a node's result may go to its class's packed file."""
        task = self.graph.tasks[node]
        return type(task) in self._packed and not task._task_config.prefix_command

    def expected(self, node: int) -> float | None:
        """Guess how long a node takes: as its last attempt did, or the others of its class."""
        meta = self.plan.metas[node]
        return meta.seconds if meta is not None else self._seconds.get(type(self.graph.tasks[node]))

    def learn(self, node: int, seconds: float, value: bytes | None) -> None:
        """Note how long a node took, and its packed value if small enough to keep at hand."""
        cls = type(self.graph.tasks[node])
        before = self._seconds.get(cls)
        self._seconds[cls] = seconds if before is None else 0.8 * before + 0.2 * seconds
        if value is not None and len(value) <= _HELD_VALUE:
            self.values[node] = value

    def look_up(self, nodes: Iterable[int]) -> None:
        """Go by the ids that other drivers may have noted for these nodes since this run set its own aside."""
        for cls, among in self.graph.by_class(self._fresh.intersection(nodes)).items():
            table = self.graph.classes[cls].store.ids
            table.look_again()
            ids = table.lookup([self.graph.digest(node) for node in among])
            for node in among:
                if self.graph.digest(node) in ids:
                    self.ids[node] = ids[self.graph.digest(node)]
                    self._fresh.discard(node)

    def move_in(self, node: int, directory: str) -> bool:
        """Move to the directory that a dead driver set aside for a node and filed its attempt in; whether it is ours.

        Args:
            node: The node.
            directory: The attempt's instance directory.
        """
        id = int(os.path.basename(directory))
        if node in self._fresh:
            table, digest = self.graph.class_of(node).store.ids, self.graph.digest(node)
            table.assign({digest: id})
            self.ids[node] = table.lookup([digest])[digest]
            self._fresh.discard(node)
        return self.ids[node] == id

    def unplaced(self, node: int) -> bool:
        """Whether a node's id was only set aside, so that it must be noted once its directory is made."""
        return node in self._fresh

    def _reserve(self, known: TaskClass, nodes: list[int]) -> None:
        ids = known.store.ids.lookup([self.graph.digest(node) for node in nodes])
        new = [node for node in nodes if self.graph.digest(node) not in ids]
        following = known.store.ids.reserve(len(new)) if new else 0
        for node in nodes:
            self.ids[node] = ids.get(self.graph.digest(node), -1)
        for node in new:
            self.ids[node], following = following, following + 1
        self._fresh.update(new)

    def _choose(
        self, task: Node, source: Mapping[str, Any] | Callable[[Any, int], Mapping[str, Any]], attempt: int
    ) -> Place:
        config = task._task_config
        written = source(task, attempt) if callable(source) else source
        if not isinstance(written, Mapping):
            msg = f"{config.name}: backend_options gave {written!r}, which is no mapping of options"
            raise OptionError(msg)
        name, options, where = self._choice.choose(config.name, config.channels, config.backend, written)
        plugin = self._plugins.backend(name)
        visited = [name]
        while plugin.route is not None:
            name = plugin.route(self._draft(config.name, config.prefix_command))
            if name in visited:
                msg = f"the backends {' -> '.join([*visited, name])} route in a circle"
                raise SettingsError(msg)
            visited.append(name)
            plugin = self._plugins.backend(name)
        return Place(plugin, build_options(plugin.options, options, where))

    def _draft(self, name: str, prefix: str) -> Job:
        return Job("", name, name, Path(), None, prefix)

    def _packed_values(self, node: int) -> dict[int, bytes]:
        """Read the packed results that a node needs and that are not at hand, those of one class in one go."""
        missing: dict[type, list[int]] = {}
        for up in dict.fromkeys(self.graph.upstreams[node]):
            meta = self.plan.metas[up]
            if up not in self.values and meta is not None and meta.size == 0:
                missing.setdefault(type(self.graph.tasks[up]), []).append(up)
        found: dict[int, bytes] = {}
        for cls, nodes in missing.items():
            node_of = {self.graph.digest(up): up for up in nodes}
            values = self.graph.classes[cls].store.packed.values(list(node_of))
            found.update({node_of[digest]: value for digest, value in values.items()})
        return found

    def _reference(self, read: Mapping[int, bytes], upstream: Node) -> Any:
        """Give what stands for an upstream's result.

        Args:
            read: Packed results that were read for this hand-over.
            upstream: The upstream.
        """
        node = self.graph.node_of[upstream._task.digest]
        known = self.graph.class_of(node)
        value = self.values.get(node) or read.get(node)
        if value is not None:
            return PackedResult(value, known.config.short_name)
        if self.ids[node] < 0:
            self.ids[node] = known.store.ids.lookup([self.graph.digest(node)])[self.graph.digest(node)]
        return StoredResult(known.store.directory, self.ids[node], self.graph.digest(node))

    def _deps(self, task: Node) -> dict[str, str] | None:
        deps = {}
        for name in task._task_config.requirements:
            for key, item in parts(task.__dict__[PRIVATE + name]):
                origin = item.get_origin() if isinstance(item, MappedTask) else item
                if isinstance(origin, Const):
                    continue
                node = self.graph.node_of[origin._task.digest]
                if self.ids[node] >= 0:
                    target = f"{os.path.basename(self.graph.class_of(node).store.directory)}/results/{self.ids[node]}"
                    deps[name if key is None else f"{name}.{_link_name(key)}"] = target
        return deps or None


def _link_name(key: str) -> str:
    """Make a key safe as a file's name."""
    safe = "".join(c if c.isprintable() and c not in "/%\\" else f"%{ord(c):02x}" for c in key)
    encoded = safe.encode("utf-8", "backslashreplace")
    return encoded[:_LONGEST_LINK].decode("utf-8", "ignore")
