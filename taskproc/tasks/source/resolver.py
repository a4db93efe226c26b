"""What names stand for in the user's modules, through imports of every form."""
from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .modules import Module, Modules
from .names import EVERYTHING, FUNCTIONS, Imported, Reference, path_of


class Thing(NamedTuple):
    """A name at the top level of a module, and whatever stands behind it."""

    module: Module
    name: str


class Library(NamedTuple):
    """Something imported from elsewhere: `from module import attribute as name`."""

    name: str
    module: str
    attribute: str | None


class Found(NamedTuple):
    """What a reference stands for.

    Attributes:
        things: Names of the user's modules, each with the attributes that are read from it.
        libraries: What is imported from elsewhere.
        modules: Modules that are passed on as a whole.
    """

    things: list[tuple[Thing, tuple[str, ...]]]
    libraries: list[Library]
    modules: list[Module]


class Resolver:
    """Finds what references stand for, each once.

    Args:
        stop: What makes a class a task class: `TaskBase`.
    """

    def __init__(self, stop: type) -> None:
        self.stop = stop
        self._modules = Modules()
        self._resolved: dict[tuple[Module, Reference], Found] = {}
        self.find = self._modules.find
        self.module_of = self._modules.of_file
        self.beside = self._modules.beside
        self.script = self._modules.script

    def imported_modules(self, module: Module, every: Iterable[Imported]) -> list[Module]:
        """Give the user's modules that are imported, with the packages around them."""
        found = []
        for imported in every:
            name = module.absolute(imported)
            names = [name[:end] for end, letter in enumerate(f"{name}.") if letter == "."]
            if imported.attribute not in (None, "*"):
                names.append(f"{name}.{imported.attribute}")
            found += [inner for inner in map(self.find, names) if inner is not None]
        return found

    def is_task(self, thing: Thing) -> bool:
        """Whether a name stands for a task class."""
        if thing.module.task_class(thing.name, self.stop) is not None:
            return True
        return thing.module.loaded() is None and self._derives_from_task(thing, set())

    def bases(self, module: Module, node: ast.ClassDef) -> Iterator[tuple[Thing, ast.ClassDef]]:
        """Give the class statements that a class derives from, the user's only."""
        for base in node.bases:
            path = path_of(base.value if isinstance(base, ast.Subscript) else base)
            for thing, _ in self.resolve(module, Reference(path)).things if path is not None else ():
                for statement in thing.module.statements(thing.name):
                    if isinstance(statement, ast.ClassDef) and statement is not node:
                        yield thing, statement

    def is_own_function(self, module: Module, decorator: ast.expr) -> bool:
        """Whether a decorator is a function of the user's, whose text tells whether it reads annotations."""
        path = path_of(decorator.func if isinstance(decorator, ast.Call) else decorator)
        found = self.resolve(module, Reference(path)) if path is not None else Found([], [], [])
        statements = [
            statement for thing, rest in found.things if not rest for statement in thing.module.statements(thing.name)
        ]
        return bool(statements) and not found.libraries and all(
            isinstance(statement, FUNCTIONS) and not statement.decorator_list for statement in statements
        )

    def resolve(self, module: Module, reference: Reference) -> Found:
        """Find what a reference stands for: all that it may stand for, if an import has alternatives."""
        key = module, reference
        known = self._resolved.get(key)
        if known is None:
            known = self._resolved[key] = self._follow(module, reference)
        return known

    def _follow(self, module: Module, reference: Reference) -> Found:
        found = Found([], [], [])
        waiting: deque[tuple[Module, tuple[str, ...], Imported | None]] = deque()
        waiting.append((module, reference.path, reference.imported))
        seen = set()
        while waiting:
            step = module, path, imported = waiting.popleft()
            if step in seen:
                continue
            seen.add(step)
            if path[0] == EVERYTHING:
                found.modules.append(module)
                continue
            if imported is not None:
                waiting += self._entered(module, imported, path, found)
                continue
            name, rest = path[0], path[1:]
            found.things.append((Thing(module, name), rest))
            statements = module.statements(name)
            if rest:
                waiting += [(module, (*alias, *rest), None) for alias in map(_alias, statements) if alias]
            every = module.imported(name)
            waiting += [(module, path, each) for each in every]
            for star in module.stars():
                inner = self.find(module.absolute(star))
                if inner is not None and (inner.binds(name) or inner.stars()):
                    waiting.append((inner, path, None))
                    if inner.binds("__all__"):  # which says whether the name is among those that come
                        waiting.append((inner, ("__all__",), None))
            if not statements and not every and module.binds("__getattr__"):
                waiting.append((module, ("__getattr__",), None))
        return found

    def _entered(
        self, module: Module, imported: Imported, path: tuple[str, ...], found: Found
    ) -> Iterator[tuple[Module, tuple[str, ...], Imported | None]]:
        """Go on in the module that is imported, as deep as modules go."""
        name = module.absolute(imported)
        rest: tuple[str, ...] = (*((imported.attribute,) if imported.attribute else ()), *path[1:])
        inner = self.find(name)
        if inner is None:
            found.libraries.append(Library(path[0], name, imported.attribute))
            return
        while True:
            if not rest:
                found.modules.append(inner)
                return
            first, *more = rest
            deeper = self.find(f"{name}.{first}")
            if deeper is None or inner.binds(first):
                yield inner, rest, None
            if deeper is None:
                return
            name, inner, rest = f"{name}.{first}", deeper, tuple(more)

    def _derives_from_task(self, thing: Thing, seen: set[Thing]) -> bool:
        seen.add(thing)
        for statement in thing.module.statements(thing.name):
            for base in statement.bases if isinstance(statement, ast.ClassDef) else ():
                path = path_of(base.value if isinstance(base, ast.Subscript) else base)
                found = self.resolve(thing.module, Reference(path)) if path is not None else Found([], [], [])
                if path is not None and path[-1] == "TaskBase":
                    return True
                if any(self._derives_from_task(inner, seen) for inner, _ in found.things if inner not in seen):
                    return True
        return False


def _alias(statement: ast.stmt) -> tuple[str, ...] | None:
    return path_of(statement.value) if isinstance(statement, ast.Assign) else None
