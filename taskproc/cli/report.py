"""What a person reads at the end of a run: what ran, what the entry point printed, and what failed."""
from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..base.telling import words_of
from ..run.failures import last_lines

if TYPE_CHECKING:
    from ..plugin import Event
    from ..task import TaskBase
    from ..tasks.failed import FailedTaskError
    from ..tasks.node import Node

_MOST_CLASSES = 30
_MOST_ACCOUNTS = 10
_MOST_ARGUMENTS = 600
_MOST_MESSAGE = 2000
_SHOWN_OF_OUTPUT = 16_384  # bytes at each end


class Tally:
    """Counts what happens in a run; called with events.

    Attributes:
        ran: Tasks that ran to their end, by name.
        failed: Tasks that failed, by name.
        spared: How many were to run, and need not, as what they need came out as before.
        seconds: How long the run has taken so far.
    """

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.spared = 0
        self._begin = time.monotonic()

    def __call__(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.kind == "done":
                self.ran[event.task] += 1
            elif event.kind == "failed" and not event.detail.get("retried"):
                self.failed[event.task] += 1
            elif event.kind == "cached" and event.detail.get("spared"):
                self.spared += 1

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begin


def print_summary(task: TaskBase[Any], tally: Tally, all_tasks: Mapping[str, int]) -> None:
    """Say what ran and what was cached, by class.

    Args:
        task: The entry point.
        tally: What ran.
        all_tasks: The number of tasks in the graph, by name.
    """
    ran, total = tally.ran.total(), sum(all_tasks.values())
    if ran == 0:
        click.echo(f"{_name(task)} is up to date: nothing ran, {tasks_text(total)} cached.")
        return
    spared = f" ({tally.spared} of them spared: what they need came out as before)" if tally.spared else ""
    took = duration(tally.seconds)
    click.echo(f"{_name(task)} is done: {tasks_text(ran)} ran, {total - ran} cached{spared}, in {took}.")
    if total > 1:
        _print_table([(name, tally.ran[name], number - tally.ran[name]) for name, number in all_tasks.items()])


def print_output(task: TaskBase[Any]) -> None:
    """Print what the entry point wrote in the run that its result is from; of very much, the two ends."""
    for stream, path in (("STDOUT", task.task_stdout), ("STDERR", task.task_stderr)):
        if not path.exists():
            click.echo(f"==== NO ENTRYPOINT {stream} (DETACHED) ====")
            continue
        click.echo(f"==== ENTRYPOINT {stream} (DETACHED) ====")
        text = shortened(path)
        click.echo(text, nl=not text.endswith("\n"))


def print_failures(failures: Sequence[FailedTaskError], tally: Tally) -> None:
    """Tell of each failed task: what it was asked, what it raised, what it said last, and where its files are."""
    for failure in failures[:_MOST_ACCOUNTS]:
        click.echo("\n".join(_account(failure)) + "\n", err=True)
    for failure in failures[_MOST_ACCOUNTS:]:
        cause = str(failure.exception).partition("\n")[0]
        click.echo(f"{_failed(failure)}: {type(failure.exception).__name__}: {cause}\n  {failure.directory}", err=True)
    number = max(len(failures), tally.failed.total())
    kept = f"; {tasks_text(tally.ran.total())} ran, and their results are kept" if tally.ran else ""
    click.echo(f"{tasks_text(number)} failed in {duration(tally.seconds)}{kept}.", err=True)


def print_interrupted(tally: Tally, detach: bool) -> None:
    """Say how far an interrupted run has come."""
    left = " Jobs on a cluster were left running; the next run takes them up." if detach else ""
    click.echo(
        f"Interrupted after {duration(tally.seconds)}: {tasks_text(tally.ran.total())} ran, and their results are kept."
        f"{left} Run the same command to go on.",
        err=True,
    )


def shortened(path: Path) -> str:
    """Read a log, without the middle of a very long one."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= 2 * _SHOWN_OF_OUTPUT:
            return file.read().decode("utf-8", "replace")
        head = file.read(_SHOWN_OF_OUTPUT)
        file.seek(-_SHOWN_OF_OUTPUT, os.SEEK_END)
        tail = file.read()
    head = head[: head.rfind(b"\n") + 1] or head
    tail = tail[tail.find(b"\n") + 1 :] or tail
    left_out = f"[... {size_text(size - len(head) - len(tail))} left out here; all of it is in {path} ...]\n"
    return "\n".join([head.decode("utf-8", "replace").removesuffix("\n"), left_out]) + tail.decode("utf-8", "replace")


def duration(seconds: float) -> str:
    """Write a duration for people.

    >>> duration(0.04), duration(75), duration(90061)
    ('0.04 s', '1 min 15 s', '1 d 1 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h {minutes} min" if days else f"{hours} h {minutes} min"


def size_text(size: float) -> str:
    """Write a number of bytes for people.

    >>> size_text(900), size_text(2_500_000)
    ('900 bytes', '2.5 MB')
    """
    if size < 1000:
        return f"{size:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"


def plain(text: str) -> str:
    """Write a text of unknown origin so that it cannot steer the terminal.

    >>> print(plain("a" + chr(27) + "[2J"))
    a\\x1b[2J
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _print_table(rows: list[tuple[str, int, int]]) -> None:
    rows.sort(key=lambda row: (-row[1], row[0]))
    width = max(len(name) for name, _, _ in rows[:_MOST_CLASSES])
    for name, ran, cached in rows[:_MOST_CLASSES]:
        columns = [f"{ran:6} ran" if ran else " " * 10, f"{cached:6} cached" if cached else ""]
        click.echo(f"  {name:{width}} {' '.join(columns)}".rstrip())
    if len(rows) > _MOST_CLASSES:
        click.echo(f"  ... and {len(rows) - _MOST_CLASSES} more classes")


def _account(failure: FailedTaskError) -> Iterator[str]:
    cause = failure.exception
    yield _failed(failure)
    yield f"  arguments  {_cut(_arguments(failure.task), _MOST_ARGUMENTS)}"
    message = _cut(words_of(cause), _MOST_MESSAGE).splitlines() or [""]
    yield f"  exception  {type(cause).__qualname__}: {message[0]}".rstrip(": ")
    yield from (f"             {line}" for line in message[1:])
    lines = last_lines(str(failure.directory / "stderr.txt")) or _traceback_of(cause)
    if lines:
        yield "  stderr     ends with:"
        yield from (f"    {line}" for line in lines)
    yield f"  directory  {failure.directory}"


def _failed(failure: FailedTaskError) -> str:
    return click.style("FAILED", fg="red", bold=True) + f" {_cut(repr(failure.task), 200)}"


def _arguments(task: Node) -> str:
    try:
        return json.dumps(task.task_args, default=repr, ensure_ascii=False)
    except (TypeError, ValueError):
        return repr(task.task_args)


def _traceback_of(cause: BaseException) -> list[str]:
    """Give the end of the traceback that came from the worker, for a task that left no stderr."""
    return str(cause.__cause__).strip().splitlines()[-10:] if cause.__cause__ is not None else []


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]} [...] {text[-most // 2 :]}"


def _name(task: TaskBase[Any]) -> str:
    return _cut(repr(task), 100)


def tasks_text(number: int) -> str:
    """Write a number of tasks."""
    return f"{number} task{'' if number == 1 else 's'}"
