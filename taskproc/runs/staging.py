"""Sets of jobs on disk, for workers that are started by somebody else: filed here, run at the far end, marked there.

A set is a directory: `jobs.json` (who is in it, for the next driver), `payloads` (what workers run; one file, since to
make one for each of a thousand elements takes a third of a second), and `ended/`, where each job's worker leaves a file
`<nonce>-<exit status>` with the reason, if there is one, so that one listing tells it all. A job script may add
`element-<index>-<exit status>` for a worker that could not leave its marks.
"""
from __future__ import annotations

import itertools
import json
import os
import pickle
import re
import secrets
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.ended import BEGUN_BEFORE
from ..base.frames import pack_group, write_elements
from ..base.outcome import Outcome
from ..base.private import make_directories
from ..plugin import Job, JobRef
from ..store import files
from ..work.command import BOOTSTRAP
from ..work.handover import Assignment, read_payload
from .tidying import SET

if TYPE_CHECKING:
    from .ledger import Ledger

JOBS = "jobs.json"
_BEHIND = Outcome("lost", "its worker ended in a task before it")
_READS = 10  # times that a mark is tried to be read, before its name alone must do
_MARK = re.compile(r"(?P<nonce>[0-9a-f]{32})-(?P<code>\d+)")
_ELEMENT_MARK = re.compile(r"element-(?P<index>\d+)-(?P<code>\d+)")


class StagedSets:
    """Files groups of jobs, and reads their end marks (`plugin.Staging`).

    Args:
        directory: The backend's directory in the run.
        ledger: Learns of every set before anything is submitted.
        backend: The backend's name, for the ledger.

    Attributes:
        refs: Where each attempt of this run was staged, by nonce.
        durable: Whether the backend's jobs outlive their driver.
    """

    def __init__(self, directory: str, ledger: Ledger, backend: str) -> None:
        self._directory = directory
        self._ledger = ledger
        self._backend = backend
        self._seen: dict[Path, set[str]] = {}
        self._elements: dict[tuple[Path, int], list[str]] = {}
        self._unread: Counter[Path] = Counter()
        self.refs: dict[str, JobRef] = {}
        self.durable = True

    def stage(self, groups: Sequence[Sequence[Job]]) -> Path:
        """File the jobs as one set; element i runs `groups[i]`, one after another."""
        staged = Path(self._directory, f"{SET}{secrets.token_hex(6)}")
        make_directories(f"{staged}/ended")
        filed = [[_entry(job) for job in group] for group in groups]
        write_elements(f"{staged}/payloads", [pack_group([payload for payload, _ in group]) for group in filed])
        entries = [[entry for _, entry in group] for group in filed]
        (staged / JOBS).write_text(json.dumps({"backend": self._backend, "groups": entries}), encoding="utf-8")
        self._ledger.write(
            {"kind": "staged", "backend": self._backend, "set": str(staged), "durable": self.durable}
        )
        for entry in itertools.chain(*entries):  # now that a later driver would find them
            make_directories(entry["directory"])
            files.write_text(f"{entry['directory']}/{files.ATTEMPT}queued.{entry['nonce']}", "")
        for index, group in enumerate(groups):
            for job in group:
                self._follow(job.nonce, JobRef(staged, index))
        return staged

    def adopt(self, nonce: str, ref: JobRef) -> None:
        """Take over a job that an earlier driver staged, and that the ledger names already."""
        self._follow(nonce, ref)

    def command(self, staged: Path, *, index: int = 0, variable: str = "", first: int = 0) -> list[str]:
        """Build the argv that runs one element of a set."""
        argv = [sys.executable, BOOTSTRAP, "staged", str(staged), str(index)]
        return [*argv, variable, str(first)] if variable else argv

    def ended(self, staged: Path) -> Iterable[tuple[str, Outcome]]:
        """Read the set's new end marks by one listing."""
        seen = self._seen.setdefault(staged, set())
        try:
            names = [name for name in os.listdir(staged / "ended") if name not in seen]
        except FileNotFoundError:
            return
        unread: set[str] = set()
        # A job's own mark tells more than its element's, so it comes first.
        for name in sorted(names, key=lambda name: name.startswith("element-")):
            if match := _MARK.fullmatch(name):
                reason = self._reason(staged / "ended" / name) if int(match["code"]) else ""
                if reason is None:
                    unread.add(match["nonce"])
                    continue
                seen.update((name, match["nonce"]))
                yield match["nonce"], Outcome("ended", reason, exit_code=int(match["code"]))
            elif match := _ELEMENT_MARK.fullmatch(name):
                seen.add(name)
                group = self._elements.get((staged, int(match["index"])), ())
                left = [nonce for nonce in group if nonce not in unread and nonce not in seen]
                waiting = _never_began(staged, int(match["index"])) if len(left) > 1 else frozenset()
                for nonce in left:
                    seen.add(nonce)
                    behind = nonce in waiting and not waiting.issuperset(left)
                    yield nonce, _BEHIND if behind else _of_element(int(match["code"]))
            else:
                seen.add(name)

    def _follow(self, nonce: str, ref: JobRef) -> None:
        self.refs[nonce] = ref
        self._elements.setdefault((ref.staged, ref.element), []).append(nonce)

    def _reason(self, mark: Path) -> str | None:
        """Read why a job ended; None if a distant disk does not give it now, so that the next listing must try."""
        try:
            return mark.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            self._unread[mark] += 1
            if self._unread[mark] < _READS:
                return None
            return f"(the reason in {mark} cannot be read: {error.strerror})"


def read_set(staged: Path) -> list[list[dict[str, Any]]]:
    """Read who is in a set: per element, per job its nonce, task, id, digests and instance directory."""
    groups: list[list[dict[str, Any]]] = json.loads((staged / JOBS).read_text(encoding="utf-8"))["groups"]
    return groups


def has_ended(staged: Path, nonce: str) -> bool:
    """Whether a job's worker has left its mark."""
    try:
        return any(name.startswith(nonce) for name in os.listdir(staged / "ended"))
    except OSError:
        return False


def _never_began(staged: Path, element: int) -> frozenset[str]:
    """Name the jobs of an element that still wait for their worker; none if that cannot be told."""
    try:
        entries = read_set(staged)[element]
    except (OSError, ValueError, LookupError):
        return frozenset()
    queued = f"{files.ATTEMPT}queued."
    return frozenset(e["nonce"] for e in entries if os.path.exists(f"{e['directory']}/{queued}{e['nonce']}"))


def _of_element(code: int) -> Outcome:
    """Say how a job ended whose worker could not, from the exit status of its element."""
    if code == BEGUN_BEFORE:
        return Outcome("lost", "its worker was started once more, after a first one that left no result")
    return Outcome.of_process(-(code - 128) if code > 128 else code)


def _inputs_digest(assignment: Assignment) -> bytes:
    if not assignment.inputs:
        return bytes(16)
    from ..tasks.outside import digest_of_all  # which most runs do without

    return digest_of_all(assignment.inputs)


def _entry(job: Job) -> tuple[bytes, dict[str, Any]]:
    """Give one job's payload, and its entry in the set."""
    assignment, body = read_payload(job.payload())
    assignment = assignment._replace(filed=True, packed=False)
    entry = {
        "nonce": job.nonce,
        "task": assignment.name,
        "id": assignment.id,
        "digest": assignment.digest.hex(),
        "source": assignment.source.hex(),
        "upstreams": assignment.upstreams.hex(),
        "inputs": _inputs_digest(assignment).hex(),
        "directory": assignment.directory,
    }
    return pickle.dumps((assignment, body), 5), entry
