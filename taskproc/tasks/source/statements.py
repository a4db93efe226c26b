"""The `class` statements that made a class and its bases, found in the files that hold them."""
from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from copy import copy
from functools import cached_property
from types import CodeType, FunctionType
from typing import Any

from ..requires import Req
from .files import Parsed, is_installed, is_standard, read_file, remembered
from .lean_form import lean_form

_HOW_IT_RUNS = {
    "backend", "backend_options", "channel", "compress_level", "cutoff", "depends_on", "expires", "files", "ignore",
    "interactive", "prefix_command", "retries", "store", "timeout", "watch",
}  # fmt: skip
_PLAIN_BASES = {"abc", "builtins", "typing"}  # of these, classes read no annotations
_GENERATED = ("<string>", "<attrs generated")  # the file of methods that dataclasses and attrs write
_OURS = __name__.partition(".")[0]


def class_statements(cls: type, stop: type) -> list[ClassStatement]:
    """Give the statements of a class and of its bases, those of `stop` and of libraries left out; none if unknown.

    Args:
        cls: The class.
        stop: Where its bases end: `TaskBase`.
    """
    own = _statement(cls, stop)
    if own is None:
        return []
    left_out = set(stop.__mro__)
    bases = [base for base in cls.__mro__[1:] if base not in left_out and not _is_library(base, stop)]
    return [own, *filter(None, (_statement(base, stop) for base in bases))]


class ClassStatement:
    """The `class` statement of one class.

    Attributes:
        cls: The class.
        node: The statement, as parsed.
        file: The file that it stands in.
    """

    def __init__(self, cls: type, definition: _Definition, file: str, stop: type) -> None:
        self.cls = cls
        self.node = definition.node
        self.file = file
        self._definition = definition
        self._is_task = issubclass(cls, stop)
        known = {*stop.__mro__, cls}
        strange = [
            base for base in cls.__mro__
            if base not in known and base.__module__ not in _PLAIN_BASES and not _is_ours(base)
        ]  # fmt: skip
        if all(issubclass(base, stop) or not _is_library(base, stop) for base in strange):
            self._requirements: frozenset[str] | None = frozenset(
                name for name, value in vars(cls).items() if isinstance(value, Req)
            )
        else:  # a mixin may read annotations
            self._requirements = None

    def text(self, *, annotations: bool = False, messages: bool = False) -> str:
        """Write its normal form.

        Args:
            annotations: Whether annotations count.
            messages: Whether the messages of assertions count.
        """
        requirements = self._requirements if self._is_task else None
        return self._definition.text(requirements, annotations=annotations, messages=messages)


def _statement(cls: type, stop: type) -> ClassStatement | None:
    """Find the statement that made the class."""
    codes = list(_own_codes(cls))
    for file in _files(cls, codes):
        found = _among(_classes(file, cls), cls, [code for code in codes if code.co_filename == file])
        if found is not None:
            return ClassStatement(cls, found, file, stop)
    return None


class _Definition:
    """One `class` statement of a file."""

    def __init__(self, node: ast.ClassDef, lines: list[str]) -> None:
        self.node = node
        self.first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        self.last = node.end_lineno or node.lineno
        self._raw = lines[self.first - 1 : self.last]
        self._texts: dict[tuple[frozenset[str] | None, bool, bool], str] = {}

    def text(self, requirements: frozenset[str] | None, *, annotations: bool, messages: bool) -> str:
        """Write the normal form; `requirements` are those that a task class declares, None for other classes."""
        key = requirements, annotations, messages
        if key not in self._texts:
            node = self.node
            if requirements is not None and any(keyword.arg in _HOW_IT_RUNS for keyword in node.keywords):
                node = copy(node)
                node.keywords = [keyword for keyword in node.keywords if keyword.arg not in _HOW_IT_RUNS]
            self._texts[key] = self._written(node, requirements, annotations=annotations, messages=messages)
        return self._texts[key]

    def _written(
        self, node: ast.ClassDef, requirements: frozenset[str] | None, *, annotations: bool, messages: bool
    ) -> str:
        try:
            return lean_form(node, annotations=annotations, messages=messages, requirements=requirements)
        except ValueError:  # nothing that ast.unparse can write: the text as it stands
            return "".join(self._raw)


