"""The inputs from outside of a graph's tasks: the states that they are in, each looked at once."""
from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..store.meta import Meta
from ..tasks.config import where_defined
from ..tasks.contents import changed_below, listing_of
from ..tasks.outside import CHANGED_MEANWHILE, NO_INPUTS, Seen, digest_of_all, key_of, look, told
from ..tasks.valued import Spec, spec_of

if TYPE_CHECKING:
    from ..store.remembered import Remembered
    from ..tasks.node import Node
    from .nodes import TaskGraph

    OfClass = Mapping[type, tuple[Spec, ...]]

_MOST_TOLD = 5
_LOGGER = logging.getLogger(__name__)


class Inputs:
    """What a plan saw of the inputs of its tasks.

    Args:
        graph: The graph, which may grow.
        packages: Gives the packages that count for each class, as inputs.

    Attributes:
        wanted: The digest of the states of each node's inputs, of those nodes that have any; empty, which no result
            notes, for a node of which one is missing.
    """

    def __init__(self, graph: TaskGraph, packages: Callable[[], OfClass]) -> None:
        self._graph = graph
        self._packages = packages
        self._specs: dict[int, tuple[Spec, ...]] = {}
        self._seen: dict[Spec, Seen] = {}
        self._problems: dict[Spec, str] = {}
        self._memory: Remembered | None = None
        self._warned = False
        self.wanted: dict[int, bytes] = {}
        self.extend(0)

    def extend(self, first: int) -> None:
        """Look at the inputs of the tasks from one on, which are new."""
        packages = self._packages()
        of_class = {
            cls: (*known.config.inputs, *packages.get(cls, ())) for cls, known in self._graph.classes.items()
        }
        new = _specs_of(self._graph.tasks[first:], of_class, first)
        if new:
            self._specs.update(new)
            self._look(new)

    def forget(self, length: int) -> None:
        """Forget all tasks but so many."""
        for node in [node for node in self._specs if node >= length]:
            del self._specs[node]
            self.wanted.pop(node, None)

    def renumber(self, new: Mapping[int, int]) -> None:
        """Go by the new numbers of nodes."""
        self._specs = {new[node]: specs for node, specs in self._specs.items()}
        self.wanted = {new[node]: digest for node, digest in self.wanted.items()}

    def handed_over(self, node: int) -> tuple[Seen, ...]:
        """Give what the plan saw of a node's inputs; of those that are missing there is nothing."""
        return tuple([self._seen[spec] for spec in self._specs.get(node, ()) if spec in self._seen])

    def digest(self, node: int) -> bytes:
        """Give what a fresh result of a node notes of its inputs."""
        return self.wanted.get(node, NO_INPUTS)

    def why_stale(self, node: int, meta: Meta) -> str:
        """Say what is another input, or in another state, than a result was computed from; nothing if none is."""
        if missing := self.missing(node):
            return missing
        if meta.inputs == self.digest(node):
            return ""
        is_doubtful = meta.inputs == CHANGED_MEANWHILE
        if node not in self._specs and not is_doubtful:
            return ""  # what it read once is no input of it any more
        store = self._graph.cache.class_store(self._graph.tasks[node]._task_config.name)
        before = _noted(store.load_notes(meta.identity))
        if is_doubtful:
            changed = [f"{told(spec)} changed while it ran" for spec, (digest, _) in before.items() if not digest]
            return _some(changed) or "an input changed while it ran"
        now = [self._seen[spec] for spec in self._specs[node]]
        return _some([change for one in now if (change := self._change(before.get(key_of(one.spec)), one))])

    def missing(self, node: int) -> str:
        """Say which inputs of a node are not there, or cannot be read; nothing if all can."""
        if not self._problems:
            return ""
        return _some([self._problems[spec] for spec in self._specs.get(node, ()) if spec in self._problems])

    def warn_of_change(self, node: int, meta: Meta) -> None:
        """Say once in a run that an input is not as the plan saw it any more, so that a result is computed again."""
        if meta.inputs != self.digest(node) and not self._warned:
            self._warned = True
            names = _some([told(spec) for spec in self._specs.get(node, ())])
            _LOGGER.warning(
                "%r: an input changed while the run went on (%s), so the next run computes again what is due; if a "
                "task of this graph writes it, require that task instead",
                self._graph.tasks[node], names,
            )  # fmt: skip

    def refuse_missing(self, nodes: Iterable[int]) -> None:
        """Refuse to run nodes whose inputs are missing.

        Raises:
            InputError: There is one.
        """
        found: dict[Spec, Node] = {}
        for node in nodes if self._problems else ():
            for spec in self._specs.get(node, ()):
                if spec in self._problems:
                    found.setdefault(spec, self._graph.tasks[node])
        if found:
            (spec, task), *others = found.items()
            more = [told(other) for other, _ in others]
            besides = f" (and {_some(more)}, for others)" if more else ""
            msg = f"{task!r}: its {self._problems[spec]}{besides}.{_hint(spec, task)}"
            raise InputError(msg)

    def remember(self) -> None:
        """Keep what was read for the next plan, if the cache is there."""
        if self._memory is not None:
            self._memory.save()

    def _change(self, before: tuple[str, str] | None, now: Seen) -> str:
        """Say what has become of an input since a result was computed from it; nothing if it is as it was."""
        name = told(now.spec)
        if before is None:
            return f"{name} counts now, and did not before"
        digest, was = before
        if digest == now.digest.hex():
            return ""
        kind = now.spec[0]
        if kind == "package":
            return f"{name} {was} -> {now.shown}"
        if kind == "env" or len(now.spec) > 2:
            is_shown = was and now.shown and was != now.shown
            return f"{name} changed from {was} to {now.shown}" if is_shown else f"{name} changed"
        sizes = f"{was} -> {now.shown}" if was != now.shown else f"still {was}"
        below = self._changes_below(digest, now) if kind == "dir" else ""
        return f"{name} changed ({sizes}{below})"

    def _changes_below(self, before: str, now: Seen) -> str:
        """Name the files below a directory that changed."""
        assert self._memory is not None, "something was looked at"
        digest = bytes.fromhex(before)
        self._memory.prepare([listing_of(digest), listing_of(now.digest)], [])
        changes = changed_below(digest, now.digest, self._memory)
        return f": {_some(changes)}" if changes else ""

    def _look(self, new: Mapping[int, tuple[Spec, ...]]) -> None:
        """Look at what nodes read that was not looked at before."""
        from ..store.remembered import Remembered

        wanted = dict.fromkeys(spec for specs in new.values() for spec in specs)
        specs = [spec for spec in wanted if spec not in self._seen and spec not in self._problems]
        if self._memory is None:
            self._memory = Remembered(self._graph.cache.root)
        paths = {spec: _absolute(spec[1]) for spec in specs if spec[0] in ("file", "dir")}
        files = ["\0".join([path, *spec[2:]]) for spec, path in paths.items() if spec[0] == "file"]
        self._memory.prepare(files, [path for spec, path in paths.items() if spec[0] == "dir"])
        for spec in specs:
            try:
                self._seen[spec] = look(spec, self._memory, paths.get(spec, ""))
            except InputError as error:
                self._problems[spec] = str(error)
        digests: dict[Sequence[Spec], bytes] = {}
        for node, own in new.items():
            if own not in digests:
                is_whole = not any(spec in self._problems for spec in own)
                digests[own] = digest_of_all([self._seen[spec] for spec in own]) if is_whole else b""
            self.wanted[node] = digests[own]


