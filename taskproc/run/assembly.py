"""Puts the parts of a run together."""
from __future__ import annotations

import threading

from ..base.limits import Limits
from ..plan.graph import Plan
from ..runs.adoption import Orphans
from ..runs.claims import Claims
from ..runs.ledger import Ledger
from ..runs.waits import Waits
from ..tasks.settings import Context
from . import events
from .account import Account
from .board import Board
from .caller import Inbox
from .chronicle import Chronicle
from .conductor import Conductor
from .dispatch import Dispatch
from .elsewhere import Elsewhere
from .growing import Growing
from .judge import Judge
from .lanes import Lanes
from .loop import Loop
from .packing import Packer
from .payloads import Payloads
from .places import Places
from .request import RunRequest
from .results import Results
from .seats import Seats
from .takeover import Takeover


def assemble(
    plan: Plan,
    request: RunRequest,
    limits: Limits,
    claims: Claims,
    waits: Waits | None,
    orphans: Orphans,
    ledger: Ledger,
    directory: str,
    seats: Seats,
    places: Places,
    packer: Packer,
    payloads: Payloads,
    lanes: Lanes,
    chronicle: Chronicle,
    account: Account,
    inbox: Inbox,
    asked_to_end: threading.Event,
) -> tuple[Loop, Judge]:
    """Make the board of a plan, and what carries out its answers.

    Args:
        plan: What must run.
        request: What was said about the run.
        limits: The rate limits.
        claims: The claims of all runs.
        waits: What the runs wait for that tasks started; None if this is none of them.
        orphans: Finds what dead runs left on clusters.
        ledger: The run's ledger.
        directory: The run's directory.
        seats: Where the run's tasks sit.
        places: Chooses backends.
        packer: Pickles tasks.
        payloads: Makes jobs.
        lanes: The run's backends.
        chronicle: Learns what happens.
        account: Counts what ran and what failed.
        inbox: Where backends report.
        asked_to_end: Set when somebody has asked for the run's end.

    Returns:
        The loop, and what judges its attempts.
    """
    graph = plan.graph
    tasks = graph.tasks
    board = Board(
        plan.stale,
        plan.stale_upstreams(),
        lambda node: tasks[node]._task_config.channels,
        lambda node: tasks[node]._task_config.retries,
        limits,
        plan.doubtful(),
        lambda node: tasks[node]._task_config.expands,
        plan.expanded(),
        stop_on_failure=request.on_error == "stop",
    )
    conductor, results = Conductor(board), Results(plan, seats, payloads)
    judge = Judge(graph, board.records, seats, results, lanes, chronicle, conductor.take)
    dispatch = Dispatch(
        graph,
        board.records,
        seats,
        places,
        payloads,
        results,
        claims,
        lanes,
        account,
        conductor.take,
        all_interactive=request.force_interactive or Context.interactive,
    )
    takeover = Takeover(plan, claims, orphans, ledger, seats, places, payloads, lanes)
    elsewhere = Elsewhere(graph, claims, takeover, waits, seats, results)
    conductor.on(events.Recheck, lambda effect: conductor.take(results.recheck(effect.nodes)))
    conductor.on(events.Place, dispatch.place)
    conductor.on(events.Finish, account.finish)
    growing = Growing(plan, directory, seats, packer, payloads, chronicle, limits.caps, conductor.take)
    conductor.on(events.Expand, growing.expand)
    conductor.on(events.Join, growing.join)
    conductor.on(events.Fail, account.fail)
    conductor.on(events.Tell, account.tell)
    loop = Loop(
        graph, conductor, dispatch, judge, results, claims, elsewhere, takeover, lanes, chronicle, inbox, asked_to_end
    )
    return loop, judge
