"""Directives that write the reference from what the code declares, so that nothing is listed twice.

- `taskproc-backends`: a section for each installed backend, with its options.
- `taskproc-commands`: a section for each command, with its arguments and options.
"""
from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from taskproc.base.options import OptionInfo, describe
from taskproc.cli import main
from taskproc.contract.plugins import Plugins
from taskproc.plugin import BackendPlugin


class Backends(SphinxDirective):
    """Describes the installed backends, as `taskproc backends` does."""

    def run(self) -> list[nodes.Node]:
        plugins = Plugins()
        lines = [line for one in plugins.available() for line in _backend(plugins.backend(one.name))]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


class Commands(SphinxDirective):
    """Describes the commands, as `--help` does."""

    def run(self) -> list[nodes.Node]:
        lines = [line for name, command in main.commands.items() for line in _command(name, command)]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def _backend(plugin: BackendPlugin) -> Iterator[str]:
    yield from (f"## {plugin.name}", "", plugin.summary, "")
    options = list(describe(plugin.options))
    if options:
        yield from _table(("Option", "Type", "Meaning"), [(f"`{one.name}`", _type(one), one.help) for one in options])
    elif plugin.route is not None:
        yield "It has the options of the backends that it routes to."
    yield ""


def _type(option: OptionInfo) -> str:
    default = "" if option.default in (None, "", ()) else f", `{option.default}` by default"
    return f"{option.type}{default}"


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"taskproc {name}")
    usage = command.get_usage(context).removeprefix("Usage: ").split()
    yield from (f"## taskproc {name}", "", "```text", " ".join(usage), "```", "")
    yield from (inspect.cleandoc(command.help or ""), "")
    records = [record for param in command.params if (record := param.get_help_record(context)) and record[1]]
    yield from _table(("Option", "Meaning"), [(f"`{left}`", right) for left, right in records])
    yield ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Write a Markdown table."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'--|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("taskproc-backends", Backends)
    app.add_directive("taskproc-commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
