"""`taskproc move`: lets the results of a class count for it under another name."""
from __future__ import annotations

import os
from pathlib import Path

import click

from .options import cache_dir_option
from .place import use_settings_near


@click.command(short_help="Keep results after a class was renamed, or moved to another module.")
@click.argument("before", metavar="OLD.CLASS")
@click.argument("now", metavar="NEW.CLASS")
@cache_dir_option
def move(before: str, now: str, cache_dir: Path | None) -> int:
    """Let the results of OLD.CLASS count for NEW.CLASS, which it is called now.

    Names are those of the cache's directories, `module.Class`. A result counts if its arguments are the same, and the
    source is: `taskproc accept` takes the former source, in which the class has another name.
    """
    from ..base.options import nearest
    from ..store.disk import disk_errors
    from ..tasks.in_use import current_cache

    use_settings_near(None, cache_dir)
    cache = current_cache()
    known = sorted(name for name in _listed(cache.root) if "." in name.strip("."))
    if before not in known:
        msg = f"the cache {cache.root} has no results of a class {before!r}; {nearest(before, known)}"
        raise click.UsageError(msg)
    if before == now:
        msg = f"{now} is what it is called already."
        raise click.UsageError(msg)
    with disk_errors(cache.root):
        cache.class_store(now).add_former_name(before)
    click.echo(f"The results of {before} count for {now}, as far as arguments and sources are the same.")
    click.echo("`taskproc why` shows what changed in the source, and `taskproc accept` takes it as the same.")
    return 0


def _listed(root: str) -> list[str]:
    try:
        return os.listdir(root)
    except OSError:
        return []
