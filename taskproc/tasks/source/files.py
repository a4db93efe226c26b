"""Source files, read and parsed once, and whose they are: the user's, installed, or Python's own."""
from __future__ import annotations

import ast
import linecache
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import cache_from_source
from types import ModuleType
from typing import Any

from ..loaded import Loaded, drop_doubtful_bytecode, loaded

_STANDARD_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
# Where installers put packages: /usr/lib/python3/dist-packages, .venv/lib/python3.12/site-packages. A folder of the
# user's may be called site-packages too.
_INSTALLED = re.compile(r"[/\\]lib(64|32)?[/\\](((python|pypy)[\d.]*t?)[/\\])?(site|dist)-packages[/\\]", re.IGNORECASE)


@dataclass
class Parsed:
    """A parsed file.

    Attributes:
        tree: Its statements; none if it cannot be parsed.
        lines: Its lines, with their ends.
        text: Its bytes; empty for what was typed.
        classes: Its class statements, once somebody asked for them.
        names: Its top-level names, likewise.
    """

    tree: ast.Module
    lines: list[str]
    text: bytes = b""
    classes: Any = field(default=None)
    names: Any = field(default=None)


_reading = threading.RLock()
_noted: set[str] = set()
_others: Mapping[str, bytes] = {}


@contextmanager
def noting() -> Iterator[set[str]]:
    """Note which files of the user's are read meanwhile."""
    global _noted
    with _reading:
        outer, _noted = _noted, set()
        try:
            yield _noted
        finally:
            _noted = outer


@contextmanager
def as_if(texts: Mapping[str, bytes]) -> Iterator[None]:
    """Take other texts for those of these files meanwhile."""
    global _others
    with _reading:
        _others = texts
        try:
            yield
        finally:
            _others = {}


def read_file(file: str, module: ModuleType | None = None) -> Parsed:
    """Parse a file as it was loaded, or what was typed under that name; nothing is in it if that cannot be done.

    The file of a module that is not loaded yet is read as it is now.

    Args:
        file: The file.
        module: The module that it makes, whose loader may know the text of a file that is not on disk.
    """
    if file.endswith(tuple(EXTENSION_SUFFIXES)):
        return _parse("")
    if file in _others:
        return _bytes(_others[file])
    known = loaded(file)
    if known is not None:
        _noted.add(file)
        return _as_loaded(known)
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return _text("".join(linecache.getlines(file, getattr(module, "__dict__", None))))
    _noted.add(file)
    return _file(file, status.st_mtime_ns, status.st_size)


def remembered() -> list[str]:
    """Name the sources that were typed: notebook cells and, from Python 3.13, lines at the prompt."""
    return [name for name, entry in linecache.cache.items() if len(entry) == 4 and entry[1] is None]


def is_installed(file: str) -> bool:
    """Whether a file belongs to an installed package."""
    return _INSTALLED.search(file) is not None or file.startswith(_site_directories())


def is_standard(file: str) -> bool:
    """Whether a file belongs to Python's standard library."""
    return file.startswith(_STANDARD_LIBRARY)


def bytecode_of(file: str) -> str | None:
    """Name the file that Python would keep the bytecode of a module in."""
    try:
        return cache_from_source(file)
    except (ValueError, NotImplementedError):
        return None


def _as_loaded(known: Loaded) -> Parsed:
    if known.parsed is None:
        known.parsed = _parse(known.text)
        known.parsed.text = known.text
    parsed: Parsed = known.parsed
    return parsed


@lru_cache(maxsize=1)
def _site_directories() -> tuple[str, ...]:
    """Name this Python's own directories of packages, which need not look like others'."""
    import sysconfig

    paths = sysconfig.get_paths()
    return tuple({os.path.join(paths[key], "") for key in ("purelib", "platlib") if key in paths})


@lru_cache(maxsize=1024)
def _file(file: str, modified: int, size: int) -> Parsed:
    if not is_installed(file):
        drop_doubtful_bytecode(file, bytecode_of(file))
    try:
        with open(file, "rb") as stream:
            text = stream.read()
    except OSError:
        return _parse("")
    return _bytes(text)


@lru_cache(maxsize=256)
def _bytes(text: bytes) -> Parsed:
    parsed = _parse(text)
    parsed.text = text
    return parsed


@lru_cache(maxsize=256)
def _text(text: str) -> Parsed:
    return _parse(text)


def _parse(source: str | bytes) -> Parsed:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return Parsed(ast.Module([], []), [])
    text = source.decode("utf-8", "surrogateescape") if isinstance(source, bytes) else source
    return Parsed(tree, text.splitlines(keepends=True))
