"""What a class reaches in the user's own modules: functions, classes and constants, read without running anything.

It starts from the names in the class's body, finds the top-level statements that bind them, and those that change what
they hold, and goes on from there, into other modules of the user too. Library code ends the way, with a line that says
what was imported. Task classes end it as well, apart from what is used of them: their own results say when they are
stale. Where code hides what it makes use of (`getattr`, `__annotations__` ...), all of it counts.
"""
from __future__ import annotations

import ast
import logging
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from .lean_form import bound_names, lean_form
from .members import is_without_fields, optional_methods
from .mentioned import ANNOTATIONS, GRAPHS, MEMBERS, MESSAGES, SUBCLASSES, decorators_in, mentions
from .modules import OURS, Module
from .names import EVERYTHING, FUNCTIONS, Mentions, Reference, imports_in
from .pieces import Beside, Piece, TaskClass, all_names, named, only, place
from .program import Program
from .resolver import Thing
from .statements import ClassStatement

LIMIT = 10_000
_LOGGER = logging.getLogger(__name__)


class Reach:
    """What the statements of one class reach.

    Args:
        program: The modules.
        statements: The class's own statement and those of its bases.
        beside: What else it makes use of: the classes of its arguments and of its upstreams' results.
        signs: What is known to be hidden from a reader.

    Attributes:
        signs: The same, and what was found on the way.
        packages: The modules at the top of what is imported from elsewhere, Python's own left out.
        beside: What a process that imports the class has not, or not yet.
    """

    def __init__(
        self, program: Program, statements: Sequence[ClassStatement], beside: Iterable[Thing], signs: frozenset[str]
    ) -> None:
        self.signs = set(signs)
        self.beside = Beside()
        self.packages: set[str] = set()
        self._given = signs
        self._program = program
        self._statements = statements
        self._things: dict[Thing, None] = {}
        self._passed: set[Thing] = set()
        self._libraries: dict[str, None] = {}
        self._pieces: dict[int, Piece | str] = {}
        self._tasks: dict[int, TaskClass] = {}
        self._attributes: set[str] = set()
        self._bindings: dict[int, dict[str, list[ast.stmt]]] = {}
        self._of_every_task = frozenset(dir(program.stop))
        # What constructs tasks and returns them has to do with how they are constructed: its result is how.
        self._expands = any(getattr(vars(s.cls).get("_task_config"), "expands", False) for s in statements[:1])
        self._own_names = set(dir(program.stop)).union(*(vars(s.cls) for s in statements))
        self._own_names.update(name for s in statements for inner in s.node.body for name in bound_names(inner))
        self._waiting: deque[tuple[Module, Mentions]] = deque()
        self._optional: dict[str, list[Piece]] = {}
        self._full = False
        self._seeds = {id(statement.node) for statement in statements}
        self._start(beside)

    def texts(self) -> list[str]:
        """Write what was reached, each in its normal form, in the order in which it was reached."""
        texts = [piece if isinstance(piece, str) else self._text(piece) for piece in self._pieces.values()]
        return [*filter(None, texts), *self._order()]

    def modules(self) -> list[Module]:
        """Give the modules that something of was reached."""
        own = self._modules_of_statements()
        found = [piece.module for piece in self._pieces.values() if isinstance(piece, Piece)]
        return list(dict.fromkeys([*own, *found]))

    def handed_on(self) -> list[Thing]:
        """Give the classes, and the functions that are handed on as values: results may hold them."""
        return [
            thing
            for thing in self._things
            if not self._program.is_task(thing)
            and any(
                isinstance(statement, ast.ClassDef) or (isinstance(statement, FUNCTIONS) and thing in self._passed)
                for statement in thing.module.statements(thing.name)
            )
        ]

    def _own_modules(self) -> list[Module]:
        """Give the modules that a process imports to have the class."""
        return [module for module in self._modules_of_statements() if not module.is_script]

    def _modules_of_statements(self) -> list[Module]:
        return [module for s in self._statements if (module := self._module(s)) is not None]

    # --- going on ---

    def _start(self, beside: Iterable[Thing]) -> None:
        for statement in self._statements:
            module = self._module(statement)
            if module is None:
                continue
            self._program.enter(module)
            self._waiting.append((module, mentions(statement.node, annotations=ANNOTATIONS in self._given)))
            outermost, local, _ = statement.cls.__qualname__.partition(".<locals>.")
            self._reach(Thing(module, outermost), is_seed=not local)
        for thing in beside:
            self._program.enter(thing.module)
            self._waiting.append((thing.module, only((Reference((thing.name,), None, True),))))
        while self._waiting and not self._full:
            self._go_on(*self._waiting.popleft())

    def _module(self, statement: ClassStatement) -> Module | None:
        return self._program.module_of(statement.cls.__module__, statement.file)

    def _go_on(self, module: Module, mentioned: Mentions) -> None:
        self.signs |= mentioned.signs
        for inner in self._program.imported_modules(module, mentioned.imports):
            self._program.enter(inner)
        for start in mentioned.computed:
            for inner in self._program.beside(module, start):
                self._reach_whole(inner)
        for reference in mentioned.references:
            self._refer(module, reference)
        for name in sorted(mentioned.attributes - self._attributes):
            self._attributes.add(name)
            for piece in self._optional.pop(name, ()):
                self._add_members(piece, name)
            for known in list(self._tasks.values()):
                self._name_member(known, name)

    def _refer(self, module: Module, reference: Reference) -> None:
        found = self._program.resolve(module, reference)
        for thing, rest in found.things:
            self._program.enter(thing.module)
            if reference.passed:
                self._passed.add(thing)
            self._reach(thing, rest, reference.passed)
        for library in found.libraries:
            top = library.module.partition(".")[0]
            if top in OURS:
                continue
            if top not in sys.stdlib_module_names:
                self.signs.add(MEMBERS)
                self.packages.add(top)
            told = f"{library.module}.{library.attribute}" if library.attribute else library.module
            line = f"import {told} as {library.name}"
            if line not in self._libraries:
                self._libraries[line] = None
                self._pieces[id(line)] = line
            self._reach_changers(top)
        for whole in found.modules:
            self._reach_whole(whole)

    def _reach_whole(self, module: Module) -> None:
        self._program.enter(module)
        inside = [inner for name, inner in self._program.modules.items() if name.startswith(f"{module.name}.")]
        for inner in [module, *inside]:
            for name in inner.everything():
                if Thing(inner, name) not in self._things:
                    self._refer(inner, Reference((name,), None, True))

    def _reach(self, thing: Thing, rest: tuple[str, ...] = (), is_passed: bool = False, is_seed: bool = False) -> None:
        is_new = thing not in self._things
        self._things[thing] = None
        if thing.module.is_script:
            self.beside.names.add(thing.name)
        statements = thing.module.statements(thing.name)
        if not is_seed and self._program.is_task(thing):
            for statement in statements:
                self._reach_task(thing, statement, rest, is_passed)
        elif is_new and not is_seed:
            for statement in statements:
                self._add(thing, statement)
        if is_new:
            self._reach_changers(thing)
            self._reach_changers(Thing(thing.module, EVERYTHING))
            if SUBCLASSES in self._given:
                for module, statement in self._program.subclasses(thing):
                    self._add(named(module, statement), statement)
                    if module.is_script and module is not thing.module:
                        self.beside.subclasses.add(named(module, statement).name)

    def _reach_changers(self, key: Thing | str) -> None:
        for module, statement in sorted(self._program.changers(key), key=lambda found: place(*found)):
            thing = named(module, statement)
            if isinstance(key, Thing) and key.module is not module:
                self._note_change(key, module)
            if isinstance(statement, ast.ClassDef) and self._program.is_task(thing):
                self._reach_task(thing, statement, (), True)
            else:
                self._add(thing, statement)

    def _note_change(self, thing: Thing, module: Module) -> None:
        """Note that one module changes a thing of another: who imports only the other misses that."""
        if not module.is_script:
            if not any(module.name in self._program.imported_with(own) for own in self._own_modules()):
                self.beside.modules[module.name] = None
        elif thing.name != EVERYTHING and thing.module.loaded() is not None:
            self.beside.changes[thing.module.name, thing.name] = None

    def _add(self, thing: Thing, node: ast.stmt) -> None:
        if id(node) in self._pieces or id(node) in self._seeds:
            return
        if len(self._pieces) > LIMIT:
            self._warn()
            return
        piece = self._pieces[id(node)] = Piece(thing.module, node)
        assert isinstance(piece, Piece)
        if thing.module.is_script and isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            self.beside.names.add(node.name)
        if isinstance(node, ast.ClassDef) and MEMBERS not in self._given:
            piece.optional = optional_methods(self._program, thing, node)
            methods = {inner.name for inner in node.body if isinstance(inner, FUNCTIONS)}
            piece.members = methods.difference(piece.optional)
        mentioned = mentions(
            node, annotations=self._keeps_annotations(thing), without=frozenset(piece.optional),
            own=self._own_decorators(piece),
        )  # fmt: skip
        self._waiting.append((thing.module, mentioned))
        inside = {reference.path[0] for reference in mentioned.references} if piece.optional else set()
        for name in piece.optional:
            if name in self._attributes or name in inside:
                self._add_members(piece, name)
            else:
                self._optional.setdefault(name, []).append(piece)

    def _add_members(self, piece: Piece, name: str) -> None:
        if piece.members is not None and name not in piece.members:
            piece.members.add(name)
            annotations = ANNOTATIONS in self._given
            for inner in piece.optional[name]:
                self._waiting.append((piece.module, mentions(inner, annotations=annotations)))

    # --- other task classes ---

    def _reach_task(self, thing: Thing, node: ast.stmt, rest: tuple[str, ...], is_passed: bool) -> None:
        if not isinstance(node, ast.ClassDef) or id(node) in self._seeds:
            return
        if GRAPHS in self._given:
            self._add(thing, node)
            return
        known = self._tasks.get(id(node))
        is_told_more = known is None or (is_passed and not known.is_passed)
        if known is None:
            piece = self._pieces[id(node)] = Piece(thing.module, node, members=set(), only=True)
            assert isinstance(piece, Piece)
            known = self._tasks[id(node)] = TaskClass(piece, thing)
        if self._expands:
            self._add_task_member(known, "__init__")
        if rest and (rest[0] == "run_task" or rest[0] not in self._of_every_task):
            self._add_task_member(known, rest[0])
        if is_told_more:
            known.is_passed = is_passed
            for name in sorted(self._attributes):
                self._name_member(known, name)

    def _name_member(self, known: TaskClass, name: str) -> None:
        taken = self._of_every_task if known.is_passed else self._own_names
        if name not in taken:
            self._add_task_member(known, name)

    def _add_task_member(self, known: TaskClass, name: str) -> None:
        waiting, seen = [(known, name)], set()
        while waiting:
            known, name = waiting.pop()
            node, members = known.piece.node, known.piece.members
            if members is None or name in members or (id(node), name) in seen:
                continue
            seen.add((id(node), name))
            assert isinstance(node, ast.ClassDef)
            found = self._binding(node).get(name)
            if found:
                members.add(name)
                imported = imports_in(node).get(name, ())
                self._waiting.append((known.piece.module, only(tuple(Reference((name,), i, True) for i in imported))))
                every = [mentions(inner, annotations=ANNOTATIONS in self._given) for inner in found]
                self._waiting += [(known.piece.module, mentioned) for mentioned in every]
                own = frozenset().union(*map(all_names, every)).difference(self._of_every_task)
                waiting += [(known, inner) for inner in sorted(own, reverse=True)]
                continue
            for thing, base in self._program.bases(known.piece.module, node):
                if id(base) not in self._seeds:
                    self._reach(thing)
                    if id(base) in self._tasks:
                        waiting.append((self._tasks[id(base)], name))

    def _binding(self, node: ast.ClassDef) -> dict[str, list[ast.stmt]]:
        """Give the statements of a class's body by the names that they bind; each class is asked for many."""
        known = self._bindings.get(id(node))
        if known is None:
            known = self._bindings[id(node)] = {}
            for inner in node.body:
                for name in bound_names(inner):
                    known.setdefault(name, []).append(inner)
        return known

    # --- writing ---

    def _keeps_annotations(self, thing: Thing) -> bool:
        return ANNOTATIONS in self._given or thing in self._passed

    def _text(self, piece: Piece) -> str:
        if piece.only and not piece.members:
            return ""
        annotations = self._keeps_annotations(named(piece.module, piece.node))
        members = frozenset(piece.members) if piece.members is not None else None
        key = annotations, MESSAGES in self.signs, members, piece.only, self._own_decorators(piece)
        known: dict[object, str] = piece.node.__dict__.setdefault("_texts", {})
        if key not in known:
            try:
                known[key] = lean_form(
                    piece.node, annotations=key[0], messages=key[1], requirements=self._fields(piece),
                    members=members, only=piece.only, own=self._own_decorators(piece),
                )  # fmt: skip
            except ValueError:
                known[key] = ast.dump(piece.node)
        return known[key]

    def _fields(self, piece: Piece) -> frozenset[str] | None:
        """Give the attributes of a class whose annotations count: none, or any."""
        is_plain = isinstance(piece.node, ast.ClassDef) and is_without_fields(
            self._program, named(piece.module, piece.node), piece.node
        )
        return frozenset() if is_plain else None

    def _own_decorators(self, piece: Piece) -> frozenset[str]:
        """Name the decorators that are functions of the user's, which say themselves whether they read annotations."""
        decorators = decorators_in(piece.node)
        return frozenset(
            ast.unparse(decorator) for decorator in decorators
            if self._program.is_own_function(piece.module, decorator)
        )  # fmt: skip

    def _order(self) -> Iterator[str]:
        """Say in which order statements run, where several bind or change one name."""
        pieces = [piece for piece in self._pieces.values() if isinstance(piece, Piece)]
        number = {id(piece.node): index for index, piece in enumerate(pieces)}
        several = [
            thing.module
            for thing in self._things
            if sum(id(statement) in number for statement in self._about(thing)) > 1
        ]
        for module in dict.fromkeys(several):
            running = [number[id(statement)] for statement in module.running() if id(statement) in number]
            yield f"__order__{tuple(running)}"

    def _about(self, thing: Thing) -> list[ast.stmt]:
        changers = [statement for _, statement in self._program.changers(thing)]
        return list({id(s): s for s in [*thing.module.statements(thing.name), *changers]}.values())

    def _warn(self) -> None:
        if not self._full:
            self._full = True
            cls = self._statements[0].cls
            _LOGGER.warning(
                "%s.%s reaches more than %d functions, classes and constants; changes in the rest go unseen",
                cls.__module__, cls.__qualname__, LIMIT,
            )  # fmt: skip
