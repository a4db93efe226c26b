"""`taskproc clear`: removes results, after saying which."""
from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import cache_dir_option
from .place import use_settings_near
from .taskfile import TaskFile, find_task_file

if TYPE_CHECKING:
    from ..store.cache import Cache


@dataclass(frozen=True)
class _Cleared:
    """What the cache holds of one class."""

    name: str
    results: int
    bytes: int


@click.command(short_help="Remove results of a task file.")
@click.argument("taskfile", type=click.Path(), metavar="TASKFILE")
@click.argument("classes", nargs=-1, metavar="[CLASS]...")
@click.option("--all", "everything", is_flag=True, help="Also clear the classes of other files in the same cache.")
@cache_dir_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def clear(taskfile: str, classes: tuple[str, ...], everything: bool, cache_dir: Path | None, yes: bool) -> int:
    """Remove the results, logs and data of CLASSes of TASKFILE, or of all its classes.

    The file is not run. What depends on a removed result runs again, too.
    """
    from ..tasks.in_use import current_cache

    file = find_task_file(taskfile)
    use_settings_near(file.path, cache_dir)
    cache = current_cache()
    doomed = [_measure(cache, name) for name in _chosen(cache, file, classes, everything)]
    doomed = [one for one in doomed if one.bytes]
    if not doomed:
        click.echo(f"Nothing to remove in {cache.root}.")
        return 0
    _refuse_while_running(cache)
    _tell(cache, doomed)
    if not yes and not click.confirm("Remove them?"):
        click.echo("Nothing was removed.")
        return 1
    for one in doomed:
        cache.class_store(one.name).clear_all()
    click.echo(f"Removed the results of {', '.join(one.name for one in doomed)}.")
    return 0


def _chosen(cache: Cache, file: TaskFile, classes: Sequence[str], everything: bool) -> list[str]:
    """Give the names of the classes to clear; their directories in the cache are named like them."""
    from ..base.options import nearest
    from ..look.catalogue import class_names

    present = class_names(cache)
    own = [name for name in present if name.startswith(f"{file.module}.")]
    if not classes:
        return present if everything else own
    chosen = []
    for given in classes:
        full = f"{file.module}.{given}"
        name = full if full in own else given if given in present else None
        if name is None:
            short = [name.removeprefix(f"{file.module}.") for name in own]
            msg = f"{cache.root} holds nothing of a class {given!r}; {nearest(given, short)}"
            raise click.UsageError(msg)
        chosen.append(name)
    return list(dict.fromkeys(chosen))


def _measure(cache: Cache, name: str) -> _Cleared:
    """Count what would go: instance directories and packed rows, and the bytes in them."""
    from ..store.packed import FILE as PACKED_FILE

    directory = cache.class_directory(name)
    results = f"{directory}/results"
    size = sum(
        os.lstat(os.path.join(at, file)).st_size for at, _, files in os.walk(results) for file in files
    )
    instances = len(os.listdir(results)) if os.path.isdir(results) else 0
    packed = f"{directory}/{PACKED_FILE}"
    if os.path.exists(packed):
        size += os.path.getsize(packed)
        instances += _rows(packed)
    return _Cleared(name, instances, size)


def _rows(packed: str) -> int:
    import sqlite3

    from ..store.disk import open_existing

    try:
        with closing(open_existing(packed)) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM results").fetchone()[0])
    except sqlite3.Error:  # damaged, which is one reason to clear it
        return 0


def _refuse_while_running(cache: Cache) -> None:
    from ..runs.ledger import driver_lives

    try:
        runs = [entry.path for entry in os.scandir(cache.runs) if entry.is_dir()]
    except OSError:
        return
    live = [run for run in runs if driver_lives(run)]
    if live:
        msg = f"a run of this cache is going on ({Path(live[0]).name}); wait for it, or end it, and clear then."
        raise click.ClickException(msg)


def _tell(cache: Cache, doomed: Sequence[_Cleared]) -> None:
    from .report import size_text

    click.echo(f"From {cache.root}:")
    width = max(len(one.name) for one in doomed)
    for one in doomed:
        tasks = f"{one.results} task{'' if one.results == 1 else 's'}"
        click.echo(f"  {one.name:{width}}  {tasks}, {size_text(one.bytes)}")
