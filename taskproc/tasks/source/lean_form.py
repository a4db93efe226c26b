"""Code without what changes nothing that it does: annotations, messages of assertions, methods that nobody calls."""
from __future__ import annotations

import ast
from typing import Any

from .mentioned import reads_annotations
from .names import FUNCTIONS, FunctionNode, arguments_of, binds, imports, path_of, same_scope
from .normal_form import written

_PLAIN_DECORATORS = {"final", "total_ordering"}


def lean_form(
    node: ast.AST,
    *,
    annotations: bool = False,
    messages: bool = False,
    requirements: frozenset[str] | None = None,
    members: frozenset[str] | None = None,
    only: bool = False,
    own: frozenset[str] = frozenset(),
) -> str:
    """Write code in its normal form, without what changes nothing.

    Args:
        node: The code; it is left as it was.
        annotations: Whether annotations count.
        messages: Whether the messages of assertions count.
        requirements: For a class whose annotations nobody reads: the attributes that are requirements all the same.
        members: For the statement of a class: those of its methods that count, or all.
        only: Whether of the class nothing else counts.
        own: The decorators of the user's own, as written, which do not read annotations.
    """
    if isinstance(node, ast.AnnAssign) and not annotations:
        (node,) = _plain([node], frozenset()) or [ast.Pass()]
    leaner = _Leaner(annotations, messages, own)
    try:
        if isinstance(node, ast.ClassDef) and members is not None:
            leaner.choose(node, members, only)
        leaner.lean(node, requirements)
        return written(node)
    finally:
        leaner.restore()


class _Leaner:
    """Changes code in place, and back."""

    def __init__(self, annotations: bool, messages: bool, own: frozenset[str]) -> None:
        self._annotations = annotations
        self._own = own
        self._messages = messages
        self._before: list[tuple[Any, str, Any]] = []

    def restore(self) -> None:
        """Undo everything."""
        for node, field, value in reversed(self._before):
            setattr(node, field, value)

    def choose(self, node: ast.ClassDef, members: frozenset[str], only: bool) -> None:
        """Leave members out of a class."""
        if only:
            self._set(node, "decorator_list", [])
            self._set(node, "keywords", [])
            kept = [inner for inner in node.body if not members.isdisjoint(bound_names(inner))]
        else:
            kept = [inner for inner in node.body if not isinstance(inner, FUNCTIONS) or inner.name in members]
        self._set(node, "body", kept or [ast.Pass()])

    def lean(self, node: ast.AST, requirements: frozenset[str] | None = None) -> None:
        """Leave out annotations and messages."""
        waiting: list[tuple[ast.AST, FunctionNode | None]] = [(node, None)]
        if isinstance(node, ast.ClassDef) and requirements is not None:
            self._class_body(node, requirements)
        while waiting:
            inner, function = waiting.pop()
            if isinstance(inner, FUNCTIONS):
                function = inner
                if not self._annotations and not reads_annotations(inner, self._own):
                    self._function(inner)
            elif isinstance(inner, ast.Assert) and inner.msg is not None and not self._messages:
                self._set(inner, "msg", None)
            if not isinstance(inner, ast.expr):
                if not isinstance(inner, ast.ClassDef):
                    self._blocks(inner, function)
                elif not (inner is node and requirements is not None) and not (
                    inner.decorator_list or inner.bases or inner.keywords
                ):
                    self._class_body(inner, frozenset())
                waiting += [(child, function) for child in ast.iter_child_nodes(inner)]

    def _set(self, node: ast.AST, field: str, value: Any) -> None:
        self._before.append((node, field, getattr(node, field)))
        setattr(node, field, value)

    def _function(self, node: FunctionNode) -> None:
        for argument in arguments_of(node):
            if argument.annotation is not None:
                self._set(argument, "annotation", None)
        if node.returns is not None:
            self._set(node, "returns", None)
        if getattr(node, "type_params", None):
            self._set(node, "type_params", [])

    def _class_body(self, node: ast.ClassDef, requirements: frozenset[str]) -> None:
        """Leave out the annotations of a class that only its requirements depend on."""
        if not self._annotations and not any(map(_may_read_fields, node.decorator_list)):
            self._set(node, "body", _plain([*node.body], requirements) or [ast.Pass()])

    def _blocks(self, node: ast.AST, function: FunctionNode | None) -> None:
        if self._annotations:
            return
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and any(isinstance(inner, ast.AnnAssign) for inner in block):
                self._set(node, name, _plain(block, frozenset(), function) or ([ast.Pass()] if name == "body" else []))


def bound_names(statement: ast.stmt) -> set[str]:
    """Give the names that a statement in a class body binds, or changes what they hold."""
    found: set[str] = set()
    for node in same_scope(statement):
        found.update(binds(node), (name for name, _ in imports(node)))
        if isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)) and not isinstance(statement, FUNCTIONS):
            found.update(inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))
    if isinstance(statement, FUNCTIONS):  # a method binds attributes of its instance
        found.update(
            node.attr for node in ast.walk(statement)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        )  # fmt: skip
    return found


def _may_read_fields(decorator: ast.expr) -> bool:
    path = path_of(decorator)
    return path is None or path[-1] not in _PLAIN_DECORATORS


def _plain(block: list[Any], requirements: frozenset[str], function: FunctionNode | None = None) -> list[ast.stmt]:
    """Write annotated assignments as assignments; an annotation alone declares a requirement, or a local name."""
    found: list[ast.stmt] = []
    for statement in block:
        if not isinstance(statement, ast.AnnAssign):
            found.append(statement)
            continue
        name = statement.target.id if isinstance(statement.target, ast.Name) else None
        if name in requirements:
            found.append(_annotated(statement, "Requires"))
        elif statement.value is not None:
            found.append(ast.Assign(targets=[statement.target], value=statement.value, type_comment=None, lineno=0))
        elif name is not None and function is not None and not _is_assigned(function, name):
            found.append(_annotated(statement, "local"))
    return found


def _annotated(statement: ast.AnnAssign, word: str) -> ast.AnnAssign:
    return ast.AnnAssign(
        target=statement.target, annotation=ast.Name(word, ast.Load()), value=statement.value, simple=statement.simple
    )


def _is_assigned(function: FunctionNode, name: str) -> bool:
    declared = [node.target for node in ast.walk(function) if isinstance(node, ast.AnnAssign) and node.value is None]
    return any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store) and node not in declared
        for node in ast.walk(function)
    )
