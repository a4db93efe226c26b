"""What the tests of faults share: drivers that can be broken at will."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.nursery import Nursery
from tests.faults.shim import build


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the library that breaks the disk."""
    return build(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory, shim: Path) -> Iterator[Nursery]:
    """Give the process that forks drivers."""
    nursery = Nursery(tmp_path_factory.mktemp("drivers"), shim)
    yield nursery
    nursery.close()
