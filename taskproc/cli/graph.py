"""`taskproc graph`: the task graph as a page to look into, or as SVG, DOT, Mermaid or text."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from .entry import load_entry_point
from .options import arguments_option, cache_dir_option, entry_point_option, trust_cache_option
from .taskfile import told_as_users

if TYPE_CHECKING:
    from ..look.pages.model import ShownGraph
    from ..task import TaskBase
    from ..tasks.settings import Settings

Format = Literal["html", "svg", "dot", "mermaid", "text"]
_FORMAT_OF = {
    ".html": "html", ".htm": "html", ".svg": "svg", ".dot": "dot", ".gv": "dot", ".mmd": "mermaid",
    ".mermaid": "mermaid", ".txt": "text",
}  # fmt: skip


@click.command(short_help="Draw the task graph: a page to look into, SVG, DOT, Mermaid or text.")
@click.argument("taskfile", type=click.Path(), metavar="TASKFILE")
@entry_point_option
@arguments_option
@click.option(
    "-f",
    "--format",
    "format_name",
    type=click.Choice(["html", "svg", "dot", "mermaid", "text"]),
    help="What to write; otherwise as the name of the output ends, or html.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="The file to write, - for the terminal; by default the page goes to TASKFILE.graph.html here, the rest to -.",
)
@click.option(
    "--fold/--unfold",
    "fold",
    default=None,
    help="Draw a node per class, or per task; otherwise per class above 50 tasks. The page folds on a click.",
)
@cache_dir_option
@trust_cache_option
def graph(
    taskfile: str,
    entrypoint: str,
    arguments: tuple[tuple[str, str], ...],
    format_name: Format | None,
    output: Path | None,
    fold: bool | None,
    cache_dir: Path | None,
) -> int:
    """Draw the tasks that the entry point of TASKFILE needs, coloured by their states; nothing is run.

    The page is one file that needs no network: click a task for its arguments, its time and its logs, and + on a
    class to unfold its tasks.
    """
    format_name = format_name or _format_of(output)
    settings, task = load_entry_point(taskfile, entrypoint, arguments, cache_dir)
    if format_name == "html" and output is None:
        output = Path(f"{Path(taskfile).stem}.graph.html")
    if output is None or str(output) == "-":
        text = _written(_gathered(task, settings), format_name, fold, None)
        click.echo(text.encode("utf-8", "replace").decode("utf-8"), nl=False)
        return 0
    text = _written(_gathered(task, settings), format_name, fold, output.absolute().parent)
    _save(output, text, format_name)
    return 0


def _gathered(task: TaskBase[Any], settings: Settings) -> ShownGraph:
    from ..look.pages.gather import gather_graph
    from ..run.choice import BackendChoice
    from ..run.request import RunRequest
    from ..run.run import make_plan
    from ..tasks.in_use import current_cache

    cache = current_cache()
    with told_as_users():
        plan = make_plan(task, RunRequest(), settings, cache)
    return gather_graph(plan, BackendChoice(settings), cache)


def _written(graph: ShownGraph, format_name: Format, fold: bool | None, base: Path | None) -> str:
    if format_name == "html":
        from ..look.pages.html import graph_page

        return graph_page(graph, base)
    from ..look.pages.folding import picture_of

    picture = picture_of(graph, fold)
    if format_name == "svg":
        from ..look.pages.svg import svg_text

        return svg_text(picture)
    if format_name == "dot":
        from ..look.pages.dot import dot_text

        return dot_text(picture, graph.title)
    if format_name == "mermaid":
        from ..look.pages.mermaid import mermaid_text

        return mermaid_text(picture)
    from ..look.pages.text import tree_text

    return tree_text(picture)


def _save(output: Path, text: str, format_name: Format) -> None:
    from ..look.pages.page import write_page, write_text

    if format_name == "html":
        write_page(output, text)
        click.echo(f"Wrote {output}; open it in a browser.")
    else:
        write_text(output, text)
        click.echo(f"Wrote {output}.")


def _format_of(output: Path | None) -> Format:
    """Read the format from a file's name.

    Raises:
        click.UsageError: The name does not say it.
    """
    if output is None or str(output) == "-":
        return "html"
    found = _FORMAT_OF.get(output.suffix.lower())
    if found is None:
        msg = f"{str(output)!r} does not say its format; name it *.html, *.svg, *.dot, *.mmd or *.txt, or give -f."
        raise click.UsageError(msg)
    return found  # type: ignore[return-value]  # the table's values are formats
