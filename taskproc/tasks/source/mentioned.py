"""What a piece of code mentions: the names that it refers to outside of itself, the attributes that it reads."""
from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import NamedTuple

from .names import (
    EVERYTHING,
    FUNCTIONS,
    HARMLESS,
    FunctionNode,
    Imported,
    Mentions,
    Reference,
    arguments_of,
    bound_in,
    imported_by,
    imports_in,
    path_of,
    stored,
)  # fmt: skip

_WORD = re.compile(r"[^\W\d]\w*")

# What hides from a reader which parts of a class, which annotations, which messages ... the code makes use of.
MEMBERS, ANNOTATIONS, MESSAGES, SUBCLASSES, GRAPHS = "members", "annotations", "messages", "subclasses", "graphs"
_SIGNS = {
    **dict.fromkeys(
        ["__dict__", "vars", "dir", "getmembers", "__getattribute__", "eval", "exec", "globals", "locals"], MEMBERS
    ),
    **dict.fromkeys(
        ["__annotations__", "__annotate__", "get_type_hints", "get_annotations", "signature", "getfullargspec"],
        ANNOTATIONS,
    ),
    "__subclasses__": SUBCLASSES,
    "run_graph": GRAPHS,
    "run_graph_with_stats": GRAPHS,
}
# Functions that take names of members, and from which argument on.
_BY_NAME = {
    **dict.fromkeys(["getattr", "setattr", "hasattr", "delattr", "getattr_static"], 1),
    **dict.fromkeys(["attrgetter", "methodcaller"], 0),
}
_OF_THE_MODULE = {"globals", "locals", "eval", "exec"}
_HOLDS_MESSAGES = {"AssertionError", "Exception", "BaseException"}


def mentions(
    node: ast.AST,
    *,
    annotations: bool = False,
    without: frozenset[str] = frozenset(),
    own: frozenset[str] = frozenset(),
    executed: bool = False,
) -> Mentions:
    """List what code mentions.

    Args:
        node: The code.
        annotations: Whether annotations of arguments and results count.
        without: The methods of the class statement `node` that are left out.
        own: The decorators of the user's own, as written: they say themselves whether they read annotations.
        executed: Whether only what runs at once counts, and not what functions do when they are called.

    Example:
        >>> code = ast.parse("lambda x: scale(x) + limits.low").body[0]
        >>> [reference.path for reference in mentions(code).references]
        [('scale',), ('limits', 'low')]
    """
    known: dict[object, Mentions] = node.__dict__.setdefault("_mentions", {})
    key = annotations, without, own, executed
    if key not in known:
        known[key] = _read(node, *key)
    return known[key]


def _read(
    node: ast.AST, annotations: bool, without: frozenset[str], own: frozenset[str], executed: bool
) -> Mentions:
    reader = _Reader(annotations, without, own, executed)
    reader.visit(node)
    return Mentions(
        tuple(reader.references),
        frozenset(reader.attributes),
        tuple(reader.imports),
        frozenset(reader.signs),
        tuple(sorted(reader.computed)),
    )


class _Scope(NamedTuple):
    """The names that a function, a class body or a comprehension binds, with what they import."""

    names: dict[str, tuple[Imported, ...]]
    is_class: bool = False


