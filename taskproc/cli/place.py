"""Where a task file's cache and settings are."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..settings import Settings


def use_settings_near(file: Path | None, cache_dir: Path | None) -> Settings:
    """Make the settings and the cache of a task file those of this process, and give the settings.

    A settings file is looked for from the task file upwards, and then from the working directory. The cache lies
    beside the task file, unless the command, a settings file or the environment says otherwise.

    Args:
        file: The task file, if there is one.
        cache_dir: What the command said.
    """
    from ..settings import Context, Settings, load_settings

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
