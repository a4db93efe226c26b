"""What a class that is defined in a function, or in a loop, has from there: its text alone does not say it.

Values are written down as arguments are. Functions, classes and modules count by what they reach, as if the class had
imported them.
"""
from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from copy import copy
from functools import cached_property
from types import CellType, FunctionType, ModuleType
from typing import Any

from ...base.errors import TaskDefinitionError
from ...base.script import module_name
from ..arguments import canonical
from ..config import where_defined
from .files import read_file
from .mentioned import mentions
from .normal_form import written
from .program import Program
from .resolver import Thing
from .statements import ClassStatement, class_statements

_LOCAL = "<locals>"


def captured(statements: Sequence[ClassStatement], program: Program) -> tuple[list[str], list[Thing]]:
    """Give what classes have captured: as lines of source, and as the things that these lead to.

    Args:
        statements: Those of a class and its bases.
        program: The modules.

    Raises:
        TaskDefinitionError: A value cannot be written down.
    """
    lines: dict[str, None] = {}
    things: list[Thing] = []
    for statement in statements:
        if _LOCAL in statement.cls.__qualname__ or _is_in_loop(statement):
            for name, value in sorted(_values(statement), key=lambda item: item[0]):
                if isinstance(value, (ModuleType, type, FunctionType)):
                    said = _name(value)
                    text, found = _reached(value, program)
                    things += found
                    lines[text] = None
                else:
                    said = _written(statement.cls, name, value)
                lines[f"__captured__({name!r}, {said!r})"] = None
    return list(filter(None, lines)), things


def _reached(value: ModuleType | type | FunctionType, program: Program) -> tuple[str, list[Thing]]:
    """Give the text of a local function or class, and the things that a captured module, class or function leads to."""
    if isinstance(value, type) and issubclass(value, program.stop):
        return "", []
    if isinstance(value, ModuleType):
        module = program.find(value.__name__)
        return "", [Thing(module, name) for name in module.everything()] if module is not None else []
    found: list[tuple[ast.AST, str]]
    if isinstance(value, type):
        found = [(one.node, one.file) for one in class_statements(value, object)]
    else:
        node = _definition(value)
        found = [(node, value.__code__.co_filename)] if node is not None else []
    things = []
    for node, file in found:
        module = program.module_of(value.__module__, file)
        if module is not None and _LOCAL not in value.__qualname__:
            things.append(Thing(module, value.__qualname__.partition(".")[0]))
        elif module is not None:
            for reference in mentions(node).references:
                things += [thing for thing, _ in program.resolve(module, reference).things]
    return "\n\n".join(written(copy(node)) for node, _ in found if _LOCAL in value.__qualname__), things


def _name(value: ModuleType | type | FunctionType) -> str:
    return value.__name__ if isinstance(value, ModuleType) else f"{module_name(value.__module__)}.{value.__qualname__}"


def _values(statement: ClassStatement) -> Iterator[tuple[str, Any]]:
    """Give what the methods of a class hold, and what its body took from names around it."""
    own = vars(statement.cls)
    yield from _held(list(_functions(own.values())), set())
    for part in statement.node.body:
        if isinstance(part, (ast.Assign, ast.AnnAssign)) and part.value is not None and mentions(part).references:
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            names = [target.id for target in targets if isinstance(target, ast.Name) and target.id in own]
            yield from ((f"{statement.cls.__name__}.{name}", own[name]) for name in names if _is_plain(own[name]))


def _held(functions: list[FunctionType], seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Give what is in the cells and the defaults of functions, and of the functions in those."""
    for function in functions:
        if id(function) in seen:
            continue
        seen.add(id(function))
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
        held = [(name, _content(cell)) for name, cell in cells if name != "__class__"]
        held += [(f"{function.__name__}.{number}", value) for number, value in enumerate(function.__defaults__ or ())]
        held += [(f"{function.__name__}.{name}", value) for name, value in (function.__kwdefaults__ or {}).items()]
        yield from ((name, value) for name, value in held if value is not _empty)
        yield from _held([value for _, value in held if _is_local(value)], seen)


_empty = object()


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _empty


def _functions(values: Any) -> Iterator[FunctionType]:
    for value in values:
        inner = value
        if isinstance(value, property):
            yield from _functions([value.fget, value.fset])
        elif isinstance(value, cached_property):
            inner = value.func
        elif isinstance(value, (staticmethod, classmethod)):
            inner = value.__func__
        if isinstance(inner, FunctionType):
            yield inner


def _is_local(value: Any) -> bool:
    return isinstance(value, FunctionType) and _LOCAL in value.__qualname__


def _is_plain(value: Any) -> bool:
    """Whether a class attribute is a value, and no method, property or requirement."""
    return isinstance(value, (type, FunctionType, ModuleType)) or not hasattr(type(value), "__get__")


def _written(cls: type, name: str, value: Any) -> str:
    try:
        return canonical({"value": value}, cls.__qualname__)
    except TaskDefinitionError:
        msg = (
            f"{where_defined(cls)}{cls.__qualname__} is defined in a function or a loop and holds {name} from there, a "
            f"{type(value).__qualname__}, which nobody can tell from another one later. Make it in run_task, or define "
            "the class at the top of its module."
        )
        raise TaskDefinitionError(msg) from None


def _definition(function: FunctionType) -> ast.AST | None:
    """Find the statement, or the lambda, of a function."""
    code = function.__code__
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    for node in ast.walk(read_file(code.co_filename).tree):
        if isinstance(node, kinds) and getattr(node, "name", "<lambda>") == code.co_name:
            lines = [node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))]
            if min(lines) == code.co_firstlineno:
                return node
    return None


def _loops(tree: ast.Module) -> Iterator[ast.stmt]:
    """Give the loops of a module's own level."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.For, ast.While)):
            yield node
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for block in ("body", "handlers", "orelse", "finalbody"):
                waiting += getattr(node, block, ())


def _is_in_loop(statement: ClassStatement) -> bool:
    tree = read_file(statement.file).tree
    known: set[int] | None = getattr(tree, "_in_loops", None)
    if known is None:
        known = tree._in_loops = {id(inner) for loop in _loops(tree) for inner in ast.walk(loop)}  # type: ignore[attr-defined]
    return id(statement.node) in known
