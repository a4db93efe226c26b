"""Results that are not where their task has its own, and may do all the same once they are put there."""
from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from ..store import files
from ..store.class_store import ClassStore
from ..store.meta import Meta


class Displaced(Protocol):
    """A result that is not in its place.

    Attributes:
        meta: Its provenance.
        words: Where it is.
    """

    @property
    def meta(self) -> Meta: ...

    @property
    def words(self) -> str: ...

    def put_in_place(self, id: int) -> bool:
        """Put it where the task has its results; whether it is there. Nobody else may use the task's directory now.

        Args:
            id: The task's.
        """
        ...


class SetAside(NamedTuple):
    """A result that was set aside for an attempt, which failed or was killed."""

    meta: Meta
    store: ClassStore
    words: str = "its earlier result, which is put back"

    def put_in_place(self, id: int) -> bool:
        return files.put_back(self.store.instance_directory(id), self.meta.commit)


class Hidden(NamedTuple):
    """A result in a task's directory, behind an older one that is packed."""

    meta: Meta
    store: ClassStore
    words: str = "a newer result in its directory"

    def put_in_place(self, id: int) -> bool:
        self.store.discard([self.meta.identity])
        return True


def displaced(store: ClassStore, digest: bytes, own: Meta | None) -> Iterator[Displaced]:
    """Find the results of a task that are not in their place.

    Args:
        store: The class's place in the cache.
        digest: The task's identity.
        own: The result in its place, if there is one; it will not do.
    """
    if own is None:
        if meta := store.peek_earlier(digest):
            yield SetAside(meta, store)
    elif own.size == 0 and (meta := store.peek_tree(digest)):
        yield Hidden(meta, store)
