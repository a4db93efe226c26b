"""What goes from a run's directory when the run is over: scratch files, and the jobs that it filed."""
from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from ..store import files

SET = "tp-"  # begins the name of a set of staged jobs
LOGS = "log"  # in a set, what its backend and the scheduler wrote for people
_FILED = ("jobs.json", "payloads", "ended")
_LONG = 1 << 18  # bytes: longer ledgers are compressed


def tidy(path: str) -> None:
    """Remove from a run's directory what only its driver and its own workers needed."""
    try:
        names = os.listdir(path)
    except FileNotFoundError:  # removed by hand
        return
    for name in names:
        if name in ("output", "apart") or name.startswith(("classes-", "texts.pkl")):
            with contextlib.suppress(OSError):  # a process that a task left holds its log open on a distant disk
                files.remove(f"{path}/{name}")
    _shrink(f"{path}/ledger.jsonl")


def clear_sets(path: str) -> None:
    """Remove the sets of jobs that a run filed, once nobody starts or follows them any more.

    A set whose logs say something keeps them, with what its backend wrote beside them, for as long as the run is kept.
    """
    for backend in _directories(path):
        for staged in _directories(backend):
            if os.path.basename(staged).startswith(SET):
                _clear_set(staged)
        _remove_if_empty(backend)


def _clear_set(staged: str) -> None:
    for log in _files(f"{staged}/{LOGS}"):
        with contextlib.suppress(OSError):
            if log.stat().st_size == 0:
                os.unlink(log.path)
    _remove_if_empty(f"{staged}/{LOGS}")
    if os.path.exists(f"{staged}/{LOGS}"):
        for name in _FILED:
            with contextlib.suppress(OSError):
                files.remove(f"{staged}/{name}")
    else:
        shutil.rmtree(staged, ignore_errors=True)


def _shrink(path: str) -> None:
    """Compress a long ledger that nobody will add to."""
    import gzip

    temporary = f"{path}.{os.getpid()}.tmp"  # two drivers may tidy the same run
    with contextlib.suppress(FileNotFoundError):  # there is none, or it is compressed by now
        if os.path.getsize(path) < _LONG:
            return
        try:
            with open(path, "rb") as plain, gzip.open(temporary, "wb", compresslevel=1) as packed:
                shutil.copyfileobj(plain, packed, _LONG)
        except OSError:  # no room for another
            files.remove(temporary)
            return
        os.replace(temporary, f"{path}.gz")
        os.unlink(path)


def _directories(path: str) -> list[str]:
    with _entries(path) as entries:
        return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]


def _files(path: str) -> list[os.DirEntry[str]]:
    with _entries(path) as entries:
        return [entry for entry in entries if entry.is_file(follow_symlinks=False)]


@contextlib.contextmanager
def _entries(path: str) -> Iterator[Iterator[os.DirEntry[str]]]:
    try:
        found = os.scandir(path)
    except OSError:
        yield iter(())
        return
    with found:
        yield found


def _remove_if_empty(path: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(path)
