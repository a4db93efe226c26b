"""Paths below a cache, in the results that it keeps: stored relative to it, so that it may be moved or copied.

In the pickle, text or a path with the cache's directory in it is a persistent id (`pickle`, "Persistence of External
Objects"): text for a whole path, which is what stands behind that directory; for anything else, the pieces between
which it stood, and what they make. Most results name no such path. They are
plain pickles: whether one must be pickled so shows while it is pickled, since every such path has the name of that
directory in it (`marks_of`).
"""
from __future__ import annotations

import os
import sys

from ..base.lean import pickle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Reference = str | tuple[tuple[str, ...], Any]

TEXT, PATH = 0, 1  # what a reference makes; any other path has its class there
_LONGEST = 4096  # characters of what may be a path
_WIDE = "utf-32-le" if sys.byteorder == "little" else "utf-32-be"  # as arrays of text have it


class _Root:
    """How one cache's directory may be spelled.

    Attributes:
        spellings: With a slash behind: as it is used, and without links.
        names: Their last parts.
        marks: What stands in every pickle of a path below it.
        whole: What stands there if one was not taken apart, such as one in bytes or in an array.
    """

    def __init__(self, directory: str) -> None:
        spellings = dict.fromkeys((directory, os.path.realpath(directory)))
        self.names = tuple(dict.fromkeys(map(os.path.basename, spellings)))
        self.spellings = tuple(f"{one}/" for one in spellings)
        self.marks = tuple(_encoded(self.names))
        self.whole = tuple(_encoded(self.spellings))


class References:
    """Refers to paths below a cache while one value is pickled.

    Args:
        directory: The cache's directory with its classes.

    Attributes:
        named: The paths that the value names, relative to that directory, in their order.
        embedded: What stands behind that directory inside of longer text.
        whole: What shows that the pickle has one all the same that could not be taken apart.
    """

    def __init__(self, directory: str) -> None:
        root = _root(directory)
        self.named: dict[str, None] = {}
        self.embedded: dict[str, None] = {}
        self.whole = root.whole
        self._spellings = root.spellings
        self._names = root.names
        self._rest_below: dict[str, str | None] = {}
        pathlib: Any = sys.modules.get("pathlib")  # without it there is no path
        self._paths = (pathlib.PurePath, pathlib.PosixPath) if pathlib is not None else ()

    def of(self, value: Any) -> Reference | None:
        """Give what is pickled in a value's place; None for the value itself."""
        kind = type(value)
        if kind is str:
            return self._of_text(value)
        if self._paths and isinstance(value, self._paths[0]):
            rest = self._rest(str(value))
            if rest is not None:
                return ("", rest), PATH if kind is self._paths[1] else kind
        return None

    def _of_text(self, text: str) -> Reference | None:
        rest = self._rest(text)
        if rest is not None and not any(spelling in rest for spelling in self._spellings):
            return rest
        for spelling in self._spellings:
            if spelling in text:
                pieces = text.split(spelling)
                if not any(map(_goes_on, pieces[:-1])):
                    self.embedded.update(dict.fromkeys(pieces[1:]))
                    return tuple(pieces), TEXT
        return None

    def _rest(self, text: str) -> str | None:
        """Give what stands behind the cache's directory in a path; None if that is elsewhere, or no path."""
        for spelling in self._spellings:
            if text.startswith(spelling):
                rest = text[len(spelling) :]
                self._note(rest)
                return rest
        if any(name in text for name in self._names) and "/" in text and len(text) < _LONGEST and text.isprintable():
            return self._rest_of_other(text)
        return None

    def _rest_of_other(self, text: str) -> str | None:
        """Do so for a path that is spelled in another way; one that is relative is noted, and stays what it is."""
        above, name = os.path.split(os.path.abspath(text))
        if above not in self._rest_below:
            real = f"{os.path.realpath(above)}/"
            fitting = [real[len(one) :] for one in self._spellings if real.startswith(one)]
            self._rest_below[above] = fitting[0] if fitting else None
        below = self._rest_below[above]
        if below is None:
            return None
        self._note(below + name)
        return below + name if text.startswith("/") else None

    def _note(self, rest: str) -> None:
        (self.named if len(rest) < _LONGEST else self.embedded)[rest] = None


class ReferringPickler(pickle.Pickler):
    """Pickles with references."""

    def __init__(self, file: Any, references: References) -> None:
        super().__init__(file, 5)
        self._refer = references.of

    def persistent_id(self, value: Any) -> Reference | None:
        return self._refer(value)


def resolve(directory: str, reference: Reference) -> Any:
    """Give what a reference stands for, where the cache is now."""
    if isinstance(reference, str):
        return f"{directory}/{reference}"
    pieces, kind = reference
    path = f"{directory}/".join(pieces)
    if kind == TEXT:
        return path
    if kind == PATH:
        from pathlib import Path

        return Path(path)
    return kind(path)


def marks_of(directory: str) -> Sequence[bytes]:
    """Give what stands, one or the other, in every pickle of a path below a cache."""
    return _root(directory).marks


def root_of(path: str) -> str:
    """Give the cache's directory of a result's file."""
    return path.rsplit("/", 4)[0]


def _root(directory: str) -> _Root:
    root = _roots.get(directory)
    if root is None:
        root = _roots[directory] = _Root(directory)
    return root


_roots: dict[str, _Root] = {}


def _encoded(texts: Sequence[str]) -> list[bytes]:
    return [text.encode(encoding, "surrogatepass") for text in texts for encoding in ("utf-8", _WIDE)]


def _goes_on(before: str) -> bool:
    """Whether a path that begins behind this text has begun in it."""
    last = before[-1:]
    return last.isalnum() or (last in ("/", ".", "_", "-", "~") and not before.endswith("://"))
