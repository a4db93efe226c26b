"""The options of the command that several commands share, and how their values are read."""
from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from ..tasks.spans import seconds_of

_MOST_COMPLETED = 1000
F = TypeVar("F", bound=Callable[..., Any])

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # generic for type checkers only, before click 8.4


class Pair(_ParamType):
    """`name=value`.

    Args:
        name: How help names the whole.
        what: What stands on the left, for errors.
    """

    def __init__(self, name: str, what: str) -> None:
        self.name = name
        self._what = what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        left, equals, right = str(value).partition("=")
        if not equals or not left.strip():
            self.fail(f"{value!r} is not {self.name}; {self._what} stands before the '='", param, ctx)
        return left.strip(), right


class Limit(_ParamType):
    """`label=number`."""

    name = "label=n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        label, _, number = str(value).rpartition("=")
        try:
            most = int(number) if number.isdecimal() else 0
        except ValueError:  # longer than Python reads
            most = 0
        if not label or most < 1:
            self.fail(f"{value!r} is not label=n, with n a whole number from 1: --limit download=2", param, ctx)
        return label, most


class BackendName(_ParamType):
    """`NAME`, or `Class=NAME`, where a channel may stand for the class."""

    name = "[class=]name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        label, equals, name = str(value).rpartition("=")
        if not name or (equals and not label):
            self.fail(f"{value!r} is neither NAME nor Class=NAME", param, ctx)
        return label, name

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from ..contract.plugins import Plugins

        label, equals, begin = incomplete.rpartition("=")
        names = [found.name for found in Plugins().available()]
        return [CompletionItem(f"{label}{equals}{name}") for name in names if name.startswith(begin)]


class EntryPoint(_ParamType):
    """The name of a task class in the task file."""

    name = "task"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Name the classes that stand in the file, which is read, not run."""
        import ast

        # While this option has no value, click leaves the words before it unassigned.
        file = ctx.params.get("taskfile") or next((word for word in ctx.args if word.endswith(".py")), "")
        try:
            tree = ast.parse(Path(file).read_bytes())
        except (OSError, SyntaxError, ValueError):
            return []
        names = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class TaskNameType(_ParamType):
    """A task's name: `Class`, `Class#7`, `Class(n=3)`."""

    name = "task"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Name the classes in the cache, and behind a class's name its tasks; nothing is run."""
        from ..look.catalogue import class_names, entries
        from .place import find_cache

        given = ctx.params.get("place") or ctx.params.get("taskfile") or ctx.params.get("file")
        given = given or next((word for word in ctx.args if word.endswith(".py")), None)
        try:
            place = find_cache(given, ctx.params.get("cache_dir"))
        except click.UsageError:
            return []
        known = [name for name in class_names(place.cache) if place.holds(name)]
        short = {name.rpartition(".")[2]: name for name in known}
        names = {name: name for name in known} | {place.short_name(name): name for name in known} | short
        cls, sign, _ = incomplete.partition("#")
        if not sign and cls not in names:
            alike = [name for name in short if name.startswith(cls)] or [name for name in names if name.startswith(cls)]
            return [CompletionItem(name) for name in alike]
        found = entries(place.cache, names[cls]) if cls in names else iter(())
        items = ((f"{cls}#{entry.id}", entry.label) for entry in islice(found, _MOST_COMPLETED))
        return [CompletionItem(item, help=label) for item, label in items if item.startswith(incomplete)]


class Age(_ParamType):
    """A time span, given in seconds: `30d`, `12h`."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return seconds_of(str(value))
        except ValueError:
            self.fail(f"{value!r} is not an age such as 30d, 12h, 90m or 2w", param, ctx)


class JsonObject(_ParamType):
    """A JSON object."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        try:
            found = json.loads(value)
        except ValueError as error:
            self.fail(f"{value!r} is not JSON: {error}", param, ctx)
        if not isinstance(found, dict):
            self.fail(f'{value!r} is not a JSON object such as \'{{"name": 1}}\'', param, ctx)
        return found


def entry_point_option(function: F) -> F:
    """Add `-e`."""
    return click.option(
        "-e",
        "--entrypoint",
        type=EntryPoint(),
        default="Main",
        show_default=True,
        help="The task to run; Outer.Inner for a class in a class.",
    )(function)


def arguments_option(function: F) -> F:
    """Add `-s`."""
    return click.option(
        "-s",
        "--set",
        "arguments",
        type=Pair("name=value", "an argument's name"),
        metavar="NAME=VALUE",
        multiple=True,
        help="An argument of the entry point; lists and dicts as JSON; repeatable.",
    )(function)


def cache_dir_option(function: F) -> F:
    """Add `--cache-dir`."""
    return click.option(
        "--cache-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Where the cache is; otherwise as the settings or TP_CACHE_DIR say, or .cache beside the task file.",
    )(function)


def place_argument(function: F) -> F:
    """Add the cache to look at, by its directory or by a task file."""
    return click.argument("place", type=click.Path(), metavar="[TASKFILE|CACHE]", required=False)(function)


def task_argument(function: F) -> F:
    """Add a task's name, with `--file`."""
    named = click.argument("name", type=TaskNameType(), metavar="TASK")
    where = click.option(
        "--file",
        type=click.Path(),
        metavar="TASKFILE|CACHE",
        help="The task file, or the cache directory; otherwise the cache that the settings name.",
    )
    return named(where(function))


def json_option(function: F) -> F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function)


def trust_cache_option(function: F) -> F:
    """Add `--trust-cache`."""

    def trust(context: click.Context, option: click.Parameter, given: bool) -> None:
        if given:
            from ..tasks.settings import Context

            Context.trust_cache = True
            os.environ["TP_TRUST_CACHE"] = "1"  # for tasks that run graphs of their own

    return click.option(
        "--trust-cache",
        is_flag=True,
        expose_value=False,
        callback=trust,
        help="Read a cache that others may write to, though they could have it run any code.",
    )(function)


def plugin_option(function: F) -> F:
    """Add `-p`."""
    return click.option(
        "-p", "--plugin", "plugins", multiple=True, metavar="MODULE|FILE", help="A plugin to use as well; repeatable."
    )(function)


def log_option(function: F) -> F:
    """Add `-l`."""
    return click.option(
        "-l",
        "--loglevel",
        type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
        default="warning",
        show_default=True,
        help="What to log, to stderr.",
    )(function)


def set_up_logging(level: str) -> None:
    """Log to stderr from this level on."""
    import logging

    logging.basicConfig(level=level.upper(), format="%(levelname)s:%(name)s:%(message)s")
