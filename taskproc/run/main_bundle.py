"""What tasks need of the driver's `__main__`, written to files by value, since no other process can import it.

Names are the unit. From the task classes on, each class, function and value of `__main__` is looked at by itself: which
other names does it need, can it travel at all? What was reached is then pickled in one go, so that what is one object
here is one object there. A name that cannot travel is left out, with the reason: whoever asks for it on a worker is
told, and nobody else is disturbed.
"""
from __future__ import annotations

import itertools
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from ..base.naming import name_in_main
from ..base.private import opener
from ..base.telling import told
from ..tasks.source.pieces import Beside
from ..work.driver_main import DriverMain
from .by_value import DEFINITIONS, Defining, Nowhere
from .changes import NO_CHANGES, Changes, changed_in

_ATTRIBUTES = ("__doc__", "__file__", "__package__")
_PLAIN = (int, float, complex, str, bytes, bool, type(None), ModuleType)
_FEW = 100
_numbers = itertools.count()  # a run that grows has several bundles, which other threads may add to meanwhile
_WAYS_OUT = "make it in run_task, or in a function with @functools.cache, or run the task with backend='thread'"
_NOT_NAMED = "nothing that a task class names leads to it, so that it was not handed over; name it in run_task"


class MainBundle:
    """The files of one run.

    Args:
        directory: The run's directory.
    """

    def __init__(self, directory: str) -> None:
        self.files: list[str] = []
        self._directory = directory
        self._lock = threading.RLock()  # each backend's payloads are made by a thread of its own
        self._main = sys.modules["__main__"]
        if isinstance(self._main, DriverMain):
            self._main.read_all()
        self._names = vars(self._main)
        self._needs: dict[str, set[str]] = {}  # of each name that was reached, those that it is made of
        self._sent: set[str] = set()
        self._missing: dict[str, str] = {}

    def begin(self, classes: Mapping[str, type], beside: Beside) -> None:
        """Write what the task classes reach, and beside it all else that `__main__` defines.

        Args:
            classes: Task classes that no import finds, by the tokens of those that have no name in `__main__`.
            beside: What the script's code, and that of its modules, does to what the classes make use of.
        """
        named = {token: name_in_main(cls) for token, cls in classes.items()}
        nameless = {token: cls for token, cls in classes.items() if not named[token]}
        start = {top(name) for name in named.values() if name} | (beside.names & self._names.keys())
        changed = {(module, path): value for module, name in beside.changes for path, value in changed_in(module, name)}
        for (module, path), value in changed.items():
            start |= self._look(f"{module}.{path}", value)
        for token, cls in list(nameless.items()):
            found = self._look(token, cls)
            if token in self._missing:
                del nameless[token]
            start |= found
        self._follow(start)
        unfit = self._leave_out_unfit(changed)
        nameless = {token: cls for token, cls in nameless.items() if not self._passed_on(token)}
        reached = self._unsent()
        others = self._write_others(set(reached))
        changes = Changes(changed, list(beside.modules), unfit)
        self._write(nameless, reached, others, changes)
        self._sent |= set(reached)

    def _leave_out_unfit(self, changed: dict[tuple[str, str], Any]) -> str:
        """Leave out what cannot travel; say why if the script's change is surely in it.

        A class may have any attribute, such as a lock, from its own module.
        """
        unfit = ""
        for module, path in list(changed):
            key = f"{module}.{path}"
            self._needs.pop(key, None)
            if key in self._missing:
                reason = self._missing.pop(key)
                unfit = unfit if "." in path else reason
                del changed[module, path]
        return unfit

    def need(self, names: Iterable[str]) -> None:
        """Write what these names of `__main__` need besides, which a task was found to hold or to call."""
        with self._lock:
            if all(name in self._needs or name in self._missing for name in names):
                return
            self._follow(names)
            if unsent := self._unsent():
                self._write({}, unsent)
                self._sent |= set(unsent)

    def _unsent(self) -> list[str]:
        """Name what was reached since, in the order of the script, which is that of subclasses, too."""
        return [name for name in self._names if name in self._needs and name not in self._sent]

    # --- what is needed ---

    def _follow(self, start: Iterable[str]) -> None:
        """Look at all names that these lead to."""
        waiting = sorted(start, reverse=True)
        while waiting:
            name = waiting.pop()
            if name in self._names and name not in self._needs and name not in self._missing:
                waiting += sorted(self._look(name, self._names[name]), reverse=True)
        while any(self._passed_on(name) for name in list(self._needs)):
            pass

    def _look(self, name: str, value: Any) -> set[str]:
        """See what a value needs of `__main__`, and whether it can travel; give all names that it leads to."""
        if isinstance(value, ModuleType):
            self._needs[name] = set()
            return set()
        made_of: set[str] = set()
        calls: set[str] = set()

        def by_name(other: str) -> bool:
            if top(other) == name:
                return False
            made_of.add(top(other))
            return True

        def note(used: Mapping[str, Any]) -> dict[str, Any]:
            calls.update(used)
            return {}

        try:
            Defining(Nowhere(), by_name, note).dump(value)
        except Exception as error:
            self._missing[name] = self._reason(name, value, error)
            return set()
        self._needs[name] = made_of
        return made_of | calls | _subclasses(value)

    def _passed_on(self, name: str) -> bool:
        """Leave a name out if something that it is made of is left out."""
        reason = next((self._missing[need] for need in self._needs[name] if need in self._missing), "")
        if reason:
            self._missing[name] = reason
            del self._needs[name]
        return bool(reason)

    def _reason(self, name: str, value: Any, error: Exception) -> str:
        if isinstance(value, DEFINITIONS):
            what = f"{getattr(value, '__qualname__', name)} of the script cannot travel to a worker"
        else:
            what = f"the script's {name}, a {type(value).__qualname__}, cannot travel to a worker"
        return f"{what} ({told(error)}); {_WAYS_OUT}"

    # --- the files ---

    def _write_others(self, reached: set[str]) -> str:
        """Write the classes and functions that nothing led to: a result, or a pickle of the user's own, may name them.

        Of the values that they use, only plain ones go along: others may be large, and nobody has asked for them.
        """
        needs, self._needs = self._needs, {}
        for name, value in list(self._names.items()):
            if isinstance(value, DEFINITIONS) and name_in_main(value) == name and name not in needs:
                self._look(name, value)
        while any(self._passed_on(name) for name in list(self._needs)):
            pass
        others, self._needs = list(self._needs), needs
        left_out = {
            name: f"the script's {name} is not on the worker: {_NOT_NAMED}"
            for name in self._names
            if not name.startswith("_") and name not in reached and name not in others
        }
        if not others and not left_out:
            return ""

        def use(used: Mapping[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in used.items() if name in others or _is_plain(value)}

        path = self._dump({}, others, lambda name: top(name) not in others, use, "", left_out)
        self._sent |= set(others)
        return path

    def _write(
        self, nameless: Mapping[str, type], names: list[str], others: str = "", changes: Changes = NO_CHANGES
    ) -> None:
        sent = frozenset(self._sent)

        def use(used: Mapping[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in used.items() if name in names}

        self.files.append(self._dump(nameless, names, lambda name: top(name) in sent, use, others, {}, changes))

    def _dump(
        self,
        nameless: Mapping[str, type],
        names: Iterable[str],
        by_name: Callable[[str], bool],
        use: Callable[[Mapping[str, Any]], dict[str, Any]],
        others: str,
        left_out: Mapping[str, str],
        changes: Changes = NO_CHANGES,
    ) -> str:
        path = f"{self._directory}/classes-{next(_numbers)}.pkl"
        with open(f"{path}.tmp", "w+b", opener=opener) as content, open(path, "wb", opener=opener) as file:
            pickler = Defining(content, by_name, use)
            pickler.dump(dict(nameless))
            pickler.dump({name: self._names[name] for name in names})
            pickler.dump(changes.values)
            head = {
                "attributes": {name: self._names.get(name) for name in _ATTRIBUTES if name in self._names},
                "spec": getattr(self._names.get("__spec__"), "name", ""),
                "others": others,
                "missing": {**left_out, **self._missing},
                "modules": changes.modules,
                "unfit": changes.unfit,
            }
            pickle.dump(head, file, 5)
            content.seek(0)
            while chunk := content.read(1 << 20):
                file.write(chunk)
        os.unlink(f"{path}.tmp")
        return path


def top(name: str) -> str:
    """Give the outermost part of a name: that of `Outer` for `Outer.Inner`."""
    return name.partition(".")[0]


def _subclasses(value: Any) -> set[str]:
    """Name what a class knows without naming it, `__subclasses__`, as far as `__main__` has it."""
    known: list[type] = type.__subclasses__(value) if isinstance(value, type) and value is not type else []
    return {top(name) for cls in known if (name := name_in_main(cls))}


def _is_plain(value: Any, depth: int = 3) -> bool:
    """Whether a value is small and has no state of its own."""
    if type(value) in _PLAIN or isinstance(value, ModuleType):
        return not isinstance(value, (str, bytes)) or len(value) <= 1 << 16
    if type(value) in (tuple, list, set, frozenset) and len(value) <= _FEW and depth:
        return all(_is_plain(item, depth - 1) for item in value)
    if type(value) is dict and len(value) <= _FEW and depth:
        return all(_is_plain(item, depth - 1) for pair in value.items() for item in pair)
    return False
