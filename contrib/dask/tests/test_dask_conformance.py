"""The backend `dask` keeps the contract, on a cluster of its own and on one that others run."""
from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from distributed import LocalCluster

from taskproc.testing import BackendConformance


class TestOwnCluster(BackendConformance):
    backend = "dask"


class TestOthersCluster(BackendConformance):
    """Dask's workers are processes that know nothing of the driver."""

    backend = "dask"

    @pytest.fixture(autouse=True)
    def address(self, others: str) -> None:
        type(self).options = {"address": others}


@pytest.fixture(scope="module")
def others() -> Iterator[str]:
    """Run a cluster as somebody else would; give its address."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=logging.ERROR
    ) as cluster:
        yield cluster.scheduler_address


del BackendConformance
