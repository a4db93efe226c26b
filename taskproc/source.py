"""What a task class says, without how it is written: the normalised source of the class and of its bases.

Comments, blank lines, formatting and docstrings change nothing, and neither do the class keywords that say
where and how a task runs (`channel=`, `backend=`, `retries=` ...): a result does not depend on them.
"""
from __future__ import annotations

import ast
import linecache
import os
import sys
from collections.abc import Iterator
from copy import copy
from functools import cached_property, lru_cache
from hashlib import blake2b
from importlib.machinery import EXTENSION_SUFFIXES
from types import CodeType, FunctionType
from typing import Any

_HOW_IT_RUNS = {
    "backend", "backend_options", "channel", "compress_level", "interactive", "prefix_command", "retries",
    "store", "timeout",
}  # fmt: skip
_STANDARD_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_GENERATED = ("<string>", "<attrs generated")  # the file of methods that dataclasses and attrs write
_OURS = __name__.partition(".")[0]


def normalised_source(cls: type, stop: type) -> str | None:
    """Give the source of a class and of its bases, those of `stop` left out, as `ast` writes it.

    Bases of the standard library, and mixins of installed packages, are left out like all library code.

    Returns:
        None if there is no source to read: the class was typed at a prompt that keeps none, or made by
        `exec`.

    Example:
        >>> import fractions, numbers
        >>> print(normalised_source(fractions.Fraction, numbers.Rational)[:24])
        class Fraction(numbers.R
    """
    own = _definition(cls)
    if own is None:
        return None
    left_out = set(stop.__mro__)
    texts = [own.task_text if issubclass(cls, stop) else own.text]
    for base in cls.__mro__[1:]:
        if base in left_out or _is_library(base, stop):
            continue
        definition = _definition(base)
        if definition is not None:
            texts.append(definition.task_text if issubclass(base, stop) else definition.text)
    return "\n\n".join(texts)


def source_digest(text: str) -> bytes:
    """Hash a normalised source to 16 bytes.

    >>> len(source_digest("class A: pass"))
    16
    """
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def same_source(stored: str, current: str) -> bool:
    """Tell whether two normalised sources say the same, even if different versions of Python wrote them.

    >>> same_source("class A:\\n    x = (1, 2)", "class A:\\n\\n    x = 1, 2  # two")
    True
    >>> same_source("class A:\\n    x = 1", "class A:\\n    x = 2")
    False
    """
    if stored == current:
        return True
    try:
        return _written(ast.parse(stored)) == _written(ast.parse(current))
    except (SyntaxError, ValueError, RecursionError):
        return False


class _Definition:
    """One `class` statement of a file."""

    def __init__(self, node: ast.ClassDef, lines: list[str]) -> None:
        self.node = node
        self.first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        self.last = node.end_lineno or node.lineno
        self._raw = lines[self.first - 1 : self.last]

    @cached_property
    def text(self) -> str:
        return self._normalised(self.node)

    @cached_property
    def task_text(self) -> str:
        keywords = [keyword for keyword in self.node.keywords if keyword.arg not in _HOW_IT_RUNS]
        if len(keywords) == len(self.node.keywords):
            return self.text
        node = copy(self.node)
        node.keywords = keywords
        return self._normalised(node)

    def _normalised(self, node: ast.ClassDef) -> str:
        try:
            return _written(node)
        except (RecursionError, ValueError):  # nothing that ast.unparse can write: the text as it stands
            return "".join(self._raw)


def _written(node: ast.AST) -> str:
    """Unparse without strings that do nothing; the nodes are changed in place, once and for all."""
    formats = False
    for inner in ast.walk(node):
        body = getattr(inner, "body", None)
        if isinstance(body, list) and any(map(_is_text, body)):
            kept = [statement for statement in body if not _is_text(statement)]
            inner.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
        formats = formats or isinstance(inner, ast.JoinedStr)
    return ast.unparse(_PortableStrings().visit(node) if formats else node)


class _PortableStrings(ast.NodeTransformer):
    """Writes an f-string that has strings in its expressions as a call.

    From Python 3.12, `ast.unparse` reuses quotes inside an f-string, which an older Python cannot parse.
    """

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        if not any(_holds_text(part) for part in node.values):
            return node
        self.generic_visit(node)
        parts = [
            self._part(part) if isinstance(part, ast.FormattedValue) else part
            for part in node.values
            if not (isinstance(part, ast.Constant) and part.value == "")  # Python 3.12 adds some
        ]
        return ast.Call(func=ast.Name("__f_string__", ast.Load()), args=parts, keywords=[])

    def _part(self, part: ast.FormattedValue) -> ast.expr:
        specification = part.format_spec or ast.Constant(None)
        return ast.Tuple([part.value, ast.Constant(part.conversion), specification], ast.Load())


def _holds_text(part: ast.expr) -> bool:
    if not isinstance(part, ast.FormattedValue):
        return False
    if isinstance(part.format_spec, ast.JoinedStr) and any(map(_holds_text, part.format_spec.values)):
        return True
    return any(
        isinstance(inner, ast.JoinedStr)
        or (isinstance(inner, ast.Constant) and isinstance(inner.value, (str, bytes)))
        for inner in ast.walk(part.value)
    )


