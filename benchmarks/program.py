"""The program of one system, in its own environment: `python -m benchmarks.program SYSTEM ACTION SHAPE SIZE PLACE`.

A system's module has `run(work, place)`, which gives the answer, and, where results are kept, `clear(work, place)`,
which drops the middle one. A system that is driven by its own command (`System.command`) has `prepare(work, place)`
and `read(work, place)`, which gives the answer from what the command left behind.
"""
from __future__ import annotations

import importlib
import sys
from pathlib import Path

from .work import Work

MARK = "the answer is"
OUTPUT = "output.txt"  # beside the place: what the program or command printed


def main(system: str, action: str, shape: str, size: str, place: str) -> None:
    """Do one thing, and print the answer if there is one."""
    module = importlib.import_module(f"benchmarks.systems.{system}")
    answer = getattr(module, action)(Work(shape, int(size)), Path(place))
    if answer is not None:
        print(MARK, answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
