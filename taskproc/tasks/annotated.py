"""Arguments that a constructor's annotations say are inputs: paths and names, given as they are, become that."""
from __future__ import annotations

import ast
import collections.abc
import os
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePath
from types import GenericAlias
from typing import Annotated, Any, Union, get_args, get_origin

from ..base.errors import TaskDefinitionError
from .inputs import KINDS, EnvVar, InputDir, InputFile, Package
from .taken import PLAIN
from .valued import Input

_WITHOUT_FIELDS = frozenset((*PLAIN, *KINDS, type(PurePath()), type(Path())))
_NAMES = {kind.__name__: kind for kind in KINDS}
_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_REST, _MORE = 0x04, 0x08  # code flags: `*rest`, `**more`

Bound = dict[str, Any]


def made_inputs(cls: type[Any]) -> Callable[[Bound], Bound] | None:
    """Give what makes inputs of a class's arguments where the annotations of its constructor say so; None: nowhere.

    Args:
        cls: The class of the tasks.
    """
    hints = dict(_input_hints(cls))
    if not hints:
        return None
    owner = cls.__qualname__
    defaults = _defaults(cls.__init__)

    def make(bound: Bound) -> Bound:
        made = dict(bound)
        for name, hint in hints.items():
            made[name] = _made(bound[name], hint)
            is_right = hasattr(type(made[name]), "__taskproc_identity__") or bound[name] is defaults.get(name, made)
            if hint in KINDS and not is_right:  # it is no task, and no default such as None, either
                raise _refusal(owner, name, bound[name], hint)
        return made

    return make


def refuse_plain_fields(cls: type[Any], bound: Bound) -> None:
    """Refuse dataclasses among arguments whose annotations say that a field is an input, and which is not.

    Nobody calls them through taskproc, so that nothing can be made of what they are given.

    Raises:
        TaskDefinitionError: There is one.
    """
    waiting = [value for value in bound.values() if type(value) not in _WITHOUT_FIELDS]
    while waiting:
        value = waiting.pop()
        kind: Any = type(value)
        if kind in (list, tuple, set, frozenset, dict):
            items = [*value, *value.values()] if kind is dict else value
            waiting += () if PLAIN.issuperset(map(type, items)) else items
        elif hasattr(kind, "__dataclass_fields__"):
            held = {name: getattr(value, name, None) for name in kind.__dataclass_fields__}
            for name, hint in _input_fields(kind).items():
                made = _made(held[name], hint)
                if repr(made) != repr(held[name]):
                    where = f"{cls.__qualname__}: {kind.__name__}.{name}, among its arguments,"
                    msg = f"{where} is {held[name]!r}, so nobody would notice when that changes; make it {made!r}"
                    raise TaskDefinitionError(msg)
            waiting += held.values()


@lru_cache(maxsize=1024)
def _input_fields(kind: Any) -> Mapping[str, Any]:
    """Give the fields of a dataclass that are inputs by their annotations."""
    found = {}
    for name, field in kind.__dataclass_fields__.items():
        try:
            hint = _understood(field.type, kind, vars(sys.modules.get(kind.__module__, types)))
        except Exception:  # one that nobody but its author understands
            continue
        if _mentions(hint):
            found[name] = _plain(hint)
    return found


def is_input_kind(hint: Any) -> bool:
    """Whether an annotation stands for inputs and nothing else; `InputFile[Any]` does, too."""
    return (get_origin(hint) or hint) in KINDS


def _input_hints(cls: type[Any]) -> Iterator[tuple[str, Any]]:
    function: Any = cls.__init__
    for _ in range(100):
        if not hasattr(function, "__wrapped__"):
            break
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    if code is None:
        return
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    further = list(code.co_varnames[len(names) :])
    rest = further.pop(0) if code.co_flags & _REST else None
    more = further.pop(0) if code.co_flags & _MORE else None
    for name, annotation in _annotations(function).items():
        hint = _plain(_evaluated(cls, function, name, annotation))
        if not _mentions(hint):
            continue
        if name == rest:
            yield name, GenericAlias(tuple, (hint, ...))
        elif name == more:
            yield name, GenericAlias(dict, (str, hint))
        elif name in names:
            yield name, hint


def _defaults(function: Any) -> Mapping[str, Any]:
    code = getattr(function, "__code__", None)
    given = getattr(function, "__defaults__", None) or ()
    names = code.co_varnames[: code.co_argcount] if code is not None else ()
    named = getattr(function, "__kwdefaults__", None) or {}
    return {**dict(zip(names[len(names) - len(given) :], given, strict=False)), **named}


def _annotations(function: Any) -> Mapping[str, Any]:
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(function, format=annotationlib.Format.FORWARDREF)
    return getattr(function, "__annotations__", None) or {}


