"""What one Slurm job asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from taskproc_backends.batch import BatchOptions, flags

from taskproc.plugin import OptionError, count, memory, option

# sbatch's flags that taskproc sets itself, or that would break how it follows its jobs.
_OURS = re.compile(
    r"--(array|error|export-file|help|job-name|output|parsable|quiet|requeue|test-only|usage|version|wait|wrap)"
    r"(=.*)?|-[aeJoWQhV].*",
    re.DOTALL,
)


def further_flags(value: Any) -> tuple[str, ...]:
    """Accept flags for sbatch that taskproc does not set itself.

    >>> further_flags("--licenses=matlab:1 --exclusive")
    ('--licenses=matlab:1', '--exclusive')
    """
    words = flags(value)
    for word in words:
        if _OURS.fullmatch(word):
            msg = f"{word!r} is not for `extra`: taskproc sets it, or depends on it"
            raise ValueError(msg)
    return words


@dataclass(frozen=True)
class SlurmOptions(BatchOptions):
    """The portable options, what all batch schedulers share, and Slurm's own."""

    partition: str | None = option(None, help="Partition to submit to; several with commas.")
    account: str | None = option(None, help="Account to charge.")
    qos: str | None = option(None, help="Quality of service.")
    constraint: str | None = option(None, help="Features that a node must have, such as a100|h100.")
    nodes: str | None = option(None, help="Number of nodes, or least-most; our worker runs on the first.")
    ntasks: int | None = option(None, help="Slots for the srun calls that a task makes itself.", parse=count)
    mem_per_cpu: str | None = option(None, help="Memory per CPU, instead of mem.", parse=memory)
    gres: str | None = option(None, help="Generic resources, such as gpu:a100:2.")
    exclude: str | None = option(None, help="Nodes to avoid, such as n[3-5].")
    reservation: str | None = option(None, help="Reservation to use.")
    nice: int | None = option(None, help="Priority adjustment; positive is later.")
    comment: str | None = option(None, help="Comment on the job.")
    extra: tuple[str, ...] = option((), help="Further flags for sbatch.", parse=further_flags)

    def __post_init__(self) -> None:
        if self.mem is not None and self.mem_per_cpu is not None:
            msg = "mem and mem_per_cpu exclude each other; keep the one that you mean"
            raise OptionError(msg)
