"""The driver's `__main__` on a worker: what a script or a notebook defines itself, as far as its tasks may need it.

A worker has a `__main__` of its own. While it runs tasks of a script, this one stands in its place, so that what goes
by name (`__main__.Config` in a task, in a result, in a pickle that the task makes for a pool) is found, and is the
same object each time. Each run has one, so that a process which serves two runs does not mix their sources.

Its files are written by `run.main_bundle`. The first holds what the task classes reach; another, which is read when
something in it is asked for, holds all that the script defines besides; further ones what single tasks need more.
"""
from __future__ import annotations

import sys
from _thread import RLock
from collections.abc import Sequence
from types import ModuleType, resolve_bases

from ..base.errors import TaskprocError
from ..base.lean import pickle
from ..base.telling import told
from .changed import put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_mains: dict[str, DriverMain] = {}


def enter_main(files: Sequence[str]) -> DriverMain:
    """Put the driver's `__main__` in the place of this process's own, with all that these files hold.

    Raises:
        TaskprocError: A file cannot be read here.
    """
    main = _mains.get(files[0])
    if main is None:
        main = _mains[files[0]] = DriverMain()
    sys.modules["__main__"] = main
    main.read(files)
    return main


def namespace(module: str) -> dict[str, Any]:
    """Give the namespace of a module: the globals of a function that travels by value."""
    __import__(module)
    return vars(sys.modules[module])


def make_unheard(make: Any, metaclass: type, name: str, bases: tuple[Any, ...], *rest: Any) -> Any:
    """Make a class, by cloudpickle's function, without telling the script's own bases: they have heard of it."""
    heard = {}
    for base in {base: None for entry in resolve_bases(bases) for base in entry.__mro__}:
        hook = vars(base).get("__init_subclass__")
        if hook is not None and (base.__module__ == "__main__" or "<locals>" in base.__qualname__):
            heard[base] = hook
    try:
        for base in heard:
            base.__init_subclass__ = _ignore
        return make(metaclass, name, bases, *rest)
    finally:
        for base, hook in heard.items():
            base.__init_subclass__ = hook


@classmethod  # type: ignore[misc]  # it is put into classes
def _ignore(cls: type, **_: object) -> None:
    """Stand in for a hook."""


class DriverMain(ModuleType):
    """A module that fills itself from files.

    Its own state is in slots: all that is in its namespace is the script's.
    """

    __slots__ = ("_by_token", "_lock", "_missing", "_others", "_read")

    def __init__(self) -> None:
        super().__init__("__main__")
        self._lock = RLock()
        self._read: set[str] = set()
        self._others = ""
        self._missing: dict[str, str] = {}
        self._by_token: dict[str, type] = {}

    def __getattr__(self, name: str) -> Any:
        self.read_all()
        try:
            return vars(self)[name]
        except KeyError:
            reason = self._missing.get(name, "")
            raise AttributeError(reason or f"the driver's __main__ has no {name!r}", name=name, obj=self) from None

    def read(self, files: Sequence[str]) -> None:
        """Read those files that were not read before."""
        with self._lock:
            for path in files:
                if path not in self._read:
                    self._read_file(path)
                    self._read.add(path)

    def read_all(self) -> None:
        """Read what nobody has asked for so far."""
        with self._lock:
            path, self._others = self._others, ""
            if path:
                self._read_file(path)

    def find(self, token: str, name: str) -> type:
        """Give a class that has no name in this module.

        Raises:
            TaskprocError: It could not travel.
        """
        cls = self._by_token.get(token)
        if cls is None:
            raise TaskprocError(self._missing.get(token) or f"{name} is not in what the driver handed over")
        return cls

    def why_missing(self, error: NameError | AttributeError) -> str:
        """Say why a name that somebody asked for in vain is not here, if it is one of the script's."""
        self.read_all()
        if isinstance(error, NameError):
            return self._missing.get(error.name or "", "") if self._raised(error) else ""
        return next((reason for name, reason in self._missing.items() if repr(name) in str(error)), "")

    def _raised(self, error: NameError) -> bool:
        """Whether it was code of the script that asked."""
        at = error.__traceback__
        while at is not None and at.tb_next is not None:
            at = at.tb_next
        return at is not None and at.tb_frame.f_globals is vars(self)

    def _read_file(self, path: str) -> None:
        try:
            with open(path, "rb") as file:
                head = pickle.load(file)
                unpickler = pickle.Unpickler(file)
                self._missing.update(head["missing"])
                vars(self).update(head["attributes"])
                if head["spec"]:
                    self.__spec__ = _spec(head["spec"])
                self._by_token.update(unpickler.load())
                for name, value in unpickler.load().items():
                    vars(self).setdefault(name, value)
                for module in head["modules"]:
                    __import__(module)
                for (module, name), value in unpickler.load().items():
                    put(module, name, value)
            if head["unfit"]:
                raise TaskprocError(head["unfit"])
        except TaskprocError:
            raise
        except Exception as error:
            msg = f"what the script defines cannot be read on the worker: {told(error)}"
            raise TaskprocError(msg) from error
        self._others = head["others"] or self._others


def why_missing(error: BaseException) -> str:
    """Say why a name of the script is not on this worker, if that is what the error is about."""
    main = sys.modules.get("__main__")
    if isinstance(main, DriverMain) and isinstance(error, (NameError, AttributeError)):
        return main.why_missing(error)
    return ""


def _spec(name: str) -> Any:
    """Say what `python -m` ran, for relative imports and for processes that a task spawns."""
    from importlib.machinery import ModuleSpec

    return ModuleSpec(name, None)
