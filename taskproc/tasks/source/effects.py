"""What a statement may change when it runs: tables that it fills, attributes that it sets, what it registers."""
from __future__ import annotations

import ast
import re
from typing import NamedTuple

from .mentioned import is_known_decorator, mentions
from .names import FUNCTIONS, HARMLESS, FunctionNode, Imported, Mentions, arguments_of, bound_in, path_of, same_scope

# Methods that change nothing that a result depends on: those of Python's own containers and text, of loggers, of tasks.
_HARMLESS_METHODS = frozenset(
    [
        "addFilter", "addHandler", "as_posix", "capitalize", "copy", "count", "critical", "debug", "decode",
        "difference", "encode", "endswith", "error", "exception", "exists", "find", "format", "get",
        "get_task_result", "index", "info", "intersection", "is_dir", "is_file", "isdigit", "isdisjoint",
        "items", "join", "joinpath", "keys", "lower", "lstrip", "most_common", "partition", "read_bytes",
        "read_text", "replace", "resolve", "rfind", "rpartition", "rsplit", "rstrip", "run_graph",
        "run_graph_with_stats", "setLevel", "split", "splitlines", "startswith", "strip", "title", "union",
        "upper", "values", "warn", "warning",
    ]
)
# Functions of libraries that are called for what they set.
_SETS = re.compile(
    r"_?(add|config|disable|enable|filter|init|insert|install|load|manual|option|override|patch|register|reset|seed|"
    r"set|simplefilter|update|use)",
    re.IGNORECASE,
)
_FRESH_CALLS = HARMLESS | {"defaultdict", "Counter", "OrderedDict", "deque", "Path"}


class Touch(NamedTuple):
    """Something that may be changed.

    Attributes:
        path: Its name, with attributes.
        imported: What the name stands for, if a function imports it.
        callee: The function that it is handed to, which may be known to be harmless.
        is_set: It is assigned, as `module.FACTOR = 5` does.
        through_call: It is what a function gave: `table()["x"] = 5`.
        of_library: If it belongs to a library, a call that sets something there.
    """

    path: tuple[str, ...]
    imported: Imported | None = None
    callee: tuple[str, ...] | None = None
    is_set: bool = False
    through_call: bool = False
    of_library: bool = False


class Effect(NamedTuple):
    """What a statement, or the body of a function, may change.

    Attributes:
        mentions: What runs in it refers to.
        touched: What is changed by name.
        hidden: Whether something is changed that the function took from elsewhere under a name of its own.
        of_arguments: Whether something is changed, or handed on, that the function was given.
    """

    mentions: Mentions
    touched: tuple[Touch, ...] = ()
    hidden: bool = False
    of_arguments: bool = False


def effect_of(statement: ast.stmt) -> Effect | None:
    """Give what a statement at the top level may change; nothing for what only binds a name."""
    known: list[Effect | None] | None = getattr(statement, "_effect", None)
    if known is None:
        known = [_effect_of(statement)]
        statement._effect = known  # type: ignore[attr-defined]
    return known[0]


def effect_of_call(function: FunctionNode) -> Effect:
    """Give what a call of a function may change."""
    known: dict[str, Effect] = function.__dict__
    if "_effect_of_call" not in known:
        toucher = _Toucher()
        toucher.enter(function)
        known["_effect_of_call"] = toucher.found(mentions(function))
    return known["_effect_of_call"]


def _effect_of(statement: ast.stmt) -> Effect | None:
    if isinstance(statement, FUNCTIONS) and not statement.decorator_list:
        return None
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return None
    toucher = _Toucher()
    toucher.visit(statement)
    return toucher.found(mentions(statement, executed=True))