def _evaluated(cls: type[Any], function: Any, name: str, annotation: Any) -> Any:
    """Give what an annotation says, as far as it is about inputs; None if it is not.

    Raises:
        TaskDefinitionError: It is, and cannot be told.
    """
    try:
        return _understood(annotation, cls, getattr(function, "__globals__", {}))
    except Exception as error:
        msg = (
            f"{cls.__qualname__}: the annotation of the argument {name}, {annotation!r}, names an input, but cannot be "
            f"understood ({type(error).__name__}: {error}); write it as InputFile, list[InputFile] or InputFile | None"
        )
        raise TaskDefinitionError(msg) from None


def _understood(annotation: Any, cls: type[Any], module: Mapping[str, Any]) -> Any:
    text = getattr(annotation, "__forward_arg__", annotation)
    if not isinstance(text, str):
        return annotation
    words = set(_IDENTIFIER.findall(text))
    if not any(word in _NAMES or _names_input(vars(cls).get(word)) or _names_input(module.get(word)) for word in words):
        return None
    unseen = {word for word in words if word in _NAMES and word not in vars(cls) and word not in module}
    ours = _imported_from_us(module.get("__file__")) if unseen and "." not in text else _NAMES
    names = _Names(vars(cls), module, ours)
    said = eval(text, {}, names)
    return eval(said, {}, names) if isinstance(said, str) else said  # quoted, and turned into text besides


def _names_input(value: Any) -> bool:
    """Whether a name stands for a kind of inputs, or for an annotation with one inside."""
    is_hint = isinstance(value, type) or get_origin(value) is not None or type(value).__name__ == "TypeAliasType"
    return is_hint and _mentions(value)


@lru_cache(maxsize=256)
def _imported_from_us(file: str | None) -> Mapping[str, Any]:
    """Give the kinds of inputs that a file imports, be it for type checkers only: others may have such names, too."""
    try:
        with open(file or "", "rb") as stream:
            tree = ast.parse(stream.read())
    except (OSError, SyntaxError, ValueError):  # a notebook, for example
        return _NAMES
    return {
        alias.asname or alias.name: _NAMES[alias.name]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "taskproc"
        for alias in node.names
        if alias.name in _NAMES
    }


class _Names(dict[str, Any]):
    """The names that an annotation may use; one that only a type checker knows stands for anything."""

    def __init__(self, *scopes: Mapping[str, Any]) -> None:
        super().__init__()
        self._scopes = (*scopes, vars(sys.modules["builtins"]), vars(sys.modules["typing"]))

    def __missing__(self, name: str) -> Any:
        return next((scope[name] for scope in self._scopes if name in scope), _Anything)


class _AnythingType(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls

    def __getitem__(cls, item: Any) -> Any:
        return cls


class _Anything(metaclass=_AnythingType):
    """Stands for what is not known here."""


def _plain(hint: Any) -> Any:
    text = getattr(hint, "__forward_arg__", hint)
    if isinstance(text, str):  # inside of another annotation, such as list["InputFile"]
        return _NAMES.get(text)
    if type(hint).__name__ == "TypeAliasType":  # from Python 3.12 on
        return _plain(hint.__value__)
    if get_origin(hint) is Annotated:
        return _plain(get_args(hint)[0])
    return get_origin(hint) if is_input_kind(hint) and get_origin(hint) else hint


def _mentions(hint: Any) -> bool:
    hint = _plain(hint)
    return is_input_kind(hint) or any(map(_mentions, get_args(hint)))


def _made(value: Any, hint: Any) -> Any:
    """Make inputs of the parts of a value that an annotation says are some."""
    hint = _plain(hint)
    if hint in KINDS:
        return hint(value) if _can_be(value, hint) else value
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _made_of_union(value, [one for one in inner if _mentions(one)])
    if not isinstance(origin, type) or not any(map(_mentions, inner)):
        return value
    if issubclass(origin, collections.abc.Mapping) and isinstance(value, dict) and len(inner) == 2:
        of_keys, of_values = inner
        return {_made(key, of_keys): _made(item, of_values) for key, item in value.items()}
    if issubclass(origin, tuple) and isinstance(value, tuple) and Ellipsis not in inner:
        fits = len(value) == len(inner)
        return tuple(_made(item, of) for item, of in zip(value, inner, strict=True)) if fits else value
    if issubclass(origin, collections.abc.Iterable) and type(value) in (list, tuple, set, frozenset):
        return type(value)(_made(item, inner[0]) for item in value)
    return value


def _made_of_union(value: Any, hints: list[Any]) -> Any:
    for hint in hints:
        made = _made(value, hint)
        if made is not value:
            return made
    return value


def _can_be(value: Any, kind: Any) -> bool:
    if kind in (EnvVar, Package):
        return isinstance(value, str)
    return isinstance(value, (str, os.PathLike)) and not isinstance(value, Input)


def _refusal(owner: str, name: str, value: Any, kind: Any) -> TaskDefinitionError:
    right = {
        InputFile: "the path of a file, such as 'data/in.csv'",
        InputDir: "the path of a directory, such as 'data'",
        EnvVar: "the name of a variable of the environment",
        Package: "the name of a package",
    }[kind]
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return TaskDefinitionError(f"{owner}: argument {name} is {shown} (of type {type(value).__name__}); pass {right}")
