"""The command `taskproc`: `taskproc file.py` runs a task file; further words are commands of their own.

What a command needs is imported when it runs, so that `--help` and completion answer at once.
"""
from __future__ import annotations

from .accept import accept
from .backends import backends
from .clear import clear
from .gc import gc
from .graph import graph
from .group import CommandGroup
from .logs import logs
from .move import move
from .result import result
from .run import run
from .run_report import run_report
from .runs import runs
from .status import status
from .verify import verify
from .why import why

__all__ = ["main"]

main = CommandGroup(
    "taskproc",
    default=run,
    commands=[
        run,
        status,
        runs,
        why,
        logs,
        result,
        graph,
        run_report,
        accept,
        move,
        backends,
        clear,
        gc,
        verify,
    ],
)
