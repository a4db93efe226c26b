"""What an expanding task returned: tasks, in whose place those that require it get results.

A worker writes down, instead of the value that `run_task` returned, its shape and how to construct the tasks in it
anew. The driver does that, and adds them to the graph. Whoever asks for the expanding task's result gets theirs.
"""
from __future__ import annotations

import os

from ..base.errors import TaskDefinitionError, TaskprocError
from ..base.lean import blake2b
from ..base.telling import told
from .anew import construct_anew, write_down
from .arguments import canonical
from .node import Node, TaskRecord
from .requires import AS_A_LIST, shown, way_out
from .substitutes import Const, MappedTask
from .taken import MAX_DEPTH, NestedTooDeepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..store.cache import Cache

_SIZE = 16  # bytes of an identity


class Expansion:
    """Tasks in a shape, as they are kept in the place of a result.

    In the shape, a number stands for a task, and a tuple for a part of one's result or for a constant.

    Attributes:
        shape: Lists and dicts, nested in any way, of these.
        names: The `task_name` of each task.
        digests: Their identities, one behind another.
        recipes: How to construct them anew, pickled.
    """

    __slots__ = ("digests", "names", "recipes", "shape")

    def __init__(self, shape: Any, names: Sequence[str], digests: bytes, recipes: bytes) -> None:
        self.shape = shape
        self.names = names
        self.digests = digests
        self.recipes = recipes

    def __reduce__(self) -> tuple[Any, ...]:
        return Expansion, (self.shape, self.names, self.digests, self.recipes)

    def __len__(self) -> int:
        return len(self.names)

    def digest(self) -> bytes:
        """Hash what tells this expansion from another: the shape, and the identities of the tasks in it."""
        text = canonical({"shape": self.shape, "names": list(self.names)}, "run_task")
        return blake2b(text.encode("ascii") + self.digests, digest_size=_SIZE).digest()

    def identities(self) -> list[bytes]:
        """List the tasks' identities."""
        return [self.digests[at : at + _SIZE] for at in range(0, len(self.digests), _SIZE)]

    def tasks(self) -> list[Node]:
        """Construct the tasks anew.

        Raises:
            TaskprocError: One of them cannot be constructed here, or is another one than it was.
        """
        try:
            made = construct_anew(self.recipes, self.names)
        except Exception as error:
            msg = f"the tasks that it returned cannot be made here: {told(error)}"
            raise TaskprocError(msg) from error
        for task, digest in zip(made, self.identities(), strict=True):
            if task._task.digest != digest:
                msg = f"{task!r}, which it returned, is not the task that it was: its constructor takes other arguments"
                raise TaskprocError(msg)
        return made

    def filled(self, stand_ins: Sequence[Any]) -> Any:
        """Give the shape with something that has a result in the place of each task."""
        return _filled(self.shape, stand_ins)

    def __taskproc_given__(self, root: str) -> Any:
        """Give the results of the tasks, read from the cache with this directory."""
        from ..store.cache import open_cache

        return given(_kept_results(self, open_cache(os.path.dirname(root))))


class Expanded:
    """Stands for an expanding task: its result is those of the tasks that it returned, in their shape.

    Args:
        held: The shape, with what stands for the results of the tasks.
    """

    __slots__ = ("held",)

    def __init__(self, held: Any) -> None:
        self.held = held

    def __reduce__(self) -> tuple[Any, ...]:
        return Expanded, (self.held,)

    def __repr__(self) -> str:
        return "an expanding task"

    def get_task_result(self) -> Any:
        """Read the results."""
        return given(self.held)


def expanded(held: Any) -> Any:
    """Give what stands for an expanding task; where it returned one task, what stands for that will do."""
    return Expanded(held) if isinstance(held, (list, dict)) else held


def given(held: Any) -> Any:
    """Read the results in a shape."""
    if isinstance(held, list):
        return [given(item) for item in held]
    if isinstance(held, dict):
        return {key: given(item) for key, item in held.items()}
    return held.get_task_result()


