"""A 200 MB array through three tasks: with taskproc, in threads, and with bare pickle and the same compression."""
from __future__ import annotations

import gzip
import pickle
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from taskproc import Requires, TaskBase

LENGTH = 25_000_000  # doubles
LEVEL = 1


class Made(TaskBase, compress_level=LEVEL):
    """The array."""

    def run_task(self) -> Any:
        return make()


class Changed(TaskBase, compress_level=LEVEL):
    """The array, changed."""

    array: Requires[Any]

    def __init__(self) -> None:
        self.array = Made()

    def run_task(self) -> Any:
        return change(self.array)


class Summed(TaskBase, backend="thread"):
    """Its sum."""

    array: Requires[Any]

    def __init__(self) -> None:
        self.array = Changed()

    def run_task(self) -> float:
        return float(self.array.sum())


def make() -> Any:
    """Make an array that hardly compresses."""
    return np.random.default_rng(0).random(LENGTH)


def change(array: Any) -> Any:
    """Change it where it is."""
    array += 1.0
    return array


def bare(place: Path) -> float:
    """Do the same without taskproc."""
    _dump(make(), place / "made")
    _dump(change(_load(place / "made")), place / "changed")
    return float(_load(place / "changed").sum())


def _dump(value: Any, path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=LEVEL) as file:
        pickle.dump(value, file, 5)


def _load(path: Path) -> Any:
    with gzip.open(path, "rb") as file:
        return pickle.load(file)


def main(how: str, place: str) -> None:
    """Run one of the two, and print the sum's checksum, by which they are compared."""
    total = bare(Path(place)) if how == "bare" else Summed().run_graph(backend="thread", max_workers=1)
    print("checksum", zlib.crc32(repr(total).encode()))


if __name__ == "__main__":
    main(*sys.argv[1:])
