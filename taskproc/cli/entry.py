"""From the words of a command line to the task that they mean, constructed with its graph."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .place import use_settings_near
from .taskfile import construct, entry_point, find_task_file

if TYPE_CHECKING:
    from ..task import TaskBase
    from ..tasks.settings import Settings


def load_entry_point(
    taskfile: str,
    name: str,
    arguments: Sequence[tuple[str, str]],
    cache_dir: Path | None,
    kwargs: Mapping[str, Any] | None = None,
) -> tuple[Settings, TaskBase[Any]]:
    """Load a task file, with the settings and the cache that are its own, and construct its entry point.

    Args:
        taskfile: The file.
        name: The class of the entry point.
        arguments: Its arguments, as `-s` gives them.
        cache_dir: Where the cache is, if the command said so.
        kwargs: Its arguments as JSON values.

    Raises:
        click.UsageError: The file, the class or an argument is not as named.
        TaskFileError: The user's own code failed.
    """
    from ..tasks.settings import load_settings
    from .values import entry_arguments

    file = find_task_file(taskfile)
    use_settings_near(file.path, cache_dir)
    cls = entry_point(file, file.load(), name)
    task = construct(file, cls, entry_arguments(cls, arguments, kwargs or {}))
    return load_settings(None), task  # after the file, which may assign some (Context)
