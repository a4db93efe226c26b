"""The LSF stand-in as a fixture."""

from tests.fakes.lsf.harness import fake_lsf

__all__ = ["fake_lsf"]
