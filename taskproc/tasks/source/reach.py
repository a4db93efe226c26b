"""What a class reaches in the user's own modules: functions, classes and constants, read without running anything.

It starts from the names in the class's body, finds the top-level statements that bind them, and goes on from there,
into other modules of the user too. Library code ends the way, with a line that says what was imported. Task classes end
it as well: their own results say when they are stale. What is reached by other means (`getattr`, a name in a string, a
local function around the class) goes unseen.
"""
from __future__ import annotations

import ast
import logging
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import PathFinder
from types import CodeType
from typing import NamedTuple

from .files import is_installed, is_standard, read_file, remembered
from .names import Imported, Reference, TopLevel, references, top_level
from .normal_form import written
from .statements import ClassStatement

LIMIT = 2000
_OURS = ("taskproc", "taskproc_backends")
_LOGGER = logging.getLogger(__name__)


class Piece(NamedTuple):
    """A statement, or a method of a task class, that was reached, and the module whose names it uses."""

    module: Module
    node: ast.AST


@dataclass(frozen=True, eq=False)
class Module:
    """A module of the user's, as its files say.

    Args:
        name: Its name.
        package: What its relative imports start from.
        files: Its file; for a notebook, its cells in the order in which they ran.
    """

    name: str
    package: str
    files: tuple[str, ...]

    def statements(self, name: str) -> list[ast.stmt]:
        """Give the statements that bind a name: all of a file, or those of the cell that did it last."""
        found = [bound for file in self.files if (bound := _names_in(file).bound.get(name))]
        if len(found) > 1 and (file := self._file_of(name)) is not None:
            return _names_in(file).bound.get(name, [])
        return found[-1] if found else []

    def imported(self, name: str) -> Imported | None:
        """Give what was imported by a name."""
        found = [_names_in(file).imported.get(name) for file in self.files]
        return next(filter(None, reversed(found)), None)

    def stars(self) -> list[Imported]:
        """Give the modules that all names were imported from."""
        return [star for file in self.files for star in _names_in(file).stars]

    def everything(self) -> list[str]:
        """Give every name that it binds."""
        return list(dict.fromkeys(name for file in self.files for name in _names_in(file).bound))

    def absolute(self, imported: Imported) -> str:
        """Give the whole name of a module that is imported here."""
        if not imported.level:
            return imported.module
        parts = self.package.split(".")
        base = parts[: len(parts) - imported.level + 1]
        return ".".join([*base, imported.module] if imported.module else base)

    def task_class(self, name: str, stop: type) -> type | None:
        """Give the task class of that name, if it is one."""
        found = getattr(sys.modules.get(self.name), name, None)
        return found if isinstance(found, type) and issubclass(found, stop) else None

    def _file_of(self, name: str) -> str | None:
        code = getattr(getattr(sys.modules.get(self.name), name, None), "__code__", None)
        return code.co_filename if isinstance(code, CodeType) and code.co_filename in self.files else None


def helper_texts(statements: Sequence[ClassStatement], stop: type) -> Iterator[str]:
    """Give what the statements of a class reach, each in its normal form, in the order in which it is reached.

    Args:
        statements: The class's own statement and those of its bases.
        stop: What makes a class a task class: `TaskBase`.
    """
    seen = {id(statement.node) for statement in statements}
    waiting = deque(
        Piece(module, statement.node)
        for statement in statements
        if (module := _module_of(statement.cls.__module__, statement.file)) is not None
    )
    told: set[str] = set()
    while waiting:
        piece = waiting.popleft()
        for reference in _references(piece.node):
            for found in _follow(piece.module, reference, stop):
                if isinstance(found, str):
                    if found not in told:
                        told.add(found)
                        yield found
                elif id(found.node) not in seen:
                    if len(seen) > LIMIT:
                        _warn(statements[0].cls)
                        return
                    seen.add(id(found.node))
                    waiting.append(found)
                    yield _text(found.node)


