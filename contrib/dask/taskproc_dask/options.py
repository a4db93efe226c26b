"""What can be said of a Dask cluster."""
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taskproc.plugin import OptionError, Portable, count, option, seconds


def settings(value: Any) -> tuple[str, ...]:
    """Take the arguments of a cluster class as `name=value, ...`, a list of these, or a table.

    >>> settings("queue=short, cores=4")
    ('queue=short', 'cores=4')
    >>> settings({"cores": 4, "job_extra_directives": ["-A lab"]})
    ('cores=4', 'job_extra_directives=["-A lab"]')
    """
    if isinstance(value, Mapping):
        return tuple(f"{name}={item if isinstance(item, str) else json.dumps(item)}" for name, item in value.items())
    items = [item.strip() for item in value.split(",")] if isinstance(value, str) else [str(item) for item in value]
    for item in items:
        if not item.partition("=")[0].isidentifier() or "=" not in item:
            msg = f"{item!r} is not of the form name=value"
            raise ValueError(msg)
    return tuple(items)


def class_name(value: Any) -> str:
    """Accept `module:Class`.

    >>> class_name("dask_jobqueue:SLURMCluster")
    'dask_jobqueue:SLURMCluster'
    """
    module, _, name = str(value).partition(":")
    if not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        msg = f"{value!r} is not of the form module:Class, such as dask_jobqueue:SLURMCluster"
        raise ValueError(msg)
    return str(value)


@dataclass(frozen=True)
class DaskOptions(Portable):
    """Which cluster to use. `cpus`, `mem` and `time` of the run describe a pilot job; tasks share what it has."""

    address: str | None = option(None, help="A scheduler that runs, such as tcp://host:8786.")
    cluster: str | None = option(
        None, help="A cluster to start: module:Class, such as dask_jobqueue:SLURMCluster.", parse=class_name
    )
    cluster_options: tuple[str, ...] = option((), help="Its arguments: name=value, ...", parse=settings)
    workers: int | None = option(None, help="Dask workers or pilot jobs to start; max_workers by default.", parse=count)

    def __post_init__(self) -> None:
        if self.address and (self.cluster or self.cluster_options or self.workers):
            msg = "address names a cluster that runs, so cluster, cluster_options and workers have no meaning beside it"
            raise OptionError(msg)
        if self.cluster_options and not self.cluster:
            msg = "cluster_options are arguments of a cluster class; name it with cluster=module:Class"
            raise OptionError(msg)

    def arguments(self) -> dict[str, Any]:
        """Give the arguments of the cluster class: those written out, and those that follow from what a task asks for.

        >>> DaskOptions(cluster="m:C", cluster_options=("queue=short", "cores=4"), time="01:00:00").arguments()
        {'walltime': '01:00:00', 'queue': 'short', 'cores': 4}
        """
        portable: dict[str, Any] = {"cores": self.cpus, "memory": self.mem and f"{self.mem}iB", "walltime": None}
        if self.time:
            minutes, second = divmod(seconds(self.time), 60)
            portable["walltime"] = f"{minutes // 60:02}:{minutes % 60:02}:{second:02}"
        written = {name: _read(value) for name, _, value in (item.partition("=") for item in self.cluster_options)}
        return {**{name: value for name, value in portable.items() if value is not None}, **written}


def _read(text: str) -> Any:
    """Read a value as JSON where it is, and as a word where it is not."""
    try:
        return json.loads(text)
    except ValueError:
        return text
