"""A scheduler as a table of templates: how to submit, ask and cancel, and how to read the answers.

A command is a list of words (or one text, split as a shell would). Each word is filled in by itself, so that no
value can become two words or reach a shell. `{array}`, `{flags}`, `{extra}`, `{ids}` and `{targets}` stand for any
number of words and make up a whole word; other names in braces are replaced by their values, and `{{` is a brace.
"""
from __future__ import annotations

import re
import shlex
import string
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from taskproc.plugin import OptionError, count, option

Words = tuple[str, ...]
Table = tuple[tuple[str, Words], ...]

_SPREAD = frozenset({"array", "flags", "extra", "ids", "targets"})
_OF_A_JOB = ("name", "script", "logs", "size", "first", "last", "user", "limit")
_ASKED_FOR = ("cpus", "mem", "mem_mb", "mem_mb_per_cpu", "time", "seconds", "minutes", "gpus", "queue", "account")
_PHASES = ("waiting", "running", "ended", "unknown")
_CAUSES = ("memory", "time", "node", "preempted", "cancelled")
_NEEDED = ("submit", "job_id", "variable", "query", "row", "states", "cancel")
_PROFILES = Path(__file__).parent / "profiles"


def words(*known: str) -> Callable[[Any], Words]:
    """Make a parser for a command that may hold these names.

    >>> words("name")("qsub -N {name} 'two words'")
    ('qsub', '-N', '{name}', 'two words')
    """

    def parse(value: Any) -> Words:
        found = tuple(shlex.split(value)) if isinstance(value, str) else tuple(str(word) for word in value)
        for word in found:
            _check(word, known)
        return found

    return parse


def text(*known: str) -> Callable[[Any], str]:
    """Make a parser for one word, or a text for stdin, that may hold these names."""

    def parse(value: Any) -> str:
        _check(str(value), known, multiline=True)
        return str(value)

    return parse


def pattern(*needed: str) -> Callable[[Any], str]:
    r"""Make a parser for a regular expression with these groups.

    >>> pattern("id")(r"job (?P<id>\d+)")
    'job (?P<id>\\d+)'
    """

    def parse(value: Any) -> str:
        try:
            groups = re.compile(str(value)).groupindex
        except re.error as error:
            msg = f"{value!r} is no regular expression: {error}"
            raise ValueError(msg) from None
        if missing := [name for name in needed if name not in groups]:
            msg = f"{value!r} has no group (?P<{missing[0]}>…)"
            raise ValueError(msg)
        return str(value)

    return parse


def table(keys: Sequence[str], parse: Callable[[Any], Words]) -> Callable[[Any], Table]:
    """Make a parser for a table of lists of words.

    >>> table(("running",), words())({"running": ["r", "t"]})
    (('running', ('r', 't')),)
    """

    def parse_table(value: Any) -> Table:
        if not isinstance(value, Mapping):
            msg = f"{value!r} is not a table"
            raise ValueError(msg)
        for key in value:
            if key not in keys:
                msg = f"{key!r} is not one of {', '.join(keys)}"
                raise ValueError(msg)
        return tuple((key, parse(item)) for key, item in sorted(value.items()))

    return parse_table


def _names(value: Any) -> Words:
    return tuple(value.split()) if isinstance(value, str) else tuple(map(str, value))


def _patterns(value: Any) -> Words:
    return tuple(pattern()(item) for item in ([value] if isinstance(value, str) else value))


def _variable(value: Any) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*", str(value)):
        msg = f"{value!r} is no name of a variable"
        raise ValueError(msg)
    return str(value)


_OF_JOB = words(*_OF_A_JOB, *_ASKED_FOR)
_OF_SUBMIT = words(*_OF_A_JOB, *_ASKED_FOR, "array", "flags", "extra")
_OF_FLAGS = table(("cpus", "mem", "time", "gpus", "queue", "account"), _OF_JOB)
_OF_ROW = text("id", "name", "open", "close")


