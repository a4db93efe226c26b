"""`taskproc report`: a page on a run."""
from __future__ import annotations

from pathlib import Path

import click

from .options import cache_dir_option, place_argument
from .place import find_cache


@click.command("report", short_help="Write a page on a run: timeline, times by class, what failed, what to speed up.")
@place_argument
@cache_dir_option
@click.option("-r", "--run", "run_id", metavar="RUN", help="The run (see `taskproc runs`), or how it begins.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="The file to write, - for the terminal; by default RUN.report.html here.",
)
def run_report(place: str | None, cache_dir: Path | None, run_id: str | None, output: Path | None) -> int:
    """Write an HTML page on the run that goes on, or else the newest, of the cache of a task file or of a directory.

    The page is one file that needs no network. Nothing is run, and no result is read.
    """
    from ..look.pages.page import write_page
    from ..look.pages.report import report_page

    where = find_cache(place, cache_dir)
    chosen = where.chosen_runs(run_id)
    if not chosen:
        msg = f"There is no run {where.described}."
        raise click.ClickException(msg)
    if str(output) == "-":
        click.echo(report_page(chosen[0], None), nl=False)
        return 0
    output = output or Path(f"{Path(chosen[0]).name}.report.html")
    write_page(output, report_page(chosen[0], output.absolute().parent))
    click.echo(f"Wrote {output}; open it in a browser.")
    return 0
