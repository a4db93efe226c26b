"""Reads the sources of the classes of one graph."""
from __future__ import annotations

import sys
import threading
from collections.abc import Iterable

from ...base.deep import with_room
from .bindings import imports_anywhere
from .captured import captured
from .imported import imported_packages
from .mentioned import ANNOTATIONS, MESSAGES
from .modules import Module
from .names import EVERYTHING
from .normal_form import MARK, written
from .pieces import Beside
from .program import Program
from .reach import Reach
from .resolver import Thing
from .statements import ClassStatement, class_statements
from .watched import watched_texts

_lock = threading.RLock()  # code is changed in place while it is written


class SourceReader:
    """Reads the sources of classes that belong together.

    Args:
        stop: Where the bases of a class end: `TaskBase`.
        helpers: Whether to add the functions, classes and constants of the user's own modules that a class reaches.
        files: Whether to add the whole files of the modules instead.

    Attributes:
        beside: What the classes that were read make use of and a process that only imports them does not have.
        packages: What each class that was read reaches of others' packages: the modules at their top.
    """

    def __init__(self, stop: type, *, helpers: bool = True, files: bool = False) -> None:
        self._stop = stop
        self._helpers = helpers
        self._files = files
        self._known: Program | None = None
        self._handed_on: dict[type, list[Thing]] = {}
        self.beside = Beside()
        self.packages: dict[type, frozenset[str]] = {}

    def text(self, cls: type, values: Iterable[type] = (), upstreams: Iterable[type] = ()) -> str | None:
        """Give the source of a class, of its bases (those of `stop` left out), and of what they use.

        Bases of the standard library, and mixins of installed packages, are left out like all library code.

        Args:
            cls: The class.
            values: The classes of the values in its tasks' arguments.
            upstreams: The task classes whose results its tasks may be given.

        Returns:
            None if there is no source to read: the class was typed at a prompt that keeps none, or made by
            `exec`.

        Raises:
            TaskDefinitionError: The class is defined in a function and holds from there what cannot be written down.
        """
        with _lock:
            try:
                return self._text(cls, values, upstreams)
            except RecursionError:  # a long sum, or the caller is deep in a recursion itself
                self._known, self._handed_on = None, {}
                return with_room(lambda: self._text(cls, values, upstreams))

    def imported(self, cls: type) -> frozenset[str]:
        """Name what the modules of a class import of others' packages, anywhere, also through modules of the user's."""
        with _lock:
            statements = class_statements(cls, self._stop)
            own = [self._program.module_of(statement.cls.__module__, statement.file) for statement in statements]
            return imported_packages(self._program, [module for module in own if module is not None])

    def may_be_set(self, file: str, name: str) -> bool:
        """Whether code that was read may set a module's name to something else than the module's own text does."""
        modules = [module for module in self._program.modules.values() if file in module.files]
        return any(self._program.changers(Thing(module, one)) for module in modules for one in (name, EVERYTHING))

    def _text(self, cls: type, values: Iterable[type], upstreams: Iterable[type]) -> str | None:
        statements = class_statements(cls, self._stop)
        if not statements:
            return None
        captured_lines, captured_things = captured(statements, self._program)
        if not self._helpers:
            return "\n\n".join([*(statement.text() for statement in statements), *captured_lines])
        beside = [thing for value in _by_name(values) if (thing := self._thing(value)) is not None]
        beside += captured_things
        for upstream in _by_name(set(upstreams) - {cls}):
            beside += self._results(upstream)
        reach = self._reach(statements, dict.fromkeys(beside))
        self.packages[cls] = frozenset(reach.packages)
        kept = {"annotations": ANNOTATIONS in reach.signs, "messages": MESSAGES in reach.signs}
        own = [*(statement.text(**kept) for statement in statements), *captured_lines]
        reached = self._whole(reach.modules()) if self._files else reach.texts()
        return "\n\n".join([*own, MARK, *reached, *watched_texts(cls)])

    @property
    def _program(self) -> Program:
        if self._known is None:
            self._known = Program(self._stop)
        return self._known

    def _reach(self, statements: list[ClassStatement], beside: Iterable[Thing]) -> Reach:
        """Read again, and more of it, as long as code is found that hides what it makes use of."""
        reach = Reach(self._program, statements, beside, frozenset())
        signs: frozenset[str] = frozenset()
        while reach.signs != signs:
            signs = frozenset(reach.signs)
            reach = Reach(self._program, statements, beside, signs)
        self.beside.add(reach.beside)
        return reach

    def _results(self, cls: type) -> list[Thing]:
        if cls not in self._handed_on:
            statements = class_statements(cls, self._stop)
            self._handed_on[cls] = self._reach(statements, ()).handed_on() if statements else []
        return self._handed_on[cls]

    def _thing(self, cls: type) -> Thing | None:
        """Find the class of a value at the top level of a module."""
        file = getattr(sys.modules.get(cls.__module__), "__file__", None)
        known = self._program.find(cls.__module__) if file is None else self._program.module_of(cls.__module__, file)
        name = cls.__qualname__.partition(".")[0]
        if cls.__module__ == "__main__" and (known is None or not known.binds(name)):
            known = self._program.module_of("__main__", "")  # cells, of a notebook or of a shell in a script
        return Thing(known, name) if known is not None else None

    def _whole(self, reached: list[Module]) -> list[str]:
        """Write the files of modules, and of all that they import anywhere."""
        modules: dict[str, Module] = {}
        waiting = list(reached)
        while waiting:
            module = waiting.pop()
            if module.name not in modules:
                modules[module.name] = module
                for parsed in module.trees():
                    waiting += self._program.imported_modules(module, imports_anywhere(parsed.tree))
        return [
            f"__file__ = {name!r}\n\n{written(parsed.tree)}"
            for name, module in sorted(modules.items())
            for parsed in module.trees()
        ]


def normalised_source(cls: type, stop: type, *, helpers: bool = True) -> str | None:
    """Give the source of one class by itself, as `SourceReader.text` does.

    Example:
        >>> import fractions, numbers
        >>> print(normalised_source(fractions.Fraction, numbers.Rational)[:24])
        class Fraction(numbers.R
    """
    return SourceReader(stop, helpers=helpers).text(cls)


def _by_name(classes: Iterable[type]) -> list[type]:
    return sorted(classes, key=lambda cls: (cls.__module__, cls.__qualname__))
