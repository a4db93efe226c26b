"""Rate limits admit in order, never too many, and never for nothing too few."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskproc.base.errors import SettingsError
from taskproc.base.limits import Limits

LABELS = [("A",), ("A", "gpu"), ("B", "gpu"), ("B", "gpu", "disk"), ("C", "disk"), ("D",)]


def test_unlimited_labels_are_admitted_at_once():
    limits = Limits({"gpu": 1})
    assert all(limits.admit(node, ("A", "other")) for node in range(10))
    assert limits.leave(("A", "other")) == []


def test_those_of_one_line_are_admitted_in_order():
    limits = Limits({"gpu": 2})
    assert [limits.admit(node, ("A", "gpu")) for node in range(4)] == [True, True, False, False]
    assert limits.leave(("A", "gpu")) == [2]
    assert limits.leave(("A", "gpu")) == [3]
    assert limits.leave(("A", "gpu")) == []


def test_task_name_is_a_label_like_any_other():
    limits = Limits({"A": 1})
    assert limits.admit(1, ("A", "x"))
    assert not limits.admit(2, ("A", "y"))


def test_label_given_twice_counts_once():
    limits = Limits({"gpu": 1})
    assert limits.admit(1, ("A", "gpu", "gpu"))
    assert limits.leave(("A", "gpu", "gpu")) == []
    assert limits.admit(2, ("A", "gpu", "gpu"))


@pytest.mark.parametrize("cap", [0, -1, 1.5, "3", None])
def test_limit_that_is_no_number_is_refused(cap: object):
    with pytest.raises(SettingsError, match="'gpu'"):
        Limits({"gpu": cap})  # type: ignore[dict-item]


@given(
    st.dictionaries(st.sampled_from(["A", "gpu", "disk"]), st.integers(1, 3)),
    st.lists(st.tuples(st.booleans(), st.sampled_from(LABELS)), max_size=60),
)
def test_limits_hold_and_nobody_waits_beside_free_room(caps: dict[str, int], steps: list[tuple[bool, tuple[str, ...]]]):
    limits = Limits(caps)
    labels_of: dict[int, tuple[str, ...]] = {}
    running: list[int] = []
    waiting: list[int] = []

    def count(label: str) -> int:
        return sum(label in labels_of[node] for node in running)

    for node, (arrives, labels) in enumerate(steps):
        if arrives or not running:
            labels_of[node] = labels
            (running if limits.admit(node, labels) else waiting).append(node)
        else:
            for admitted in limits.leave(labels_of[running.pop(0)]):
                waiting.remove(admitted)
                running.append(admitted)
        assert all(count(label) <= cap for label, cap in caps.items())
        for node_waiting in waiting:
            assert any(count(label) == caps.get(label) for label in labels_of[node_waiting])
