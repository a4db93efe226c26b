"""`local`, the default: prefixed tasks go to `prefix`, all others to `process`."""
from __future__ import annotations

from taskproc.plugin import BackendPlugin, Job, Portable


def route(job: Job) -> str:
    """Name the backend for a job."""
    return "prefix" if job.prefix else "process"


plugin = BackendPlugin("local", "Processes of this machine, behind prefix commands if any.", Portable, route=route)
