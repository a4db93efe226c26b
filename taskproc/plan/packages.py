"""The setting `track_packages`: which installed packages count as inputs of a class's tasks."""
from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import metadata
from typing import Literal

from ..base.errors import SettingsError
from ..tasks.valued import Spec

Tracked = Sequence[str] | Literal["all"]


def tracked_packages(
    classes: Iterable[type], reached: Mapping[type, frozenset[str]], tracked: Tracked
) -> dict[type, tuple[Spec, ...]]:
    """Give for each class the packages whose versions count, as inputs.

    Args:
        classes: The classes.
        reached: The modules at the top of packages that each class reaches; a class that is not there may reach all.
        tracked: The names of packages, as they are installed; or all that are reached.

    Raises:
        SettingsError: A package that is named is not installed.
    """
    if tracked == "all":
        named = {cls: _packages_of(reached.get(cls, frozenset())) for cls in classes}
    else:
        modules = {name: _modules_of(name) for name in tracked}
        named = {
            cls: [name for name in tracked if cls not in reached or not reached[cls].isdisjoint(modules[name])]
            for cls in classes
        }
    return {cls: tuple(("package", name) for name in names) for cls, names in named.items()}


def _packages_of(modules: frozenset[str]) -> list[str]:
    known = _installed()
    if not modules.issubset(known):  # some may have been installed since
        _installed.cache_clear()
        known = _installed()
    return sorted({name for module in modules for name in known.get(module, ())}, key=str.lower)


@cache
def _installed() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def _modules_of(name: str) -> set[str]:
    """Name the modules that a package brings."""
    try:
        found = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        msg = f"track_packages names {name!r}, which is not installed for this Python; write it as pip does"
        raise SettingsError(msg) from None
    wanted = _as_one(found.metadata["Name"])
    return {module for module, names in _installed().items() if wanted in map(_as_one, names)}


def _as_one(name: str) -> str:
    """Write the name of a package in the way that all its spellings share (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
