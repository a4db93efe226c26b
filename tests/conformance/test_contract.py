"""The backends that we ship keep the contract: the suite that every author of a backend inherits, over ours."""
from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path
from typing import Any, ClassVar

import pytest

from taskproc.testing import BackendConformance, BackendGraphs


class TestThread(BackendConformance):
    backend = "thread"
    apart = False
    isolated = False


class TestProcess(BackendConformance):
    backend = "process"


class TestPrefix(BackendConformance):
    backend = "prefix"
    many = 30


class TestLocal(BackendConformance):
    backend = "local"


class OnAPool:
    """The caller brings the workers, and keeps them."""

    backend = "executor"
    isolated = False
    kind: ClassVar[str]
    options: ClassVar[dict[str, Any]]

    @pytest.fixture(autouse=True)
    def pool(self, pools: dict[str, Executor]) -> None:
        type(self).options = {"pool": pools[self.kind]}

    def how(self) -> dict[str, Any]:
        return {"executor": self.options["pool"]}


class TestThreadPool(OnAPool, BackendConformance):
    kind = "thread pool"
    apart = False


class TestProcessPool(OnAPool, BackendConformance):
    kind = "process pool"


class PackedResults:
    """Small results go to one file for each class."""

    @pytest.fixture(autouse=True)
    def packed(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TP_STORE", "packed")


class TestThreadPacked(PackedResults, BackendGraphs):
    backend = "thread"
    apart = False
    isolated = False


class TestProcessPacked(PackedResults, BackendGraphs):
    backend = "process"


class TestPrefixPacked(PackedResults, BackendGraphs):
    backend = "prefix"
    many = 30


class TestProcessPoolPacked(PackedResults, OnAPool, BackendGraphs):
    kind = "process pool"


del BackendConformance, BackendGraphs, OnAPool  # pytest would run what it finds here
