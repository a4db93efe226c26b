"""Names: what imports and statements bind, and how code refers to what is bound elsewhere."""
from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES = (*FUNCTIONS, ast.Lambda, ast.ClassDef, *_COMPREHENSIONS)

EVERYTHING = "*"

# Functions of Python's own that neither keep nor change what they are given.
HARMLESS = frozenset(
    [
        "abs", "all", "any", "bool", "bytes", "callable", "chr", "complex", "dict", "divmod", "enumerate",
        "filter", "float", "format", "frozenset", "hash", "hex", "id", "int", "isinstance", "issubclass",
        "iter", "len", "list", "map", "max", "min", "oct", "open", "ord", "pow", "print", "range", "repr",
        "reversed", "round", "set", "slice", "sorted", "str", "sum", "tuple", "type", "zip",
    ]
)


class Imported(NamedTuple):
    """`from module import attribute`, or `import module` without one; `level` counts the dots in front."""

    module: str
    attribute: str | None = None
    level: int = 0


class Reference(NamedTuple):
    """A name with the attributes read from it: `helpers.scale` is ("helpers", "scale").

    A name that a function or class imports for itself says in `imported` what it is. What is `passed` is handed on as
    a value; what is not is called, or only stands in front of an attribute.
    """

    path: tuple[str, ...]
    imported: Imported | None = None
    passed: bool = False


@dataclass(frozen=True)
class Mentions:
    """What a piece of code mentions.

    Attributes:
        references: What it refers to outside of itself, each once, in the order in which it stands there.
        attributes: The attributes that it names, also in strings.
        imports: What it imports inside.
        signs: What hides from a reader what else it makes use of.
        computed: How the names begin of modules that it imports by a computed name.
    """

    references: tuple[Reference, ...]
    attributes: frozenset[str] = frozenset()
    imports: tuple[Imported, ...] = ()
    signs: frozenset[str] = frozenset()
    computed: tuple[str, ...] = ()


def path_of(node: ast.expr) -> tuple[str, ...] | None:
    """Read `a.b.c` as ("a", "b", "c"); None if it does not begin with a name."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    return (node.id, *reversed(attributes)) if isinstance(node, ast.Name) else None


def bound_in(function: FunctionNode | ast.Lambda) -> dict[str, tuple[Imported, ...]]:
    """Give the names that are a function's own, with what it imports by them."""
    bound: dict[str, tuple[Imported, ...]] = {argument.arg: () for argument in arguments_of(function)}
    elsewhere: set[str] = set()
    for statement in [function.body] if isinstance(function, ast.Lambda) else function.body:
        for node in same_scope(statement):
            for name in binds(node):
                bound.setdefault(name, ())
            for name, imported in imports(node):
                bound[name] = (*bound.get(name, ()), imported)
            if isinstance(node, (ast.Global, ast.Nonlocal)):
                elsewhere.update(node.names)
    return {name: imported for name, imported in bound.items() if name not in elsewhere}


def arguments_of(function: FunctionNode | ast.Lambda) -> list[ast.arg]:
    """List a function's parameters."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return [argument for argument in every if argument is not None]


def imports_in(node: ast.ClassDef) -> dict[str, tuple[Imported, ...]]:
    """Give what a class body imports, by name."""
    found: dict[str, tuple[Imported, ...]] = {}
    for statement in node.body:
        for inner in same_scope(statement):
            for name, imported in imports(inner):
                found[name] = (*found.get(name, ()), imported)
    return found


def binds(node: ast.AST) -> Iterator[str]:
    """Name what one node binds, imports aside."""
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
        yield node.id
    elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
        yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest
    elif type(node).__name__ == "TypeAlias":  # from Python 3.12
        yield node.name.id  # type: ignore[attr-defined]


def stored(node: ast.AST) -> Iterator[str]:
    """Name what is assigned anywhere in a node."""
    return (inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store))


def imports(node: ast.AST) -> Iterator[tuple[str, Imported]]:
    """Give the names that an import binds, with what they stand for; the name `*` stands for many."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            whole = alias.name if alias.asname else alias.name.partition(".")[0]
            yield alias.asname or whole, Imported(whole)
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name, Imported(node.module or "", alias.name, node.level)


def imported_by(node: ast.AST) -> Iterator[Imported]:
    """Give what an import imports, under its whole name."""
    if isinstance(node, ast.Import):
        yield from (Imported(alias.name) for alias in node.names)
    else:
        yield from (imported for _, imported in imports(node))


def same_scope(node: ast.AST) -> Iterator[ast.AST]:
    """Walk through a statement, but not into the functions, classes and comprehensions in it."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, _COMPREHENSIONS):
            waiting += [inner for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr)]
        elif not isinstance(node, _SCOPES):
            waiting += reversed(list(ast.iter_child_nodes(node)))
