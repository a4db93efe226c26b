"""The board, played with events in any order: what it counts always agrees, and nothing that is due is forgotten."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from taskproc.base.limits import Limits
from taskproc.base.outcome import Outcome
from taskproc.plugin import Job
from taskproc.run import events
from taskproc.run.board import MOST_LOSSES, Board
from taskproc.run.conductor import Conductor
from taskproc.run.records import State
from taskproc.store.meta import Meta
from tests.support import provenance

LANES = ("near", "far")
LABELS = ("gpu", "network")
MOST_NODES = 12


def meta(nonce: str = "") -> Meta:
    """Make a result's provenance."""
    return provenance(commit=bytes.fromhex(nonce or "0" * 32), size=1)


def job(nonce: int) -> Job:
    """Make an attempt."""
    return Job(f"{nonce:032x}", "Task", "Task", Path("task"), None)


@dataclass
class World:
    """What surrounds a board: the loop's queues, the backends, other runs. It does as effects say, and no more.

    Attributes:
        queued: Nodes that wait for a lane.
        homeless: Nodes that no backend can take, as is found when they are placed.
        ended: Attempts that were judged, whose reports may still come.
        withdrawn: The nonces of attempts that can neither start nor commit.
        claims: The nodes that this run holds.
        finished: The nodes that were told done, with how often.
        failed: The nodes that were told failed.
        expanding: The results of nodes whose tasks are to be added.
        joined: The nodes that were told done with all that they have returned.
    """

    board: Board
    queued: dict[int, None] = field(default_factory=dict)
    homeless: set[int] = field(default_factory=set)
    ended: list[str] = field(default_factory=list)
    withdrawn: set[str] = field(default_factory=set)
    claims: set[int] = field(default_factory=set)
    finished: dict[int, int] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)
    expanding: dict[int, events.Finish] = field(default_factory=dict)
    joined: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._conductor = Conductor(self.board)
        for kind in get_args(events.Effect):
            self._conductor.on(kind, self._carry_out)

    def take(self, *given: events.Event) -> None:
        """Tell the board, and do as it says."""
        self._conductor.take(*given)

    def _carry_out(self, effect: events.Effect) -> None:
        if isinstance(effect, events.Place):
            for node in effect.nodes:
                if node in self.homeless and self.board.records.of[node].state is State.QUEUED:
                    self.take(events.Impossible(node, ValueError("no backend")))
                else:
                    self.queued[node] = None
        elif isinstance(effect, events.Submit):
            for node in effect.jobs:
                assert node in self.claims, "what is submitted is claimed"
        elif isinstance(effect, events.Withdraw):
            self.withdrawn.add(effect.job.nonce)
        elif isinstance(effect, events.Release):
            for node in effect.nodes:
                held = self.board.records.of[node].job
                assert held is None, "a claim goes back after its attempt is judged"
                self.claims.discard(node)
        elif isinstance(effect, events.Finish):
            for node in effect.metas:
                self.finished[node] = self.finished.get(node, 0) + 1
        elif isinstance(effect, events.Expand):
            for node, one in effect.finish.metas.items():
                self.expanding[node] = effect.finish._replace(metas={node: one})
        elif isinstance(effect, events.Join):
            assert self.joined.isdisjoint(effect.nodes)
            self.joined.update(effect.nodes)
        elif isinstance(effect, events.Fail):
            assert effect.node not in self.failed
            self.failed.add(effect.node)


