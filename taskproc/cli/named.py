"""From a task's name on the command line to its directory in the cache."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from .place import Place

if TYPE_CHECKING:
    from ..look.catalogue import Entry
    from ..look.task_names import TaskPattern

_SHOWN = 10


def class_meant(place: Place, pattern: TaskPattern) -> str:
    """Give the full name of the class that a name begins with.

    Raises:
        click.UsageError: The cache holds none, or several.
    """
    from ..base.options import nearest
    from ..look.catalogue import class_names

    known = {place.short_name(name): name for name in class_names(place.cache) if place.holds(name)}
    if pattern.cls in known:
        return known[pattern.cls]
    fitting = [name for name in known.values() if pattern.fits_class(name)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        msg = f"{pattern.cls} may be {' or '.join(fitting)}; write the whole name, or say which file with --file"
    else:
        short = sorted({name.rpartition(".")[2] for name in known.values()} | set(known))
        msg = f"there is no class {pattern.cls!r} {place.described}; {nearest(pattern.cls, short)}"
    raise click.UsageError(msg)


def the_entry(place: Place, pattern: TaskPattern, found: Sequence[Entry]) -> Entry:
    """Give the one entry that was found.

    Raises:
        click.UsageError: There are none, or several.
    """
    from .report import plain

    if len(found) == 1:
        return found[0]
    if not found:
        msg = (
            f"no task {pattern.text} has a directory {place.described}: it has not run, or it said nothing, and its "
            "result is packed"
        )
        raise click.UsageError(msg)
    shown = [f"\n  {plain(entry.label)}" for entry in found[:_SHOWN]]
    more = f"\n  ... and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    msg = f"{pattern.text} may be any of these; name one:{''.join(shown)}{more}"
    raise click.UsageError(msg)
