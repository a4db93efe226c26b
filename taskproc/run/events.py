"""The words between the board and the loop: what has happened to tasks, and what is to be done about it.

Tasks go by their node in the run's graph.
"""
from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from ..base.outcome import Outcome
from ..plugin import Job
from ..store.meta import Meta

# ------------------------------------------------------------------------------------------- what has happened


class Opened(NamedTuple):
    """The run begins; nodes that failed in an earlier round of it fail again, with the same causes."""

    given_up: Mapping[int, BaseException]


class Impossible(NamedTuple):
    """A node can never run: no backend takes it, or it waits for itself."""

    node: int
    cause: BaseException


class Rechecked(NamedTuple):
    """Nodes whose upstreams are done need not run, having results that are fresh after all, or must.

    Args:
        fresh: The results that will do.
        stale: The nodes that must run.
    """

    fresh: Mapping[int, Meta]
    stale: Sequence[int]


class Held(NamedTuple):
    """Other runs have claims on these nodes."""

    runs: Mapping[int, str]


class Claimed(NamedTuple):
    """These nodes are ours, each for an attempt on one lane, or in this thread ("")."""

    lane: str
    jobs: Mapping[int, Job]


class Adopted(NamedTuple):
    """A dead run's job is ours to follow."""

    node: int
    lane: str
    job: Job


class Freed(NamedTuple):
    """Nobody else has these nodes any more, and nobody has done them."""

    nodes: Collection[int]


class Found(NamedTuple):
    """Others have left results that will do."""

    metas: Mapping[int, Meta]


class Started(NamedTuple):
    """An attempt's worker runs."""

    nonce: str


class Unseen(NamedTuple):
    """An attempt has ended, and a result of it may still show; not later than at a time of the monotonic clock."""

    nonce: str
    outcome: Outcome
    until: float


class Judged(NamedTuple):
    """An attempt has ended and left a result, here or handed back to be kept, or none, for a reason.

    Args:
        nonce: The attempt's.
        kind: How it ended, as in `Outcome.kind`.
        meta: The result's provenance.
        handed_back: Whether the result is yet to be kept.
        cause: Why there is none.
    """

    nonce: str
    kind: Literal["ended", "rejected", "cancelled", "lost"]
    meta: Meta | None = None
    handed_back: bool = False
    cause: BaseException | None = None


class Kept(NamedTuple):
    """Results that were handed back are in the cache."""

    metas: Mapping[int, Meta]


class Grown(NamedTuple):
    """What expanding tasks have returned is a part of the run's graph now.

    Args:
        finish: The results of these tasks, which are told now.
        needs: New nodes that must run, each with those nodes, once, that it waits for.
        expanded: The expanding nodes, and those among the new ones that have results, with what they wait for.
        doubtful: Those new nodes that need not run if their upstreams turn out to be what they were.
    """

    finish: Finish
    needs: Mapping[int, Sequence[int]]
    expanded: Mapping[int, Sequence[int]]
    doubtful: Collection[int]


class Stopped(NamedTuple):
    """Nothing new may start: the run is to end."""


Event = (
    Opened | Impossible | Rechecked | Held | Claimed | Adopted | Freed | Found
    | Started | Unseen | Judged | Kept | Grown | Stopped
)

# ------------------------------------------------------------------------------------------- what is to be done


class Recheck(NamedTuple):
    """Look whether these nodes have results that are fresh, now that their upstreams are done."""

    nodes: Sequence[int]


class Place(NamedTuple):
    """Choose lanes for these nodes; they hold their places in the rate limits."""

    nodes: Sequence[int]


class Limit(NamedTuple):
    """Tell that these nodes wait for a rate limit."""

    nodes: Sequence[int]


class Watch(NamedTuple):
    """Look now and then what becomes of nodes that other runs have."""

    runs: Mapping[int, str]


class Submit(NamedTuple):
    """Hand jobs to a lane."""

    lane: str
    jobs: Mapping[int, Job]


class Withdraw(NamedTuple):
    """See to it that an attempt neither starts nor commits any more."""

    job: Job


class TakeBack(NamedTuple):
    """End those of a lane's jobs that have not started."""

    lane: str
    jobs: Sequence[Job]


class Release(NamedTuple):
    """Give claims on nodes back."""

    nodes: Sequence[int]


class Finish(NamedTuple):
    """Go on from results.

    Args:
        metas: Their provenance.
        by: Whether attempts of this run made them, or others, or they were there and the tasks are spared.
    """

    metas: Mapping[int, Meta]
    by: Literal["run", "others", "spared"]


class Expand(NamedTuple):
    """Make what expanding tasks have returned a part of the run's graph, and then go on from their results."""

    finish: Finish


class Join(NamedTuple):
    """All that these nodes have returned is done."""

    nodes: Sequence[int]


class Fail(NamedTuple):
    """Tell the user that a task failed."""

    node: int
    cause: BaseException
    nonce: str


class Tell(NamedTuple):
    """Tell what became of an attempt."""

    kind: Literal["lost", "failed", "cancelled"]
    node: int
    nonce: str
    lane: str
    detail: Mapping[str, Any]


Effect = (
    Recheck | Place | Limit | Watch | Submit | Withdraw | TakeBack | Release | Finish | Expand | Join | Fail | Tell
)