class Play(RuleBasedStateMachine):
    """Plays a run that grows: jobs that end in any order, reports late and twice, claims lost and won, orphans."""

    def __init__(self) -> None:
        super().__init__()
        self.nonces = 0

    @initialize(data=st.data())
    def open(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, MOST_NODES))
        upstreams = {
            node: sorted(data.draw(st.sets(st.integers(0, node - 1), max_size=3))) if node else []
            for node in range(count)
        }
        self.labels: dict[int, tuple[str, ...]] = {}
        self.retries: dict[int, int] = {}
        self.expand: set[int] = set()
        self.doubtful: set[int] = set()
        for node in range(count):
            self.draw_task(node, data)
        self.returned = self.draw_expanded(count, data)
        caps = data.draw(st.dictionaries(st.sampled_from(LABELS), st.integers(1, 2)))
        stop = data.draw(st.booleans())
        self.upstreams = upstreams
        self.board = Board(
            [node for node in range(count) if node not in self.returned],
            {node: ups for node, ups in upstreams.items() if node not in self.returned},
            self.labels.__getitem__,
            self.retries.__getitem__,
            Limits(caps),
            self.doubtful,
            self.expand.__contains__,
            self.returned,
            stop_on_failure=stop,
        )
        self.expanded_before = set(self.returned)
        self.world = World(self.board)
        self.world.homeless = data.draw(st.sets(st.sampled_from(range(count)), max_size=2))
        roots = [node for node in upstreams if not upstreams[node] and node not in self.returned]
        held = data.draw(st.sets(st.sampled_from(roots))) if roots else set()
        if held:
            self.world.take(events.Held(dict.fromkeys(sorted(held), "dead")))
            self.see_elsewhere(sorted(held), data)
        given_up = data.draw(st.sets(st.sampled_from(range(count)), max_size=1))
        self.world.take(events.Opened(dict.fromkeys(given_up, ValueError("failed before"))))

    def draw_task(self, node: int, data: st.DataObject) -> None:
        """Say what kind of task a node is."""
        self.labels[node] = tuple(data.draw(st.sets(st.sampled_from(LABELS), max_size=2)))
        self.retries[node] = data.draw(st.integers(0, 2))
        if data.draw(st.booleans()):
            self.expand.add(node)
        if data.draw(st.integers(0, 3)) == 0:
            self.doubtful.add(node)

    def draw_expanded(self, count: int, data: st.DataObject) -> dict[int, list[int]]:
        """Say which nodes had results before the run, of tasks that are to run in it: of earlier ones, so no circle."""
        nodes = data.draw(st.sets(st.sampled_from(range(count)), max_size=2)) - {0}
        return {node: sorted(data.draw(st.sets(st.integers(0, node - 1), min_size=1, max_size=2))) for node in nodes}

    def nonce(self) -> Job:
        self.nonces += 1
        return job(self.nonces)

    def nodes(self, *states: State) -> list[int]:
        return [node for node, record in self.board.records.of.items() if record.state in states]

    # --- handing over ---

    @precondition(lambda self: self.world.queued)
    @rule(data=st.data())
    def hand_over(self, data: st.DataObject) -> None:
        nodes = data.draw(st.lists(st.sampled_from(sorted(self.world.queued)), min_size=1, unique=True))
        for node in nodes:
            del self.world.queued[node]
        nodes = [node for node in nodes if self.board.records.of[node].state is State.QUEUED]
        given: list[events.Event] = []
        held = data.draw(st.sets(st.sampled_from(nodes))) if nodes else set()
        if held:
            given.append(events.Held(dict.fromkeys(sorted(held), "other")))
        self.world.claims.update(set(nodes) - held)
        found = data.draw(st.sets(st.sampled_from(sorted(set(nodes) - held)))) if set(nodes) - held else set()
        if found:
            given.append(events.Found({node: meta() for node in sorted(found)}))
        ours = sorted(set(nodes) - held - found)
        if ours:
            lane = data.draw(st.sampled_from((*LANES, "")))
            given.append(events.Claimed(lane, {node: self.nonce() for node in ours}))
        self.world.take(*given)

    @precondition(lambda self: self.world.queued)
    @rule(data=st.data())
    def no_backend_can_take_it(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(sorted(self.world.queued)))
        del self.world.queued[node]
        if self.board.records.of[node].state is State.QUEUED:
            self.world.take(events.Impossible(node, ValueError("no backend")))

    # --- other runs ---

    @precondition(lambda self: self.board.records.elsewhere)
    @rule(data=st.data())
    def look_elsewhere(self, data: st.DataObject) -> None:
        nodes = st.sampled_from(sorted(self.board.records.elsewhere))
        self.see_elsewhere(data.draw(st.lists(nodes, min_size=1, unique=True)), data)

    @precondition(lambda self: self.board.records.elsewhere)
    @rule(data=st.data())
    def others_wait_for_this_run(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(sorted(self.board.records.elsewhere)))
        self.world.take(events.Impossible(node, ValueError("tasks need each other")))

    def see_elsewhere(self, nodes: list[int], data: st.DataObject) -> None:
        given: list[events.Event] = []
        for node in nodes:
            what = data.draw(st.sampled_from(("free", "done", "orphan")))
            if what == "free":
                given.append(events.Freed([node]))
            elif what == "done":
                given.append(events.Found({node: meta()}))
            else:
                one = self.nonce()
                self.world.claims.add(node)
                given.append(events.Adopted(node, "far", one))
        self.world.take(*given)

    # --- reports ---

    def attempt(self, data: st.DataObject) -> str:
        """Choose an attempt: one that runs, or one whose end was reported before, or one that never was."""
        known = [*self.board.records.attempts, *self.world.ended[-5:], "f" * 32]
        return data.draw(st.sampled_from(known))

    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        self.world.take(events.Started(self.attempt(data)))

    @rule(data=st.data())
    def end_without_a_sign(self, data: st.DataObject) -> None:
        self.world.take(events.Unseen(self.attempt(data), Outcome("ended"), 1.0))

    @rule(data=st.data(), handed_back=st.booleans())
    def succeed(self, data: st.DataObject, handed_back: bool) -> None:
        nonce = self.attempt(data)
        assert nonce not in self.world.withdrawn or nonce not in self.board.records.attempts
        self.end(events.Judged(nonce, "ended", meta(nonce), handed_back))

    @rule(data=st.data(), kind=st.sampled_from(("ended", "rejected", "cancelled", "lost")))
    def end_without_a_result(self, data: st.DataObject, kind: Any) -> None:
        self.end(events.Judged(self.attempt(data), kind, cause=ValueError("no")))

    @rule(data=st.data())
    def be_overtaken(self, data: st.DataObject) -> None:
        nonce = self.attempt(data)
        node = self.board.records.attempts.get(nonce)
        if node is not None:
            self.world.ended.append(nonce)
            self.world.take(events.Found({node: meta()}))

    def end(self, event: Any) -> None:
        if event.nonce in self.board.records.attempts:
            self.world.ended.append(event.nonce)
        self.world.take(event)

    @precondition(lambda self: self.nodes(State.KEEPING))
    @rule(data=st.data())
    def keep(self, data: st.DataObject) -> None:
        nodes = data.draw(st.lists(st.sampled_from(self.nodes(State.KEEPING)), min_size=1, unique=True))
        self.world.take(events.Kept({node: meta() for node in nodes}))

    # --- growing ---

    @precondition(lambda self: self.world.expanding)
    @rule(data=st.data())
    def grow(self, data: st.DataObject) -> None:
        nodes = data.draw(st.lists(st.sampled_from(sorted(self.world.expanding)), min_size=1, unique=True))
        needs: dict[int, list[int]] = {}
        finish = events.Finish({}, "run")
        for node in nodes:
            finish = self.world.expanding.pop(node)
            self.add_tasks(node, needs, data)
            ups = {one: needs[one] for one in sorted(needs)}
            doubtful = [one for one in needs if one in self.doubtful]
            self.world.take(events.Grown(finish, ups, {node: self.returned[node]}, doubtful))
            needs.clear()

    def add_tasks(self, node: int, needs: dict[int, list[int]], data: st.DataObject) -> None:
        """Say what a node has returned: new tasks, and such as do not wait for it."""
        waiting = self.waits_for(node)
        others = [one for one in self.upstreams if one not in waiting]
        number = data.draw(st.integers(0, 2)) if len(self.upstreams) < 3 * MOST_NODES else 0
        returned = data.draw(st.sets(st.sampled_from(others), max_size=2)) if others else set()
        for new in range(len(self.upstreams), len(self.upstreams) + number):
            self.draw_task(new, data)
            ups = sorted(data.draw(st.sets(st.sampled_from(others), max_size=2))) if others else []
            self.upstreams[new] = needs[new] = ups
            returned.add(new)
        self.returned[node] = sorted(returned)

    def waits_for(self, node: int) -> set[int]:
        """Give a node and all that wait for it."""
        found: set[int] = set()
        waiting = [node]
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += [down for down, ups in self.upstreams.items() if one in ups]
                waiting += [down for down, inner in self.returned.items() if one in inner]
        return found

    @precondition(lambda self: self.world.expanding)
    @rule(data=st.data())
    def cannot_grow(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(sorted(self.world.expanding)))
        del self.world.expanding[node]
        self.world.take(events.Impossible(node, ValueError("no tasks")))

    @precondition(lambda self: self.nodes(State.RECHECKED))
    @rule(data=st.data())
    def recheck(self, data: st.DataObject) -> None:
        nodes = self.nodes(State.RECHECKED)
        fresh = data.draw(st.sets(st.sampled_from(nodes)))
        stale = [node for node in nodes if node not in fresh]
        self.world.take(events.Rechecked({node: meta() for node in sorted(fresh)}, stale))

    @rule()
    def stop(self) -> None:
        self.world.take(events.Stopped())

    # --- what always holds ---

    @invariant()
    def all_agrees(self) -> None:
        self.board.validate()

    @invariant()
    def what_is_queued_is_in_a_queue(self) -> None:
        assert set(self.nodes(State.QUEUED)) <= self.world.queued.keys()

    @invariant()
    def each_task_is_told_done_or_failed_once(self) -> None:
        told = sorted(self.nodes(State.DONE, State.EXPANDED))
        assert sorted(self.world.finished.keys() | self.expanded_before) == sorted({*told, *self.expanded_before})
        assert all(number == 1 for number in self.world.finished.values())
        assert sorted(self.world.failed) == sorted(self.nodes(State.FAILED))

    @invariant()
    def what_has_returned_tasks_is_done_when_they_are(self) -> None:
        of = self.board.records.of
        for node, inner in self.returned.items():
            is_done = all(of[one].state is State.DONE for one in inner)
            assert (of[node].state is State.DONE) == (node in self.world.joined) == is_done

    @invariant()
    def what_has_an_attempt_is_claimed_and_nothing_else(self) -> None:
        with_attempts = self.nodes(State.SUBMITTED, State.RUNNING, State.UNSEEN, State.KEEPING)
        assert self.world.claims == set(with_attempts)

    @invariant()
    def what_waits_at_the_end_depends_on_a_failure(self) -> None:
        if self.board.records.active == 0 and not self.board.stopping:
            for node in self.nodes(State.WAITING, State.EXPANDED):
                assert any(self.board.records.of[up].state is not State.DONE for up in self.above(node))
                assert self.fails_above(node), f"node {node} waits for ever"

    def fails_above(self, node: int) -> bool:
        state = self.board.records.of[node].state
        return state is State.FAILED or any(self.fails_above(up) for up in self.above(node))

    def above(self, node: int) -> list[int]:
        """Give what a node waits for: what it has returned, or before that what it needs."""
        return self.returned.get(node, self.upstreams[node])

    def teardown(self) -> None:
        """Let all that is due happen: every run ends."""
        if not hasattr(self, "world"):
            return
        for _ in range(100):
            if not self.board.records.active:
                break
            for node in list(self.board.records.elsewhere):
                self.world.take(events.Freed([node]))
            queued = [n for n in self.world.queued if self.board.records.of[n].state is State.QUEUED]
            self.world.queued.clear()
            if queued:
                self.world.claims.update(queued)
                self.world.take(events.Claimed("near", {node: self.nonce() for node in queued}))
            for nonce in list(self.board.records.attempts):
                self.world.take(events.Judged(nonce, "ended", meta(nonce)))
            if keeping := self.nodes(State.KEEPING):
                self.world.take(events.Kept({node: meta() for node in keeping}))
            for node, finish in list(self.world.expanding.items()):
                self.returned[node] = []
                self.world.take(events.Grown(finish, {}, {node: []}, []))
            self.world.expanding.clear()
            if rechecked := self.nodes(State.RECHECKED):
                self.world.take(events.Rechecked({}, rechecked))
            self.board.validate()
        assert self.board.records.active == 0, "a run that never ends"


