"""`taskproc logs`: what a task wrote, also while it runs."""
from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from .named import class_meant, the_entry
from .options import cache_dir_option, task_argument
from .place import Place, find_cache

if TYPE_CHECKING:
    from ..look.catalogue import Entry
    from ..look.history import RunReader

_PAUSE = 0.2  # seconds between looks with -f
_CHUNK = 1 << 20


@click.command(short_help="Print what a task wrote, also while it runs (-f).")
@task_argument
@cache_dir_option
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the task has ended.")
@click.option("--stdout", "only", flag_value="stdout", help="Only its standard output.")
@click.option("--stderr", "only", flag_value="stderr", help="Only its standard error.")
def logs(name: str, file: str | None, cache_dir: Path | None, follow: bool, only: str | None) -> int:
    """Print the standard output of TASK to ours, and its standard error to ours, as they are.

    TASK is written Class, if there is but one, Class#7 (the id) or Class(n=3); arguments that are left out may be
    anything. The task file is not run.
    """
    from ..look.catalogue import find_entries
    from ..look.task_names import parse_task_name
    from .report import plain

    place, pattern = find_cache(file, cache_dir), parse_task_name(name)
    entry = the_entry(place, pattern, find_entries(place.cache, pattern, class_meant(place, pattern)))
    streams = [stream for stream in ("stdout", "stderr") if only in (None, stream)]
    logs = [_Log(f"{entry.directory}/{stream}.txt", stream) for stream in streams]
    if follow:
        _follow(logs, place, entry)
    for log in logs:
        log.print_more()
    if not any(log.printed for log in logs):
        click.echo(f"{plain(entry.label)} wrote nothing{f' to its {only}' if only else ''}.", err=True)
    return 0


class _Log:
    """A log that may not be there yet, may grow, and may be begun anew by another attempt.

    Attributes:
        printed: Whether it had something to print.
    """

    def __init__(self, path: str, stream: str) -> None:
        self._path = path
        self._out: BinaryIO = (sys.stdout if stream == "stdout" else sys.stderr).buffer
        self._at = 0
        self._file = -1
        self.printed = False

    def print_more(self) -> None:
        """Print what is new."""
        try:
            file = open(self._path, "rb")  # noqa: SIM115 (the with below closes it)
        except OSError:
            return
        with file:
            status = os.fstat(file.fileno())
            if status.st_ino != self._file or status.st_size < self._at:
                self._file, self._at = status.st_ino, 0
            file.seek(self._at)
            while data := file.read(_CHUNK):
                self._at += len(data)
                self.printed = True
                self._out.write(data)
            self._out.flush()


def _follow(logs: list[_Log], place: Place, entry: Entry) -> None:
    """Print what a task writes until no run is at it any more."""
    readers = _readers(place, entry)
    while any(reader.is_pending(node) for reader, node in readers):
        for log in logs:
            log.print_more()
        time.sleep(_PAUSE)
        for reader, _ in readers:
            reader.refresh()


def _readers(place: Place, entry: Entry) -> list[tuple[RunReader, int]]:
    """Give the runs that go on and have this task to run, with its node in each."""
    from ..look.history import RunReader, read_run

    readers = [RunReader(directory) for directory in place.runs() if read_run(directory).alive]
    return [
        (reader, task.node)
        for reader in readers
        for task in reader.tasks()
        if (task.name, task.id) == (entry.name, entry.id)
    ]
