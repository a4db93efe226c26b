"""Options that declare themselves: one dataclass field gives a name, a type, a default, a help text and a parser.

From the same declaration come the command line (`-o mem=32G`), the settings file, the validation, the listing of
`taskproc backends` and the reference page.
"""
from __future__ import annotations

import difflib
import math
import re
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import OptionError

T = TypeVar("T")

_MEMORY = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[KMGTP]?)(?:i?B)?", re.IGNORECASE)
_CLOCK = re.compile(r"(?:(?P<days>\d+)-)?(?P<clock>\d+(?::\d+){0,2})")
_WORDS = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>s|sec|m|min|h|hours?|d|days?)", re.IGNORECASE)
_FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def option(
    default: T, *, help: str, parse: Callable[[Any], Any] | None = None, multiline: bool = False
) -> T:
    """Declare one option, as the default of a field of a frozen dataclass.

    Args:
        default: Its value when nobody says otherwise.
        help: One sentence, for `taskproc backends` and the reference.
        parse: Checks and normalises a value that somebody gave; raises `ValueError` with what would be right.
        multiline: Whether a value may hold newlines. Only for values that never reach a command line.

    Example:
        >>> @dataclass(frozen=True)
        ... class SiteOptions:
        ...     mem: str | None = option(None, help="Memory, such as 32G.", parse=memory)
    """
    metadata = {"help": help, "parse": parse, "multiline": multiline}
    made: T = field(default=default, metadata=metadata)
    return made


def memory(value: Any) -> str:
    """Normalise an amount of memory: a number with K, M, G, T or P (powers of 1024); without a unit, MB.

    >>> memory("32 GB"), memory("1.5g"), memory(512)
    ('32G', '1536M', '512M')
    """
    match = _MEMORY.fullmatch(str(value).strip())
    if not match or float(match["number"]) == 0:
        msg = f"{value!r} is not an amount of memory; write for example 512M, 32G or 1.5T"
        raise ValueError(msg)
    number, unit = float(match["number"]), match["unit"].upper() or "M"
    units = "KMGTP"
    while number != int(number) and unit != "K":
        number, unit = number * 1024, units[units.index(unit) - 1]
    return f"{math.ceil(number)}{unit}"


def mebibytes(text: str) -> int:
    """Turn a normalised amount of memory into mebibytes, rounded up.

    >>> mebibytes("32G"), mebibytes("100K")
    (32768, 1)
    """
    scale = 1024.0 ** ("KMGTP".index(text[-1]) - 1)
    return math.ceil(int(text[:-1]) * scale)


