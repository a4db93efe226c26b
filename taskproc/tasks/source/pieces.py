"""What was reached: statements of the user's modules, with the members of classes that count."""
from __future__ import annotations

import ast
from dataclasses import dataclass, field

from .modules import Module
from .names import Mentions, Reference
from .resolver import Thing


@dataclass
class Piece:
    """A statement that was reached.

    Attributes:
        module: The module whose names it uses.
        node: The statement.
        optional: Of a class, the methods that count once somebody names them.
        members: Of a class, the members that count; None: all.
        only: Whether nothing else of the class counts, as of other task classes.
    """

    module: Module
    node: ast.stmt
    optional: dict[str, list[ast.stmt]] = field(default_factory=dict)
    members: set[str] | None = None
    only: bool = False


@dataclass
class Beside:
    """What a class makes use of and a process that only imports the class does not have.

    Attributes:
        names: What the script defines, by name.
        subclasses: Those of them that are found by their base, which asks for its subclasses.
        changes: What the script changes in other modules, by module and name.
        modules: The modules that change something when they are imported, without the class's own importing them.
    """

    names: set[str] = field(default_factory=set)
    subclasses: set[str] = field(default_factory=set)
    changes: dict[tuple[str, str], None] = field(default_factory=dict)
    modules: dict[str, None] = field(default_factory=dict)

    def add(self, other: Beside) -> None:
        """Take in what another class makes use of."""
        self.names |= other.names
        self.subclasses |= other.subclasses
        self.changes |= other.changes
        self.modules |= other.modules


NOTHING_BESIDE = Beside()


@dataclass
class TaskClass:
    """Another task class that was referred to: what counts of it is what is named."""

    piece: Piece
    thing: Thing
    is_passed: bool = False


def only(references: tuple[Reference, ...]) -> Mentions:
    """Mention nothing but these."""
    return Mentions(references)


def named(module: Module, statement: ast.stmt) -> Thing:
    """Give what a `def` or `class` statement defines; of other statements nobody asks."""
    return Thing(module, getattr(statement, "name", ""))


def all_names(mentioned: Mentions) -> frozenset[str]:
    """Give all names and attributes that code mentions."""
    return mentioned.attributes.union(reference.path[0] for reference in mentioned.references)


def place(module: Module, statement: ast.stmt) -> tuple[str, int, int]:
    """Give what statements are sorted by."""
    return module.name, statement.lineno, statement.col_offset
