"""Run taskproc's tasks as LSF job arrays. Registered as the backend `lsf`."""

from __future__ import annotations

import shlex
from pathlib import Path

from taskproc_backends.batch import BatchBackend

from taskproc.plugin import BackendContext, BackendPlugin

from .lsf import Lsf
from .options import LsfOptions

__all__ = ["Lsf", "LsfOptions", "plugin"]


def _make(context: BackendContext) -> BatchBackend:
    return BatchBackend(Lsf(), context, prologue=prologue)


def prologue(logs: Path) -> str:
    """Write what a script does first.

    LSF shows a job's output only when the job has ended, and with a report of its own behind it; so the script
    itself sends it where it belongs. What bsub was told about its own retries is not for the tasks.
    """
    return f'exec >> {shlex.quote(str(logs))}/"$((element + {Lsf.first}))".txt 2>&1\nunset LSB_NTRIES'


plugin = BackendPlugin(name="lsf", summary="LSF job arrays, from a login node.", options=LsfOptions, factory=_make)
