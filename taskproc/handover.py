"""What travels to a worker: one task's class, attributes and light references to its upstreams' results.

A payload is two pickles in one: the assignment, plain data that always reads back, and the body, which holds the
user's own objects. A class that a fresh process cannot import (from a script, a notebook, a function) goes into a
bundle by value, written once per run; everything else goes by name.
"""
from __future__ import annotations

import io
import json
import os
import pickle
import sys
import weakref
from collections.abc import Callable, Iterable
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from . import __version__
from .errors import ResultNotFoundError, TaskDefinitionError, TaskprocError
from .location import Location
from .requires import PRIVATE, convert
from .store import files

if TYPE_CHECKING:
    from .task import TaskBase

_NOT_ATTRIBUTES = ("_task", "__orig_class__")
_missing = object()


class Assignment(NamedTuple):
    """One attempt at one task, as its worker reads it.

    Attributes:
        nonce: The attempt's name.
        context: The path of the run's context file.
        name: The task's name.
        label: The task for people: `Train(lr=0.1)`.
        digest: The task's identity.
        source: The digest of the source that runs.
        upstreams: The digest of the upstreams' commit ids.
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
    """

    nonce: str
    context: str
    name: str
    label: str
    digest: bytes
    source: bytes
    upstreams: bytes
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

    @property
    def directory(self) -> str:
        """The instance directory."""
        return f"{self.class_directory}/results/{self.id}"


class StoredResult:
    """Stands for an upstream whose result lies in an instance directory."""

    __slots__ = ("_value", "class_directory", "digest", "id")

    def __init__(self, class_directory: str, id: int, digest: bytes) -> None:
        self.class_directory = class_directory
        self.id = id
        self.digest = digest
        self._value: Any = _missing

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredResult, (self.class_directory, self.id, self.digest)

    def __repr__(self) -> str:
        return f"{os.path.basename(self.class_directory)}-{self.id}"

    def get_task_result(self) -> Any:
        """Read the result, once."""
        if self._value is _missing:
            path = f"{self.class_directory}/results/{self.id}/{files.RESULT}"
            try:
                self._value = files.load(path, repr(self))
            except FileNotFoundError:
                msg = f"the upstream {self!r} has no result at {path}; was it cleared during the run?"
                raise ResultNotFoundError(msg) from None
        return self._value


class PackedResult:
    """Stands for an upstream whose small result comes along."""

    __slots__ = ("_value", "label", "value")

    def __init__(self, value: bytes, label: str) -> None:
        self.value = value
        self.label = label
        self._value: Any = _missing

    def __reduce__(self) -> tuple[Any, ...]:
        return PackedResult, (self.value, self.label)

    def __repr__(self) -> str:
        return self.label

    def get_task_result(self) -> Any:
        """Unpickle the result, once."""
        if self._value is _missing:
            self._value = files.unpickle(self.value, self.label)
        return self._value


class ClassRef(NamedTuple):
    """Names a class in any process: by the object itself here, by import elsewhere, or from a bundle."""

    module: str
    qualname: str
    token: str
    bundle: str


