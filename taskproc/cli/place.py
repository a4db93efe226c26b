"""Where a task file's cache and settings are."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..store.cache import Cache
    from ..tasks.settings import Settings
    from .taskfile import TaskFile


def use_settings_near(file: Path | None, cache_dir: Path | None) -> Settings:
    """Make the settings and the cache of a task file those of this process, and give the settings.

    A settings file is looked for from the task file upwards, and then from the working directory. The cache lies
    beside the task file, unless the command, a settings file or the environment says otherwise.

    Args:
        file: The task file, if there is one.
        cache_dir: What the command said.
    """
    from ..tasks.settings import Context, Settings, load_settings

    settings = load_settings(file.parent if file else None)
    if file is not None and settings.file is not None:
        Context.start = file.parent
    elif file is not None:
        settings = load_settings(None)
    nobody_said = settings.cache_dir is Settings.cache_dir  # the very default, not an equal path that somebody wrote
    if cache_dir is not None:
        Context.cache_dir = cache_dir
    elif nobody_said and file is not None:
        Context.cache_dir = file.parent / ".cache"
    return load_settings(None)


@dataclass(frozen=True)
class Place:
    """What somebody asks about: a cache, or what a task file has in it.

    Attributes:
        cache: The cache.
        file: The task file, if one was named.
    """

    cache: Cache
    file: TaskFile | None = None

    @property
    def described(self) -> str:
        """Say in words where that is."""
        of_file = f"of {self.file.path.name} " if self.file else ""
        return f"{of_file}in {self.cache.root}"

    def holds(self, name: str) -> bool:
        """Whether a class of this full name is meant: any, or one of the file."""
        return self.file is None or name.startswith(f"{self.file.module}.")

    def short_name(self, name: str) -> str:
        """Give the name by which people may call a class here."""
        return name.removeprefix(f"{self.file.module}.") if self.file else name

    def runs(self) -> list[str]:
        """Give the directories of the runs, the newest first: those of the file, if there is one."""
        from ..look import history
        from ..runs import ledger

        found = ledger.run_directories(self.cache.runs)
        if self.file is None:
            return found
        # By name only: on another machine the file may lie elsewhere. A run that has just begun has not said yet.
        read = {path: history.read_run(path) for path in found}
        name = self.file.path.name
        return [path for path, run in read.items() if Path(run.file).name == name or (run.alive and not run.file)]

    def chosen_runs(self, run_id: str | None) -> list[str]:
        """Give the directories of the run of that name, or else of those that go on, or else of the newest.

        Without a name, runs that tasks started are passed over, unless there are no others.

        Raises:
            click.UsageError: No run, or more than one, has a name that begins so.
        """
        from ..base.options import nearest
        from ..look import history
        from ..runs import ledger

        if run_id is None:
            found = self.runs()
            found = [path for path in found if not path.endswith(ledger.NESTED)] or found
            return [path for path in found if history.read_run(path).alive] or found[:1]
        names = {Path(path).name: path for path in ledger.run_directories(self.cache.runs)}
        meant = [path for name, path in names.items() if name.startswith(run_id)]
        if len(meant) != 1:
            how_many = f"{len(meant)} runs" if meant else "no run"
            msg = f"{self.cache.root} has {how_many} that begin with {run_id!r}; {nearest(run_id, list(names))}"
            raise click.UsageError(msg)
        return meant


def find_cache(place: str | None, cache_dir: Path | None) -> Place:
    """Find the cache that somebody named by a task file or a directory; a task file is not run.

    Args:
        place: A task file; a cache directory, or one that has it as `.cache`; None: the cache of the settings.
        cache_dir: What `--cache-dir` said.

    Raises:
        click.UsageError: There is no such file, or no cache in the directory.
    """
    from ..store.cache import open_cache
    from ..tasks.in_use import current_cache
    from .taskfile import find_task_file

    if place is not None and Path(place).is_dir():
        inside = Path(place).resolve()
        candidates = [inside, inside / ".cache", *([inside.parent] if inside.name == "taskproc" else [])]
        for directory in candidates:
            if (directory / "taskproc").is_dir():
                return Place(open_cache(directory))
        msg = f"{place!r} is no cache: it has no directory named taskproc."
        raise click.UsageError(msg)
    file = find_task_file(place) if place is not None else None
    use_settings_near(file.path if file else None, cache_dir)
    return Place(current_cache(), file)