def _follow(module: Module, reference: Reference, stop: type) -> Iterator[Piece | str]:
    """Give what a reference stands for: pieces of the user's code, or a line for what is imported from elsewhere."""
    waiting = [(module, reference)]
    seen = set()
    while waiting:
        module, reference = waiting.pop()
        if (module, reference) in seen:
            continue
        seen.add((module, reference))
        name, *attributes = reference.path
        imported = reference.imported
        if imported is None:
            yield from _pieces(module, name, attributes, stop)
            imported = module.imported(name)
        if imported is not None:
            waiting += _enter(module.absolute(imported), imported.attribute, attributes)
            if not waiting and (line := _line(name, module.absolute(imported), imported.attribute)):
                yield line
        elif not module.statements(name):
            waiting += [
                (own, Reference(reference.path))
                for star in module.stars()
                if (own := find_module(module.absolute(star))) is not None
            ]


def _pieces(module: Module, name: str, attributes: Sequence[str], stop: type) -> Iterator[Piece]:
    statements = module.statements(name)
    if module.task_class(name, stop) is None:
        yield from (Piece(module, statement) for statement in statements)
        return
    for statement in statements:  # of a task class only what is called by name is a helper
        for inner in statement.body if isinstance(statement, ast.ClassDef) and attributes else ():
            if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)) and inner.name == attributes[0]:
                yield Piece(module, inner)


def _enter(name: str, attribute: str | None, attributes: Sequence[str]) -> list[tuple[Module, Reference]]:
    """Give where to go on for `name.attribute...`, as deep as modules go; nowhere if that is no code of the user's."""
    rest = [attribute, *attributes] if attribute else list(attributes)
    found = find_module(name)
    if found is None:
        return []
    while rest and not (found.statements(rest[0]) or found.imported(rest[0])):
        inner = find_module(f"{found.name}.{rest[0]}")
        if inner is None:
            break
        found, rest = inner, rest[1:]
    if rest:
        return [(found, Reference(tuple(rest)))]
    return [(found, Reference((every,))) for every in reversed(found.everything())]  # the module itself is passed on


def _line(name: str, module: str, attribute: str | None) -> str | None:
    """Say what is imported from elsewhere, the same for both kinds of import."""
    if module.partition(".")[0] in _OURS:
        return None
    return f"import {module}.{attribute} as {name}" if attribute else f"import {module} as {name}"


def find_module(name: str) -> Module | None:
    """Find a module of the user's, imported already or not; None if it is installed, standard, or not there."""
    loaded = sys.modules.get(name)
    file = getattr(loaded, "__file__", None) if loaded is not None else _search(name, tuple(sys.path))
    return _module_of(name, file) if isinstance(file, str) else None


@lru_cache(maxsize=1024)
def _search(name: str, path: tuple[str, ...]) -> str | None:
    """Look for a module as an import would, but run nothing."""
    places: Sequence[str] | None = path
    file = None
    for end in [index for index, letter in enumerate(f"{name}.") if letter == "."]:
        try:
            spec = PathFinder.find_spec(name[:end], places)
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        file, places = spec.origin, spec.submodule_search_locations or []
    return file


def _module_of(name: str, file: str) -> Module | None:
    if name.partition(".")[0] in (*_OURS, *sys.stdlib_module_names) or is_installed(file) or is_standard(file):
        return None
    if not os.path.exists(file):  # typed: the module is all that was typed so far
        return _module(name, "", tuple(remembered()) or (file,))
    is_package = os.path.basename(file).startswith("__init__.")
    return _module(name, name if is_package else name.rpartition(".")[0], (file,))


@lru_cache(maxsize=1024)
def _module(name: str, package: str, files: tuple[str, ...]) -> Module:
    return Module(name, package, files)


def _names_in(file: str) -> TopLevel:
    parsed = read_file(file)
    if parsed.names is None:
        parsed.names = top_level(parsed.tree)
    names: TopLevel = parsed.names
    return names


def _references(node: ast.AST) -> list[Reference]:
    known: list[Reference] | None = getattr(node, "_references", None)
    if known is None:
        known = references(node)
        node._references = known  # type: ignore[attr-defined]
    return known


def _text(node: ast.AST) -> str:
    known: str | None = getattr(node, "_text", None)
    if known is None:
        try:
            known = written(copy(node))
        except (RecursionError, ValueError):
            known = ast.dump(node)
        node._text = known  # type: ignore[attr-defined]
    return known


def _warn(cls: type) -> None:
    _LOGGER.warning(
        "%s.%s reaches more than %d functions, classes and constants; changes in the rest go unseen",
        cls.__module__, cls.__qualname__, LIMIT,
    )  # fmt: skip