def _specs_of(tasks: Sequence[Node], of_class: OfClass, first: int) -> dict[int, tuple[Spec, ...]]:
    """List the inputs of those nodes that have any; the tasks begin with the first one."""
    found: dict[int, tuple[Spec, ...]] = {}
    if any(of_class.values()):
        found = {node: of_class[type(task)] for node, task in enumerate(tasks, first) if of_class[type(task)]}
    own: list[Any] = [task._task.inputs for task in tasks]  # type: ignore[union-attr]  # constructed here
    for node, inputs in enumerate(own, first):
        if inputs:
            found[node] = tuple(dict.fromkeys([*map(spec_of, inputs), *found.get(node, ())]))
    return found


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except FileNotFoundError:  # the working directory was removed
        return path


def _noted(notes: Mapping[str, Any]) -> dict[Spec, tuple[str, str]]:
    """Read what a result notes of its inputs: the digest of each, and what was shown of it."""
    try:
        return {key_of(tuple(spec)): (digest, shown) for spec, digest, shown in notes.get("inputs", ())}
    except (TypeError, ValueError):
        return {}


def _hint(spec: Spec, task: Node) -> str:
    """Say what may be meant where a file is missing."""
    kind, name, *_ = spec
    if kind not in ("file", "dir") or os.path.exists(name):
        return ""
    if name.startswith("~"):
        return f" In a path, ~ means nothing by itself; write Path({name!r}).expanduser()."
    beside = where_defined(type(task))
    home = os.path.dirname(os.path.abspath(getattr(sys.modules.get(type(task).__module__), "__file__", None) or "."))
    if not os.path.isabs(name) and os.path.exists(os.path.join(home, name)):
        return (
            f" There is one beside {beside.removesuffix(': ')}: run from {home}, or write "
            f"Path(__file__).parent / {name!r}."
        )
    return " If another task of this graph makes it, require that task, and let it return the path."


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _MOST_TOLD} more" if len(texts) > _MOST_TOLD else ""
    return ", ".join(texts[:_MOST_TOLD]) + more
