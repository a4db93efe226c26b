"""Backends that are wrong on purpose, each in one way, and two that are right to start from."""
from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taskproc_backends.prefix import PrefixBackend

from taskproc.plugin import (
    BackendContext,
    BackendPlugin,
    Capabilities,
    Job,
    JobRef,
    NoOptions,
    Outcome,
    Portable,
    Reports,
    execute,
    option,
)


class Passing:
    """Hands reports on; what a wrong backend does to them, it overrides."""

    def __init__(self, report: Reports) -> None:
        self._to = report

    def accepted(self, job: Job, id: str) -> None:
        self._to.accepted(job, id)

    def waiting(self, job: Job, reason: str) -> None:
        self._to.waiting(job, reason)

    def started(self, job: Job, host: str = "", pid: int | None = None) -> None:
        self._to.started(job, host, pid)

    def finished(self, job: Job, outcome: Outcome) -> None:
        self._to.finished(job, outcome)


def with_reports(kind: type[Passing]) -> Any:
    """Make a right backend whose reports go through a wrong hand."""
    return lambda context: PrefixBackend(replace(context, report=kind(context.report)))


class Silent(Passing):
    def finished(self, job: Job, outcome: Outcome) -> None: ...


class Repeating(Passing):
    def finished(self, job: Job, outcome: Outcome) -> None:
        self._to.finished(job, outcome)
        self._to.finished(job, outcome)


class Gossiping(Passing):
    def started(self, job: Job, host: str = "", pid: int | None = None) -> None:
        self._to.started(replace(job, nonce="0" * 32), host, pid)


class Praising(Passing):
    def finished(self, job: Job, outcome: Outcome) -> None:
        self._to.finished(job, Outcome("ended", exit_code=0))


class Forgetful(Passing):
    """Loses every third outcome."""

    count = 0

    def finished(self, job: Job, outcome: Outcome) -> None:
        self.count += 1
        if self.count % 3:
            self._to.finished(job, outcome)


class LosesJobs(PrefixBackend):
    def submit(self, jobs: Sequence[Job]) -> None:
        super().submit(jobs[::2])


class Raises(PrefixBackend):
    def submit(self, jobs: Sequence[Job]) -> None:
        raise KeyError(jobs[0].label)


class AsksTwice(PrefixBackend):
    def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            job.payload()
        super().submit(jobs)


class IgnoresCancel(PrefixBackend):
    def cancel(self, jobs: Sequence[Job]) -> None: ...


