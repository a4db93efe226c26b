"""joblib: `Memory` keeps what `Parallel` computes. It knows no graphs, so a wave of nodes follows the other."""
from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from joblib import Memory, Parallel, delayed

from benchmarks.work import Work, combine


def run(work: Work, place: Path) -> int:
    """Run wave after wave."""
    cached = _cached(place)
    values: dict[int, int] = {}
    with Parallel(int(os.environ["BENCHMARK_WORKERS"])) as parallel:
        for wave in work.waves():
            inputs = [[values[up] for up in work.upstreams(node)] for node in wave]
            if len(wave) == 1:
                found = [cached(wave[0], inputs[0])]
            else:
                found = parallel(delayed(cached)(*each) for each in zip(wave, inputs, strict=True))
            values.update(zip(wave, found, strict=True))
    return values[work.nodes - 1]


def clear(work: Work, place: Path) -> None:
    """Forget the middle result."""
    values, middle = work.values(), work.middle
    _cached(place).call_and_shelve(middle, [values[up] for up in work.upstreams(middle)]).clear()


def task(node: int, inputs: Iterable[int]) -> int:
    """Compute a node."""
    return combine(node, inputs)


def _cached(place: Path) -> Any:
    return Memory(place, verbose=0).cache(task)
