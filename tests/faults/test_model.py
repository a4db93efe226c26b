"""Anything in any order, against a simple model of what must be cached and what must run."""
from __future__ import annotations

import itertools
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.faults import census, edited
from tests.faults.edited import UPSTREAMS
from tests.faults.nursery import Driven, Nursery

TASKS = st.sampled_from(sorted(UPSTREAMS))
CLASSES = st.sampled_from(["Low", "Mid", "Top"])


class Book:
    """What is cached: for each task the version of its source, its upstreams' commits, and its own commit."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[int, list[int], int]] = {}

    def stale(self, root: str, versions: dict[str, int]) -> list[str]:
        """List what a run must run, upstreams first."""
        found: list[str] = []
        for task in needed(root):
            source, ups, _ = self.entries.get(task, (-1, [], 0))
            now = [self.entries.get(up, (0, [], 0))[2] for up in UPSTREAMS[task]]
            if source != versions[task[:3]] or ups != now or set(UPSTREAMS[task]).intersection(found):
                found.append(task)
        return found

    def commit(self, task: str, versions: dict[str, int], number: int) -> None:
        """Note a result."""
        self.entries[task] = (versions[task[:3]], [self.entries[up][2] for up in UPSTREAMS[task]], number)

    def forget(self, prefix: str) -> None:
        """Drop the results of a task or a class."""
        self.entries = {task: entry for task, entry in self.entries.items() if not task.startswith(prefix)}


def needed(root: str) -> list[str]:
    """List a task and all that it needs, upstreams first."""
    found = {root}
    for task in sorted(UPSTREAMS, key=lambda task: -"LMT".index(task[0])):
        if task in found:
            found.update(UPSTREAMS[task])
    return sorted(found, key=lambda task: ("LMT".index(task[0]), task))


class Machine(RuleBasedStateMachine):
    """A user, an editor, a failing disk and `kill -9`, taking turns.

    After a kill it is open what was committed: `worst` says nothing was, `best` says that all was.
    """

    nursery: Nursery
    numbers = itertools.count(1)

    @initialize(store=st.sampled_from(["tree", "packed"]), backend=st.sampled_from(["thread", "thread", "process"]))
    def start(self, store: str, backend: str) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="model-", dir=self.nursery.home))
        self.cache = self.home / "cache"
        self.module = self.home / "edited_tasks.py"
        self.count = Path(f"{self.cache}.count")
        self.store, self.backend = store, backend
        self.versions = {"Low": 1, "Mid": 1, "Top": 1}
        self.failing: set[str] = set()
        self.worst, self.best = Book(), Book()
        edited.write(self.module, self.versions)

    @rule(root=TASKS)
    def run(self, root: str) -> None:
        """Run a graph: the answer is right, and what ran had to."""
        worst, best = self.worst.stale(root, self.versions), self.best.stale(root, self.versions)
        may, must = set(worst) | set(best), set(worst) & set(best)
        driven, ran = self.drive("run", root, self.backend)
        blocked = self.blocked_by_failures(root, may)
        fails = self.failing.intersection(ran)
        assert len(set(ran)) == len(ran), ran
        assert set(ran) <= may, (ran, may)
        assert must - blocked <= set(ran), (ran, must, driven.output)
        if fails:
            assert "FailedTaskError" in driven.error, driven.output
        else:
            assert driven.answer == edited.value(root, self.versions), driven.output
        for task in needed(root):
            if task in blocked or (task in self.failing and task in ran):
                self.forget_maybe(task)
            elif task in ran or task in may:
                self.commit(task)

    @rule(root=TASKS, at=st.integers(1, 1500))
    def kill(self, root: str, at: int) -> None:
        """Kill the driver on its way: what was stale may have been committed, or not."""
        stale = self.best.stale(root, self.versions)
        stale += [task for task in self.worst.stale(root, self.versions) if task not in stale]
        if self.failing.intersection(needed(root)):
            return
        self.drive("run", root, self.backend, at=at)
        for task in needed(root):
            if task in stale:
                number = next(self.numbers)
                self.best.commit(task, self.versions, number)

    @rule(task=TASKS)
    def clear_one(self, task: str) -> None:
        self.drive("clear", task)
        self.forget(task)

    @rule(cls=CLASSES)
    def clear_class(self, cls: str) -> None:
        self.drive("clear_all", f"{cls}0")
        self.forget(cls)

    @rule(cls=CLASSES)
    def delete_by_hand(self, cls: str) -> None:
        shutil.rmtree(self.cache / f"taskproc/edited_tasks.{cls}", ignore_errors=True)
        self.forget(cls)

    @rule(cls=CLASSES)
    def edit(self, cls: str) -> None:
        self.versions[cls] += 1
        edited.write(self.module, self.versions)

    @rule(task=TASKS)
    def break_or_mend(self, task: str) -> None:
        flag = Path(f"{self.count}.fail-{task}")
        if task in self.failing:
            self.failing.discard(task)
            flag.unlink()
        else:
            self.failing.add(task)
            flag.touch()

    def teardown(self) -> None:
        if hasattr(self, "home"):
            assert not self.nursery.strays(20)
            assert not census.take(self.cache).problems
            shutil.rmtree(self.home)

    def drive(self, what: str, task: str, *args: str, at: int = 0) -> tuple[Driven, list[str]]:
        """Do something in a process of its own; give its end, and what ran."""
        before = len(self.marks())
        driven = self.nursery.drive(
            what, self.cache, str(self.module), task, *args, env={"TP_STORE": self.store}, at=at,
            module="tests.faults.edited", timeout=40,
        )  # fmt: skip
        assert driven.status != 124, f"it hangs:\n{driven.output}"
        self.nursery.strays(20 if at else 0)
        return driven, self.marks()[before:]

    def marks(self) -> list[str]:
        return self.count.read_text().splitlines() if self.count.exists() else []

    def blocked_by_failures(self, root: str, may: set[str]) -> set[str]:
        """List what cannot run because something before it fails."""
        blocked: set[str] = set()
        for task in needed(root):
            if any(up in blocked or (up in self.failing and up in may) for up in UPSTREAMS[task]):
                blocked.add(task)
        return blocked

    def commit(self, task: str) -> None:
        number = next(self.numbers)
        for book in (self.worst, self.best):
            book.commit(task, self.versions, number)

    def forget(self, prefix: str) -> None:
        for book in (self.worst, self.best):
            book.forget(prefix)

    def forget_maybe(self, task: str) -> None:
        """Whether an old result is still there plays no part: it cannot become fresh again."""
        self.worst.forget(task)


def play(nursery: Nursery, examples: int, steps: int) -> None:
    """Play it, again and again."""
    machine = type("Machine", (Machine,), {"nursery": nursery})
    how = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, print_blob=True, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],  # to make it smaller takes far too long
    )  # fmt: skip
    run_state_machine_as_test(machine, settings=how)


@pytest.mark.slow
def test_short_plays(nursery: Nursery):
    play(nursery, examples=12, steps=12)


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_long_plays(nursery: Nursery):
    play(nursery, examples=200, steps=40)
