"""What travels to a worker: one task's class, attributes and light references to its upstreams' results.

A payload is two pickles in one: the assignment, plain data that always reads back, and the body, which holds the
user's own objects. `packing` makes payloads in the driver; this module holds their parts, and reads them back.
"""
from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence

from ..base.errors import ResultNotFoundError, TaskprocError
from ..base.lean import NamedTuple, pickle
from ..base.private import opener
from ..base.telling import told
from ..base.version import __version__
from ..store import cache, files
from ..tasks.location import Location
from ..tasks.requires import PRIVATE
from .driver_main import DriverMain, enter_main, why_missing
from .setup import set_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn
    from weakref import WeakValueDictionary

    from ..tasks.node import Node
    from ..tasks.outside import Seen

_missing = object()
_process = os.urandom(8).hex()  # of all processes on all machines, since two containers may both have a number 1


class Before(NamedTuple):
    """What is known of the result that an attempt is to replace.

    Attributes:
        value: The digest of its value.
        version: Its version.
        upstreams: The digest of the versions of what it was computed from.
        upstream_values: The digest of their values.
    """

    value: bytes
    version: bytes
    upstreams: bytes
    upstream_values: bytes


class Assignment(NamedTuple):
    """One attempt at one task, as its worker reads it.

    Attributes:
        nonce: The attempt's name.
        context: The path of the run's context file.
        name: The task's name.
        label: The task for people: `Train(lr=0.1)`.
        digest: The task's identity.
        source: The digest of the source that runs.
        upstreams: The digest of the upstreams' versions.
        upstream_values: The digest of their values.
        before: The result that it is to replace; None if there is none, or what is computed counts as new in any case.
        class_directory: The class's directory in the cache.
        id: The task's id; in the packed store, one set aside for it.
        args: What `args.json` shows.
        deps: Links to the upstreams' instance directories: name -> `Class/results/id`.
        level: gzip's compression level.
        packed: Whether a small result goes back in the outcome instead of a file.
        fresh: Whether the instance directory cannot exist yet.
        filed: Whether the attempt must be claimed by renaming its file in the instance directory.
        prefix: The prefix command to put before the worker.
        timeout: Seconds that the attempt may take.
        main: What the driver's `__main__` is read from: the driver's process, which has it, and the files.
        inputs: What the plan saw of the task's inputs from outside.
        texts: The number of the file that says what the driver has read: it may read more while a run goes on.
    """

    nonce: str
    context: str
    name: str
    label: str
    digest: bytes
    source: bytes
    upstreams: bytes
    upstream_values: bytes
    before: Before | None
    class_directory: str
    id: int
    args: str
    deps: dict[str, str] | None
    level: int
    packed: bool
    fresh: bool
    filed: bool
    prefix: str
    timeout: float | None
    main: tuple[str, ...] = ()
    inputs: tuple[Seen, ...] = ()
    texts: int = 0

    @property
    def directory(self) -> str:
        """The instance directory."""
        return f"{self.class_directory}/results/{self.id}"


class StoredResult:
    """Stands for an upstream whose result lies in an instance directory."""

    __slots__ = ("_value", "class_directory", "commit", "digest", "id")

    def __init__(self, class_directory: str, id: int, digest: bytes, commit: bytes) -> None:
        self.class_directory = class_directory
        self.id = id
        self.digest = digest
        self.commit = commit
        self._value: Any = _missing

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredResult, (self.class_directory, self.id, self.digest, self.commit)

    def __repr__(self) -> str:
        return f"{os.path.basename(self.class_directory)}-{self.id}"

    def get_task_result(self) -> Any:
        """Read the result, once."""
        if self._value is _missing:
            path = f"{self.class_directory}/results/{self.id}/{files.RESULT}"
            try:
                self._value = files.load(path, repr(self), self.digest, self.commit)
            except FileNotFoundError:
                msg = f"the upstream {self!r} has no result at {path}; was it cleared during the run?"
                raise ResultNotFoundError(msg) from None
        return self._value


class PackedResult:
    """Stands for an upstream whose small result comes along."""

    __slots__ = ("_value", "class_directory", "label", "value")

    def __init__(self, value: bytes, label: str, class_directory: str) -> None:
        self.value = value
        self.label = label
        self.class_directory = class_directory
        self._value: Any = _missing

    def __reduce__(self) -> tuple[Any, ...]:
        return PackedResult, (self.value, self.label, self.class_directory)

    def __repr__(self) -> str:
        return self.label

    def get_task_result(self) -> Any:
        """Unpickle the result, once."""
        if self._value is _missing:
            self._value = files.unpickle(self.value, self.label, os.path.dirname(self.class_directory))
        return self._value


class ChangedResult:
    """Stands for an upstream whose packed result is not the one any more that the run was planned with."""

    __slots__ = ("label",)

    def __init__(self, label: str) -> None:
        self.label = label

    def __reduce__(self) -> tuple[Any, ...]:
        return ChangedResult, (self.label,)

    def __repr__(self) -> str:
        return self.label

    def get_task_result(self) -> NoReturn:
        """Refuse."""
        raise files.changed_upstream(self.label)


class ClassRef(NamedTuple):
    """Names a class in any process: by the object itself here, by import elsewhere, or in the driver's `__main__`."""

    module: str
    qualname: str
    token: str
    nameless: bool


