"""A core in miniature for the batch base's tests: it files shell snippets as jobs, and notes what is reported."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taskproc_backends.batch import BatchBackend, BatchOptions, Scheduler

from taskproc.plugin import BackendContext, Job, JobRef, Outcome

_MARK = re.compile(r"(?P<nonce>[0-9a-f]{32})-(?P<code>\d+)")
_WORKER = """\
position=${!2}
[ -z "$position" ] && position=$3
for job in "$1"/payloads/$((position - $3))-*; do
    bash "$job"
    code=$?
    : > "$1/ended/$(basename "$job" | sed 's/.*-//')-$code"
done
"""


@dataclass
class Recorder:
    """Notes reports, and lets a test wait for them."""

    accepted_ids: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    reasons: dict[str, list[str]] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def accepted(self, job: Job, id: str) -> None:
        with self.changed:
            self.accepted_ids[job.nonce] = id

    def waiting(self, job: Job, reason: str) -> None:
        with self.changed:
            self.reasons.setdefault(job.nonce, []).append(reason)
            self.changed.notify_all()

    def started(self, job: Job, host: str = "", pid: int | None = None) -> None:
        with self.changed:
            self.hosts[job.nonce] = host
            self.changed.notify_all()

    def finished(self, job: Job, outcome: Outcome) -> None:
        with self.changed:
            self.times[job.nonce] = time.time()
            self.outcomes.setdefault(job.nonce, []).append(outcome)
            self.changed.notify_all()

    def until(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        with self.changed:
            if not self.changed.wait_for(lambda: bool(condition()), seconds):
                msg = f"nothing came of it in {seconds} s: {self.outcomes}, {self.reasons}"
                raise AssertionError(msg)

    def outcome(self, job: Job, seconds: float = 60.0) -> Outcome:
        """Wait for a job's outcome, of which there is one."""
        self.until(lambda: job.nonce in self.outcomes, seconds)
        (outcome,) = self.outcomes[job.nonce]
        return outcome


class Shelf:
    """Files jobs whose payloads are shell snippets."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen: dict[Path, set[str]] = {}
        self._names = itertools.count(1)
        self.sets: list[Path] = []
        self.refs: dict[str, JobRef] = {}

    def stage(self, groups: Sequence[Sequence[Job]]) -> Path:
        staged = self._directory / f"set-{os.getpid()}-{next(self._names)}-{uuid.uuid4().hex[:6]}"
        for name in ("payloads", "ended"):
            (staged / name).mkdir(parents=True)
        for index, group in enumerate(groups):
            for at, job in enumerate(group):
                (staged / "payloads" / f"{index}-{at:04}-{job.nonce}").write_bytes(job.payload())
                self.refs[job.nonce] = JobRef(staged, index)
        (staged / "worker.sh").write_text(_WORKER)
        self.sets.append(staged)
        return staged

    def command(self, staged: Path, *, index: int = 0, variable: str = "", first: int = 0) -> list[str]:
        return ["bash", str(staged / "worker.sh"), str(staged), variable or "none", str(first)]

    def ended(self, staged: Path) -> Iterable[tuple[str, Outcome]]:
        seen = self._seen.setdefault(staged, set())
        for name in sorted(os.listdir(staged / "ended"), key=lambda name: name.startswith("element")):
            if match := _MARK.fullmatch(name):
                if match["nonce"] not in seen:
                    seen.add(match["nonce"])
                    yield match["nonce"], Outcome("ended", exit_code=int(match["code"]))
            else:
                _, index, code = name.split("-")
                for path in sorted((staged / "payloads").glob(f"{index}-*")):
                    if (nonce := path.name[-32:]) not in seen:
                        seen.add(nonce)
                        yield nonce, Outcome.of_process(128 - int(code) if int(code) > 128 else int(code))


class Bench:
    """One driver's backend with its shelf and its recorder."""

    def __init__(
        self, directory: Path, scheduler: Scheduler, options: BatchOptions, timeout: float = 60, **more: Any
    ) -> None:
        self.report = Recorder()
        self.shelf = Shelf(directory)
        self.context = BackendContext(options, 1, directory, self.report, self.shelf, [])
        self.options = options
        self.directory = directory
        self._gate = directory / f"gate-{uuid.uuid4().hex}"
        self.backend = BatchBackend(scheduler, self.context, timeout=timeout, **more)

    def job(self, snippet: str = "true", **fields: Any) -> Job:
        """Make a job that runs a shell snippet."""
        nonce = uuid.uuid4().hex
        given: dict[str, Any] = {"directory": self.directory / nonce, "options": self.options, **fields}
        return Job(nonce, "demo.Task", f"Task-{nonce[:4]}", payload=snippet.encode, **given)

    def jobs(self, count: int, snippet: str = "true", **fields: Any) -> list[Job]:
        return [self.job(snippet, **fields) for _ in range(count)]

    def held_job(self, snippet: str = "true") -> Job:
        """Make a job that goes on with its snippet once the test says `release`, and not before."""
        return self.job(f"until [ -e {shlex.quote(str(self._gate))} ]; do sleep 0.1; done; {snippet}")

    def release(self) -> None:
        """Let the held jobs go on."""
        self._gate.touch()

    def refs(self, jobs: Sequence[Job]) -> list[tuple[Job, JobRef]]:
        """Give what the ledger of this driver would tell the next one."""
        known = [(job, self.shelf.refs[job.nonce]) for job in jobs]
        ids = self.report.accepted_ids
        return [(job, JobRef(ref.staged, ref.element, ids.get(job.nonce, ""))) for job, ref in known]

    def script(self) -> str:
        return shlex.quote(str(self.shelf.sets[-1] / "job.sh"))


MakeBench = Callable[..., Bench]