def expansion_of(task: Node, value: Any) -> Expansion:
    """Write down what an expanding task's `run_task` returned.

    Raises:
        TaskDefinitionError: It holds something else than tasks, or one that cannot be constructed anew elsewhere.
    """
    owner = f"{task._task_config.short_name}.run_task()"
    tasks: dict[bytes, tuple[int, Node]] = {}
    try:
        shape = _shape(owner, "", value, tasks, 0)
        nodes = [node for _, node in tasks.values()]
        names = [node._task_config.name for node in nodes]
        expansion = Expansion(shape, names, b"".join(tasks), _recipes(owner, nodes))
        expansion.digest()
    except (NestedTooDeepError, RecursionError):
        msg = f"{owner} returned tasks nested in more than {MAX_DEPTH} levels of lists and dicts"
        raise TaskDefinitionError(msg) from None
    return expansion


def _shape(owner: str, place: str, value: Any, tasks: dict[bytes, tuple[int, Node]], depth: int) -> Any:
    """Write down a value with numbers in the place of its tasks, which are collected, each once."""
    if depth > MAX_DEPTH:
        raise NestedTooDeepError
    if isinstance(value, Node):
        return _number(owner, place, value, tasks)
    if isinstance(value, MappedTask):
        return "part", _shape(owner, place, value.get_origin(), tasks, depth), value.get_args()
    if isinstance(value, Const):
        return "const", value.value
    if type(value) in AS_A_LIST:
        value = list(value)
    if isinstance(value, (list, tuple)):
        return [_shape(owner, f"{place}[{at}]", item, tasks, depth + 1) for at, item in enumerate(value)]
    if isinstance(value, dict):
        return {key: _shape(owner, f"{place}[{key!r}]", item, tasks, depth + 1) for key, item in value.items()}
    at = f" at {place}" if place else ""
    msg = f"{owner} returned {shown(value)}{at}, but its class says expands=True: it returns tasks; {way_out(value)}"
    raise TaskDefinitionError(msg)


def _number(owner: str, place: str, task: Node, tasks: dict[bytes, tuple[int, Node]]) -> int:
    record = task._task
    if not isinstance(record, TaskRecord) or record.sequence < 0:
        msg = (
            f"{owner} returned {task!r}, which run_task did not construct, so that nobody can say what it needs; "
            "return tasks that run_task constructs itself, from plain arguments"
        )
        raise TaskDefinitionError(msg)
    number, known = tasks.setdefault(record.digest, (len(tasks), task))
    if type(known) is not type(task):
        msg = f"{owner} returned tasks of two classes that are called {task._task_config.name}"
        raise TaskDefinitionError(msg)
    return number


def _recipes(owner: str, tasks: Sequence[Node]) -> bytes:
    try:
        return write_down(tasks)
    except TaskDefinitionError:
        raise
    except Exception as error:
        msg = f"{owner} returned a task whose arguments cannot be pickled: {told(error)}"
        raise TaskDefinitionError(msg) from error


def _filled(shape: Any, stand_ins: Sequence[Any]) -> Any:
    if isinstance(shape, int):
        return stand_ins[shape]
    if isinstance(shape, list):
        return [_filled(item, stand_ins) for item in shape]
    if isinstance(shape, dict):
        return {key: _filled(item, stand_ins) for key, item in shape.items()}
    kind, what, *keys = shape
    if kind == "const":
        return Const(what)
    held = _filled(what, stand_ins)
    for key in keys[0]:
        held = MappedTask(held, key)
    return held


# --- reading results back ---


class _Kept:
    """Stands for a task by its name and identity in a cache."""

    __slots__ = ("cache", "digest", "name")

    def __init__(self, cache: Cache, name: str, digest: bytes) -> None:
        self.cache = cache
        self.name = name
        self.digest = digest

    def __repr__(self) -> str:
        return f"a task of {self.name}, which an expanding task returned,"

    def get_task_result(self) -> Any:
        """Read the result; where that is another task, however often, go on to its result."""
        held: Any = self
        while isinstance(held, _Kept):
            value = held.cache.class_store(held.name).load(held.digest, repr(held))
            if not isinstance(value, Expansion):
                return value
            held = _kept_results(value, held.cache)
        return given(held)


def _kept_results(expansion: Expansion, cache: Cache) -> Any:
    """Give what stands for the results of tasks that are in a cache."""
    from .trust import check_trust

    check_trust(cache.root, [cache.class_directory(name) for name in set(expansion.names)])
    return expansion.filled(
        [_Kept(cache, name, digest) for name, digest in zip(expansion.names, expansion.identities(), strict=True)]
    )
