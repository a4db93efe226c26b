"""snakemake, with a line of shell for each node."""
from __future__ import annotations

from pathlib import Path

from benchmarks.work import MODULUS, Work

_SNAKEFILE = """
from benchmarks.work import Work

work = Work({shape!r}, {size})

rule asked_for:
    input: "n{last}"

rule node:
    input: lambda wildcards: [f"n{{up}}" for up in work.upstreams(int(wildcards.node))]
    output: "n{{node,[0-9]+}}"
    shell: "awk 'BEGIN {{{{s = {{wildcards.node}}}}}} {{{{s += $1}}}} END {{{{print s % {modulus}}}}}' {{input}} /dev/null > {{output}}"
"""  # noqa: E501


def prepare(work: Work, place: Path) -> None:
    """Write the Snakefile."""
    place.mkdir()
    text = _SNAKEFILE.format(shape=work.shape, size=work.size, last=work.nodes - 1, modulus=MODULUS)
    (place / "Snakefile").write_text(text)


def read(work: Work, place: Path) -> int:
    """Read the answer."""
    return int((place / f"n{work.nodes - 1}").read_text())


def clear(work: Work, place: Path) -> None:
    """Forget the middle result."""
    (place / f"n{work.middle}").unlink()