class Packer:
    """Makes the payloads of one run.

    Args:
        directory: The run's directory, where bundles go.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._refs: dict[type, ClassRef] = {}
        self._bundled: set[Any] = set()

    def register(self, classes: Iterable[type]) -> None:
        """Prepare the classes whose tasks will travel; those that cannot be imported go into one bundle."""
        classes = list(classes)
        by_value = [cls for cls in classes if not importable(cls)]
        bundle = self._write_bundle(by_value) if by_value else ""
        for cls in classes:
            token = f"{os.getpid()}-{id(cls)}"
            _here[token] = cls
            self._refs[cls] = ClassRef(cls.__module__, cls.__qualname__, token, bundle if cls in by_value else "")

    def pack(self, assignment: Assignment, task: TaskBase[Any], reference: Callable[[Any], Any]) -> bytes:
        """Pickle one task for its worker.

        Args:
            assignment: What is to be done.
            task: The task, constructed here.
            reference: Gives, for an upstream, what stands for its result.

        Raises:
            TaskDefinitionError: The task's attributes cannot be pickled.
        """
        held = task.__dict__
        requirements = {
            name: convert(held[PRIVATE + name], reference) for name in task._task_config.requirements
        }
        body = (self._refs[type(task)], _attributes(task), requirements)
        return pickle.dumps((assignment, self._pickle(body, task)), 5)

    def _pickle(self, body: Any, task: TaskBase[Any]) -> bytes:
        buffer = io.BytesIO()
        try:
            _ByName(buffer, self._bundled).dump(body)
            return buffer.getvalue()
        except (pickle.PicklingError, AttributeError, TypeError, RecursionError, ValueError):
            pass
        import cloudpickle

        try:
            data: bytes = cloudpickle.dumps(body, 5)
        except Exception as error:
            msg = f"{task!r} cannot be pickled for its worker: {_culprit(task)}{type(error).__name__}: {error}"
            raise TaskDefinitionError(msg) from error
        return data

    def _write_bundle(self, classes: list[type]) -> str:
        """Write classes by value, with the other classes of their modules that they lean on."""
        import cloudpickle

        found: list[type] = []

        class Collecting(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
            def reducer_override(self, obj: Any) -> Any:
                if isinstance(obj, type) and obj.__module__ == "__main__" and obj not in found:
                    found.append(obj)
                return super().reducer_override(obj)

        buffer = io.BytesIO()
        try:
            pickler = Collecting(buffer, 5)
            pickler.dump({cls.__qualname__: cls for cls in classes})
            pickler.dump({cls.__qualname__: cls for cls in found if "." not in cls.__qualname__})
        except Exception as error:
            names = ", ".join(cls.__qualname__ for cls in classes[:3])
            msg = f"{names}: the class cannot be pickled for its workers: {type(error).__name__}: {error}"
            raise TaskDefinitionError(msg) from error
        self._bundled.update(found)
        path = f"{self._directory}/classes-{len(os.listdir(self._directory))}.pkl"
        with open(path, "wb") as file:
            file.write(buffer.getvalue())
        return path


def read_payload(payload: bytes) -> tuple[Assignment, bytes]:
    """Take a payload apart."""
    assignment, body = pickle.loads(payload)
    return assignment, body


def restore_task(assignment: Assignment, body: bytes, on_touch: Callable[[], object]) -> TaskBase[Any]:
    """Make the task to run, on its worker."""
    ref: ClassRef
    ref, attributes, requirements = _unpickle_body(body)
    cls = _resolve(ref)
    task: TaskBase[Any] = object.__new__(cls)
    set_state = getattr(task, "__setstate__", None)
    if set_state is None:
        task.__dict__.update(attributes)
    else:
        set_state(attributes)
    for name, held in requirements.items():
        task.__dict__[PRIVATE + name] = held
    location = Location(
        assignment.name, assignment.digest, assignment.class_directory, assignment.id, assignment.label, assignment.args
    )
    location.on_touch = on_touch
    task.__dict__["_task"] = location
    return task


def write_context(path: str, cache_dir: str, run: str, fsync: bool) -> None:
    """Write down, once per run, what a worker needs to know of its driver."""
    context = {
        "run": run,
        "taskproc": __version__,
        "python": list(sys.version_info[:2]),
        "prefix": sys.prefix,
        "sys_path": [os.path.abspath(entry) for entry in sys.path],
        "cwd": _cwd(),
        "cache_dir": cache_dir,
        "fsync": fsync,
        "pid": os.getpid(),
    }
    files.write_text(path, json.dumps(context, indent=1))


_applied: dict[str, dict[str, Any]] = {}


def apply_context(path: str) -> dict[str, Any]:
    """Make this process like the driver: the same modules can be imported, relative paths mean the same.

    Raises:
        TaskprocError: The versions of Python or taskproc differ.
    """
    context = _applied.get(path)
    if context is not None:
        return context
    with open(path, encoding="utf-8") as file:
        context = dict(json.load(file))
    _applied[path] = context
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
    from .settings import Context

    Context.cache_dir = _path(context["cache_dir"])
    if context["cwd"]:
        try:
            os.chdir(context["cwd"])
        except OSError as error:
            msg = f"the driver's working directory {context['cwd']} cannot be entered here: {error.strerror}"
            raise TaskprocError(msg) from error
    return context


def note_own_context(path: str, fsync: bool) -> None:
    """Say that the run with this context is driven from this process, so that nothing needs to be applied."""
    _applied[path] = {"fsync": fsync}


def forget_context(path: str) -> None:
    """Forget a run that has ended."""
    _applied.pop(path, None)


def importable(obj: Any) -> bool:
    """Whether a fresh process can get this class or function by importing its module."""
    module = sys.modules.get(obj.__module__)
    if module is None or obj.__module__ == "__main__" or not _findable(module):
        return False
    found: Any = module
    for part in obj.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is obj


_here: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()
_bundles: dict[str, dict[str, type]] = {}
_found_modules: dict[str, bool] = {}


class _ByName(pickle.Pickler):
    """Pickles by name, and gives up on what a fresh process could not look up."""

    def __init__(self, file: io.BytesIO, bundled: set[Any]) -> None:
        super().__init__(file, 5)
        self._bundled = bundled

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (type, FunctionType)) and obj not in self._bundled and not importable(obj):
            raise pickle.PicklingError
        return NotImplemented


def _attributes(task: TaskBase[Any]) -> dict[str, Any]:
    get_state = getattr(type(task), "__getstate__", None)
    if get_state is None or get_state is getattr(object, "__getstate__", None):
        state = task.__dict__
    else:
        state = get_state(task)
    return {
        name: value for name, value in state.items() if name not in _NOT_ATTRIBUTES and not name.startswith(PRIVATE)
    }


def _culprit(task: TaskBase[Any]) -> str:
    """Name the attribute that cannot be pickled, as the start of a sentence."""
    import cloudpickle

    for name, value in _attributes(task).items():
        try:
            cloudpickle.dumps(value, 5)
        except Exception:
            return f"self.{name} is a {type(value).__qualname__}: "
    return ""


def _unpickle_body(body: bytes) -> Any:
    try:
        return pickle.loads(body)
    except Exception as error:
        msg = f"the task cannot be unpickled on its worker: {type(error).__name__}: {error}"
        raise TaskprocError(msg) from error


def _resolve(ref: ClassRef) -> type[TaskBase[Any]]:
    cls: Any = _here.get(ref.token)
    if cls is not None:
        return cls  # type: ignore[no-any-return]  # what was registered
    if ref.bundle:
        return _read_bundle(ref.bundle)[ref.qualname]
    import importlib

    try:
        cls = importlib.import_module(ref.module)
    except Exception as error:
        msg = f"the module {ref.module!r} cannot be imported on the worker: {type(error).__name__}: {error}"
        raise TaskprocError(msg) from error
    for part in ref.qualname.split("."):
        cls = getattr(cls, part)
    return cls  # type: ignore[no-any-return]  # a task class by name


def _read_bundle(path: str) -> dict[str, type]:
    bundle = _bundles.get(path)
    if bundle is None:
        with open(path, "rb") as file:
            unpickler = pickle.Unpickler(file)
            bundle = _bundles[path] = unpickler.load()
            main = sys.modules["__main__"]
            # Results name these classes as __main__.X, so they must be found under that name here too.
            for name, cls in unpickler.load().items():
                if not hasattr(main, name):
                    setattr(main, name, cls)
    return bundle


def _findable(module: ModuleType) -> bool:
    top = module.__name__.partition(".")[0]
    if top not in _found_modules:
        spec = getattr(sys.modules.get(top), "__spec__", None)
        _found_modules[top] = spec is not None and any(
            finder.find_spec(top, None) is not None for finder in sys.meta_path if hasattr(finder, "find_spec")
        )
    return _found_modules[top] and getattr(module, "__spec__", None) is not None


def _cwd() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""


def _path(text: str) -> Any:
    from pathlib import Path

    return Path(text)
