"""`taskproc result`: a task's result, printed. The one command that unpickles."""
from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .named import class_meant, the_entry
from .options import cache_dir_option, task_argument, trust_cache_option
from .place import Place, find_cache
from .taskfile import told_as_users

if TYPE_CHECKING:
    from ..look.task_names import TaskPattern


@click.command(short_help="Print a task's result.")
@task_argument
@cache_dir_option
@trust_cache_option
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, if it is plain data.")
def result(name: str, file: str | None, cache_dir: Path | None, as_json: bool) -> int:
    """Print the result of TASK as Python writes it.

    TASK is written Class, if there is but one, Class#7 (the id) or Class(n=3); arguments that are left out may be
    anything. With --file TASKFILE, the file is imported, and its tasks are found in the packed store, too.
    """
    from ..look.task_names import parse_task_name

    place, pattern = find_cache(file, cache_dir), parse_task_name(name)
    value = _load(place, pattern)
    if not as_json:
        click.echo(repr(value))
        return 0
    try:
        click.echo(json.dumps(value))
    except (TypeError, ValueError, RecursionError) as error:
        msg = f"the result of {name} is no JSON ({error}); print it without --json"
        raise click.ClickException(msg) from None
    return 0


def _load(place: Place, pattern: TaskPattern) -> Any:
    """Read a result: from its directory, or else, if it is packed, by its task constructed anew."""
    from ..look.catalogue import find_entries
    from ..store import files
    from ..tasks.location import as_given
    from ..tasks.trust import check_trust

    cls = class_meant(place, pattern)
    store = place.cache.class_store(cls)
    check_trust(place.cache.root, [store.directory])
    module = place.file.load() if place.file is not None else None
    if module is None and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # where the classes of results may be, as for `python -m`
    found = [
        entry
        for entry in find_entries(place.cache, pattern, cls)
        if os.path.exists(f"{entry.directory}/{files.RESULT}")
    ]
    if found:
        entry = the_entry(place, pattern, found)
        return as_given(files.load(f"{entry.directory}/{files.RESULT}", entry.label), place.cache.root)
    if pattern.id is None and not pattern.label and module is not None:
        with told_as_users():
            return _constructed(module, pattern).get_task_result()
    msg = f"no task {pattern.text} has a result of its own {place.described}"
    if store.packed.exists():
        msg += "; for one that is packed, say --file TASKFILE, and name the task by its arguments: Class(n=3)"
    raise click.UsageError(msg)


def _constructed(module: Any, pattern: TaskPattern) -> Any:
    found = module
    for part in pattern.cls.removeprefix(f"{module.__name__}.").split("."):
        found = getattr(found, part, None)
    if found is None:
        msg = f"{module.__name__} has no class {pattern.cls}"
        raise click.UsageError(msg)
    return found(*pattern.positional, **pattern.named)
