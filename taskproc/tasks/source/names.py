"""Names: which ones the top level of a file binds, and which ones a piece of code refers to."""
from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES = (*_FUNCTIONS, ast.Lambda, ast.ClassDef, *_COMPREHENSIONS)


class Imported(NamedTuple):
    """`from module import attribute`, or `import module` without one; `level` counts the dots in front."""

    module: str
    attribute: str | None = None
    level: int = 0


class Reference(NamedTuple):
    """A name with the attributes read from it: `helpers.scale` is ("helpers", "scale").

    A name that a function imports for itself says in `imported` what it is.
    """

    path: tuple[str, ...]
    imported: Imported | None = None


@dataclass
class TopLevel:
    """What the top level of a file binds.

    Attributes:
        bound: Name -> the statements that bind it or change what it stands for.
        imported: Name -> what was imported by it.
        stars: The modules that all names were imported from.
    """

    bound: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imported: dict[str, Imported] = field(default_factory=dict)
    stars: list[Imported] = field(default_factory=list)


def top_level(tree: ast.Module) -> TopLevel:
    """Read what a file binds. What stands below `if __name__ == "__main__"` is not part of what others can use."""
    found = TopLevel()
    for statement in tree.body:
        if isinstance(statement, ast.If) and _is_for_scripts_or_checkers(statement.test):
            continue
        for name in dict.fromkeys(_changed_by(statement)):
            found.bound.setdefault(name, []).append(statement)
        for node in _same_scope(statement):
            for name, imported in _imports(node):
                if name == "*":
                    found.stars.append(imported)
                else:
                    found.imported[name] = imported
    return found


def references(node: ast.AST) -> list[Reference]:
    """List what code refers to outside of itself, each once, in the order in which it stands there.

    Annotations do not count: they do not change what a function does.

    >>> [reference.path for reference in references(ast.parse("lambda x: scale(x) + limits.low").body[0])]
    [('scale',), ('limits', 'low')]
    """
    reader = _Reader()
    try:
        reader.visit(node)
    except RecursionError:  # nobody wrote such an expression by hand
        return []
    return list(reader.found)


class _Reader(ast.NodeVisitor):
    """Collects the names that no scope on the way binds."""

    def __init__(self) -> None:
        self.found: dict[Reference, None] = {}
        self._scopes: list[dict[str, Imported | None]] = []

    def visit_Name(self, node: ast.Name) -> None:
        self._refer((node.id,))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        path = _path(node)
        if path is None:
            self.generic_visit(node)
        else:
            self._refer(path)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._visit_all(node.decorator_list)
        self._visit_defaults(node.args)
        self._visit_within(_bound_in(node), node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_defaults(node.args)
        self._visit_within(_bound_in(node), [node.body])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_ListComp(self, node: ast.AST) -> None:
        targets = [name for inner in ast.walk(node) if isinstance(inner, ast.comprehension) for name in _stored(inner)]
        self._visit_within(dict.fromkeys(targets), ast.iter_child_nodes(node))

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def _visit_defaults(self, arguments: ast.arguments) -> None:
        self._visit_all([*arguments.defaults, *filter(None, arguments.kw_defaults)])

    def _visit_within(self, scope: dict[str, Imported | None], nodes: Iterable[ast.AST]) -> None:
        self._scopes.append(scope)
        self._visit_all(nodes)
        self._scopes.pop()

    def _visit_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    def _refer(self, path: tuple[str, ...]) -> None:
        for scope in reversed(self._scopes):
            if path[0] in scope:
                imported = scope[path[0]]
                if imported is not None:
                    self.found[Reference(path, imported)] = None
                return
        self.found[Reference(path)] = None


def _path(node: ast.expr) -> tuple[str, ...] | None:
    """Read `a.b.c` as ("a", "b", "c"); None if it does not begin with a name."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    return (node.id, *reversed(attributes)) if isinstance(node, ast.Name) else None


def _bound_in(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> dict[str, Imported | None]:
    """Give the names that are a function's own."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    bound: dict[str, Imported | None] = {argument.arg: None for argument in every if argument is not None}
    elsewhere: set[str] = set()
    for statement in [function.body] if isinstance(function, ast.Lambda) else function.body:
        for node in _same_scope(statement):
            bound.update(dict.fromkeys(_binds(node)))
            bound.update({name: imported for name, imported in _imports(node) if name != "*"})
            if isinstance(node, (ast.Global, ast.Nonlocal)):
                elsewhere.update(node.names)
    return {name: imported for name, imported in bound.items() if name not in elsewhere}


def _changed_by(statement: ast.stmt) -> Iterator[str]:
    """Name what a statement binds, or changes: `x = 1`, `def x`, `x[0] = 1`, `x.append(1)`, `del x`."""
    for node in _same_scope(statement):
        yield from _binds(node)
        if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, (ast.Store, ast.Del)):
            yield from _root(node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield from _root(node.value.func) if isinstance(node.value.func, ast.Attribute) else ()


def _root(node: ast.expr) -> Iterator[str]:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def _binds(node: ast.AST) -> Iterator[str]:
    """Name what one node binds, imports aside."""
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
        yield node.id
    elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
        yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest


def _stored(node: ast.AST) -> Iterator[str]:
    return (inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store))


def _imports(node: ast.AST) -> Iterator[tuple[str, Imported]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            whole = alias.name if alias.asname else alias.name.partition(".")[0]
            yield alias.asname or whole, Imported(whole)
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name, Imported(node.module or "", alias.name, node.level)


def _same_scope(node: ast.AST) -> Iterator[ast.AST]:
    """Walk through a statement, but not into the functions, classes and comprehensions in it."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _SCOPES):
            waiting += reversed(list(ast.iter_child_nodes(node)))


def _is_for_scripts_or_checkers(test: ast.expr) -> bool:
    return ast.unparse(test) in {"__name__ == '__main__'", "TYPE_CHECKING", "typing.TYPE_CHECKING"}