class CancelRaises(PrefixBackend):
    def cancel(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            del self._running[job.nonce]


class EndsParentsOnly(PrefixBackend):
    def cancel(self, jobs: Sequence[Job]) -> None:
        with self._lock:
            self._cancelled.update(job.nonce for job in jobs)
            pids = [self._running[job.nonce] for job in jobs if job.nonce in self._running]
        for pid in pids:
            os.kill(pid, 9)


class BlocksInClose(PrefixBackend):
    def close(self, detach: bool) -> None:
        threading.Event().wait()


class Inline:
    """Runs tasks in a thread, and lets them write where they like; a second job waits behind the first."""

    capabilities = Capabilities(window=10)

    def __init__(self, context: BackendContext) -> None:
        self._report = context.report
        self._lock = threading.Lock()

    def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._report.accepted(job, "")
            threading.Thread(target=self._run, args=(job,), daemon=True).start()

    def _run(self, job: Job) -> None:
        with self._lock:
            self._report.finished(job, execute(job.payload(), "none"))

    def cancel(self, jobs: Sequence[Job]) -> None: ...

    def close(self, detach: bool) -> None: ...


class RunsTwice(Inline):
    def _run(self, job: Job) -> None:
        payload = job.payload()
        execute(payload, "thread")
        self._report.finished(job, execute(payload, "thread"))


class Lasting:
    """A durable backend that is right: workers of their own, followed by their end marks."""

    capabilities = Capabilities(durable=True, latency=2.0)
    stages = True

    def __init__(self, context: BackendContext) -> None:
        self._report = context.report
        self._staging = context.staging
        self._followed: dict[Path, dict[str, tuple[Job, int]]] = {}
        self._cancelled: set[str] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._follow, daemon=True).start()

    def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            staged = self._staging.stage([[job]])
            log = (staged / "log").open("wb")
            command = self._staging.command(staged)
            worker = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            (staged / "pid").write_text(str(worker.pid))
            self._report.accepted(job, str(worker.pid))
            with self._lock:
                self._followed[staged] = {job.nonce: (job, worker.pid)}

    def adopt(self, jobs: Sequence[tuple[Job, JobRef]]) -> Sequence[Job]:
        never = []
        for job, ref in jobs:
            if (ref.staged / "pid").exists():
                with self._lock:
                    self._followed[ref.staged] = {job.nonce: (job, int((ref.staged / "pid").read_text()))}
            else:
                never.append(job)
        return never

    def preview(self, jobs: Sequence[Job]) -> str:
        return "\n".join(f"start a worker for {job.label}" for job in jobs)

    def cancel(self, jobs: Sequence[Job]) -> None:
        from taskproc.plugin import end_process_trees

        wanted = {job.nonce for job in jobs}
        with self._lock:
            self._cancelled |= wanted
            pids = [pid for known in self._followed.values() for nonce, (_, pid) in known.items() if nonce in wanted]
        end_process_trees(pids)

    def close(self, detach: bool) -> None:
        self._closed.set()

    def _follow(self) -> None:
        while not self._closed.wait(0.1):
            with self._lock:
                followed = dict(self._followed)
            for staged, known in followed.items():
                marks = dict(self._staging.ended(staged))
                for nonce, (job, pid) in known.items():
                    outcome = marks.get(nonce)
                    if outcome is None and _is_gone(pid):
                        outcome = dict(self._staging.ended(staged)).get(nonce) or self._how_it_ended(pid)
                    if outcome is not None:
                        self._report.finished(job, Outcome("cancelled") if nonce in self._cancelled else outcome)
                        with self._lock:
                            del self._followed[staged]

    def _how_it_ended(self, pid: int) -> Outcome:
        try:
            return Outcome.of_process(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        except ChildProcessError:
            return Outcome("ended", "it ended without a word", exit_code=1)


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return True


class AdoptsNothing(Lasting):
    def adopt(self, jobs: Sequence[tuple[Job, JobRef]]) -> Sequence[Job]:
        return [job for job, _ in jobs]


class AdoptsAnything(Lasting):
    def adopt(self, jobs: Sequence[tuple[Job, JobRef]]) -> Sequence[Job]:
        return []


class EndsOnDetach(Lasting):
    def close(self, detach: bool) -> None:
        self.cancel([job for known in self._followed.values() for job, _ in known.values()])
        super().close(detach)


class SubmitsInPreview(Lasting):
    def preview(self, jobs: Sequence[Job]) -> str:
        self.submit(jobs)
        return "done"


class NeverStages(Inline):
    capabilities = Capabilities(durable=True)
    adopt = preview = Lasting.preview

    def _run(self, job: Job) -> None:
        self._report.finished(job, execute(job.payload(), "thread"))


class ClaimsToLast(PrefixBackend):
    def __init__(self, context: BackendContext) -> None:
        super().__init__(context)
        self.capabilities = Capabilities(durable=True)


class LeavesOrphans(Lasting):
    """Its workers outlive the driver, though it does not say so."""

    capabilities = Capabilities()

    def close(self, detach: bool) -> None:
        self.cancel([job for known in self._followed.values() for job, _ in known.values()])
        time.sleep(0.5)
        super().close(detach)


@dataclass
class Unfrozen:
    """Options that may change, and cannot be hashed."""

    queue: str | None = option(None, help="The queue.")


@dataclass(frozen=True)
class Undeclared:
    """Options that nobody can list."""

    queue: str = "short"


def _plugin(name: str, factory: Any, options: type[Any] = Portable, **others: Any) -> BackendPlugin:
    return BackendPlugin(name, f"Wrong: {name}.", options, factory, **others)


plugin = [
    _plugin("right", PrefixBackend),
    _plugin("lasting", Lasting),
    *[_plugin(kind.__name__.lower(), with_reports(kind)) for kind in Passing.__subclasses__()],
    *[_plugin(kind.__name__.lower(), kind) for kind in PrefixBackend.__subclasses__()],
    *[_plugin(kind.__name__.lower(), kind) for kind in (Inline, *Inline.__subclasses__())],
    *[_plugin(kind.__name__.lower(), kind) for kind in Lasting.__subclasses__()],
    _plugin("unfrozen", PrefixBackend, Unfrozen),
    _plugin("undeclared", PrefixBackend, Undeclared),
    _plugin("unsaid", PrefixBackend, NoOptions, api_version=1),
    _plugin("newer", PrefixBackend, api_version=2),
    _plugin("neither", None),
    BackendPlugin("round", "Wrong: a circle.", NoOptions, route=lambda job: "about"),
    BackendPlugin("about", "Wrong: a circle.", NoOptions, route=lambda job: "round"),
    BackendPlugin("nowhere", "Wrong: leads nowhere.", NoOptions, route=lambda job: "no-such-backend"),
]
