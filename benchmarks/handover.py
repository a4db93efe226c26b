"""Prints how many bytes a task's pickle has, and how many seconds it took: `python -m benchmarks.handover DEPTH`."""
from __future__ import annotations

import sys
import time
from pathlib import Path

from taskproc.contract.plugins import Plugins
from taskproc.plan.graph import NO_UPSTREAMS
from taskproc.plan.nodes import NO_SOURCE
from taskproc.run.choice import BackendChoice
from taskproc.run.packing import Packer
from taskproc.run.payloads import Payloads
from taskproc.run.places import Places
from taskproc.run.request import RunRequest
from taskproc.run.run import make_plan
from taskproc.run.seats import Seats
from taskproc.store.meta import Meta
from taskproc.tasks.in_use import current_cache
from taskproc.tasks.settings import load_settings

from .systems.ours import Link

_TIMES = 200


def main(depth: int) -> None:
    """Pickle the last link of a chain, with what it says of the one before."""
    settings, cache = load_settings(), current_cache()
    plan = make_plan(Link(depth - 1), RunRequest(), settings, cache)
    plugins = Plugins([], profiles=settings.profiles)
    run = Path("run").resolve()
    run.mkdir()
    choice = BackendChoice(settings, None, {}, {})
    seats, packer = Seats(plan, lambda known: False), Packer(str(run))
    packer.register(plan.graph.classes, plan.graph.read.beside)
    seats.allot()
    node = len(plan.graph) - 1
    nothing = bytes(16)
    before = plan.graph.digest(node - 1)
    made = Meta(before, NO_SOURCE, NO_UPSTREAMS, nothing, nothing, nothing, nothing, nothing, 0.0, 0.0, 0.0, 0, 0, 0, 1)
    plan.done(node - 1, made)
    options = Places(plan.graph, plugins, choice).choose(node, 0).options
    job = Payloads(plan, seats, packer, str(run / "context")).make(node, options)
    began = time.perf_counter()
    for _ in range(_TIMES):
        payload = job.payload()
    print(len(payload), (time.perf_counter() - began) / _TIMES)


if __name__ == "__main__":
    main(int(sys.argv[1]))
