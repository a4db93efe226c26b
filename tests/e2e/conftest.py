"""What the tests of the command share."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import Command


@pytest.fixture
def taskproc(tmp_path: Path) -> Command:
    """Run the command in an empty directory."""
    home = tmp_path / "home"
    home.mkdir()
    return Command(home)
