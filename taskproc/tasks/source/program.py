"""The user's modules as one program: which statements change what stands elsewhere."""
from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator, Sequence

from .effects import Effect, Touch, effect_of, effect_of_call
from .mentioned import mentions
from .modules import OURS, Module
from .names import EVERYTHING, FUNCTIONS, Imported, Reference, imported_by, imports_in, path_of, same_scope
from .resolver import Resolver, Thing

_OF_THE_MODULE = {"globals", "vars", "exec", "eval"}
_UNHEARD = ("logging",)  # libraries whose state no result depends on


class Program(Resolver):
    """What the classes of one graph share: modules are looked for once, and their effects are worked out once.

    Args:
        stop: What makes a class a task class: `TaskBase`.

    Attributes:
        modules: The modules that are imported by the ones that were entered, themselves included, by name.
    """

    def __init__(self, stop: type) -> None:
        super().__init__(stop)
        self.modules: dict[str, Module] = {}
        self._changers: dict[Thing | str, list[tuple[Module, ast.stmt]]] = {}
        self._with: dict[Module, dict[str, Module]] = {}
        self._subclasses: dict[Thing, list[tuple[Module, ast.stmt]]] = {}
        if (started := self.script()) is not None:
            self.enter(started)

    def enter(self, module: Module) -> None:
        """Take in a module and all that it imports when it is imported."""
        waiting, entered = deque([module]), []
        while waiting:
            module = waiting.popleft()
            if module.name in self.modules:
                continue
            self.modules[module.name] = module
            entered.append(module)
            for statement in module.running():
                waiting += self._imported(module, statement)
                effect = effect_of(statement)
                for start in effect.mentions.computed if effect is not None else ():
                    waiting += self.beside(module, start)
        for module in entered:
            for statement in module.running():
                self._take_in(module, statement)

    def imported_with(self, module: Module) -> dict[str, Module]:
        """Give a module, and all that is imported when it is, by name; but for what only a computed name leads to."""
        if module not in self._with:
            found, waiting = self._with.setdefault(module, {}), [module]
            while waiting:
                inner = waiting.pop()
                if inner.name not in found:
                    found[inner.name] = inner
                    for statement in inner.running():
                        waiting += self._imported(inner, statement)
        return self._with[module]

    def _imported(self, module: Module, statement: ast.stmt) -> list[Module]:
        """Give the user's modules that a statement imports when it runs, also by `importlib.import_module`."""
        effect = effect_of(statement)
        every = _imports_when_run(statement)
        return self.imported_modules(module, [*every, *effect.mentions.imports] if effect is not None else every)

    def changers(self, key: Thing | str) -> list[tuple[Module, ast.stmt]]:
        """Give the statements that may change what a name, or a library, holds."""
        return self._changers.get(key, [])

    def subclasses(self, thing: Thing) -> list[tuple[Module, ast.stmt]]:
        """Give the statements of the classes that derive from one."""
        return self._subclasses.get(thing, [])

    def _take_in(self, module: Module, statement: ast.stmt) -> None:
        effect = effect_of(statement)
        if effect is None:
            return
        keys = self._changes(module, effect)
        if isinstance(statement, ast.ClassDef):
            keys |= self._told(module, statement)
        for key in keys:
            self._changers.setdefault(key, []).append((module, statement))

    def _told(self, module: Module, statement: ast.ClassDef) -> set[Thing | str]:
        """Give the base classes that learn of a class when it is defined, and note which class derives from which."""
        bases, waiting, told = {}, [(module, statement)], bool(statement.keywords)
        while waiting:
            for thing, base in self.bases(*waiting.pop()):
                if thing not in bases:
                    bases[thing] = base
                    self._subclasses.setdefault(thing, []).append((module, statement))
                    waiting.append((thing.module, base))
                    told = told or bool(base.keywords) or "__init_subclass__" in _methods(base)
        return set(bases) if told else set()

    def _changes(self, module: Module, effect: Effect) -> set[Thing | str]:
        """Give what a statement changes, by itself and by what it calls."""
        keys: set[Thing | str] = set()
        self._add(module, effect, keys)
        waiting = deque((module, reference) for reference in effect.mentions.references)
        seen: set[Thing] = set()
        while waiting:
            inner, reference = waiting.popleft()
            for thing, _ in self.resolve(inner, reference).things:
                if thing in seen or self.is_task(thing):
                    continue
                seen.add(thing)
                for called in self._called(thing):
                    for start in called.mentions.computed:
                        for beside in self.beside(thing.module, start):
                            self.enter(beside)
                    self._add(thing.module, called, keys)
                    waiting += [(thing.module, reference) for reference in called.mentions.references]
        return keys

    def _called(self, thing: Thing) -> Iterator[Effect]:
        """Give what may happen when a function is called, or a class used."""
        for statement in thing.module.statements(thing.name):
            if isinstance(statement, FUNCTIONS):
                yield effect_of_call(statement)
            elif isinstance(statement, ast.ClassDef):
                yield Effect(mentions(statement))
                for inner in statement.body:
                    if isinstance(inner, FUNCTIONS):
                        yield effect_of_call(inner)
            else:
                yield Effect(mentions(statement))

    def _add(self, module: Module, effect: Effect, keys: set[Thing | str]) -> None:
        for touch in effect.touched:
            if touch.callee is None or not self._is_harmless(module, touch):
                self._add_touched(module, touch, keys)
        if effect.hidden:
            keys.update(self._variables(module, effect.mentions.references))

    def _add_touched(self, module: Module, touch: Touch, keys: set[Thing | str]) -> None:
        found = self.resolve(module, Reference(touch.path, touch.imported))
        if touch.callee is None or touch.callee[: len(touch.path)] != touch.path:  # not only a function of it is called
            keys.update(Thing(whole, EVERYTHING) for whole in found.modules)
        if touch.path[0] in _OF_THE_MODULE or touch.path[:2] == ("sys", "modules"):
            keys.add(Thing(module, EVERYTHING))
        for thing, rest in found.things:
            if thing.name == "__dict__" or "__dict__" in rest:
                keys.add(Thing(thing.module, EVERYTHING))
            statements = thing.module.statements(thing.name)
            if self._is_logger(thing) or (not statements and thing.module.imported(thing.name)):
                continue
            if touch.is_set or not _is_constant(statements):
                keys.add(thing)
            if touch.through_call or not any(isinstance(s, (*FUNCTIONS, ast.ClassDef)) for s in statements):
                for statement in statements:
                    keys.update(self._variables(thing.module, mentions(statement).references))
        if touch.of_library:
            tops = {library.module.partition(".")[0] for library in found.libraries}
            keys.update(tops.difference(_UNHEARD, OURS))

    def _is_logger(self, thing: Thing) -> bool:
        """Whether a variable holds what a library gave whose state no result depends on."""
        values = [getattr(statement, "value", None) for statement in thing.module.statements(thing.name)]
        return bool(values) and all(
            isinstance(value, ast.Call)
            and (path := path_of(value.func)) is not None
            and any(library.module in _UNHEARD for library in self.resolve(thing.module, Reference(path)).libraries)
            for value in values
        )

    def _variables(self, module: Module, references: Sequence[Reference]) -> set[Thing]:
        """Give the variables that are referred to, those behind them included: one may be part of another."""
        waiting = [(module, reference) for reference in references]
        variables: set[Thing] = set()
        while waiting:
            for thing, _ in self.resolve(*waiting.pop()).things:
                statements = thing.module.statements(thing.name)
                if thing in variables or not statements or _is_constant(statements):
                    continue
                if any(isinstance(statement, (*FUNCTIONS, ast.ClassDef)) for statement in statements):
                    continue
                variables.add(thing)
                for statement in statements:
                    waiting += [(thing.module, reference) for reference in mentions(statement).references]
        return variables

    def _is_harmless(self, module: Module, touch: Touch) -> bool:
        """Whether what is handed over goes to a task class, or to functions that do nothing to it."""
        assert touch.callee is not None
        found = self.resolve(module, Reference(touch.callee))
        if found.libraries and all(library.module.partition(".")[0] in OURS for library in found.libraries):
            return True
        for thing, rest in found.things:
            if self.is_task(thing) and not rest:
                return True
            statements = thing.module.statements(thing.name)
            if not statements or not all(isinstance(statement, FUNCTIONS) for statement in statements):
                return False
            for statement in statements:
                effect = effect_of_call(statement)  # type: ignore[arg-type]  # they are functions
                if effect.touched or effect.hidden or effect.of_arguments or statement.decorator_list:  # type: ignore[attr-defined]
                    return False
        return bool(found.things) and not found.libraries