TestPlay = Play.TestCase
TestPlay.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


# --- single rules ---


def board_of(
    upstreams: dict[int, list[int]],
    *,
    retries: int = 0,
    labels: Callable[[int], tuple[str, ...]] = lambda node: (),
    caps: dict[str, int] | None = None,
    stop: bool = False,
) -> Board:
    return Board(list(upstreams), upstreams, labels, lambda node: retries, Limits(caps or {}), stop_on_failure=stop)


def claimed(board: Board, *nodes: int, lane: str = "near") -> list[Job]:
    jobs = {node: job(100 + node) for node in nodes}
    board.take(events.Claimed(lane, jobs))
    return list(jobs.values())


def test_adopted_job_takes_its_places_first():
    board = board_of({0: [], 1: []}, labels=lambda node: ("licence",), caps={"licence": 1})
    board.take(events.Held({1: "dead"}))
    board.take(events.Adopted(1, "far", job(1)))
    assert board.take(events.Opened({})) == [events.Limit([0])]
    assert events.Place([0]) in board.take(events.Judged(job(1).nonce, "ended", meta()))


def test_lost_attempts_are_bounded_and_cost_no_retry():
    board = board_of({0: []}, retries=1)
    board.take(events.Opened({}))
    for _ in range(MOST_LOSSES):
        (one,) = claimed(board, 0)
        assert board.take(events.Judged(one.nonce, "lost", cause=ValueError("node down")))[-1] == events.Place([0])
    (one,) = claimed(board, 0)
    effects = board.take(events.Judged(one.nonce, "lost", cause=ValueError("node down")))
    assert board.records.of[0].state is State.FAILED
    assert any(isinstance(effect, events.Fail) for effect in effects)