class _Toucher(ast.NodeVisitor):
    """Collects what may be changed, by names that no scope on the way binds."""

    def __init__(self) -> None:
        self._touched: dict[Touch, None] = {}
        self._hidden = False
        self._of_arguments = False
        self._scopes: list[dict[str, tuple[Imported, ...]]] = []
        self._fresh: set[str] = set()
        self._given: set[str] = set()

    def found(self, mentioned: Mentions) -> Effect:
        """Give what was collected."""
        return Effect(mentioned, tuple(self._touched), self._hidden, self._of_arguments)

    def enter(self, function: FunctionNode | ast.Lambda) -> None:
        """Read the body of a function as if it were called."""
        self._scopes.append(bound_in(function))
        before = self._fresh, self._given
        self._given = self._given | {argument.arg for argument in arguments_of(function)}
        self._fresh = (self._fresh - self._given) | _fresh_in(function)
        for statement in [function.body] if isinstance(function, ast.Lambda) else function.body:
            self.visit(statement)
        self._fresh, self._given = before
        self._scopes.pop()

    def visit_FunctionDef(self, node: FunctionNode) -> None:
        self._decorated(node)
        for default in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
            self.visit(default)
        if self._scopes:  # a function in a function is most likely called there, or given to the caller
            self.enter(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.enter(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._decorated(node)
        for inner in [*node.bases, *node.keywords, *node.body]:
            self.visit(inner)

    def visit_Global(self, node: ast.Global) -> None:
        for name in node.names:
            self._touched[Touch((name,), is_set=True)] = None

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, (ast.Store, ast.Del)):
            self._touch(node, is_set=True)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.ctx, (ast.Store, ast.Del)) and path_of(node.value) != ("sys", "modules"):
            self._touch(node.value, is_set=True)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        callee = path_of(node.func)
        if isinstance(node.func, ast.Attribute) and node.func.attr not in _HARMLESS_METHODS:
            self._touch(node.func.value, callee=callee, of_library=bool(_SETS.match(node.func.attr)))
        if callee in (("exec",), ("eval",)):
            self._touch(node.func, is_set=True)
        harmless = callee is not None and len(callee) == 1 and callee[0] in HARMLESS
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            if not harmless:
                self._hand_over(argument, callee)
            elif isinstance(argument, ast.Attribute):  # a method that Python calls: map(TABLE.append, values)
                self._touch(argument.value, callee=callee)
        self.generic_visit(node)

    def _decorated(self, node: FunctionNode | ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Attribute) and not is_known_decorator(decorator):
                self._touch(decorator.value, callee=path_of(decorator))
            self.visit(decorator)

    def _hand_over(self, argument: ast.expr, callee: tuple[str, ...] | None) -> None:
        waiting: list[ast.AST] = [argument]
        while waiting:
            node = waiting.pop()
            if isinstance(node, (ast.Name, ast.Attribute)) and path_of(node) is not None:
                self._touch(node, callee=callee)
            else:
                waiting += ast.iter_child_nodes(node)

    def _touch(
        self, node: ast.expr, *, callee: tuple[str, ...] | None = None, is_set: bool = False, of_library: bool = False
    ) -> None:
        path, through_call, at = path_of(node), False, node
        while path is None and isinstance(at, (ast.Attribute, ast.Subscript, ast.Call)):
            through_call = through_call or isinstance(at, ast.Call)
            if isinstance(at, ast.Call) and path_of(at.func) in (("vars",), ("getattr",)):
                for argument in at.args:
                    self._touch(argument, is_set=True)
            at = at.func if isinstance(at, ast.Call) else at.value
            path = path_of(at)
        if path is None:
            for inner in ast.walk(at):
                if isinstance(inner, ast.Name):
                    self._touch(inner, callee=callee)
            return
        made = Touch(path, None, callee, is_set, through_call, of_library or is_set)
        for scope in reversed(self._scopes):
            if path[0] in scope:
                self._touch_own(made, scope[path[0]])
                return
        self._touched[made] = None

    def _touch_own(self, made: Touch, imported: tuple[Imported, ...]) -> None:
        for each in imported:
            self._touched[made._replace(imported=each)] = None
        if made.path[0] in self._given:
            self._of_arguments = True
        elif not imported and made.path[0] not in self._fresh:
            self._hidden = True


def _fresh_in(function: FunctionNode | ast.Lambda) -> set[str]:
    """Name the variables of a function that only ever hold what it made itself."""
    if isinstance(function, ast.Lambda):
        return set()
    fresh: dict[str, bool] = {}
    for statement in function.body:
        for node in same_scope(statement):
            if isinstance(node, ast.Assign) and all(isinstance(target, ast.Name) for target in node.targets):
                for target in node.targets:
                    name = target.id  # type: ignore[attr-defined]
                    fresh[name] = fresh.get(name, True) and _is_fresh(node.value)
            elif isinstance(node, (ast.For, ast.AsyncFor, ast.withitem, ast.Assign, ast.AnnAssign, ast.NamedExpr)):
                fresh.update(dict.fromkeys(_targets(node), False))
    return {name for name, is_fresh in fresh.items() if is_fresh}


def _is_fresh(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in _FRESH_CALLS
    return not isinstance(value, (ast.Name, ast.Attribute, ast.Subscript, ast.IfExp, ast.BoolOp, ast.NamedExpr))


def _targets(node: ast.AST) -> list[str]:
    return [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)]
