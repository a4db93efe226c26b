"""The batch base over its stand-in scheduler, as a backend that a run can name."""
from __future__ import annotations

import os
from pathlib import Path

from taskproc_backends.batch import BatchBackend, BatchOptions

from taskproc.plugin import BackendContext, BackendPlugin
from tests.backends.standin_scheduler import StandIn


def _make(context: BackendContext) -> BatchBackend:
    return BatchBackend(StandIn(Path(os.environ["TP_FAULT_SITE"])), context)


plugin = BackendPlugin("standin", "A scheduler for tests.", BatchOptions, _make)
