"""The backend `dask` keeps the contract, on a cluster of its own and on one that runs already."""
from __future__ import annotations

from taskproc.testing import BackendConformance


class TestOwnCluster(BackendConformance):
    backend = "dask"
