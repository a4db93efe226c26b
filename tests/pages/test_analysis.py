"""What is made of the times of a run."""
from __future__ import annotations

import pytest

from taskproc.look.pages.analysis import Analysis, analyse
from taskproc.look.pages.lanes import timeline
from tests.pages.runs import ran, state


def test_critical_path_is_the_chain_that_took_longest() -> None:
    tasks = [ran(0, 1.0), ran(1, 6.0), ran(2, 3.0, (0,)), ran(3, 4.0, (0,)), ran(4, 1.5, (2, 3, 1))]
    analysis = analyse(tasks, {}, 1)

    assert [task.node for task in analysis.path] == [1, 4]
    assert analysis.path_seconds == 7.5


def test_failed_attempts_count_for_the_path() -> None:
    failed = ran(0, 2.0, state="failed", seconds=None)
    analysis = analyse([failed, state(1, "waiting", (0,))], {}, 1)

    assert [task.node for task in analysis.path] == [0]
    assert analysis.path_seconds == 2.0


def gains(analysis: Analysis) -> dict[str, float]:
    """Give the seconds that each class is worth, the best first."""
    return {gain.name: round(gain.seconds, 2) for gain in analysis.gains}


def test_on_few_workers_the_class_with_most_work_is_worth_most() -> None:
    many = [ran(node, 1.0, start=float(node // 2), pid=node % 2, name="Load") for node in range(20)]
    last = ran(20, 3.0, range(20), start=10.0, name="Fit")
    analysis = analyse([*many, last], {}, 2)

    assert analysis.least == pytest.approx(11.5)
    assert gains(analysis) == {"tasks.Load": 5.0, "tasks.Fit": 0.75}


def test_on_many_workers_what_is_not_on_the_path_is_worth_nothing() -> None:
    wide = [ran(node, 1.0, pid=node, name="Load") for node in range(20)]
    last = ran(20, 3.0, range(20), start=1.0, name="Fit")
    analysis = analyse([*wide, last, ran(21, 3.9, pid=99, name="Aside")], {}, 21)

    assert gains(analysis) == {"tasks.Load": 0.1, "tasks.Fit": 0.1}


def test_classes_tell_what_was_cached_ran_failed_waited_and_was_tried_again() -> None:
    twice = ran(0, 2.0, state="failed", seconds=None, submitted=-1.0)
    again = ran(0, 4.0, start=3.0, memory=5000, submitted=0.0)
    tasks = [
        state(0, "done", attempts=(*twice.attempts, *again.attempts)),
        state(1, "cached"),
        ran(2, 1.0, state="failed", seconds=None),
        state(3, "waiting"),
    ]
    (train, load) = analyse(tasks, {"tasks.Load": 7, "tasks.Train": 2}, 2).classes

    assert (load.name, load.cached, load.done) == ("tasks.Load", 7, 0)
    assert (train.cached, train.done, train.failed, train.left, train.retries) == (3, 1, 1, 1, 1)
    assert (train.seconds, train.mean, train.longest, train.memory, train.waited) == (7.0, 4.0, 4.0, 5000, 2.0)


def test_a_run_without_times_says_nothing() -> None:
    analysis = analyse([state(0, "waiting"), state(1, "waiting", (0,))], {}, 0)

    assert (analysis.work, analysis.at_once, analysis.path, analysis.gains) == (0, 0, [], [])


def test_a_worker_has_one_lane_and_hosts_stand_together() -> None:
    tasks = [
        ran(0, 1.0, host="b", pid=1), ran(1, 1.0, host="a", pid=2), ran(2, 1.0, start=0.999, host="b", pid=1),
        ran(3, 1.0, host="b", pid=3, backend="ssh"),
    ]  # fmt: skip
    chart = timeline(tasks, 2.0)

    assert chart.lanes == [("a", "process, pid 2"), ("b", "process, pid 1"), ("b", "ssh, pid 3")]
    assert {bar.task.node: bar.lane for bar in chart.bars} == {0: 1, 1: 0, 2: 1, 3: 2}


def test_workers_without_a_number_share_as_few_lanes_as_they_need() -> None:
    threads = [ran(node, 1.0, start=start, pid=None) for node, start in enumerate([0.0, 0.5, 1.0, 1.2, 1.5])]
    chart = timeline(threads, 3.0)

    assert [bar.lane for bar in chart.bars] == [0, 1, 0, 2, 1]


def test_what_still_runs_ends_now() -> None:
    (bar,) = timeline([ran(0, 1.0, state="running", ended=None)], 7.0).bars

    assert (bar.start, bar.end) == (0.0, 7.0)


def test_attempts_at_once_are_counted_though_clocks_differ() -> None:
    tasks = [ran(0, 1.001, pid=1), ran(1, 1.0, pid=1, start=1.0), ran(2, 3.0, pid=2), ran(3, 1.0, pid=3, start=3.0)]

    assert timeline(tasks, 4.0).at_once == 2
    assert timeline([], 0.0).at_once == 0
    assert timeline([ran(0, 0.0)], 0.0).at_once == 1
