"""Whether a text is what runs in this process: functions, constants and bytecode are compared with it.

Only a file that was written since the process began needs that; nobody else can have loaded another text of it.
"""
from __future__ import annotations

import ast
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from importlib.machinery import SourceFileLoader
from types import CodeType, FunctionType
from typing import Any

from ..loaded import Loaded, module_of


def doubt(known: Loaded, may_be_set: Callable[[str, str], bool]) -> str:
    """Say why the text of a file is not what this process has loaded; nothing if it is.

    Args:
        known: The file.
        may_be_set: Whether code may set a name in a file to something else later.
    """
    if known.doubt is None:
        known.doubt = _doubt(known, may_be_set)
    return known.doubt


def former_users(known: Loaded, files: Iterable[str]) -> str:
    """Name a function or class of a file, as it was before the file was loaded again, that a module still holds.

    Args:
        known: The file.
        files: Those of the modules that may hold it.

    Returns:
        Nothing if there is none.
    """
    if not known.recent or (shapes := _shapes(known.text, known.file)) is None or not _is_plain(known.file):
        return ""
    for file in files:
        for name, value in list(vars(module_of(file) or object()).items()) if module_of(file) else ():
            if any(code.co_filename == known.file and shape(code) not in shapes for code in _codes(value)):
                return f"{os.path.basename(file)} holds {name}"
    return ""


def shape(code: CodeType) -> tuple[Any, ...]:
    """Give what a piece of code does, wherever it stands in its file."""
    return (
        code.co_name, code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars,
        code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags,
        tuple(shape(part) if isinstance(part, CodeType) else _written(part) for part in code.co_consts),
    )  # fmt: skip


def _doubt(known: Loaded, may_be_set: Callable[[str, str], bool]) -> str:
    shapes = _shapes(known.text, known.file)
    if shapes is None:
        return "its text cannot be compiled"
    if known.code is not None:
        return "" if shape(known.code) in shapes or not _is_plain(known.file) else "it was saved while it was loaded"
    module = module_of(known.file)
    if module is None or not _is_plain(known.file):
        return ""  # what else loads modules may change them on the way
    for name, value in list(vars(module).items()):
        if any(code.co_filename == known.file and shape(code) not in shapes for code in _codes(value)):
            return f"{name} is another one in memory"
    for name, value in _constants(known.text) if known.is_newer else ():
        is_other = name in vars(module) and _written(vars(module)[name]) != _written(value)
        if is_other and not may_be_set(known.file, name):
            return f"{name} is {_written(vars(module)[name])[:40]} in memory"
    return "" if known.fits_bytecode else "its bytecode is of another text"


def _is_plain(file: str) -> bool:
    """Whether a file was loaded as it stands; others may have their code changed on the way."""
    module = module_of(file)
    loader = getattr(module, "__loader__", None)
    return loader is None or type(loader) is SourceFileLoader


@lru_cache(maxsize=256)
def _shapes(text: bytes, file: str) -> frozenset[tuple[Any, ...]] | None:
    """Give the shapes of all code in a text; None if it cannot be compiled."""
    try:
        waiting = [compile(text, file, "exec", dont_inherit=True)]
    except (SyntaxError, ValueError, RecursionError):
        return None
    found = set()
    while waiting:
        code = waiting.pop()
        found.add(shape(code))
        waiting += [part for part in code.co_consts if isinstance(part, CodeType)]
    return frozenset(found)


def _codes(value: Any) -> Iterator[CodeType]:
    """Give the code of a function, or of the functions in a class."""
    if isinstance(value, FunctionType):
        yield value.__code__
    elif isinstance(value, type):
        for inner in list(vars(value).values()):
            function = inner.fget if isinstance(inner, property) else getattr(inner, "__func__", inner)
            if isinstance(function, FunctionType):
                yield function.__code__


def _constants(text: bytes) -> Iterator[tuple[str, Any]]:
    """Give the names that a text sets once, to a constant; empty containers are there to be filled."""
    tree = ast.parse(text)
    elsewhere = [name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names]
    stored = Counter(elsewhere * 2 + [
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    ])
    for statement in tree.body:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            continue
        name = statement.targets[0].id
        try:
            value = ast.literal_eval(statement.value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
        if stored[name] == 1 and (value or not isinstance(value, (list, dict, set))):
            yield name, value


def _written(value: Any) -> str:
    if isinstance(value, (set, frozenset)):
        return f"{type(value).__name__} {sorted(map(repr, value))}"
    return repr(value)
