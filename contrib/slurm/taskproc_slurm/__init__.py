"""Run taskproc's tasks as Slurm job arrays. Registered as the backend `slurm`."""

from __future__ import annotations

from taskproc_backends.batch import BatchBackend

from taskproc.plugin import BackendContext, BackendPlugin

from .answers import LOG_CAUSES
from .options import SlurmOptions
from .slurm import Slurm

__all__ = ["Slurm", "SlurmOptions", "plugin"]


def _make(context: BackendContext) -> BatchBackend:
    return BatchBackend(Slurm(), context, log_causes=LOG_CAUSES)


plugin = BackendPlugin(
    name="slurm", summary="Slurm job arrays, from a login node.", options=SlurmOptions, factory=_make
)
