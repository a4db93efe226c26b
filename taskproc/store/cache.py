"""The cache on disk: one directory per task class, and one for the runs."""
from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .class_store import ClassStore

_LONGEST_NAME = 200

_caches: dict[str, Cache] = {}
_class_stores: dict[str, ClassStore] = {}
handed_over = ""


class Cache:
    """A cache directory: `{directory}/taskproc/{module}.{qualname}/` and `{directory}/taskproc/.runs/`.

    >>> Cache("/data/.cache").class_directory("pkg.mod.Train")
    '/data/.cache/taskproc/pkg.mod.Train'
    """

    def __init__(self, directory: str) -> None:
        self.root = os.path.join(directory, "taskproc")

    @property
    def runs(self) -> str:
        """The directory of the runs."""
        return f"{self.root}/.runs"

    def class_directory(self, name: str) -> str:
        """Give a class's directory; a very long name is cut, and told apart by a digest."""
        encoded = name.encode("utf-8", "surrogatepass")
        if len(encoded) > _LONGEST_NAME:
            import hashlib

            digest = hashlib.blake2b(encoded, digest_size=8).hexdigest()
            name = encoded[: _LONGEST_NAME - 17].decode("utf-8", "ignore") + "-" + digest
        return f"{self.root}/{name}"

    def class_store(self, name: str) -> ClassStore:
        """Give what the cache holds of one class."""
        return class_store_at(self.class_directory(name))

    def class_stores(self) -> Iterator[ClassStore]:
        """Give what the cache holds of every class that is there."""
        with os.scandir(self.root) as entries:
            names = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
        for name in names:
            yield class_store_at(f"{self.root}/{name}")


def open_cache(directory: Path | str) -> Cache:
    """Give the cache in a directory, the same object for the same directory."""
    path = os.path.abspath(directory)
    cache = _caches.get(path)
    if cache is None:
        cache = _caches.setdefault(path, Cache(path))
    return cache


def hand_over_cache(directory: str) -> None:
    """Use the cache of the driver that this process works for, unless its tasks say otherwise (`Context`)."""
    global handed_over
    handed_over = directory


def class_store_at(directory: str) -> ClassStore:
    """Give the store in one class's directory, the same object for the same directory."""
    store = _class_stores.get(directory)
    if store is None:
        from .class_store import ClassStore

        store = _class_stores.setdefault(directory, ClassStore(directory))
    return store
