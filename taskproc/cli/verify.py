"""`taskproc verify`: reads results and the files that they name, and says what is damaged."""
from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .options import arguments_option, cache_dir_option, entry_point_option, place_argument

if TYPE_CHECKING:
    from ..look.verifying import Wanted
    from ..store.cache import Cache

_NOT_AT_ONCE = 1.0  # seconds after which it is shown how far it has come


@click.command(short_help="Read what the cache holds, and say what is damaged.")
@place_argument
@entry_point_option
@arguments_option
@cache_dir_option
def verify(
    place: str | None, entrypoint: str, arguments: tuple[tuple[str, str], ...], cache_dir: Path | None
) -> int:
    """Read the results that the entry point of TASKFILE needs, or all of CACHE, and the files that they name.

    It says what is not what was written, and by which task that is. It takes as long as the disk needs. While a run
    goes on, files of the tasks that it runs may be told as gone. Nothing is run, unpickled or changed. The exit status
    is 1 if anything is damaged.
    """
    from ..look.verifying import Verifier
    from .report import plain, size_text

    cache, wanted = _what(place, entrypoint, arguments, cache_dir)
    click.echo(f"In {plain(cache.root)}:")
    results = files = damaged = 0
    with _Meter() as meter:
        for checked in Verifier(cache, wanted, meter.update).results():
            results += 1
            files += checked.files
            if checked.faults:
                damaged += 1
                lines = [click.style(plain(checked.task), bold=True), *(f"  {plain(one)}" for one in checked.faults)]
                meter.write("\n".join(lines))
    read = f"{_number(results, 'result')} and {_number(files, 'file')} that they name, {size_text(meter.n)}"
    if not damaged:
        click.echo(f"All is as it was written: {read}.")
        return 0
    click.echo(
        f"{_number(damaged, 'task')} of {results} {'has' if damaged == 1 else 'have'} something damaged; {read}, were "
        "read. To compute it again, clear it (taskproc clear, or clear_task), and run."
    )
    return 1


def _what(
    place: str | None, entrypoint: str, arguments: tuple[tuple[str, str], ...], cache_dir: Path | None
) -> tuple[Cache, Wanted | None]:
    """Give the cache, and which results of it are to be read; None for all."""
    from .entry import load_entry_point
    from .place import find_cache

    if place is None or os.path.isdir(place):
        _refuse("entrypoint", "arguments")
        return find_cache(place, cache_dir).cache, None
    from ..look.verifying import wanted_by
    from ..plan.graph import TaskGraph
    from ..tasks.in_use import current_cache

    _, task = load_entry_point(place, entrypoint, arguments, cache_dir)
    cache = current_cache()
    return cache, wanted_by(TaskGraph(task, cache).tasks, cache)


def _refuse(*parameters: str) -> None:
    """Refuse options that say something of a task file where none was given."""
    context = click.get_current_context()
    given = [name for name in parameters if context.get_parameter_source(name) is not ParameterSource.DEFAULT]
    if given:
        msg = "-e and -s say which tasks of a TASKFILE are meant; name one, or leave them out to read the whole cache."
        raise click.UsageError(msg)


class _Meter:
    """Counts the bytes that are read, and shows them on a terminal, if it takes long.

    Attributes:
        n: The bytes so far.
    """

    def __init__(self) -> None:
        from tqdm import tqdm

        self._bar: Any = tqdm(unit="B", unit_scale=True, desc="read", leave=False, delay=_NOT_AT_ONCE, disable=None)
        self.n = 0  # tqdm counts nothing where it shows nothing

    def __enter__(self) -> _Meter:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def update(self, size: int) -> None:
        """Count more bytes."""
        self.n += size
        self._bar.update(size)

    def write(self, text: str) -> None:
        """Print a line above the bar."""
        with self._bar.external_write_mode():
            click.echo(text)


def _number(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
