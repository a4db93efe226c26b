"""Anything in any order, against a simple model of what must be cached and what must run."""
from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.faults import census, edited
from tests.faults.edited import UPSTREAMS
from tests.faults.nursery import Driven, Nursery

ORDER = sorted(UPSTREAMS, key=lambda task: ("LMT".index(task[0]), task))  # upstreams first
TASKS = st.sampled_from(sorted(UPSTREAMS))
CLASSES = st.sampled_from(["Low", "Mid", "Top"])


class Book:
    """What is known of the cache: which results are right, which are not, and which may be.

    A task is *sure* if its entry says what is cached: the version of its source, its upstreams' commits and its own
    commit; without an entry it must run. After a kill the tasks on the driver's way are *unsure*: each may have been
    committed, or not.
    """

    def __init__(self) -> None:
        self.entries: dict[str, tuple[int, list[int], int]] = {}
        self.unsure: set[str] = set()
        self._numbers = itertools.count(1)

    def must(self, root: str, versions: Mapping[str, int]) -> set[str]:
        """Tell what a run cannot do without."""
        found: set[str] = set()
        for task in needed(root):
            changed = task not in self.unsure and self.entries.get(task, ())[:2] != self._wanted(task, versions)
            if changed or found.intersection(UPSTREAMS[task]):
                found.add(task)
        return found

    def may(self, root: str, versions: Mapping[str, int]) -> set[str]:
        """Tell what a run has a reason to run."""
        return self.must(root, versions) | self.unsure.intersection(needed(root))

    def ended(self, root: str, versions: Mapping[str, int], ran: Collection[str], lost: Collection[str]) -> None:
        """Note a run: what was needed, and is neither run nor lost to a failure, was there."""
        for task in ORDER:
            if task in lost:
                self.forget(task)
            elif task in ran or (task in self.unsure and task in needed(root)):
                self.entries[task] = (*self._wanted(task, versions), next(self._numbers))
                self.unsure.discard(task)
            elif {*ran, *lost}.intersection(UPSTREAMS[task]):
                self.forget(task)

    def killed(self, root: str, versions: Mapping[str, int]) -> None:
        """Note a kill: what the run may have run, it may have committed; what stands on that is out of date."""
        must, may = self.must(root, versions), self.may(root, versions)
        for task in ORDER:
            if task in may:
                self.unsure.add(task)
            elif must.intersection(UPSTREAMS[task]):
                self.forget(task)
                must.add(task)
            elif may.intersection(UPSTREAMS[task]) and task in self.entries:
                self.unsure.add(task)
                may.add(task)

    def forget(self, prefix: str) -> None:
        """Note that a task, or a class, has no result that is right."""
        self.entries = {task: entry for task, entry in self.entries.items() if not task.startswith(prefix)}
        self.unsure = {task for task in self.unsure if not task.startswith(prefix)}

    def _wanted(self, task: str, versions: Mapping[str, int]) -> tuple[int, list[int]]:
        return versions[task[:3]], [self.entries[up][2] if up in self.entries else 0 for up in UPSTREAMS[task]]


def needed(root: str) -> list[str]:
    """List a task and all that it needs, upstreams first."""
    found = {root}
    for task in reversed(ORDER):
        if task in found:
            found.update(UPSTREAMS[task])
    return [task for task in ORDER if task in found]


class Machine(RuleBasedStateMachine):
    """A user, an editor and `kill -9`, taking turns."""

    nursery: Nursery

    @initialize(store=st.sampled_from(["tree", "packed"]), backend=st.sampled_from(["thread", "thread", "process"]))
    def start(self, store: str, backend: str) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="model-", dir=self.nursery.home))
        self.cache = self.home / "cache"
        self.module = self.home / "edited_tasks.py"
        self.count = Path(f"{self.cache}.count")
        self.store, self.backend = store, backend
        self.versions = {"Low": 1, "Mid": 1, "Top": 1}
        self.failing: set[str] = set()
        self.book = Book()
        edited.write(self.module, self.versions)

    @rule(root=TASKS)
    def run(self, root: str) -> None:
        """Run a graph: the answer is right, and what ran had to."""
        must, may = self.book.must(root, self.versions), self.book.may(root, self.versions)
        driven, ran = self.drive("run", root, self.backend)
        failed = self.failing.intersection(ran)
        blocked = {task for task in needed(root) if failed.intersection(needed(task)) - {task}}
        assert len(set(ran)) == len(ran), ran
        assert set(ran) <= may, (ran, may)
        assert must - blocked <= set(ran), (ran, must, driven.output)
        assert not blocked.intersection(ran)
        if failed:
            assert "FailedTaskError" in driven.error, driven.output
        else:
            assert driven.answer == edited.value(root, self.versions), driven.output
        self.book.ended(root, self.versions, ran, failed | blocked)

    @rule(root=TASKS, at=st.integers(1, 1500))
    def kill(self, root: str, at: int) -> None:
        """Kill the driver on its way."""
        self.drive("run", root, self.backend, at=at)
        self.book.killed(root, self.versions)

    @rule(task=TASKS)
    def clear_one(self, task: str) -> None:
        self.drive("clear", task)
        self.book.forget(task)

    @rule(cls=CLASSES)
    def clear_class(self, cls: str) -> None:
        self.drive("clear_all", f"{cls}0")
        self.book.forget(cls)

    @rule(cls=CLASSES)
    def delete_by_hand(self, cls: str) -> None:
        shutil.rmtree(self.cache / f"taskproc/edited_tasks.{cls}", ignore_errors=True)
        self.book.forget(cls)

    @rule(cls=CLASSES)
    def edit(self, cls: str) -> None:
        self.versions[cls] += 1
        self.book.forget(cls)
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
            assert not self.nursery.strays(60)
            assert not census.take(self.cache).problems
            shutil.rmtree(self.home)

    def drive(self, what: str, task: str, *args: str, at: int = 0) -> tuple[Driven, list[str]]:
        """Do something in a process of its own; give its end, and what ran."""
        before = len(self.marks())
        driven = self.nursery.drive(
            what, self.cache, str(self.module), task, *args, env={"TP_STORE": self.store}, at=at,
            module="tests.faults.edited", timeout=120,
        )  # fmt: skip
        assert driven.status != 124, f"it hangs:\n{driven.output}"
        self.nursery.strays(20 if at else 0)
        return driven, self.marks()[before:]

    def marks(self) -> list[str]:
        return self.count.read_text().splitlines() if self.count.exists() else []


def play(nursery: Nursery, examples: int, steps: int, derandomize: bool) -> None:
    """Play it, again and again."""
    machine = type("Machine", (Machine,), {"nursery": nursery})
    how = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, print_blob=True, database=None,
        derandomize=derandomize, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # to make it smaller takes far too long
    )  # fmt: skip
    run_state_machine_as_test(machine, settings=how)


@pytest.mark.slow
def test_short_plays(nursery: Nursery):
    play(nursery, examples=10, steps=12, derandomize=True)


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_long_plays(nursery: Nursery):
    play(nursery, examples=200, steps=40, derandomize=False)