class _Reader(ast.NodeVisitor):
    """Collects the names that no scope on the way binds."""

    def __init__(self, annotations: bool, without: frozenset[str], own: frozenset[str], executed: bool) -> None:
        self.references: dict[Reference, None] = {}
        self.attributes: set[str] = set()
        self.imports: dict[Imported, None] = {}
        self.signs: set[str] = set()
        self.computed: set[str] = set()
        self._annotations = annotations
        self._without = without
        self._own = own
        self._executed = executed
        self._scopes: list[_Scope] = []
        self._harmless = False

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in _BY_NAME:  # handed on, as in `map(getattr, ...)`
            self.signs.add(MEMBERS)
        self._refer((node.id,), passed=not self._harmless)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._named(node.attr)
        path = path_of(node)
        if path is not None:
            self.attributes.update(path[1:])
            self._refer(path, passed=not self._harmless)
            return
        if isinstance(node.value, ast.Call) and (called := path_of(node.value.func)) is not None:
            self._refer((*called, node.attr))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            for word in _WORD.findall(node.value):
                self._named(word)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        path = path_of(node.func)
        if path is None:
            self.visit(node.func)
        else:
            self._called(path, node)
        before, self._harmless = self._harmless, path is not None and len(path) == 1 and path[0] in HARMLESS
        self._visit_all([*node.args, *node.keywords])
        self._harmless = before

    def visit_FunctionDef(self, node: FunctionNode) -> None:
        self._visit_decorators(node)
        self._visit_defaults(node.args)
        if self._annotations or reads_annotations(node, self._own):
            self._visit_all(_annotations(node))
        if not self._executed:
            self._visit_within(_Scope(bound_in(node)), node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_defaults(node.args)
        self._visit_within(_Scope(bound_in(node)), [node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._visit_decorators(node)
        self._visit_all([*node.bases, *node.keywords])
        left_out, self._without = self._without, frozenset()
        scope = _Scope(imports_in(node), is_class=True)
        for name, every in scope.names.items():  # they can be read as attributes of the class
            for imported in every:
                self.references[Reference((name,), imported, passed=True)] = None
        self._visit_within(scope, [
            statement
            for statement in node.body
            if not (isinstance(statement, FUNCTIONS) and statement.name in left_out)
        ])  # fmt: skip

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
        if not isinstance(node.target, ast.Name):
            self.visit(node.target)
        if self._annotations:
            self.visit(node.annotation)

    def visit_ListComp(self, node: ast.AST) -> None:
        targets = [name for inner in ast.walk(node) if isinstance(inner, ast.comprehension) for name in stored(inner)]
        self._visit_within(_Scope(dict.fromkeys(targets, ())), ast.iter_child_nodes(node))

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def visit_Assert(self, node: ast.Assert) -> None:
        self.visit(node.test)
        if node.msg is not None:
            self.visit(node.msg)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type is None or not _HOLDS_MESSAGES.isdisjoint(_names_in(node.type)):
            self.signs.add(MESSAGES)
        self.generic_visit(node)

    def visit_MatchClass(self, node: ast.MatchClass) -> None:
        self.attributes.update(node.kwd_attrs)
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.imports.update(dict.fromkeys(imported_by(node)))

    visit_ImportFrom = visit_Import

    def _named(self, name: str) -> None:
        self.attributes.add(name)
        if name in _SIGNS:
            self.signs.add(_SIGNS[name])

    def _called(self, path: tuple[str, ...], node: ast.Call) -> None:
        name = path[-1]
        self.attributes.update(path[1:])
        first = node.args[0] if node.args else None
        if name in ("__import__", "import_module") and first is not None:
            self._imported(first)
        if name in _BY_NAME and not _are_written(node.args[_BY_NAME[name]:], all_of_them=name == "attrgetter"):
            self.signs.add(MEMBERS)
        for part in path:
            self._named(part)
        self._refer(path)

    def _imported(self, name: ast.expr) -> None:
        """Take in an import by a call, whose module may be computed."""
        if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
            self.computed.add(_start(name))
            return
        whole = name.value.lstrip(".")
        imported = Imported(whole, None, len(name.value) - len(whole))
        self.imports[imported] = None
        self.references[Reference((whole,), imported, passed=True)] = None

    def _visit_decorators(self, node: FunctionNode | ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            path = path_of(decorator)
            if path is None:
                self.visit(decorator)
            else:
                self.attributes.update(path[1:])
                self._refer(path)

    def _visit_defaults(self, arguments: ast.arguments) -> None:
        self._visit_all([*arguments.defaults, *filter(None, arguments.kw_defaults)])

    def _visit_within(self, scope: _Scope, nodes: Iterable[ast.AST]) -> None:
        self._scopes.append(scope)
        self._visit_all(nodes)
        self._scopes.pop()

    def _visit_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    def _refer(self, path: tuple[str, ...], passed: bool = False) -> None:
        for depth, scope in enumerate(reversed(self._scopes)):
            if path[0] not in scope.names or (scope.is_class and depth):
                continue
            for imported in scope.names[path[0]]:
                self.references[Reference(path, imported, passed)] = None
            if not scope.is_class:
                return
        if path[0] in _SIGNS:
            self.signs.add(_SIGNS[path[0]])
        if path[0] in _OF_THE_MODULE:
            self.references[Reference((EVERYTHING,), None, passed)] = None
        self.references[Reference(path, None, passed)] = None


# Decorators that leave a function's annotations alone, and show it to nobody.
_KNOWN_DECORATORS = frozenset(
    [
        "abstractmethod", "asynccontextmanager", "cache", "cached_property", "classmethod", "contextmanager",
        "deleter", "final", "getter", "lru_cache", "override", "property", "setter", "staticmethod",
        "total_ordering", "wraps",
    ]
)


def is_known_decorator(decorator: ast.expr) -> bool:
    """Whether a decorator is one of Python's own that neither registers a function nor reads its annotations."""
    path = path_of(decorator.func if isinstance(decorator, ast.Call) else decorator)
    return path is not None and path[-1] in _KNOWN_DECORATORS


def reads_annotations(node: FunctionNode, own: frozenset[str] = frozenset()) -> bool:
    """Whether a function has a decorator that may look at its annotations, and is not one of the user's `own`."""
    return any(
        not is_known_decorator(decorator) and (not own or ast.unparse(decorator) not in own)
        for decorator in node.decorator_list
    )


def decorators_in(node: ast.AST) -> list[ast.expr]:
    """List the decorators of a function, or of a class and its methods, that are none of Python's own."""
    known: list[ast.expr] | None = getattr(node, "_decorators", None)
    if known is None:
        known = [
            decorator
            for inner in ast.walk(node)
            if isinstance(inner, FUNCTIONS)
            for decorator in inner.decorator_list
            if not is_known_decorator(decorator)
        ]
        node._decorators = known  # type: ignore[attr-defined]
    return known


def _are_written(names: list[ast.expr], *, all_of_them: bool) -> bool:
    """Whether the names that a function is given stand in the code: the first of them, or all."""
    given = names if all_of_them else names[:1]
    return bool(given) and all(isinstance(name, ast.Constant) for name in given)


def _start(text: ast.expr) -> str:
    """Give how a computed text begins, as far as that can be read."""
    if isinstance(text, ast.Constant):
        return str(text.value)
    if isinstance(text, ast.JoinedStr) and text.values:
        return _start(text.values[0])
    return _start(text.left) if isinstance(text, ast.BinOp) else ""


def _annotations(node: FunctionNode) -> list[ast.expr]:
    every = [argument.annotation for argument in arguments_of(node)]
    return [annotation for annotation in [*every, node.returns] if annotation is not None]


def _names_in(node: ast.expr) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
