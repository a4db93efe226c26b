"""Which methods of a class count: those that somebody may call."""
from __future__ import annotations

import ast

from .mentioned import is_known_decorator
from .names import FUNCTIONS, Reference, path_of
from .program import Program
from .resolver import Thing

# Methods that Python's own library calls on what it is given: files, mappings, queues, encoders, threads, handlers.
_CALLED_BY_PYTHON = frozenset(
    [
        "acquire", "add", "append", "as_integer_ratio", "clear", "close", "copy", "count", "decode", "default",
        "detach", "discard", "emit", "encode", "extend", "fileno", "filter", "flush", "format", "get",
        "getvalue", "handle", "hex", "index", "insert", "is_integer", "isatty", "isoformat", "items", "join",
        "keys", "mro", "next", "pop", "popitem", "put", "read", "readable", "readinto", "readline", "readlines",
        "release", "remove", "reverse", "run", "seek", "seekable", "send", "set", "setdefault", "sort", "start",
        "submit", "tell", "throw", "total_seconds", "truncate", "tzname", "update", "utcoffset", "dst",
        "values", "wait", "writable", "write", "writelines",
    ]
)
_PLAIN_DECORATORS = frozenset(["dataclass", "final", "runtime_checkable", "total_ordering", "unique"])
_PLAIN_BASES = frozenset(
    [
        "ABC", "Enum", "Flag", "Generic", "IntEnum", "IntFlag", "NamedTuple", "Protocol", "StrEnum",
        "TypedDict", "object", "ArithmeticError", "AssertionError", "AttributeError", "Exception", "KeyError",
        "LookupError", "RuntimeError", "TypeError", "ValueError",
    ]
)
_BASES_WITHOUT_FIELDS = _PLAIN_BASES - {"NamedTuple", "TypedDict", "Protocol"}


def optional_methods(program: Program, thing: Thing, node: ast.ClassDef) -> dict[str, list[ast.stmt]]:
    """Give the methods of a class that only somebody who names them can call.

    There are none if a decorator, a metaclass or a base class from elsewhere may call methods by names of its own.
    """
    if not _is_plain(program, thing, node, set()):
        return {}
    found: dict[str, list[ast.stmt]] = {}
    for inner in node.body:
        if isinstance(inner, FUNCTIONS) and _is_optional(inner.name):
            found.setdefault(inner.name, []).append(inner)
    return {name: every for name, every in found.items() if all(map(_is_known, every))}


def is_without_fields(program: Program, thing: Thing, node: ast.ClassDef) -> bool:
    """Whether nobody reads the annotations in the body of a class, as `dataclass`, `NamedTuple` and others do."""
    if node.decorator_list or node.keywords:
        return False
    for base in node.bases:
        path = path_of(base.value if isinstance(base, ast.Subscript) else base)
        own = list(program.bases(thing.module, ast.ClassDef(node.name, [base], [], [], [])))
        if not own and (path is None or path[-1] not in _BASES_WITHOUT_FIELDS):
            return False
        if not all(is_without_fields(program, inner, statement) for inner, statement in own):
            return False
    return True


def _is_optional(name: str) -> bool:
    return not (name.startswith("_") and name.endswith("_")) and name not in _CALLED_BY_PYTHON


def _is_known(method: ast.stmt) -> bool:
    return isinstance(method, FUNCTIONS) and all(map(is_known_decorator, method.decorator_list))


def _is_plain(program: Program, thing: Thing, node: ast.ClassDef, seen: set[int]) -> bool:
    seen.add(id(node))
    if node.keywords:
        return False
    for decorator in node.decorator_list:
        path = path_of(decorator.func if isinstance(decorator, ast.Call) else decorator)
        if path is None or path[-1] not in _PLAIN_DECORATORS:
            return False
    return all(_is_plain_base(program, thing, base, seen) for base in node.bases)


def _is_plain_base(program: Program, thing: Thing, base: ast.expr, seen: set[int]) -> bool:
    path = path_of(base.value if isinstance(base, ast.Subscript) else base)
    if path is None:
        return False
    found = program.resolve(thing.module, Reference(path))
    statements = [(inner, statement) for inner, _ in found.things for statement in inner.module.statements(inner.name)]
    if not statements:
        return path[-1] in _PLAIN_BASES
    return all(
        isinstance(statement, ast.ClassDef)
        and (id(statement) in seen or _is_plain(program, inner, statement, seen))
        and not any(isinstance(method, FUNCTIONS) and method.name == "__init_subclass__" for method in statement.body)
        for inner, statement in statements
    )