def _imports_when_run(statement: ast.stmt) -> list[Imported]:
    known: list[Imported] | None = getattr(statement, "_imports", None)
    if known is None:
        known = statement._imports = _read_imports(statement)  # type: ignore[attr-defined]
    return known


def _read_imports(statement: ast.stmt) -> list[Imported]:
    if isinstance(statement, ast.ClassDef):
        return [imported for every in imports_in(statement).values() for imported in every]
    return [
        imported
        for node in same_scope(statement)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for imported in imported_by(node)
    ]


def _methods(node: ast.ClassDef) -> set[str]:
    return {inner.name for inner in node.body if isinstance(inner, FUNCTIONS)}


def _is_constant(statements: Sequence[ast.stmt]) -> bool:
    """Whether a name only ever holds numbers, text and the like, which nothing can change."""
    values = [getattr(statement, "value", None) for statement in statements]
    return bool(values) and all(isinstance(value, ast.expr) and _is_plain(value) for value in values)


def _is_plain(value: ast.expr) -> bool:
    if isinstance(value, ast.Tuple):
        return all(map(_is_plain, value.elts))
    if isinstance(value, (ast.BinOp, ast.UnaryOp)):
        return all(_is_plain(inner) for inner in ast.iter_child_nodes(value) if isinstance(inner, ast.expr))
    return isinstance(value, ast.Constant)
