"""The records of a run's tasks: their states, the table of legal moves, and what is counted by states."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum

from ..base.limits import Limits
from ..base.outcome import Outcome
from ..plugin import Job


class State(Enum):
    """What a task is at."""

    WAITING = "waits for its upstreams"
    RECHECKED = "is checked again, since its upstreams may be what they were"
    LIMITED = "waits for a rate limit"
    QUEUED = "waits for its lane"
    ELSEWHERE = "another run has it"
    SUBMITTED = "a backend has its attempt"
    RUNNING = "its worker runs"
    UNSEEN = "its attempt has ended, and a result may still show"
    KEEPING = "its result is about to be kept"
    EXPANDING = "has a result, and the tasks that it returned are being added"
    EXPANDED = "waits for the tasks that it returned"
    DONE = "has a result"
    FAILED = "failed"
    DROPPED = "was let go, since the run is to end"

    __hash__ = object.__hash__  # members are single objects, and this is asked several times a task


# The same by short names, since a member is looked up slowly on its class.
(
    WAITING, RECHECKED, LIMITED, QUEUED, ELSEWHERE, SUBMITTED, RUNNING, UNSEEN, KEEPING,
    EXPANDING, EXPANDED, DONE, FAILED, DROPPED,
) = State  # fmt: skip

OUT = frozenset((SUBMITTED, RUNNING, UNSEEN))  # there is an attempt that has not been judged
HOLDING = OUT | {QUEUED, KEEPING}  # it holds its places in the rate limits
OVER = frozenset((DONE, FAILED, DROPPED))
AT_REST = OVER | {WAITING, EXPANDED}  # nothing is due

_RESULT = frozenset((EXPANDING, DONE))
_AFTER_AN_ATTEMPT = OVER | {QUEUED, LIMITED, KEEPING, EXPANDING}
LEGAL: Mapping[State, frozenset[State]] = {
    WAITING: frozenset((RECHECKED, QUEUED, LIMITED, ELSEWHERE, FAILED, EXPANDED)),
    RECHECKED: frozenset((QUEUED, LIMITED, DROPPED)) | _RESULT,
    LIMITED: frozenset((QUEUED, DROPPED)),
    QUEUED: frozenset((SUBMITTED, RUNNING, ELSEWHERE, EXPANDING)) | OVER,
    ELSEWHERE: frozenset((QUEUED, LIMITED, SUBMITTED, EXPANDING)) | OVER,
    SUBMITTED: _AFTER_AN_ATTEMPT | {RUNNING, UNSEEN},
    RUNNING: _AFTER_AN_ATTEMPT | {UNSEEN},
    UNSEEN: _AFTER_AN_ATTEMPT,
    KEEPING: _RESULT,
    EXPANDING: frozenset((EXPANDED, FAILED)),
    EXPANDED: frozenset((DONE,)),
    DONE: frozenset(),
    FAILED: frozenset(),
    DROPPED: frozenset(),
}


class Record:
    """One task of the run.

    Attributes:
        state: What it is at.
        needs: How many of its upstreams have no result yet; of what it returned, if it is expanded.
        job: Its attempt, while there is one.
        lane: Where that went; "" for this thread.
        outcome: How it ended, while its result may still show, until the time `until`.
        tries: How many of its attempts have failed and were followed by another.
        losses: How many were lost through no fault of the task.
    """

    __slots__ = ("job", "lane", "losses", "needs", "outcome", "state", "tries", "until")

    def __init__(self, needs: int) -> None:
        self.state = WAITING
        self.needs = needs
        self.job: Job | None = None
        self.lane = ""
        self.outcome: Outcome | None = None
        self.until = 0.0
        self.tries = 0
        self.losses = 0


class Records:
    """The tasks of a run by node, and what follows from their states.

    Args:
        nodes: The tasks that must run.
        upstreams: For each of them, those among them that it needs, each once.

    Attributes:
        of: The records by node.
        attempts: The nodes of the attempts that have not been judged, by nonce.
        loads: How many of these each lane has.
        elsewhere: The nodes that other runs have, in the order in which that was found.
        unseen: The nodes whose results may still show.
        active: How many tasks something is due for. The run is over when there are none.
    """

    def __init__(self, nodes: Sequence[int], upstreams: Mapping[int, Sequence[int]]) -> None:
        self.attempts: dict[str, int] = {}
        self.loads: dict[str, int] = {}
        self.elsewhere: dict[int, None] = {}
        self.unseen: dict[int, None] = {}
        self.active = 0
        self.of = {node: Record(len(upstreams[node])) for node in nodes}
        self._upstreams = dict(upstreams)

    def add(self, upstreams: Mapping[int, Sequence[int]]) -> None:
        """Take up further tasks, each with those of the run that it waits for."""
        self._upstreams.update(upstreams)
        for node, ups in upstreams.items():
            self.of[node] = Record(len(ups))

    def expand(self, node: int, returned: Sequence[int]) -> None:
        """Have an expanding task wait for what it returned."""
        self._upstreams[node] = returned
        self.of[node].needs = len(returned)
        self.move(node, EXPANDED)

    def out(self) -> list[Record]:
        """List the tasks whose attempts have not been judged."""
        return [self.of[node] for node in self.attempts.values()]

    def move(self, node: int, state: State, job: Job | None = None, lane: str = "") -> None:
        """Make one move, and keep what is counted by states."""
        record = self.of[node]
        before = record.state
        if state not in LEGAL[before]:
            msg = f"a bug in taskproc: node {node}, which {before.value}, cannot become one that {state.value}"
            raise AssertionError(msg)
        record.state = state
        self.active += (state not in AT_REST) - (before not in AT_REST)
        if before in OUT and state not in OUT:
            assert record.job is not None
            del self.attempts[record.job.nonce]
            self.loads[record.lane] -= 1
            self.unseen.pop(node, None)
            record.job = record.outcome = None
        elif before is ELSEWHERE:
            del self.elsewhere[node]
        if job is not None:
            record.job, record.lane = job, lane
            self.attempts[job.nonce] = node
            self.loads[lane] = self.loads.get(lane, 0) + 1
        elif state is UNSEEN:
            self.unseen[node] = None
        elif state is ELSEWHERE:
            self.elsewhere[node] = None

    def validate(self, labels: Callable[[int], tuple[str, ...]], limits: Limits, begun: bool) -> None:
        """Check that all that is counted agrees with the states, and that something is due for every task.

        Args:
            labels: Gives a task's labels, for the rate limits.
            limits: The rate limits.
            begun: Whether tasks that wait for no upstream have been queued.

        Raises:
            AssertionError: It is otherwise.
        """
        held: dict[str, int] = {}
        loads: dict[str, int] = {}
        for node, record in self.of.items():
            state = record.state
            missing = sum(1 for up in self._upstreams[node] if self.of[up].state is not DONE)
            assert record.needs == missing, f"node {node} waits for {missing} upstreams, not for {record.needs}"
            assert record.needs == 0 or state in AT_REST, f"node {node} {state.value} before its upstreams are done"
            assert (record.job is not None) == (state in OUT), f"node {node} {state.value}: its attempt is wrong"
            assert (node in self.elsewhere) == (state is ELSEWHERE), f"node {node} {state.value}: elsewhere"
            assert (node in self.unseen) == (state is UNSEEN), f"node {node} {state.value}: unseen"
            due = state not in (WAITING, EXPANDED) or record.needs or not begun
            assert due, f"node {node} waits for nothing"
            if record.job is not None:
                assert self.attempts.get(record.job.nonce) == node, f"node {node} has lost its attempt"
                loads[record.lane] = loads.get(record.lane, 0) + 1
            if state in HOLDING:
                for label in limits.limited(labels(node)):
                    held[label] = held.get(label, 0) + 1
        assert loads == {lane: load for lane, load in self.loads.items() if load}, "the lanes' loads are wrong"
        assert len(self.attempts) == sum(loads.values()), "there are attempts without a task"
        assert self.active == sum(r.state not in AT_REST for r in self.of.values()), "active is wrong"
        limits.validate(held, [n for n, r in self.of.items() if r.state is LIMITED])
