"""A limit: ninja, which compares the times of files, and does so in C++."""
from __future__ import annotations

from pathlib import Path

from benchmarks.program import OUTPUT
from benchmarks.work import Work


def prepare(work: Work, place: Path) -> None:
    """Write the build file, and the files that it builds.

    With `generator`, ninja takes files that it has not made itself for what they are.
    """
    place.mkdir()
    lines = ["rule make", "  command = touch $out", "  generator = 1"]
    for node in range(work.nodes):
        needed = "".join(f" n{up}" for up in work.upstreams(node))
        lines.append(f"build n{node}: make{needed}")
        (place / f"n{node}").touch()
    (place / "build.ninja").write_text("\n".join(lines) + "\n")


def read(work: Work, place: Path) -> int | None:
    """Give the answer, if ninja found that nothing is to be done."""
    return work.answer() if "no work to do" in (place.parent / OUTPUT).read_text() else None
