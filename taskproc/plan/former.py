"""Results that were made when the class had other arguments or another name, and that count for today's task.

Each class's directory says which arguments its identities were made of (`ClassStore.signatures`), and `taskproc move`
notes under which names a class was known. So what a task was called before is worked out, and nothing is searched.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

from ..base.errors import TaskprocError
from ..base.lean import blake2b
from ..store import files
from ..store.cache import class_store_at
from ..store.class_store import ClassStore
from ..store.meta import Meta
from ..tasks.arguments import identity, write_identity
from ..tasks.config import TaskConfig
from ..tasks.node import TaskRecord

_TASK = re.compile(r'"digest":"([0-9a-f]{32})","task":"(?:[^"\\\\]|\\\\.)*"')  # as `arguments` writes a task

Renamed = dict[str, tuple[str, str]]  # the digest of a task, as it stands in texts -> its former name and digest


class Former(NamedTuple):
    """A result that was made under another identity.

    Attributes:
        meta: Its provenance.
        digest: The identity that it has now.
        store: Where the task has its results.
        origin: Where this one is.
        origin_id: The id under which it is kept there; -1 if it is packed.
        words: Where it is, in words.
    """

    meta: Meta
    digest: bytes
    store: ClassStore
    origin: ClassStore
    origin_id: int
    words: str

    def put_in_place(self, id: int) -> bool:
        if self.meta.size == 0:
            return self.origin.packed.copy(self.meta.identity, self.digest, self.store.packed)
        before, now = self.origin.instance_directory(self.origin_id), self.store.instance_directory(id)
        return files.take_over(before, now, self.meta.commit, self.digest)


def signature(config: TaskConfig) -> dict[str, Any]:
    """Say which arguments a class's identities are made of, with those of their defaults that have an identity."""
    defaults = {}
    for name, value in config.counted(config.binder.defaults).items():
        try:
            defaults[name] = identity(value)
        except TaskprocError:
            continue
    return {"names": _counted_names(config), "defaults": defaults}


def _counted_names(config: TaskConfig) -> list[str]:
    return sorted(config.counted(dict.fromkeys(config.binder.names)))


def former_results(
    config: TaskConfig, store: ClassStore, records_of: Callable[[], Mapping[int, TaskRecord]], renamed: Renamed
) -> dict[int, Former]:
    """Find results that tasks of one class have under former identities.

    Args:
        config: The class.
        store: Its place in the cache.
        records_of: Gives those of its tasks that have no result by today's source; asked only if there is more to ask.
        renamed: The former identities of tasks that may stand in arguments; it learns of those found.
    """
    origins = [(store, config.name)]
    origins += [(class_store_at(store.beside(name)), name) for name in store.former_names()]
    found: dict[int, Former] = {}
    names = _counted_names(config)
    for origin, name in origins:
        # With today's arguments a task was called the same, unless one of them is a task that was called otherwise.
        is_other = origin is not store or bool(renamed)
        others = [other for other in origin.signatures() if is_other or other["names"] != names]
        if not others:
            continue
        own, records = signature(config), records_of()
        for other in others:
            wanted = {
                node: _digests(name, record, config, other, own["defaults"], renamed)
                for node, record in records.items()
                if node not in found
            }
            metas = _peek(origin, wanted.values())
            words = f"one that was made as {name}({', '.join(other['names'])})"
            for node, digests in wanted.items():
                meta = next((metas[digest] for digest in digests if digest in metas), None)
                if meta is not None:
                    id = origin.ids.known(meta.identity) if meta.size else -1
                    found[node] = Former(meta, records[node].digest, store, origin, id, words)
                    renamed[records[node].digest.hex()] = name, meta.identity.hex()
    return found


def _peek(origin: ClassStore, wanted: Iterable[Iterable[bytes]]) -> dict[bytes, Meta]:
    digests = list(dict.fromkeys(digest for each in wanted for digest in each))
    metas = origin.peek(digests)
    return {digest: meta for digest, meta in zip(digests, metas, strict=True) if meta is not None}


def _digests(
    name: str,
    record: TaskRecord,
    config: TaskConfig,
    other: Mapping[str, Any],
    defaults: Mapping[str, Any],
    renamed: Renamed,
) -> list[bytes]:
    """Give the identities that a task may have had with other arguments; none if it cannot have been the same."""
    now = {argument: identity(value) for argument, value in record.bound.items()}
    added = config.counted(now).keys() - other["names"]
    if any(argument not in defaults or defaults[argument] != now[argument] for argument in added):
        return []
    choices = [[(argument, value) for value in _values(argument, now, other, config)] for argument in other["names"]]
    return [_digest(name, write_identity(dict(chosen)), renamed) for chosen in product(*choices)]


def _values(
    argument: str, now: Mapping[str, Any], other: Mapping[str, Any], config: TaskConfig
) -> Iterator[Any]:
    """Give what an argument may have been: what it is, or what it was by default, if it is gone or is ignored now."""
    if argument in now:
        yield now[argument]
    if argument in other["defaults"] and (argument not in now or argument in config.ignore):
        yield other["defaults"][argument]


def _digest(name: str, text: str, renamed: Renamed) -> bytes:
    def as_it_was(found: re.Match[str]) -> str:
        former, was = renamed.get(found[1], ("", ""))
        return f'"digest":"{was}","task":{write_identity(former)}' if was else found[0]

    if renamed:
        text = _TASK.sub(as_it_was, text)
    return blake2b(f"{name}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
