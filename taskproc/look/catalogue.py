"""The tasks that have a directory in a cache, found by name, from the files alone."""
from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..store import files

if TYPE_CHECKING:
    from ..store.cache import Cache
    from .task_names import TaskPattern


@dataclass(frozen=True)
class Entry:
    """A task that has a directory.

    Attributes:
        name: The name of its class's directory, which is its `task_name` unless that is very long.
        id: Its id.
        directory: Its instance directory.
    """

    name: str
    id: int
    directory: str

    @cached_property
    def args(self) -> Mapping[str, Any]:
        """Its arguments, as `task_args` has them; empty if they cannot be read."""
        return files.read_object(f"{self.directory}/{files.ARGS}")

    @property
    def label(self) -> str:
        """How it is shown to people: `Class#7 (n=3)`."""
        arguments = ", ".join(f"{name}={_shown(value)}" for name, value in self.args.items())
        return f"{self.name.rpartition('.')[2]}#{self.id} ({arguments})"


def class_names(cache: Cache) -> list[str]:
    """Name the classes that the cache holds something of."""
    try:
        with os.scandir(cache.root) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    except OSError:
        return []


def entries(cache: Cache, name: str) -> Iterator[Entry]:
    """Give the tasks of a class that have a directory, by id."""
    results = f"{cache.class_directory(name)}/results"
    try:
        ids = sorted(int(entry) for entry in os.listdir(results) if entry.isdecimal())
    except OSError:
        return
    for id in ids:
        yield Entry(name, id, f"{results}/{id}")


def find_entries(cache: Cache, pattern: TaskPattern, name: str) -> list[Entry]:
    """Find the tasks of a class that a pattern may mean."""
    if pattern.id is not None:
        directory = f"{cache.class_directory(name)}/results/{pattern.id}"
        return [Entry(name, pattern.id, directory)] if os.path.isdir(directory) else []
    if not pattern.by_arguments:
        return list(entries(cache, name))
    return [entry for entry in entries(cache, name) if pattern.fits(entry.id, entry.args, _label(entry))]


def _label(entry: Entry) -> str:
    """Write a task as its own process would, as far as its arguments in plain JSON tell."""
    arguments = ", ".join(f"{name}={_shown(value, 30)}" for name, value in entry.args.items())
    return f"{entry.name.rpartition('.')[2]}({arguments})"


def _shown(value: Any, most: int = 60) -> str:
    if isinstance(value, dict) and set(value) >= {"__task__", "__args__"} and isinstance(value["__args__"], dict):
        arguments = ", ".join(f"{name}={_shown(item, most)}" for name, item in value["__args__"].items())
        return f"{str(value['__task__']).rpartition('.')[2]}({arguments})"
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."
