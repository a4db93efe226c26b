"""The lanes of a run: its backends, each made when its first job is ready, and closed in the end."""
from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..base.errors import BackendError, TaskprocError
from ..plugin import Backend, BackendContext, BackendPlugin, Capabilities, Job
from ..runs.ledger import Ledger
from ..runs.staging import StagedSets
from ..work.command import serve_command
from .caller import Caller, DriverReports, Inbox, Message
from .lane import Lane
from .places import Place
from .supervision import watching

_LOGGER = logging.getLogger(__name__)
_UNTIL_CLOSED = 5.0  # seconds for backends to let go


class Lanes:
    """Makes lanes, and closes them.

    Args:
        directory: The run's directory.
        ledger: The run's ledger.
        inbox: Where backends report to.
        max_workers: How many tasks may run at once on this machine.
    """

    def __init__(self, directory: str, ledger: Ledger, inbox: Inbox, max_workers: int) -> None:
        self._directory = directory
        self._ledger = ledger
        self._inbox = inbox
        self._max_workers = max_workers
        self._lanes: dict[str, Lane] = {}
        self._broken: dict[str, TaskprocError] = {}
        self._closing = threading.Event()

    def __getitem__(self, name: str) -> Lane:
        return self._lanes[name]

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._lanes.values()))  # a claim may lead to another lane

    def of(self, place: Place) -> Lane:
        """Give the lane to a place, made at the first call.

        Raises:
            BackendError: The backend cannot be made, as was found now or before.
        """
        name = place.plugin.name
        if name in self._broken:
            raise self._broken[name]
        lane = self._lanes.get(name)
        if lane is not None:
            return lane
        try:
            lane = self._lanes[name] = self._made(place)
        except TaskprocError as error:
            self._broken[name] = error
            raise
        return lane

    def close(self, detach: bool = False) -> None:
        """Have all backends closed; those of clusters leave their jobs to a later run with `detach`."""
        self._closing.set()
        for lane in self._lanes.values():
            lane.close(detach)

    def cancel(self, jobs: Mapping[str, Sequence[Job]], detach: bool) -> None:
        """Have jobs ended, by lane; those that can live on are left alone with `detach`."""
        for name, of_lane in jobs.items():
            if not (detach and self._lanes[name].capabilities.durable):
                self._lanes[name].cancel(of_lane)

    def give_up(self, name: str, error: TaskprocError) -> list[int]:
        """Hand nothing over to a lane any more; give the nodes that wait for it."""
        self._broken[name] = error
        waiting = [node for node, _ in self._lanes[name].backlog]
        self._lanes[name].backlog.clear()
        return waiting

    @property
    def closing(self) -> bool:
        """Whether the backends have been asked to close."""
        return self._closing.is_set()

    @property
    def are_closed(self) -> bool:
        """Whether all backends are closed."""
        return all(lane.closed for lane in self._lanes.values())

    def wait_until_closed(self, receive: Callable[[float], None]) -> None:
        """Wait for all backends to close, for a while.

        Args:
            receive: Takes in what they report, for so many seconds at the most.
        """
        deadline = time.monotonic() + _UNTIL_CLOSED
        while not self.are_closed and (left := deadline - time.monotonic()) > 0:
            receive(left)
        receive(0.0)
        for lane in self._lanes.values():
            if not lane.closed:
                _LOGGER.warning("the backend %s did not close within %g seconds", lane.name, _UNTIL_CLOSED)

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Learn of errors that end a backend's own threads, which nobody else would see: it has broken then."""
        with watching(self._thread_ended):
            yield

    def _thread_ended(self, file: str, reason: str) -> None:
        for lane in list(self._lanes.values()):  # this is another thread
            if file == getattr(sys.modules.get(getattr(lane.plugin.factory, "__module__", "")), "__file__", None):
                self._inbox.put(Message("closed", lane.name, f"a thread of it ended by {reason}"))

    def _made(self, place: Place) -> Lane:
        plugin = place.plugin
        directory = f"{self._directory}/{plugin.name}"
        reports = DriverReports(self._inbox, self._ledger)
        staging = StagedSets(directory, self._ledger, plugin.name)
        context = BackendContext(
            options=place.options,
            max_workers=self._max_workers,
            directory=Path(directory),
            report=reports,
            staging=staging,
            serve=serve_command(self._directory),
            closing=self._closing,
        )
        backend, capabilities = _asked(plugin, context)
        reports.durable = staging.durable = capabilities.durable
        return Lane(plugin, capabilities, Caller(plugin.name, backend, reports, staging, self._inbox), staging)


def _asked(plugin: BackendPlugin, context: BackendContext) -> tuple[Backend, Capabilities]:
    """Ask a plugin for its backend, and that for what it can do."""
    assert plugin.factory is not None
    try:
        backend = plugin.factory(context)
        capabilities = backend.capabilities
    except TaskprocError:
        raise
    except (Exception, SystemExit) as error:
        _LOGGER.debug("no backend", exc_info=True)
        msg = f"the backend {plugin.name} cannot be made: {type(error).__name__}: {error}; tell its authors"
        raise BackendError(msg) from error
    if not _are_possible(capabilities):
        msg = f"the backend {plugin.name} says of itself {capabilities!r}, so that no job could run; tell its authors"
        raise BackendError(msg)
    return backend, capabilities


def _are_possible(given: Any) -> bool:
    """Whether capabilities are such that jobs can run."""
    if not isinstance(given, Capabilities):
        return False
    window, seconds = given.window, (given.gather, given.latency)
    return (window is None or (isinstance(window, int) and window >= 1)) and all(
        isinstance(number, (int, float)) and 0 <= number < float("inf") for number in seconds
    )
