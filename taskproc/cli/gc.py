"""`taskproc gc`: how much the cache holds of each class, and what of it may go."""
from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import Age, EntryPoint, cache_dir_option
from .place import use_settings_near
from .taskfile import construct, entry_point, find_task_file

if TYPE_CHECKING:
    from ..look.garbage import Kept, Wish
    from ..store.cache import Cache
    from .taskfile import TaskFile


@click.command(short_help="Show how much the cache holds, and remove what is old or needed no more.")
@click.argument("taskfiles", nargs=-1, type=click.Path(), metavar="[TASKFILE]...")
@click.option(
    "-e",
    "--entrypoint",
    "entries",
    type=EntryPoint(),
    multiple=True,
    metavar="TASK",
    help="An entry point of the files, such as 'Main(n=3)'; repeatable; Main by default.",
)
@click.option("--all", "everything", is_flag=True, help="Also the classes of modules other than TASKFILEs.")
@click.option("--older-than", type=Age(), metavar="AGE", help="Only what was made longer ago: 30d, 12h.")
@click.option("--keep-last", type=click.IntRange(min=0), metavar="N", help="Leave the N newest of each class.")
@cache_dir_option
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def gc(
    taskfiles: tuple[str, ...],
    entries: tuple[str, ...],
    everything: bool,
    older_than: float | None,
    keep_last: int | None,
    cache_dir: Path | None,
    dry_run: bool,
    yes: bool,
) -> int:
    """Show how much the cache holds of each class; remove what its conditions all say may go, after asking.

    With TASKFILEs, that is what none of their entry points reaches any more, of the classes in these files. Without,
    --older-than or --keep-last must say it; what depends on a removed result then runs again, too. What a run that
    goes on may need stays. The cache is that of the first file, unless --cache-dir says otherwise.
    """
    from ..look.garbage import choose, free, inventory, remove
    from ..store.disk import disk_errors
    from ..tasks.in_use import current_cache

    files = [find_task_file(text) for text in taskfiles]
    use_settings_near(files[0].path if files else None, cache_dir)
    cache = current_cache()
    held = inventory(cache)
    _tell(f"{cache.root} holds", [kept for of_class in held.values() for kept in of_class])
    if not taskfiles and older_than is None and keep_last is None:
        click.echo("To remove some of it, say which: TASKFILE... for what they do not need, --older-than, --keep-last.")
        return 0
    wish = _wish(files, entries, cache, everything, older_than, keep_last)
    doomed, needed = free(cache, choose(held, wish))
    if needed:
        _tell("For the sake of a run that goes on, these stay", needed)
    if not doomed:
        click.echo("Nothing is to be removed.")
        return 0
    _tell("Of these may go", doomed)
    if dry_run:
        return 0
    if not yes and not click.confirm("Remove them?"):
        click.echo("Nothing was removed.")
        return 1
    with disk_errors(cache.root):
        doomed, _ = free(cache, doomed)  # a run may have begun while the question stood
        remove(cache, doomed)
    click.echo(f"Removed {_amount(doomed)}.")
    return 0


def _wish(
    files: Sequence[TaskFile],
    entries: Sequence[str],
    cache: Cache,
    everything: bool,
    older_than: float | None,
    keep_last: int | None,
) -> Wish:
    from ..look.catalogue import class_names
    from ..look.garbage import Wish

    before = None if older_than is None else time.time() - older_than
    if not files:
        return Wish(before=before, but_last=keep_last or 0)
    prefixes = tuple(f"{file.module}." for file in files)
    classes = None if everything else [name for name in class_names(cache) if name.startswith(prefixes)]
    reached, named = _reached(files, entries or ["Main"], cache)
    return Wish(classes, reached, before, keep_last or 0, named)


def _reached(
    files: Sequence[TaskFile], entries: Sequence[str], cache: Cache
) -> tuple[set[bytes], set[tuple[str, int]]]:
    """Give the identities of all tasks that the files' entry points need, and the tasks whose files their results name.

    Raises:
        click.UsageError: A file has none of the entry points, or none has one of them.
    """
    from ..plan.named_files import whose_files
    from ..plan.returned import graph_from

    reached: set[bytes] = set()
    named: set[tuple[str, int]] = set()
    found: set[str] = set()
    for file in files:
        roots = [(entry, root) for entry in entries if (root := _root(file, entry, len(files) > 1)) is not None]
        if not roots:
            msg = f"{file.path.name} has none of the entry points {', '.join(entries)}; name its own with -e"
            raise click.UsageError(msg)
        for entry, root in roots:
            found.add(entry)
            graph = graph_from(root, cache)
            reached.update(graph.node_of)
            named |= whose_files(graph, graph.read_results())
    for entry in entries:
        if entry not in found:
            msg = f"none of the files has the entry point {entry}"
            raise click.UsageError(msg)
    return reached, named


def _root(file: TaskFile, entry: str, may_lack: bool) -> Any:
    """Construct an entry point; None if the file has no class of that name, and may lack it."""
    from ..look.task_names import parse_task_name
    from .values import entry_arguments

    pattern = parse_task_name(entry)
    module = file.load()
    if may_lack and not hasattr(module, pattern.cls.partition(".")[0]):
        return None
    cls = entry_point(file, module, pattern.cls)
    if pattern.id is not None or pattern.label or pattern.positional:
        msg = f"-e {entry}: write an entry point with the names and plain values of its arguments: Main(n=3)"
        raise click.UsageError(msg)
    return construct(file, cls, entry_arguments(cls, [], pattern.named))


def _tell(heading: str, kept: Iterable[Kept]) -> None:
    from .report import plain

    of_class: dict[str, list[Kept]] = {}
    for one in kept:
        of_class.setdefault(one.name, []).append(one)
    if not of_class:
        click.echo(f"{heading} nothing.")
        return
    click.echo(f"{heading}:")
    width = max(len(plain(name)) for name in of_class)
    for name, ones in sorted(of_class.items(), key=lambda item: -sum(one.bytes for one in item[1])):
        click.echo(f"  {plain(name):{width}}  {_amount(ones)}")


def _amount(kept: Sequence[Kept]) -> str:
    from .report import size_text, tasks_text

    return f"{tasks_text(len(kept))}, {size_text(sum(one.bytes for one in kept))}"