def _among(classes: dict[str, list[_Definition]], cls: type, codes: list[CodeType]) -> _Definition | None:
    """Pick the statement among those of its file: by name, and by line where a name has several."""
    named = classes.get(cls.__qualname__)
    if not named:  # a `global` statement, or a decorator, gave the class another qualified name
        alike = [d for definitions in classes.values() for d in definitions if d.node.name == cls.__name__]
        named = [d for d in alike if _holds(d, cls, codes)]
    elif len(named) > 1:
        named = [d for d in named if _holds(d, cls, codes)] or named
    return named[-1] if named else None


def _holds(definition: _Definition, cls: type, codes: list[CodeType]) -> bool:
    first = cls.__dict__.get("__firstlineno__")
    if first is not None:
        return bool(definition.first <= first <= definition.node.lineno)
    return any(definition.first <= code.co_firstlineno <= definition.last for code in codes)


def _own_codes(cls: type) -> Iterator[CodeType]:
    """Give the code of the functions that were written in the body of the class."""
    for name, value in vars(cls).items():
        function = _unwrapped(value)
        if (
            isinstance(function, FunctionType)
            and function.__module__ == cls.__module__
            and function.__qualname__ == f"{cls.__qualname__}.{name}"
            and not (name.startswith("__") and function.__code__.co_filename.startswith(_GENERATED))
        ):
            yield function.__code__


def _unwrapped(value: Any) -> Any:
    for _ in range(100):
        inner = vars(value).get("__wrapped__") if isinstance(value, FunctionType) else _inside(value)
        if inner is None:
            break
        value = inner
    return value


def _inside(value: Any) -> Any:
    """Give the function in a property, a cached property, a static or class method, or a wrapper object."""
    if isinstance(value, property):
        return value.fget
    if isinstance(value, cached_property):
        return value.func
    if isinstance(value, (staticmethod, classmethod)):
        return value.__func__
    return getattr(value, "__dict__", {}).get("__wrapped__") if not isinstance(value, type) else None


def _files(cls: type, codes: list[CodeType]) -> list[str]:
    """Name the files that may hold the class, the likeliest first, each once."""
    if codes:
        return list(dict.fromkeys(code.co_filename for code in codes))
    module_file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return [module_file] if module_file else remembered()[::-1]


def _is_ours(base: type) -> bool:
    return base.__module__.partition(".")[0] == _OURS


def _is_library(base: type, stop: type) -> bool:
    if _is_ours(base) or base.__module__ == "builtins":
        return True
    file: str | None = getattr(sys.modules.get(base.__module__), "__file__", None)
    if file is None:
        return False
    if is_installed(file):
        return not issubclass(base, stop)
    return is_standard(file)


def _classes(file: str, cls: type) -> dict[str, list[_Definition]]:
    """Give the class statements of a file by qualified name; nothing if it cannot be read."""
    parsed = read_file(file, sys.modules.get(cls.__module__))
    if parsed.classes is None:
        parsed.classes = _indexed(parsed)
    classes: dict[str, list[_Definition]] = parsed.classes
    return classes


def _indexed(parsed: Parsed) -> dict[str, list[_Definition]]:
    found: dict[str, list[_Definition]] = {}
    for qualname, node in _walk(parsed.tree):
        found.setdefault(qualname, []).append(_Definition(node, parsed.lines))
    return found


def _walk(tree: ast.Module) -> Iterator[tuple[str, ast.ClassDef]]:
    """Give every class statement with its qualified name, in the order of the file."""
    waiting: list[tuple[str, ast.AST]] = [("", tree)]
    while waiting:
        prefix, node = waiting.pop()
        if isinstance(node, ast.ClassDef):
            yield prefix + node.name, node
            prefix += f"{node.name}."
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            prefix += f"{node.name}.<locals>."
        inner = [
            child
            for block in ("body", "handlers", "cases", "orelse", "finalbody")
            for child in getattr(node, block, ())
            if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case))
        ]
        waiting += [(prefix, child) for child in reversed(inner)]
