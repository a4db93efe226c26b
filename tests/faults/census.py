"""What lies in a cache, read without taskproc's own code."""
from __future__ import annotations

import gzip
import os
import pickle
import re
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

# Identity, source, upstreams, their values, inputs, value, version, commit; then times, memory, flags, notes, size.
_PROVENANCE = struct.Struct("<16s16s16s16s16s16s16s16sdddQIIQ")
_PROVENANCE_AT = 16  # behind the gzip header, the length of the extra field, and the subfield's name and length
_TEMPORARY = re.compile(r"\.tmp$|^attempt\.|-journal$|-wal$|^results\.|\.damaged$|^joined$")
_OF_LIVE_RUNS = re.compile(r"\.runs/[^/]+/(output|apart|classes-.*)$")


@dataclass(frozen=True)
class Found:
    """One result."""

    commit: bytes
    version: bytes
    upstreams: bytes
    value: Any
    id: int | None


@dataclass
class Census:
    """What was found.

    Attributes:
        results: Results by identity.
        ids: Class directory -> identity -> id, from the id tables.
        problems: What should never be there.
    """

    results: dict[bytes, Found] = field(default_factory=dict)
    ids: dict[str, dict[bytes, int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def fresh(self, tasks: Sequence[Any]) -> set[bytes]:
        """Tell which results need not be computed again; upstreams stand before their downstreams."""
        fresh: set[bytes] = set()
        for task in tasks:
            found = self.results.get(task._task.digest)
            ups = [up._task.digest for up in task._task.upstreams]
            if found is None or not fresh.issuperset(ups):
                continue
            if found.upstreams == blake2b(b"".join(self.results[up].version for up in ups), digest_size=16).digest():
                fresh.add(task._task.digest)
        return fresh


def take(cache: Path) -> Census:
    """Read everything."""
    census = Census()
    root = cache / "taskproc"
    for directory in sorted(root.iterdir()) if root.exists() else []:
        if directory.name == ".runs":
            continue
        _read_packed(directory, census)
        _read_tree(directory, census)
        _read_ids(directory, census)
    return census


def left_behind(cache: Path) -> list[str]:
    """List the files that no run has a use for once all runs have ended."""
    found = []
    for at, directories, names in os.walk(cache):
        for name in [*names, *directories]:
            path = os.path.relpath(os.path.join(at, name), cache)
            if not _TEMPORARY.search(name) and not _OF_LIVE_RUNS.search(path):
                continue
            if not name.endswith("-journal") or (cache / path).stat().st_size:  # an empty one is SQLite's to keep
                found.append(path)
    return sorted(found)


def claims(cache: Path) -> tuple[int, int]:
    """Count the rows of the claims and of the runs."""
    path = cache / "taskproc/.runs/claims.sqlite3"
    if not path.exists():
        return 0, 0
    with _copied(path) as connection:
        try:
            rows = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("claims", "runs")]
        except sqlite3.OperationalError:  # not even made
            return 0, 0
    return rows[0], rows[1]


def _read_tree(directory: Path, census: Census) -> None:
    results = directory / "results"
    for instance in sorted(results.iterdir()) if results.exists() else []:
        path = instance / "result.pkl.gz"
        if not path.exists():
            continue
        head = path.read_bytes()[: _PROVENANCE_AT + _PROVENANCE.size]
        try:
            identity, _, upstreams, _, _, _, version, commit, *_ = _PROVENANCE.unpack(head[_PROVENANCE_AT:])
            with gzip.open(path) as file:
                value = pickle.loads(file.read())
        except Exception as error:
            census.problems.append(f"{path} is not whole: {error}")
            continue
        if identity in census.results and census.results[identity].id is not None:
            census.problems.append(f"{path} is the second result of one task")
        # One that is packed too is the older one, which its driver had no time to drop.
        census.results[identity] = Found(commit, version, upstreams, value, int(instance.name))


def _read_packed(directory: Path, census: Census) -> None:
    path = directory / "packed.sqlite3"
    if not path.exists():
        return
    with _copied(path) as connection:
        try:
            rows = connection.execute("SELECT identity, meta, value FROM results").fetchall()
        except sqlite3.OperationalError:  # not even made
            return
    for identity, meta, value in rows:
        _, _, upstreams, _, _, _, version, commit, *_, notes, _ = _PROVENANCE.unpack(meta)
        value = pickle.loads(value[: len(value) - notes])
        census.results[identity] = Found(commit, version, upstreams, value, None)


def _read_ids(directory: Path, census: Census) -> None:
    path = directory / "id_table/cache.db"
    if not path.exists():
        return
    with _copied(path) as connection:
        try:
            rows = connection.execute("SELECT key, value FROM Cache WHERE key != 'next'").fetchall()
        except sqlite3.OperationalError:
            return
    ids = {bytes.fromhex(key): id for key, id in rows}
    if len(set(ids.values())) < len(ids):
        census.problems.append(f"{path} gives one id to two tasks: {sorted(ids.values())}")
    census.ids[directory.name] = ids


@contextmanager
def _copied(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy of a database, so that what a killed driver left half done stays as it is."""
    with tempfile.TemporaryDirectory() as scratch:
        for name in (path.name, f"{path.name}-journal"):
            if (path.parent / name).exists():
                shutil.copy(path.parent / name, scratch)
        with closing(sqlite3.connect(f"{scratch}/{path.name}")) as connection:
            yield connection