def _is_text(statement: Any) -> bool:
    """Recognise a docstring, or any other string that is a statement and so does nothing."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


# ------------------------------------------------------------------------------------------- finding a class


def _definition(cls: type) -> _Definition | None:
    """Find the statement that made the class."""
    codes = list(_own_codes(cls))
    for file in _files(cls, codes):
        found = _among(_classes(file, cls), cls, [code for code in codes if code.co_filename == file])
        if found is not None:
            return found
    return None


def _among(classes: dict[str, list[_Definition]], cls: type, codes: list[CodeType]) -> _Definition | None:
    """Pick the statement among those of its file: by name, and by line where a name has several."""
    named = classes.get(cls.__qualname__)
    if not named:  # a `global` statement, or a decorator, gave the class another qualified name
        alike = [d for definitions in classes.values() for d in definitions if d.node.name == cls.__name__]
        named = [d for d in alike if _holds(d, cls, codes)]
    elif len(named) > 1:
        named = [d for d in named if _holds(d, cls, codes)] or named
    return named[-1] if named else None


def _holds(definition: _Definition, cls: type, codes: list[CodeType]) -> bool:
    first = cls.__dict__.get("__firstlineno__")
    if first is not None:
        return bool(definition.first <= first <= definition.node.lineno)
    return any(definition.first <= code.co_firstlineno <= definition.last for code in codes)


def _own_codes(cls: type) -> Iterator[CodeType]:
    """Give the code of the functions that were written in the body of the class."""
    for name, value in vars(cls).items():
        function = _unwrapped(value)
        if (
            isinstance(function, FunctionType)
            and function.__module__ == cls.__module__
            and function.__qualname__ == f"{cls.__qualname__}.{name}"
            and not (name.startswith("__") and function.__code__.co_filename.startswith(_GENERATED))
        ):
            yield function.__code__


def _unwrapped(value: Any) -> Any:
    for _ in range(100):
        inner = vars(value).get("__wrapped__") if isinstance(value, FunctionType) else _inside(value)
        if inner is None:
            break
        value = inner
    return value


def _inside(value: Any) -> Any:
    """Give the function in a property, a cached property, a static or class method, or a wrapper object."""
    if isinstance(value, property):
        return value.fget
    if isinstance(value, cached_property):
        return value.func
    if isinstance(value, (staticmethod, classmethod)):
        return value.__func__
    return getattr(value, "__dict__", {}).get("__wrapped__") if not isinstance(value, type) else None


def _files(cls: type, codes: list[CodeType]) -> list[str]:
    """Name the files that may hold the class, the likeliest first, each once."""
    if codes:
        return list(dict.fromkeys(code.co_filename for code in codes))
    module_file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return [module_file] if module_file else _remembered()[::-1]


def _remembered() -> list[str]:
    """Name the sources that were typed: notebook cells and, from Python 3.13, lines at the prompt."""
    return [name for name, entry in linecache.cache.items() if len(entry) == 4 and entry[1] is None]


def _is_library(base: type, stop: type) -> bool:
    if base.__module__.partition(".")[0] in (_OURS, "builtins"):
        return True
    file: str | None = getattr(sys.modules.get(base.__module__), "__file__", None)
    if file is None:
        return False
    if any(part in file for part in _INSTALLED):
        return not issubclass(base, stop)
    return file.startswith(_STANDARD_LIBRARY)


# ------------------------------------------------------------------------------------------- reading a file


def _classes(file: str, cls: type) -> dict[str, list[_Definition]]:
    """Give the class statements of a file by qualified name; nothing if it cannot be read."""
    if file.endswith(tuple(EXTENSION_SUFFIXES)):
        return {}
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        module = sys.modules.get(cls.__module__)
        return _classes_of_text("".join(linecache.getlines(file, getattr(module, "__dict__", None))))
    return _classes_of_file(file, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _classes_of_file(file: str, modified: int, size: int) -> dict[str, list[_Definition]]:
    try:
        with open(file, "rb") as stream:
            return _indexed(stream.read())
    except OSError:
        return {}


@lru_cache(maxsize=256)
def _classes_of_text(text: str) -> dict[str, list[_Definition]]:
    return _indexed(text)


def _indexed(source: str | bytes) -> dict[str, list[_Definition]]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    text = source.decode("utf-8", "surrogateescape") if isinstance(source, bytes) else source
    lines = text.splitlines(keepends=True)
    found: dict[str, list[_Definition]] = {}
    for qualname, node in _class_statements(tree):
        found.setdefault(qualname, []).append(_Definition(node, lines))
    return found


def _class_statements(tree: ast.Module) -> Iterator[tuple[str, ast.ClassDef]]:
    """Give every class statement with its qualified name, in the order of the file."""
    waiting: list[tuple[str, ast.AST]] = [("", tree)]
    while waiting:
        prefix, node = waiting.pop()
        if isinstance(node, ast.ClassDef):
            yield prefix + node.name, node
            prefix += f"{node.name}."
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            prefix += f"{node.name}.<locals>."
        inner = [
            child
            for block in ("body", "handlers", "cases", "orelse", "finalbody")
            for child in getattr(node, block, ())
            if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case))
        ]
        waiting += [(prefix, child) for child in reversed(inner)]
