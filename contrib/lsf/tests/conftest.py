"""What the tests of taskproc-lsf stand on: the LSF stand-in, and scripts with a cache of their own."""
from __future__ import annotations

from tests.conftest import run_script
from tests.fakes.lsf.harness import fake_lsf

__all__ = ["fake_lsf", "run_script"]
