"""Kills a driver, or a worker, at one chosen call, runs again, and says what was not as promised."""
from __future__ import annotations

import errno
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import census, graph
from tests.faults.nursery import Driven, Nursery

_LONGEST = 60.0  # seconds for what a dead driver left to end by itself
_NUMBERS = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{8}|[0-9a-f]{12,}|\d+")


@dataclass
class Stage:
    """A place where one scenario is played again and again, each time with a cache of its own.

    Args:
        nursery: Starts the drivers.
        home: The place.
        backend: The backend of all runs.
        store: The store of all runs.
        what: What the victim does (`graph.WHAT`); if not a first run, on a complete cache.
    """

    nursery: Nursery
    home: Path
    backend: str
    store: str
    what: str = "first"
    _complete: Path | None = field(default=None, init=False)

    def calls(self) -> list[str]:
        """Play it unharmed; give the calls that touched the cache."""
        cache = self._cache("unharmed")
        log = self.home / "unharmed.calls"
        self._play(self.what, cache, env={"TP_FAULT_KEEP": str(log)}, armed=True)
        shutil.rmtree(cache)
        return log.read_text().splitlines()

    def kill(self, at: int, wait: bool = True) -> list[str]:
        """Kill the driver at a call, run again, and give everything that is not as it should be.

        Args:
            at: The number of the call.
            wait: Whether to wait for the end of what the dead driver had started before running again.
        """
        cache = self._cache("killed")
        victim = self._play(self.what, cache, at=at)
        name = f"kill point {at} ({victim.call.partition(' ')[2]}), {self.what} run, {self.backend}, {self.store}"
        problems = list(self._after(cache, victim, wait))
        if not problems:
            shutil.rmtree(cache)
            Path(f"{cache}.count").unlink(missing_ok=True)
        return [f"{name}: {problem}" for problem in problems]

    def break_disk(self, at: int, error: int) -> list[str]:
        """Have the disk fail from a call on, for the driver, and run again on a sound one; else like `kill`."""
        cache = self._cache("killed")
        victim = self._play(self.what, cache, at=at, error=error)
        call = victim.call if victim.calls <= at else f"{at} and {victim.calls - at} more"
        name = f"{errno.errorcode[error]} from call {call} on, {self.what} run, {self.backend}, {self.store}"
        problems = list(self._after(cache, victim, wait=True))
        if victim.status == 1 and "CacheError" in victim.error and "\n" in victim.message:
            problems.append(f"the error is no single sentence: {victim.message}")
        if not problems:
            shutil.rmtree(cache)
        return [f"{name}: {problem}" for problem in problems]

    def kill_worker(self, at: int) -> list[str]:
        """Have the first worker that comes so far die at a call; else like `kill`."""
        cache = self._cache("killed")
        once = Path(f"{cache}.once")
        log = Path(f"{cache}.calls")
        for path in (once, log):
            path.unlink(missing_ok=True)
        env = {
            "TP_FAULT_ROOT": str(cache), "TP_FAULT_ONLY": "bootstrap.py", "TP_FAULT_AT": str(at),
            "TP_FAULT_ONCE": str(once), "TP_FAULT_LOG": str(log),
        }  # fmt: skip
        victim = self._play(self.what, cache, env=env)
        call = next((line for line in _lines(log) if line.startswith(f"{at} ")), "never reached")
        problems = list(self._after(cache, victim, wait=True))
        if not problems:
            shutil.rmtree(cache)
            Path(f"{cache}.count").unlink(missing_ok=True)
        return [f"worker killed at {call}, {self.backend}, {self.store}: {problem}" for problem in problems]

    def _after(self, cache: Path, victim: Driven, wait: bool) -> Iterator[str]:
        """Check what a victim left, run again, and check everything."""
        if victim.status == 124:
            yield f"the driver hung:\n{victim.output}"
        if victim.status == 1 and not {"FailedTaskError", "CacheError"}.intersection(victim.error):
            yield f"the driver ended with {victim.error[:1]}: {victim.message}\n{victim.output}"
        if wait and self.backend != "standin" and (strays := self.nursery.strays(_LONGEST)):
            yield f"the dead driver's processes live on: {strays}"
            self.nursery.end_strays()
        before = census.take(cache)
        yield from before.problems
        tasks = graph.tasks()
        fresh = before.fresh(tasks)
        count = Path(f"{cache}.count")
        seen = len(_lines(count))
        again = self._play("first", cache)
        if again.status != 0 or again.answer != graph.ANSWER:
            yield f"the next run gave {again.answer}, status {again.status}:\n{again.output}"
            return
        if strays := self.nursery.strays(_LONGEST):
            yield f"the next run left processes: {strays}"
            self.nursery.end_strays()
        ran = _lines(count)[seen:]
        committed = {repr(task) for task in tasks if task._task.digest in fresh}
        if wait and (twice := committed.intersection(ran)):
            yield f"ran again though its result was committed: {sorted(twice)}"
        if wait and len(set(ran)) < len(ran):  # before, the dead driver's last workers may still count
            yield f"the next run ran a task twice: {ran}"
        yield from _differences(before, cache, tasks)
        third = self._play("first", cache)
        if third.answer != graph.ANSWER or len(_lines(count)) != seen + len(ran):
            yield f"the run after that is not cached:\n{third.output}"
        # A run that has nothing to do changes nothing, so let one have something; a worker of the dead driver may have
        # outlived the run before.
        if not ran or not wait:
            self._play("other", cache)
        if left := census.left_behind(cache):
            yield f"left behind: {left}"
        if (rows := census.claims(cache)) != (0, 0):
            yield f"{rows[0]} claims and {rows[1]} runs are left in the table"

    def _play(
        self,
        what: str,
        cache: Path,
        env: dict[str, str] | None = None,
        at: int = 0,
        armed: bool = False,
        error: int = 0,
    ) -> Driven:
        site = Path(f"{cache}.site")
        site.mkdir(exist_ok=True)
        given = {"TP_STORE": self.store, "TP_FAULT_SITE": str(site), **(env or {})}
        return self.nursery.drive(what, cache, self.backend, env=given, at=at, armed=armed, error=error)

    def _cache(self, name: str) -> Path:
        cache = self.home / name
        for path in (cache, Path(f"{cache}.site")):
            shutil.rmtree(path, ignore_errors=True)
        Path(f"{cache}.count").unlink(missing_ok=True)
        if self.what != "first":
            shutil.copytree(self._complete or self._fill(), cache, symlinks=True)
        return cache

    def _fill(self) -> Path:
        self._complete = self.home / "complete"
        self._play("first", self._complete)
        return self._complete


def of_each_kind(calls: list[str]) -> list[int]:
    """Choose the first and the last call of each kind: the same function on files of the same role."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for line in calls:
        number, _, call = line.partition(" ")
        kind = _NUMBERS.sub("N", call)
        first.setdefault(kind, int(number))
        last[kind] = int(number)
    return sorted({*first.values(), *last.values()})


def was_killed(driven: Driven) -> bool:
    """Whether a driver came as far as its kill point."""
    return driven.status == -signal.SIGKILL


def _differences(before: census.Census, cache: Path, tasks: list[graph.TaskBase[object]]) -> Iterator[str]:
    after = census.take(cache)
    yield from after.problems
    for name, ids in before.ids.items():
        for digest, id in ids.items():
            if after.ids.get(name, {}).get(digest) != id:
                yield f"{name}: the id {id} became {after.ids.get(name, {}).get(digest)}"
    for digest, found in before.results.items():
        now = after.results.get(digest)
        if found.id is not None and now is not None and now.id not in (None, found.id):
            yield f"a result moved from directory {found.id} to {now.id}"
    for task in tasks:
        if task._task.digest not in after.results:
            yield f"{task!r} has no result in the end"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:
        return []
