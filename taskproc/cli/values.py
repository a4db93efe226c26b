"""Arguments of the entry point as text on the command line, read by the constructor's annotations."""
from __future__ import annotations

import collections.abc
import datetime
import enum
import inspect
import json
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ForwardRef, Literal, TypeVar, Union, get_args, get_origin

import click

from ..base.errors import TaskDefinitionError
from ..base.options import nearest
from ..tasks.inputs import KINDS

if TYPE_CHECKING:
    from ..task import TaskBase

_FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_NOTHING = ("None", "null")
_LISTS = (list, tuple, set, frozenset)
_EMPTY = inspect.Parameter.empty


def entry_arguments(
    cls: type[TaskBase[Any]], settings: Sequence[tuple[str, str]], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Make the entry point's arguments.

    Args:
        cls: The entry point.
        settings: Names with values as text.
        values: Values that need no reading.

    Raises:
        click.UsageError: An unknown name, a value that is not of the annotated type, or a missing argument.
    """
    parameters = dict(list(_signature(cls.__init__).parameters.items())[1:])
    named = {name: p for name, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    given = dict(values)
    for name, text in settings:
        if name in named:
            given[name] = _read_argument(cls, named[name], text)
        elif takes_any:
            given[name] = _read_plain(text)
    for name in [*given, *(name for name, _ in settings)]:
        if name not in named and not takes_any:
            msg = f"{cls.__qualname__} has no argument {name!r}; {nearest(name, list(named))}"
            raise click.UsageError(msg)
    missing = [name for name, p in named.items() if p.default is _EMPTY and name not in given]
    if missing:
        wanted = " ".join(f"-s {name}=..." for name in missing)
        msg = f"{cls.__qualname__} needs a value for {' and '.join(missing)}: add {wanted}"
        raise click.UsageError(msg)
    return given


def read_value(text: str, hint: Any) -> Any:
    """Read a value of an annotated type.

    Raises:
        ValueError: The text is none; the message says what would be right.

    Example:
        >>> read_value("3", int | None), read_value("None", int | None), read_value('["a"]', tuple[str, ...])
        (3, None, ('a',))
    """
    hint = _plain_hint(hint)
    if hint is Any or hint is object:
        return _read_plain(text)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _read_alternative(text, get_args(hint))
    if origin is Literal:
        return _chosen(text, {str(choice): choice for choice in get_args(hint)})
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _chosen(text, {**{str(item.value): item for item in hint}, **hint.__members__})
    if hint in _READERS:
        return _READERS[hint](text)
    if (get_origin(hint) or hint) in KINDS:
        return _input(text, get_origin(hint) or hint)
    if hint is None or hint is type(None):
        if text in _NOTHING:
            return None
        msg = f"{text!r} is not None"
        raise ValueError(msg)
    return _from_json(_json(text, hint), hint)


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):  # where annotations are evaluated on demand, and one may name what is not there
        from annotationlib import Format

        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)


def _read_argument(cls: type, parameter: inspect.Parameter, text: str) -> Any:
    hint = _hint_of(cls, parameter)
    try:
        return read_value(text, hint)
    except ValueError as error:
        msg = f"-s {parameter.name}: {error}"
        raise click.UsageError(msg) from None


def _hint_of(cls: type, parameter: inspect.Parameter) -> Any:
    """Give an argument's type: as annotated, or else that of its default."""
    hint = parameter.annotation
    if isinstance(hint, str):
        function: Any = inspect.unwrap(cls.__init__)  # type: ignore[misc]  # it is only looked at
        try:
            hint = eval(hint, function.__globals__, dict(vars(cls)))
        except Exception:  # a name that only a type checker knows
            hint = _EMPTY
    if hint is not _EMPTY and not isinstance(hint, ForwardRef):
        return hint
    default = parameter.default
    return type(default) if type(default) in _READERS else Any


def _plain_hint(hint: Any) -> Any:
    if get_origin(hint) is Annotated:
        return _plain_hint(get_args(hint)[0])
    if isinstance(hint, TypeVar):
        return _plain_hint(hint.__bound__ or Any)
    if hasattr(hint, "__supertype__"):
        return _plain_hint(hint.__supertype__)
    if hasattr(hint, "__value__"):  # type X = ... of Python 3.12
        return _plain_hint(hint.__value__)
    return hint


def _read_plain(text: str) -> Any:
    """Read a value of no stated type: JSON if it is JSON, or else text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None if text == "None" else text


def _read_alternative(text: str, hints: Sequence[Any]) -> Any:
    if type(None) in hints and text in _NOTHING:
        return None
    # Any text is a str, so str is asked last; and 1 is a number before it is a flag.
    rank = {str: 3, Path: 2, bool: 1, **dict.fromkeys(KINDS, 2)}
    failures = []
    for hint in sorted((hint for hint in hints if hint is not type(None)), key=lambda hint: rank.get(hint, 0)):
        try:
            return read_value(text, hint)
        except ValueError as error:
            failures.append(str(error))
    raise ValueError("; ".join(dict.fromkeys(failures)))


def _input(text: str, kind: Any) -> Any:
    try:
        return kind(text)
    except TaskDefinitionError as error:
        raise ValueError(str(error)) from None


def _chosen(text: str, choices: Mapping[str, Any]) -> Any:
    if text in choices:
        return choices[text]
    msg = f"{text!r} is not one of {', '.join(choices)}"
    raise ValueError(msg)


def _flag(text: str) -> bool:
    if text.lower() in _FLAGS:
        return _FLAGS[text.lower()]
    msg = f"{text!r} is not true or false"
    raise ValueError(msg)


def _number(kind: type, what: str) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            msg = f"{text!r} is not {what}"
            raise ValueError(msg) from None

    return read


_READERS: dict[Any, Callable[[str], Any]] = {
    bool: _flag,
    int: _number(int, "a whole number"),
    float: _number(float, "a number"),
    str: str,
    Path: Path,
    bytes: str.encode,
    datetime.date: datetime.date.fromisoformat,
    datetime.datetime: datetime.datetime.fromisoformat,
}


def _json(text: str, hint: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        msg = f"{text!r} is not JSON, which {_name(hint)} is written in, for example {_example(hint)}"
        raise ValueError(msg) from None


def _from_json(value: Any, hint: Any) -> Any:
    """Make of a JSON value what the annotation asks for."""
    hint = _plain_hint(hint)
    if hint is Any or hint is object:
        return value
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, types.UnionType):
        return _first_fitting(value, args)
    if origin is Literal:
        return _chosen(str(value), {str(choice): choice for choice in args})
    is_class = isinstance(origin, type)
    if is_class and issubclass(origin, collections.abc.Collection) and origin not in (str, bytes):
        if isinstance(value, (list, dict)) and isinstance(value, dict) == issubclass(origin, collections.abc.Mapping):
            return _container(value, origin, args)
    elif origin is float and type(value) is int:
        return float(value)
    elif origin is type(None) or origin is None:
        if value is None:
            return None
    elif origin in (bool, int, float, str):
        if type(value) is origin:
            return value
    elif isinstance(value, str) and (origin in (*_READERS, *KINDS) or (is_class and issubclass(origin, enum.Enum))):
        return read_value(value, origin)
    elif origin not in _READERS:
        msg = f"a value of type {_name(hint)} cannot be given on the command line"
        raise ValueError(msg)
    msg = f"{json.dumps(value)} is not of type {_name(hint)}"
    raise ValueError(msg)


def _container(value: Any, origin: type, args: Sequence[Any]) -> Any:
    if isinstance(value, dict):
        of = args[1] if len(args) == 2 else Any
        return {_key(key, args[0] if args else str): _from_json(item, of) for key, item in value.items()}
    if origin is tuple and args and Ellipsis not in args:
        if len(args) != len(value):
            msg = f"{json.dumps(value)} has {len(value)} items instead of {len(args)}"
            raise ValueError(msg)
        return tuple(_from_json(item, of) for item, of in zip(value, args, strict=True))
    items = [_from_json(item, args[0] if args else Any) for item in value]
    return origin(items) if origin in _LISTS else set(items) if issubclass(origin, collections.abc.Set) else items


def _key(key: str, hint: Any) -> Any:
    return key if _plain_hint(hint) in (str, Any) else read_value(key, hint)


def _first_fitting(value: Any, hints: Sequence[Any]) -> Any:
    exact = [hint for hint in hints if type(value) is (get_origin(hint) or hint)]
    for hint in [*exact, *hints]:
        try:
            return _from_json(value, hint)
        except ValueError:
            continue
    msg = f"{json.dumps(value)} is not of type {' or '.join(map(_name, hints))}"
    raise ValueError(msg)


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")


def _example(hint: Any) -> str:
    origin = get_origin(hint) or hint
    is_mapping = isinstance(origin, type) and issubclass(origin, collections.abc.Mapping)
    return '\'{"key": 1}\'' if is_mapping else "'[1, 2]'"
