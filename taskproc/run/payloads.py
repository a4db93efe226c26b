"""From a task and its place to a job that a backend can run, with its payload made when it is asked for."""
from __future__ import annotations

import itertools
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, cast

from ..base.script import script_name
from ..plan.graph import Plan
from ..plan.sources import Read
from ..plugin import Job
from ..tasks.label import label
from ..tasks.loaded import module_of, text_digest
from ..tasks.node import Node, TaskRecord
from ..tasks.requires import PRIVATE, parts
from ..tasks.substitutes import Const, MappedTask
from ..work.handover import Assignment, Before, ChangedResult, PackedResult, StoredResult
from ..work.texts import Texts
from .packing import Packer
from .seats import Seats
from .stand_ins import stand_in

_LONGEST_LINK = 150
_HELD_VALUE = 1024  # bytes: larger packed values are read from the file again
_write_args = json.JSONEncoder(default=repr).encode


class Payloads:
    """Makes the jobs of one run.

    Args:
        plan: The run's plan.
        seats: Where its tasks sit.
        packer: Pickles tasks.
        context: The path of the run's context file.

    Attributes:
        texts: The number of the file that says what was read of the user's code.
    """

    def __init__(self, plan: Plan, seats: Seats, packer: Packer, context: str) -> None:
        self._plan = plan
        self._graph = plan.graph
        self._growth = plan.growth
        self._seats = seats
        self._packer = packer
        self._context = context
        self.texts = 0
        self._values: dict[int, bytes] = {}
        self._seconds: dict[type, float] = {}
        self._nonces = secrets.token_hex(12)
        self._counter = itertools.count()

    def make(self, node: int, options: Any, nonce: str = "") -> Job:
        """Make the job of one attempt: a new one, or one that goes on under its own nonce."""
        task = self._graph.tasks[node]
        config = task._task_config
        nonce = nonce or f"{self._nonces}{next(self._counter):08x}"
        return Job(
            nonce=nonce,
            task=config.name,
            label=f"{config.short_name}-{self._seats.ids[node]}",
            directory=self._seats.path(node),
            options=options,
            prefix=config.prefix_command if not config.interactive else "",
            timeout=config.timeout,
            expected=self.expected(node),
            payload=partial(self.payload, node, nonce),
        )

    def payload(self, node: int, nonce: str) -> bytes:
        """Pickle the worker of one attempt."""
        task = self._graph.tasks[node]
        known = self._graph.class_of(node)
        config = known.config
        record = cast("TaskRecord", task._task)  # constructed here
        prefix = "" if config.interactive else config.prefix_command
        assignment = Assignment(
            nonce=nonce,
            context=self._context,
            name=config.name,
            label=label(config, record.bound),
            digest=record.digest,
            source=known.source,
            upstreams=self._plan.upstreams_digest(node),
            upstream_values=self._plan.upstream_values_digest(node),
            before=self._before(node),
            class_directory=known.store.directory,
            id=self._seats.ids[node],
            args=_write_args(record.args()),
            deps=self._deps(task) if config.requirements else None,
            level=config.compress_level,
            packed=self._seats.is_packed(node),
            fresh=self._seats.is_set_aside(node),
            filed=False,
            prefix=prefix,
            timeout=config.timeout,
            inputs=self._plan.inputs.handed_over(node),
            texts=self.texts,
        )
        return self._packer.pack(assignment, task, partial(self._reference, self._packed_values(node)))

    def expected(self, node: int) -> float | None:
        """Guess how long a node takes: as its last attempt did, or the others of its class."""
        meta = self._plan.metas[node]
        return meta.seconds if meta is not None else self._seconds.get(type(self._graph.tasks[node]))

    def learn(self, node: int, seconds: float) -> None:
        """Note how long a node took."""
        cls = type(self._graph.tasks[node])
        before = self._seconds.get(cls)
        self._seconds[cls] = seconds if before is None else 0.8 * before + 0.2 * seconds

    def remember(self, node: int, value: bytes) -> None:
        """Keep a packed value at hand, if it is small enough."""
        if len(value) <= _HELD_VALUE:
            self._values[node] = value

    def _packed_values(self, node: int) -> dict[int, bytes]:
        """Read the packed results that a node needs and that are not at hand, those of one class in one go.

        One that is not the plan's any more is empty.
        """
        missing: dict[type, list[int]] = {}
        upstreams = dict.fromkeys(self._graph.upstreams[node])
        for up in self._growth.read_by(upstreams) if self._growth is not None else upstreams:
            meta = self._plan.metas[up]
            if up not in self._values and meta is not None and meta.size == 0:
                missing.setdefault(type(self._graph.tasks[up]), []).append(up)
        found: dict[int, bytes] = {}
        for cls, nodes in missing.items():
            node_of = {self._graph.digest(up): up for up in nodes}
            for digest, (meta, value) in self._graph.classes[cls].store.packed.results(list(node_of)).items():
                found[node_of[digest]] = value if meta.commit == self._commit(node_of[digest]) else b""
        return found

    def _before(self, node: int) -> Before | None:
        """Give the result that a node's is to replace, as far as a task that gives the same again changes nothing."""
        meta = self._plan.metas[node]
        cutoff = self._graph.class_of(node).config.cutoff
        if meta is None or not cutoff or node in self._plan.forced:
            return None
        return Before(meta.value, meta.version, meta.upstreams, meta.upstream_values)

    def _commit(self, node: int) -> bytes:
        meta = self._plan.metas[node]
        return meta.commit if meta is not None else b""

    def _reference(self, read: Mapping[int, bytes], upstream: Node) -> Any:
        """Give what stands for an upstream's result, or for those of the tasks that it has returned.

        Args:
            read: Packed results that were read for this hand-over.
            upstream: The upstream.
        """
        node = self._graph.node_of[upstream._task.digest]
        if self._growth is not None and node in self._growth.returned:
            return stand_in(self._growth, node, partial(self._result, read))
        return self._result(read, node)

    def _result(self, read: Mapping[int, bytes], node: int) -> Any:
        known = self._graph.class_of(node)
        value = self._values.get(node) or read.get(node)
        if value:
            return PackedResult(value, known.config.short_name, known.store.directory)
        if value is not None:
            return ChangedResult(known.config.short_name)
        return StoredResult(known.store.directory, self._seats.find(node), self._graph.digest(node), self._commit(node))

    def _deps(self, task: Node) -> dict[str, str] | None:
        deps = {}
        for name in task._task_config.requirements:
            for key, item in parts(task.__dict__[PRIVATE + name]):
                origin = item.get_origin() if isinstance(item, MappedTask) else item
                if isinstance(origin, Const):
                    continue
                node = self._graph.node_of[origin._task.digest]
                id = self._seats.ids[node]
                if id >= 0:
                    directory = os.path.basename(self._graph.class_of(node).store.directory)
                    deps[name if key is None else f"{name}.{_link_name(key)}"] = f"{directory}/results/{id}"
        return deps or None


def texts_of(read: Read) -> Texts:
    """Say what the sources of a graph were read from, for its workers."""
    return Texts(
        {file: (text_digest(text), getattr(module_of(file), "__name__", "")) for file, text in read.texts.items()},
        read.scripts,
        {one.config.name: (_named(one.values), _named(one.upstreams)) for one in read.asked.values()},
        read.helpers,
        read.files,
        script_name(),
    )


def _named(classes: Iterable[type]) -> list[tuple[str, str]]:
    return [(cls.__module__, cls.__qualname__) for cls in classes]


def _link_name(key: str) -> str:
    """Make a key safe as a file's name."""
    safe = "".join(c if c.isprintable() and c not in "/%\\" else f"%{ord(c):02x}" for c in key)
    encoded = safe.encode("utf-8", "backslashreplace")
    return encoded[:_LONGEST_LINK].decode("utf-8", "ignore")