def register_here(cls: type) -> str:
    """Make a class known to workers in this very process, and give the token that finds it."""
    global _here
    if _here is None:
        from weakref import WeakValueDictionary

        _here = WeakValueDictionary()
    token = f"{this_process()}-{id(cls)}"
    _here[token] = cls
    return token


def this_process() -> str:
    """Name this process; a fork of it, which has other objects where ours are, has another name."""
    return f"{_process}-{os.getpid()}"


def read_payload(payload: bytes) -> tuple[Assignment, bytes]:
    """Take a payload apart."""
    assignment, body = pickle.loads(payload)
    return assignment, body


def restore_task(assignment: Assignment, body: bytes, on_touch: Callable[[], object]) -> Node:
    """Make the task to run, on its worker."""
    process, *bundle = assignment.main or ("",)
    if bundle and process != this_process():
        enter_main(bundle)
    ref: ClassRef
    ref, attributes, requirements = _unpickle_body(body)
    cls = _resolve(ref)
    task: Node = object.__new__(cls)
    set_state = getattr(task, "__setstate__", None)
    if set_state is None:
        vars(task).update(attributes)
    else:
        set_state(attributes)
    for name, held in requirements.items():
        vars(task)[PRIVATE + name] = held
    location = Location(
        assignment.name, assignment.digest, assignment.class_directory, assignment.id, assignment.label, assignment.args
    )
    location.on_touch = on_touch
    vars(task)["_task"] = location
    return task


def write_context(
    path: str, cache_dir: str, run: str, fsync: bool, setup: Mapping[str, Any], ancestors: Sequence[str] = ()
) -> None:
    """Write down, once per run, what a worker needs to know of its driver.

    Args:
        path: The context file.
        cache_dir: The cache that the driver uses.
        run: The run's name.
        fsync: Whether a result must reach the disk before it counts.
        setup: What the script has set up, as `setup.describe` writes it down.
        ancestors: The digests of the tasks that this run is nested in, outermost first.
    """
    context = {
        "run": run,
        "taskproc": __version__,
        "python": list(sys.version_info[:2]),
        "prefix": sys.prefix,
        "sys_path": [os.path.abspath(entry) for entry in sys.path],
        "cwd": _cwd(),
        "cache_dir": cache_dir,
        "fsync": fsync,
        "ancestors": list(ancestors),
        "pid": os.getpid(),
        "setup": setup,
    }
    with open(path, "wb", opener=opener) as file:
        pickle.dump(context, file, 4)  # any Python from 3.8 on can read it, to see that it is not the driver's


_applied: dict[str, dict[str, Any]] = {}


def apply_context(path: str) -> dict[str, Any]:
    """Make this process like the driver: the same modules can be imported, relative paths mean the same.

    Raises:
        TaskprocError: The versions of Python or taskproc differ.
    """
    context = _applied.get(path)
    if context is not None:
        return context
    with open(path, "rb") as file:
        context = dict(pickle.load(file))
    if context["python"] != list(sys.version_info[:2]) or context["taskproc"] != __version__:
        theirs = f"Python {'.'.join(map(str, context['python']))} with taskproc {context['taskproc']}"
        ours = f"Python {'.'.join(map(str, sys.version_info[:2]))} with taskproc {__version__} ({sys.executable})"
        msg = f"this worker runs {ours}, its driver {theirs}; give the worker the driver's Python"
        raise TaskprocError(msg)
    known = set(sys.path)
    if context["prefix"] == sys.prefix:
        sys.path[:] = context["sys_path"]
    else:
        sys.path.extend(entry for entry in context["sys_path"] if entry not in known)
    cache.hand_over_cache(context["cache_dir"])
    if context["cwd"]:
        try:
            os.chdir(context["cwd"])
        except OSError as error:
            msg = f"the driver's working directory {context['cwd']} cannot be entered here: {error.strerror}"
            raise TaskprocError(msg) from error
    set_up(context["setup"])
    _applied[path] = context
    return context


def note_own_context(path: str, fsync: bool, setup: Mapping[str, Any], ancestors: Sequence[str] = ()) -> None:
    """Say that the run with this context is driven from this process, so that nothing needs to be applied."""
    _applied[path] = {"fsync": fsync, "setup": setup, "ancestors": list(ancestors)}


def forget_context(path: str) -> None:
    """Forget a run that has ended."""
    _applied.pop(path, None)


_here: WeakValueDictionary[str, type] | None = None


def _unpickle_body(body: bytes) -> Any:
    try:
        return pickle.loads(body)
    except Exception as error:
        msg = f"the task cannot be unpickled on its worker: {why_missing(error) or told(error)}"
        raise TaskprocError(msg) from error


def _resolve(ref: ClassRef) -> type[Node]:
    cls: Any = _here and _here.get(ref.token)
    if cls is not None:
        return cls  # type: ignore[no-any-return]  # what was registered
    main = sys.modules["__main__"]
    if ref.nameless and isinstance(main, DriverMain):
        return main.find(ref.token, ref.qualname)
    try:
        __import__(ref.module)  # importlib would have to be imported first
        cls = sys.modules[ref.module]
    except Exception as error:
        msg = f"the module {ref.module!r} cannot be imported on the worker: {told(error)}"
        raise TaskprocError(msg) from error
    try:
        for part in ref.qualname.split("."):
            cls = getattr(cls, part)
    except AttributeError as error:
        msg = why_missing(error) or f"{ref.qualname} is not there on the worker: {told(error)}"
        raise TaskprocError(msg) from error
    return cls  # type: ignore[no-any-return]  # a task class by name


def _cwd() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""