def duration(value: Any) -> str:
    """Normalise a duration: minutes, [days-]hours:minutes:seconds, minutes:seconds, or 90s, 15min, 2h, 1d.

    The forms with colons and dashes are those of sbatch(1).

    >>> duration(90), duration("2:00:00"), duration("1-12"), duration("36h")
    ('01:30:00', '02:00:00', '1-12:00:00', '1-12:00:00')
    """
    total = _parse_duration(str(value).strip())
    if not total:
        msg = f"{value!r} is not a duration; write for example 30 (minutes), 2:00:00, 1-12:00:00 or 90s"
        raise ValueError(msg)
    days, rest = divmod(total, 86400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{clock}" if days else clock


def seconds(text: str) -> int:
    """Turn a normalised duration into seconds.

    >>> seconds("1-12:00:00")
    129600
    """
    return _parse_duration(text)


def count(value: Any) -> int:
    """Accept a whole number from 1.

    >>> count("8")
    8
    """
    number = int(value)
    if number < 1:
        msg = f"{value!r} is not a whole number from 1"
        raise ValueError(msg)
    return number


def natural(value: Any) -> int:
    """Accept a whole number from 0."""
    number = int(value)
    if number < 0:
        msg = f"{value!r} is not a whole number from 0"
        raise ValueError(msg)
    return number


@dataclass(frozen=True)
class NoOptions:
    """For a backend without options."""


@dataclass(frozen=True)
class Portable:
    """What means the same on every backend that can honour it."""

    cpus: int | None = option(None, help="CPUs for one task.", parse=count)
    mem: str | None = option(None, help="Memory for one task, such as 32G.", parse=memory)
    time: str | None = option(
        None, help="Time limit: minutes, [days-]hours:minutes:seconds, or 90s, 2h, 1d.", parse=duration
    )
    gpus: int | None = option(None, help="GPUs for one task.", parse=natural)


PORTABLE = tuple(f.name for f in fields(Portable))


@dataclass(frozen=True)
class OptionInfo:
    """One option as a person reads it."""

    name: str
    type: str
    default: Any
    help: str


def describe(kind: type[Any]) -> Iterator[OptionInfo]:
    """List the options that a dataclass declares.

    >>> [info.name for info in describe(Portable)]
    ['cpus', 'mem', 'time', 'gpus']
    """
    hints = get_type_hints(kind)
    for f in fields(kind):
        default = None if f.default is MISSING else f.default
        yield OptionInfo(f.name, _type_name(hints[f.name]), default, f.metadata.get("help", ""))


def build_options(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """Make an options value from what somebody wrote, every part of it checked.

    Args:
        kind: The dataclass that declares the options.
        values: What was written: text from the command line, or typed values from a file or a class keyword.
        where: Names the backend and the source of the values, for errors: `slurm (class Train)`.

    Raises:
        OptionError: An unknown name (with the nearest known one), a value that is not right, or options that
            cannot go together.
    """
    declared = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]  # T is a dataclass
    hints = get_type_hints(kind)
    checked = {}
    for name, value in values.items():
        if name not in declared:
            raise OptionError(_unknown(name, list(declared), where))
        try:
            checked[name] = _checked(declared[name], hints[name], value)
        except (ValueError, TypeError) as error:
            msg = f"{where}: option {name}: {error}"
            raise OptionError(msg) from None
    try:
        return kind(**checked)
    except OptionError as error:
        msg = f"{where}: {error}"
        raise OptionError(msg) from None


def nearest(name: str, known: list[str]) -> str:
    """Say which known name was probably meant, as the end of a sentence."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known are: {', '.join(sorted(known)) or 'none'}."


def _unknown(name: str, known: list[str], where: str) -> str:
    return f"{where}: there is no option {name!r}; {nearest(name, known)}"


def _checked(declared: Field[Any], hint: Any, value: Any) -> Any:
    if value is None:
        return None
    multiline = declared.metadata.get("multiline", False)
    if isinstance(value, str) and not multiline and not {"\n", "\r", "\0"}.isdisjoint(value):
        msg = f"{value!r} holds a newline, which is refused"
        raise ValueError(msg)
    parse = declared.metadata.get("parse")
    return parse(value) if parse else _coerced(hint, value)


def _coerced(hint: Any, value: Any) -> Any:
    choices = [arg for arg in _alternatives(hint) if arg is not type(None)]
    for choice in choices:
        plain: Any = get_origin(choice) or choice
        if plain is tuple:
            items: Any = re.split(r"\s*,\s*", value.strip()) if isinstance(value, str) else value
            return tuple(str(item) for item in items)
        if plain is bool and isinstance(value, str) and value.lower() in _FLAGS:
            return _FLAGS[value.lower()]
        if type(value) is plain:
            return value
        if plain in (int, float) and isinstance(value, (str, int)) and not isinstance(value, bool):
            return plain(value)
        if plain is str and isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
    msg = f"{value!r} is not of type {_type_name(hint)}"
    raise ValueError(msg)


def _alternatives(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) in (Union, types.UnionType):
        return get_args(hint)
    return (hint,)


def _type_name(hint: Any) -> str:
    names = [
        choice.__name__ if isinstance(choice, type) and not get_args(choice) else str(choice)
        for choice in _alternatives(hint)
        if choice is not type(None)
    ]
    return " or ".join(names)


def _parse_duration(text: str) -> int:
    """Give seconds; 0 for what is not a duration."""
    if match := _WORDS.fullmatch(text):
        scale = {"s": 1, "m": 60, "h": 3600, "d": 86400}[match["unit"][0].lower()]
        return math.ceil(float(match["number"]) * scale)
    match = _CLOCK.fullmatch(text)
    if not match:
        return 0
    parts = [int(part) for part in match["clock"].split(":")]
    if match["days"]:
        parts += [0] * (3 - len(parts))
    elif len(parts) == 1:
        parts = [0, parts[0], 0]
    elif len(parts) == 2:
        parts = [0, *parts]
    hours, minutes, secs = parts
    return int(match["days"] or 0) * 86400 + hours * 3600 + minutes * 60 + secs

