"""The clusters' own tests use the fixtures that they give to everyone."""

from tests.clusters.plugin import breakable_sge, breakable_slurm, sge, slurm, slurm_accounting, slurm_plain

__all__ = ["breakable_sge", "breakable_slurm", "sge", "slurm", "slurm_accounting", "slurm_plain"]
