"""What a cache holds, how much of it, and what of it may go."""
from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import CacheError
from ..runs import ledger
from ..runs.claims import claimed
from ..store import files
from .catalogue import class_names
from .history import read_run

if TYPE_CHECKING:
    from ..store.cache import Cache
    from ..store.class_store import ClassStore


@dataclass(frozen=True)
class Kept:
    """What a cache holds of one task: a directory, a packed result, or both.

    Attributes:
        name: The name of its class's directory.
        identity: Its identity digest; empty for a directory that nobody knows of.
        ids: The id of its directory, if it has one.
        is_packed: Whether it has a packed result.
        bytes: How many bytes that is.
        made: When its result was made, in seconds since the epoch; without one, when its directory was changed last.
    """

    name: str
    identity: bytes
    ids: Sequence[int]
    is_packed: bool
    bytes: int
    made: float


@dataclass(frozen=True)
class Wish:
    """What may go; what is asked for must all be true of it.

    Attributes:
        classes: The classes that it may be of; None for all.
        unless: Identity digests of those that stay; None: nothing is said of them.
        before: It was made before this time.
        but_last: It is not among so many newest ones of its class.
        but: Tasks that stay, by the name of their class's directory and their id.
    """

    classes: Collection[str] | None = None
    unless: Collection[bytes] | None = None
    before: float | None = None
    but_last: int = 0
    but: Collection[tuple[str, int]] = ()


def inventory(cache: Cache) -> dict[str, list[Kept]]:
    """List what a cache holds, by class."""
    return {name: _of_class(name, cache.class_store(name)) for name in class_names(cache)}


def choose(held: dict[str, list[Kept]], wish: Wish) -> list[Kept]:
    """Choose what may go."""
    chosen = []
    for name, of_class in held.items():
        if wish.classes is not None and name not in wish.classes:
            continue
        newest_last = sorted(of_class, key=lambda kept: kept.made)
        for kept in newest_last[: max(0, len(newest_last) - wish.but_last)]:
            if wish.unless is not None and kept.identity in wish.unless:
                continue
            if wish.but and any((name, id) in wish.but for id in kept.ids):
                continue
            if wish.before is None or kept.made < wish.before:
                chosen.append(kept)
    return chosen


def free(cache: Cache, chosen: Iterable[Kept]) -> tuple[list[Kept], list[Kept]]:
    """Tell apart what nobody needs now, and what must stay for the sake of a run.

    A run that goes on may read whatever is of a class of its graph. Jobs on a cluster may go on without a driver; a
    claim, and the file of an attempt in the directory, tell of them.

    Raises:
        CacheError: A run has just begun, and has not said yet what it needs.
    """
    busy: set[str] = set()
    for directory in ledger.run_directories(cache.runs):
        run = read_run(directory)
        if run.alive:
            names = {*run.cached, *run.planned}
            if not names:
                msg = f"the run {run.id} has just begun, and has not said yet what it needs; try again in a moment"
                raise CacheError(msg)
            busy.update(os.path.basename(cache.class_directory(name)) for name in names)
    held = claimed(cache.runs)
    may_go: list[Kept] = []
    must_stay: list[Kept] = []
    for kept in chosen:
        needed = kept.name in busy or kept.identity in held or _is_filed(cache, kept)
        (must_stay if needed else may_go).append(kept)
    return may_go, must_stay


def remove(cache: Cache, doomed: Iterable[Kept]) -> None:
    """Remove what was chosen."""
    of_class: dict[str, list[Kept]] = {}
    for kept in doomed:
        of_class.setdefault(kept.name, []).append(kept)
    for name, of_one in of_class.items():
        packed = [kept.identity for kept in of_one if kept.is_packed]
        cache.class_store(name).remove([id for kept in of_one for id in kept.ids], packed)


def _of_class(name: str, store: ClassStore) -> list[Kept]:
    found: dict[bytes, Kept] = {}
    strangers = []
    for identity, size, made in store.packed.sizes():
        found[identity] = Kept(name, identity, (), True, size, made)
    by_id = store.ids.by_id()
    for id in sorted(store.ids.present()):
        directory = store.instance_directory(id)
        identity = by_id.get(id, b"")
        known = found.get(identity)
        kept = Kept(name, identity, [id], known is not None, _size(directory), _made(directory))
        if known is not None:
            kept = Kept(name, identity, [id], True, kept.bytes + known.bytes, known.made)
        if identity:
            found[identity] = kept
        else:
            strangers.append(kept)
    return [*found.values(), *strangers]


def _size(directory: str) -> int:
    """Count the bytes of all files below; links are not followed."""
    total = 0
    for at, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(f"{at}/{name}").st_size
            except OSError:
                continue
    return total


def _made(directory: str) -> float:
    for path in (f"{directory}/{files.RESULT}", directory):
        try:
            return os.stat(path).st_mtime
        except OSError:
            continue
    return 0.0


def _is_filed(cache: Cache, kept: Kept) -> bool:
    """Whether a worker elsewhere may be at it, or come to it."""
    store = cache.class_store(kept.name)
    for id in kept.ids:
        try:
            if any(name.startswith(files.ATTEMPT) for name in os.listdir(store.instance_directory(id))):
                return True
        except OSError:
            continue
    return False
