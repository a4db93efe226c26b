"""What a run has come to, and the telling of it: to the ledger, to those who watch, to the user."""
from __future__ import annotations

import logging
from typing import Any

from ..plan.graph import Plan
from ..tasks.failed import FailedTaskError
from . import events
from .chronicle import Chronicle
from .failures import failed_task
from .payloads import Payloads
from .seats import Seats

_LOGGER = logging.getLogger(__name__)


class Account:
    """Counts what ran and what failed.

    Args:
        plan: The run's plan; it learns of every result.
        seats: Where the run's tasks sit.
        payloads: Learns how long tasks take.
        chronicle: Learns what happens.
        list_generations: Whether to list what is left at each step.

    Attributes:
        ran: How many tasks ran, by name.
        failures: What failed, by node.
        generations: What was left at each step, if that is asked for: arguments by name.
    """

    def __init__(
        self, plan: Plan, seats: Seats, payloads: Payloads, chronicle: Chronicle, *, list_generations: bool
    ) -> None:
        self.ran: dict[str, int] = {}
        self.failures: dict[int, FailedTaskError] = {}
        self.generations: list[dict[str, list[Any]]] | None = [] if list_generations else None
        self._plan = plan
        self._tasks = plan.graph.tasks
        self._seats = seats
        self._payloads = payloads
        self._chronicle = chronicle

    def note_generation(self) -> None:
        """List what is left now, if that is asked for."""
        if self.generations is None:
            return
        left: dict[str, list[Any]] = {}
        for node in self._plan.stale:
            if self._plan.reasons[node]:
                task = self._tasks[node]
                left.setdefault(task._task_config.name, []).append(task.task_args)
        self.generations.append(left)

    def finish(self, effect: events.Finish) -> None:
        """Go on from results."""
        for node, meta in effect.metas.items():
            self._plan.done(node, meta)
            measured = {"seconds": round(meta.seconds, 6), "memory": meta.memory}
            if effect.by != "run":
                spared = {"spared": True} if effect.by == "spared" else {}
                self._chronicle.tell("cached", node, "", "", {**measured, **spared})
                continue
            name = self._tasks[node]._task_config.name
            self.ran[name] = self.ran.get(name, 0) + 1
            self._payloads.learn(node, meta.seconds)
            if meta.size != 0:
                self._seats.note(node)
            self._chronicle.tell("done", node, meta.commit.hex(), "", measured)

    def fail(self, effect: events.Fail) -> None:
        """Make the error that the user reads."""
        error = failed_task(self._tasks[effect.node], effect.cause, self._seats.directory(effect.node))
        self.failures[effect.node] = error
        self._chronicle.tell("failed", effect.node, effect.nonce, "", {"reason": str(error).partition("\n")[0]})

    def tell(self, effect: events.Tell) -> None:
        """Tell of an attempt that is not the task's last word."""
        if effect.detail.get("retried"):
            reason = effect.detail["reason"]
            _LOGGER.warning("%r failed (%s) and is tried again", self._tasks[effect.node], reason)
        self._chronicle.tell(effect.kind, effect.node, effect.nonce, effect.lane, effect.detail)