def test_an_attempt_is_withdrawn_before_its_claim_goes_back_and_another_follows():
    board = board_of({0: []}, retries=1)
    board.take(events.Opened({}))
    (one,) = claimed(board, 0)
    kinds = [type(effect) for effect in board.take(events.Judged(one.nonce, "ended", cause=ValueError()))]
    assert kinds.index(events.Withdraw) < kinds.index(events.Release) < kinds.index(events.Place)


def test_what_was_cancelled_by_somebody_else_fails_and_by_ourselves_is_dropped():
    board = board_of({0: [], 1: []})
    board.take(events.Opened({}))
    first, second = claimed(board, 0, 1)
    board.take(events.Judged(first.nonce, "cancelled"))
    board.take(events.Stopped())
    board.take(events.Judged(second.nonce, "cancelled"))
    assert [board.records.of[node].state for node in (0, 1)] == [State.FAILED, State.DROPPED]


def test_first_failure_takes_back_what_has_not_started():
    board = board_of({0: [], 1: [], 2: []}, stop=True)
    board.take(events.Opened({}))
    first, second, third = claimed(board, 0, 1, 2)
    board.take(events.Started(second.nonce))
    effects = board.take(events.Judged(first.nonce, "ended", cause=ValueError()))
    assert [effect for effect in effects if isinstance(effect, events.TakeBack)] == [events.TakeBack("near", [third])]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(State.DONE, State.QUEUED, id="a result is computed again"),
        pytest.param(State.FAILED, State.SUBMITTED, id="a failed task is tried again"),
        pytest.param(State.LIMITED, State.SUBMITTED, id="a limit is passed over"),
        pytest.param(State.WAITING, State.SUBMITTED, id="a task starts before it is queued"),
        pytest.param(State.DROPPED, State.QUEUED, id="something starts though the run is to end"),
        pytest.param(State.KEEPING, State.QUEUED, id="a result that was handed back is thrown away"),
    ],
)
def test_a_move_that_must_not_be_is_a_bug_that_is_told(before: State, after: State):
    board = board_of({0: []})
    board.records.of[0].state = before
    with pytest.raises(AssertionError, match=f"which {before.value}, cannot become one that {after.value}"):
        board.records.move(0, after)


def test_what_follows_from_an_event_comes_after_the_events_that_were_told_with_it():
    board = board_of({0: [], 1: [0], 2: []}, stop=True)
    conductor = Conductor(board)
    for kind in get_args(events.Effect):
        conductor.on(kind, lambda effect: None)
    conductor.on(
        events.Place,
        lambda effect: [conductor.take(events.Impossible(node, ValueError())) for node in effect.nodes if node == 1],
    )
    conductor.take(events.Opened({}))
    conductor.take(events.Found({0: meta()}), events.Claimed("near", {2: job(2)}))
    assert [board.records.of[node].state for node in range(3)] == [State.DONE, State.FAILED, State.SUBMITTED]
