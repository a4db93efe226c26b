"""Run taskproc's tasks on a Dask cluster. Registered as the backend `dask`."""
from __future__ import annotations

from taskproc.plugin import BackendPlugin

from .backend import DaskBackend
from .options import DaskOptions

__all__ = ["DaskBackend", "DaskOptions", "plugin"]

plugin = BackendPlugin(
    name="dask",
    summary="A Dask cluster: this machine's, one that runs, or pilot jobs on a batch system.",
    options=DaskOptions,
    factory=DaskBackend,
    api_version=1,
)
