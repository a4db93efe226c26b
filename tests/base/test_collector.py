"""The collector looks less often while tasks are made, and as often as before afterwards."""
from __future__ import annotations

import gc

from taskproc.base.collector import eased_collector


def test_collector_is_eased_only_within() -> None:
    before = gc.get_threshold()
    with eased_collector:
        eased = gc.get_threshold()
        with eased_collector:
            assert gc.get_threshold() == eased
        assert gc.get_threshold() == eased
    assert gc.get_threshold() == before
    assert eased[0] > before[0]


def test_collector_that_is_switched_off_stays_off() -> None:
    before = gc.get_threshold()
    try:
        gc.set_threshold(0)
        with eased_collector:
            assert gc.get_threshold()[0] == 0
        assert gc.get_threshold()[0] == 0
    finally:
        gc.set_threshold(*before)
