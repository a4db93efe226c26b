"""What a driver that died has left on a cluster: found through its ledger, to be followed or withdrawn."""
from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..plugin import JobRef
from ..store import files
from .claims import Claim
from .ledger import Ledger, read_ledger
from .staging import read_set


@dataclass(frozen=True)
class Orphan:
    """An attempt that a dead driver had filed for a worker elsewhere.

    Attributes:
        backend: The backend that it was filed for.
        ref: Where it was filed, and the scheduler's id if that was noted.
        source: The digest of the source it runs.
        upstreams: The digest of its upstreams' commit ids.
        inputs: The digest of what it reads from outside, as its driver saw that.
        directory: Its instance directory.
        durable: Whether it may outlive its driver.
    """

    nonce: str
    backend: str
    ref: JobRef
    source: bytes
    upstreams: bytes
    inputs: bytes
    directory: str
    durable: bool


class Orphans:
    """The attempts that dead runs of a cache left behind.

    Args:
        runs: The cache's directory of runs.
    """

    def __init__(self, runs: str) -> None:
        self._runs = runs
        self._known: dict[str, dict[str, Orphan]] = {}

    def find(self, claim: Claim) -> Orphan | None:
        """Give the attempt behind a dead run's claim, if it went to a worker elsewhere."""
        return self._attempts(claim.run).get(claim.nonce)

    def of(self, run: str) -> Iterable[Orphan]:
        """Give all attempts that a dead run filed."""
        return self._attempts(run).values()

    def _attempts(self, run: str) -> dict[str, Orphan]:
        if run not in self._known:
            self._known[run] = self._read(f"{self._runs}/{run}/ledger.jsonl")
        return self._known[run]

    def _read(self, path: str) -> dict[str, Orphan]:
        found: dict[str, Orphan] = {}
        ids: dict[str, str] = {}
        sets: set[str] = set()
        for entry in read_ledger(path):
            if entry.get("kind") == "accepted":
                ids[str(entry.get("nonce"))] = str(entry.get("id"))
            elif entry.get("kind") == "staged" and str(entry.get("set")) not in sets:
                sets.add(str(entry.get("set")))
                durable = entry.get("durable") is not False
                found.update(_read_set(str(entry.get("backend")), Path(str(entry.get("set"))), durable))
        for nonce, id in ids.items():
            if nonce in found:
                found[nonce] = replace(found[nonce], ref=replace(found[nonce].ref, id=id))
        return found


def note_orphans(ledger: Ledger, orphans: Iterable[Orphan]) -> None:
    """Write attempts of dead runs into a living run's ledger, so that they are found through this one from now on."""
    sets: set[Path] = set()
    for orphan in orphans:
        if orphan.ref.staged not in sets:
            sets.add(orphan.ref.staged)
            staged = {"kind": "staged", "backend": orphan.backend, "set": str(orphan.ref.staged)}
            ledger.note(json.dumps({**staged, "durable": orphan.durable}))
        if orphan.ref.id:
            accepted = {"kind": "accepted", "nonce": orphan.nonce, "id": orphan.ref.id, "time": time.time()}
            ledger.note(json.dumps(accepted))
    ledger.flush()


def withdraw(directory: str, nonce: str) -> bool:
    """Take a filed attempt out of the race; whether it had not started.

    One that has started can no longer commit.
    """
    if take_back(directory, nonce):
        return True
    files.remove(f"{directory}/{files.ATTEMPT}running.{nonce}")
    return False


def take_back(directory: str, nonce: str) -> bool:
    """See to it that a filed attempt never starts; whether it had not started already."""
    try:
        os.unlink(f"{directory}/{files.ATTEMPT}queued.{nonce}")
    except FileNotFoundError:
        return False
    return True


def forget(directory: str, nonce: str) -> None:
    """Remove what an attempt's worker left of its file, having been killed between its commit and its end."""
    files.remove(f"{directory}/{files.ATTEMPT}committing.{nonce}")


def is_filed(directory: str, nonce: str) -> bool:
    """Whether an attempt waits for its worker, or its worker has not ended."""
    states = ("queued", "running", "committing")
    return any(os.path.exists(f"{directory}/{files.ATTEMPT}{state}.{nonce}") for state in states)


def _read_set(backend: str, staged: Path, durable: bool) -> dict[str, Orphan]:
    try:
        groups = read_set(staged)
    except (OSError, ValueError, KeyError):
        return {}
    return {
        entry["nonce"]: Orphan(
            entry["nonce"],
            backend,
            JobRef(staged, element),
            bytes.fromhex(entry["source"]),
            bytes.fromhex(entry["upstreams"]),
            bytes.fromhex(entry["inputs"]),
            entry["directory"],
            durable,
        )
        for element, group in enumerate(groups)
        for entry in group
    }
