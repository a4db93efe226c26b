"""Describes the machine that was measured."""
from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import psutil

from taskproc.tasks.settings import load_settings


def describe_machine(scratch: Path) -> dict[str, str]:
    """Say what a reader needs to judge the figures."""
    return {
        "processor": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "file system": _file_system(scratch.resolve()),
        "python": platform.python_version(),
        "fsync": "on" if load_settings().fsync else "off",
        "load before": f"{os.getloadavg()[1]:.1f}",
    }


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor()


def _file_system(path: Path) -> str:
    mounts = [(part.mountpoint, part.fstype) for part in psutil.disk_partitions(all=True)]
    around = [(len(point), kind) for point, kind in mounts if path.is_relative_to(point)]
    return max(around)[1] if around else "unknown"
