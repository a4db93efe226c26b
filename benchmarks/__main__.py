"""The command: measures what it is asked to, in turn, and writes the tables."""
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir

import click

from . import table
from .bars import findings
from .cells import BenchmarkError, Cells, Setup, TimedOut, run_all_states
from .environments import NotInstalled, bin_of
from .machine import describe_machine
from .probes import PROBES
from .systems import SYSTEMS, System
from .work import SHAPES, Work

WORKS = (*SHAPES, *PROBES)


def _words(context: click.Context, option: click.Parameter, value: str) -> list[str]:
    return [word.strip() for word in value.split(",") if word.strip()]


def _works(context: click.Context, option: click.Parameter, value: str) -> list[str]:
    works = _words(context, option, value)
    for work in works:
        if work not in WORKS:
            raise click.BadParameter(f"there is no work {work!r}; there are {', '.join(WORKS)}")
    return works


@click.command()
@click.option("--systems", default="all", callback=_words, help="Names, or all, ours, limits, peers.")
@click.option("--works", default=",".join(SHAPES), callback=_works, help=f"Of {', '.join(WORKS)}.", show_default=True)
@click.option("--sizes", default="1000", callback=_words, help="Numbers of tasks.", show_default=True)
@click.option("--repeats", default=3, help="How often; the systems take turns.", show_default=True)
@click.option("--cap", default=60.0, help="The most seconds that one run may take.", show_default=True)
@click.option("--workers", default=2, help="How many tasks run at once.", show_default=True)
@click.option(
    "--environments", type=click.Path(path_type=Path), default=Path.home() / ".cache/taskproc-benchmarks",
    help="Where the environments of the peers are kept.", show_default=True,
)  # fmt: skip
@click.option("--scratch", type=click.Path(path_type=Path), default=Path(gettempdir()), help="Where to work.")
@click.option(
    "--with", "earlier", multiple=True, type=click.Path(path_type=Path, exists=True),
    help="Figures of an earlier run on this machine, to be shown too (--repeats 0: only these).",
)  # fmt: skip
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="A file for the figures.")
@click.option("--markdown", type=click.Path(path_type=Path), help="A file for the tables.")
def main(
    systems: list[str],
    works: list[str],
    sizes: list[str],
    repeats: int,
    cap: float,
    workers: int,
    environments: Path,
    scratch: Path,
    earlier: tuple[Path, ...],
    json_file: Path | None,
    markdown: Path | None,
) -> None:
    """Measure taskproc beside others, on this machine."""
    setup = Setup(environments, scratch, workers, cap)
    cells = Cells()
    for file in earlier:
        cells.add_figures(json.loads(file.read_text(encoding="utf-8"))["cells"])
    chosen = list(_installed(_chosen(systems), setup))
    try:
        for name in [name for name in works if name in PROBES]:
            for repeat in range(repeats):
                click.echo(f"{name}, {repeat + 1} of {repeats}", err=True)
                PROBES[name](setup, cells)
        for work in [Work(name, int(size)) for name in works if name in SHAPES for size in sizes]:
            for repeat in range(repeats):
                for system in chosen:
                    click.echo(f"{work.shape} {work.size:,}, {repeat + 1} of {repeats}: {system.name}", err=True)
                    _run(system, work, setup, cells)
    finally:  # what has been measured is kept, whatever happens
        _write(cells, scratch, json_file, markdown)


def _write(cells: Cells, scratch: Path, json_file: Path | None, markdown: Path | None) -> None:
    report = {"machine": describe_machine(scratch), "cells": [cell.as_json() for cell in cells.all.values()]}
    text = f"{table.markdown(list(cells.all.values()))}\n{table.bars(findings(cells.all))}"
    if json_file:
        json_file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if markdown:
        markdown.write_text(text, encoding="utf-8")
    click.echo(text)


def _run(system: System, work: Work, setup: Setup, cells: Cells) -> None:
    """Run a system, unless it was too slow for this work before, or for a smaller one."""
    smaller = [Work(shape, size) for name, shape, size, _ in cells.all if name == system.name and shape == work.shape]
    if any(cells.failed(system, before) for before in smaller if before.size <= work.size):
        return
    try:
        run_all_states(system, work, setup, cells)
    except TimedOut as error:
        cells.fail(system, work, str(error))
    except BenchmarkError as error:
        if system.kind != "peer":
            raise
        click.echo(error, err=True)
        cells.fail(system, work, f"failed: {str(error).splitlines()[-1]}")


def _chosen(names: list[str]) -> list[System]:
    groups = {"ours": "ours", "limits": "limit", "peers": "peer"}
    known = {system.name for system in SYSTEMS} | set(groups) | {"all"}
    for name in names:
        if name not in known:
            raise click.UsageError(f"there is no system {name!r}; there are {', '.join(sorted(known))}")
    kinds = {groups[name] for name in names if name in groups}
    return [system for system in SYSTEMS if system.name in names or system.kind in kinds or "all" in names]


def _installed(systems: list[System], setup: Setup) -> Iterator[System]:
    for system in systems:
        try:
            bin_of(system, setup.environments)
        except NotInstalled as error:
            click.echo(f"{system.name} is left out: {error}", err=True)
        else:
            yield system


if __name__ == "__main__":
    try:
        main()
    except BenchmarkError as error:
        raise SystemExit(f"benchmark failed: {error}") from None