@dataclass(frozen=True)
class Templates:
    """Everything that is known of a scheduler; what is None or empty comes from elsewhere, or is not needed."""

    submit: tuple[str, ...] | None = option(None, help="The command that submits an array.", parse=_OF_SUBMIT)
    stdin: str | None = option(
        None, help="What submit reads on stdin.", parse=text(*_OF_A_JOB, *_ASKED_FOR), multiline=True
    )
    array: tuple[str, ...] | None = option(None, help="The words for {array} in submit.", parse=_OF_JOB)
    throttle: tuple[str, ...] | None = option(
        None, help="Further words for {array} where {limit} elements may run at once.", parse=_OF_JOB
    )
    least_array: int | None = option(None, help="The least size of an array; fewer are no array.", parse=count)
    max_array: int | None = option(None, help="The most elements of one array.", parse=count)
    job_id: str | None = option(
        None, help="Finds the id in submit's answer: its group id, or its first one.", parse=pattern()
    )
    variable: str | None = option(None, help="The environment variable with an element's index.", parse=_variable)
    first: int | None = option(None, help="Its value for the first element: 0 or 1.", parse=int)
    query: tuple[str, ...] | None = option(
        None, help="The command that lists the jobs in the queue; {ids}: ours.", parse=words("user", "ids")
    )
    row: str | None = option(
        None,
        help="Finds each job in query's answer: groups id, state, and index, name, host, reason, exit where there are.",
        parse=pattern("state"),
    )
    row_id: str | None = option(None, help="How row's groups make up the id; {id} by default.", parse=_OF_ROW)
    find: tuple[str, ...] | None = option(
        None, help="The command that gives the id of a job by its {name}.", parse=words("name")
    )
    explain: tuple[str, ...] | None = option(
        None, help="The command that tells how job {id} ended.", parse=words("id", "number", "name")
    )
    explain_row: str | None = option(None, help="Finds each job in explain's answer, as row does.", parse=pattern())
    states: tuple[tuple[str, tuple[str, ...]], ...] | None = option(
        None, help="The words for each of waiting, running, ended, unknown.", parse=table(_PHASES, _names)
    )
    causes: tuple[tuple[str, tuple[str, ...]], ...] | None = option(
        None,
        help="What in a state or reason means memory, time, node, preempted, cancelled: regular expressions.",
        parse=table(_CAUSES, _patterns),
    )
    cancel: tuple[str, ...] | None = option(
        None, help="The command that ends jobs; {targets}: which.", parse=words("targets")
    )
    whole: str | None = option(None, help="A whole array in {targets}.", parse=text("id", "number", "name"))
    element: str | None = option(
        None, help="An element of it in {targets}, by its {index}.", parse=text("id", "number", "name", "index")
    )
    named: str | None = option(None, help="A job in {targets} whose id is unknown, by its {name}.", parse=text("name"))
    flags: tuple[tuple[str, tuple[str, ...]], ...] | None = option(
        None, help="The words in {flags} for cpus, mem, time, gpus, queue, account.", parse=_OF_FLAGS
    )
    busy: str | None = option(None, help="Words of the commands that mean: try again later.", parse=pattern())
    full: str | None = option(None, help="Words of submit that mean: too many jobs for now.", parse=pattern())
    nothing: str | None = option(
        None, help="Words of a failing query that mean: there is no such job.", parse=pattern()
    )
    cleans: tuple[str, ...] | None = option(None, help="Beginnings of an outer job's variables.", parse=_names)


def load(name: str) -> Templates:
    """Read a profile: one that is shipped, by its name, or a file.

    Raises:
        OptionError: There is no such profile, or it is not right.
    """
    path = _PROFILES / f"{name}.toml"
    if "/" in name or name.endswith(".toml"):
        path = Path(name).expanduser()
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        shipped = ", ".join(sorted(file.stem for file in _PROFILES.glob("*.toml")))
        msg = f"there is no scheduler profile {name!r} ({error.strerror}); shipped are {shipped}"
        raise OptionError(msg) from None
    return _read(content, str(path))


def _read(content: str, where: str) -> Templates:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    declared = {f.name: f for f in fields(Templates)}
    found = {}
    try:
        for name, value in tomllib.loads(content).items():
            if name not in declared:
                msg = f"there is no {name!r} in a scheduler profile"
                raise ValueError(msg)
            found[name] = declared[name].metadata["parse"](value)
    except (ValueError, TypeError) as error:
        msg = f"{where}: {error}"
        raise OptionError(msg) from None
    return Templates(**found)


def merged(base: Templates, options: Any) -> Templates:
    """Lay what options say over a profile; tables are joined.

    >>> merged(Templates(first=1), Templates(first=0)).first
    0
    """
    given = {f.name: getattr(options, f.name) for f in fields(Templates)}
    changes = {name: value for name, value in given.items() if value is not None}
    for name in ("states", "causes", "flags"):
        if name in changes:
            joined = {**dict(getattr(base, name) or ()), **dict(changes[name])}
            changes[name] = tuple(sorted(joined.items()))
    return replace(base, **changes)


def check_complete(templates: Templates, name: str) -> None:
    """Refuse a scheduler that cannot be used.

    Raises:
        OptionError: Something is missing, with where to write it.
    """
    missing = [field for field in _NEEDED if not getattr(templates, field)]
    if missing:
        msg = (
            f"{name}: {', '.join(missing)} not given; write them into [backends.{name}] of taskproc.toml, "
            'or begin with a profile: scheduler = "sge"'
        )
        raise OptionError(msg)


def fill(template: Words, values: Mapping[str, Any], spread: Mapping[str, Sequence[str]] | None = None) -> Words:
    """Fill in a command, word by word.

    >>> fill(("qdel", "{targets}", "-N{name}"), {"name": "a b"}, {"targets": ["1", "2"]})
    ('qdel', '1', '2', '-Na b')
    """
    return tuple(_filled(template, values, spread or {}))


def _filled(template: Words, values: Mapping[str, Any], spread: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for word in template:
        name = word[1:-1]
        if word == f"{{{name}}}" and name in _SPREAD:
            yield from spread.get(name, ())
        else:
            yield word.format_map(values)


def _check(template: str, known: Sequence[str], *, multiline: bool = False) -> None:
    if not multiline and any(character in template for character in "\n\r\0"):
        msg = f"{template!r} holds a newline, which is refused"
        raise ValueError(msg)
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        msg = f"{template!r}: {error}; write {{{{ for a brace"
        raise ValueError(msg) from None
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if name not in known or form or conversion:
            msg = f"{template!r}: {{{name}}} is not known here; known are {', '.join(sorted(known)) or 'none'}"
            raise ValueError(msg)
        if name in _SPREAD and template != f"{{{name}}}":
            msg = f"{template!r}: {{{name}}} stands for several words, so it must be a word by itself"
            raise ValueError(msg)
