"""What this machine has to share out among tasks: CPUs, memory and GPUs."""
from __future__ import annotations

import os
from dataclasses import dataclass

from taskproc.plugin import Portable, mebibytes


@dataclass(frozen=True)
class Share:
    """What one task was given."""

    cpus: int
    mem: int
    gpus: tuple[str, ...]


class Slots:
    """Shares the machine out. A task that asks for more than there is gets all of it, alone.

    Args:
        cpus: How many CPUs there are to share.
    """

    def __init__(self, cpus: int) -> None:
        self._all_cpus = self._cpus = cpus
        self._all_mem = self._mem = _total_memory()
        self._gpus = _visible_gpus()
        self._all_gpus = len(self._gpus)

    def take(self, request: Portable) -> Share | None:
        """Take what a task asks for; None while there is too little left."""
        cpus = min(request.cpus or 1, self._all_cpus)
        mem = min(mebibytes(request.mem) if request.mem else 0, self._all_mem)
        gpus = min(request.gpus or 0, self._all_gpus)
        if cpus > self._cpus or mem > self._mem or gpus > len(self._gpus):
            return None
        self._cpus -= cpus
        self._mem -= mem
        given, self._gpus = tuple(self._gpus[:gpus]), self._gpus[gpus:]
        return Share(cpus, mem, given)

    def give_back(self, share: Share) -> None:
        """Take a share back."""
        self._cpus += share.cpus
        self._mem += share.mem
        self._gpus = sorted([*self._gpus, *share.gpus])


def _total_memory() -> int:
    """Give the machine's memory in MiB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20


def _visible_gpus() -> list[str]:
    """Name the GPUs that this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    try:
        return [str(number) for number in range(len(os.listdir("/proc/driver/nvidia/gpus")))]
    except OSError:
        return []
