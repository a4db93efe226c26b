"""`taskproc runs`: the runs of a cache."""
from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import cache_dir_option, json_option, place_argument
from .place import find_cache
from .status import run_as_json

if TYPE_CHECKING:
    from ..look.history import Run

_COLOURS = {"running": "cyan", "done": "green", "failed": "red", "died": "red"}


@click.command(short_help="List the runs of a cache.")
@place_argument
@cache_dir_option
@json_option
def runs(place: str | None, cache_dir: Path | None, as_json: bool) -> int:
    """List the runs of the cache of a task file or of a cache directory, the newest last.

    The last ones are kept: as many as the setting keep_runs says, 20 by default.
    """
    from ..look.history import read_run

    where = find_cache(place, cache_dir)
    found = [read_run(path) for path in reversed(where.runs())]
    if as_json:
        listed = {"version": 1, "cache": where.cache.root, "runs": [run_as_json(run) for run in found]}
        click.echo(json.dumps(listed, indent=2))
    elif not found:
        click.echo(f"There is no run {where.described}.")
    else:
        for run in found:
            click.echo(_described(run))
    return 0


def _described(run: Run) -> str:
    from .report import duration, plain

    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.started))
    ended = run.ended or (time.time() if run.alive else None)
    took = duration(max(0.0, ended - run.started)) if ended else ""
    status = click.style(f"{run.status:11}", fg=_COLOURS.get(run.status))
    numbers = [
        (sum(run.done.values()), "ran"), (sum(run.failed.values()), "failed"), (sum(run.cached.values()), "cached"),
        (sum(run.planned.values()) if run.ended is None else 0, "planned"),
    ]  # fmt: skip
    told = ", ".join(f"{number} {what}" for number, what in numbers if number)
    return f"{run.id}  {began}  {status} {took:>14}  {plain(run.root)}" + (f"  ({told})" if told else "")
