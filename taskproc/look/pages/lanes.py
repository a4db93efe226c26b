"""The timeline of a run: which attempt ran when, in a lane for each worker."""
from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..history import Attempt, TaskState

_SLACK = 0.005  # seconds: an end and the next start are noted by different clocks


@dataclass(frozen=True)
class Bar:
    """An attempt that ran.

    Attributes:
        task: Whose.
        attempt: The attempt.
        lane: The number of its lane.
        start: When it started, in seconds since the epoch.
        end: When it ended; for one that runs, now.
    """

    task: TaskState
    attempt: Attempt
    lane: int
    start: float
    end: float


@dataclass(frozen=True)
class Timeline:
    """The attempts that ran, by lane.

    Attributes:
        lanes: What each lane is called: host and worker.
        bars: The attempts, in the order of their starts.
    """

    lanes: Sequence[tuple[str, str]]
    bars: Sequence[Bar]

    @property
    def at_once(self) -> int:
        """The most attempts that ran at the same time."""
        changes: list[tuple[float, int]] = []
        busy_until: dict[int, float] = {}
        for bar in reversed(self.bars):
            # The end of an attempt and the start of the next are noted by different clocks: one a lane is the most.
            end = min(bar.end, busy_until.get(bar.lane, bar.end))
            busy_until[bar.lane] = bar.start
            changes += [(bar.start, 1), (end, -1)]
        running = most = 0
        for _, change in sorted(changes, key=lambda change: (change[0], change[1])):  # at a moment, ends come first
            running += change
            most = max(most, running)
        return max(most, min(1, len(self.bars)))


def timeline(tasks: Sequence[TaskState], now: float) -> Timeline:
    """Sort the attempts of a run into lanes: one for each process; where these are not known, as few as are needed.

    Args:
        tasks: The run's tasks.
        now: When attempts end that go on.
    """
    of_worker: dict[tuple[str, str, int | None], list[Bar]] = {}
    for task in tasks:
        for attempt in task.attempts:
            if attempt.started is not None:
                end = max(attempt.started, attempt.ended if attempt.ended is not None else now)
                worker = (attempt.host, attempt.backend, attempt.pid)
                of_worker.setdefault(worker, []).append(Bar(task, attempt, 0, attempt.started, end))
    lanes: list[tuple[str, str]] = []
    placed: list[Bar] = []
    for bars in of_worker.values():
        bars.sort(key=lambda bar: bar.start)
    for (host, backend, pid), bars in sorted(of_worker.items(), key=lambda item: (item[0][0], item[1][0].start)):
        numbers = [0] * len(bars) if pid is not None else _packed(bars)
        placed += [replace(bar, lane=len(lanes) + number) for bar, number in zip(bars, numbers, strict=True)]
        lanes += [(host, f"{backend}, pid {pid}" if pid is not None else backend)] * (max(numbers) + 1)
    return Timeline(lanes, sorted(placed, key=lambda bar: bar.start))


def _packed(bars: Sequence[Bar]) -> list[int]:
    """Give each bar, in the order of their starts, the first lane that is free by then."""
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    lanes = []
    for bar in bars:
        while busy and busy[0][0] <= bar.start + _SLACK:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (bar.end, lane))
        lanes.append(lane)
    return lanes
