"""The systems that are compared: ours, the limits and the peers. Each has a module, run in its own environment."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

State = Literal["cold", "no-op", "one-changed"]
STATES: tuple[State, ...] = ("cold", "no-op", "one-changed")
Kind = Literal["ours", "limit", "peer"]


@dataclass(frozen=True)
class System:
    """One line of the table.

    Attributes:
        name: What it is called there.
        module: Its module in this package.
        kind: Ours, a limit, or a peer.
        requirements: What pip installs into its environment; nothing: it runs in the runner's own.
        settings: Environment variables.
        states: What can be measured of it.
        keeps: Whether its results are on disk afterwards.
        command: The command that is measured, with `{bin}` for its environment's programs and `{place}`; else it is
            `benchmarks.program`.
        note: What a reader should know.
    """

    name: str
    module: str
    kind: Kind
    requirements: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    states: tuple[State, ...] = STATES
    keeps: bool = True
    command: tuple[str, ...] = ()
    note: str = ""


def _ours(name: str, backend: str, store: str) -> System:
    return System(name, "ours", "ours", settings={"TP_BACKEND": backend, "TP_STORE": store})


_NOT_CLEARED: tuple[State, ...] = ("cold", "no-op")  # one result cannot be dropped by itself

TREE = "taskproc"
PACKED = "taskproc packed"
THREAD = "taskproc thread"
RAW = "raw"
RAW_PACKED = "raw-packed"
RAW_THREAD = "raw-thread"
NINJA = "ninja"

SYSTEMS = [
    _ours(TREE, "process", "tree"),
    _ours(PACKED, "process", "packed"),
    _ours(THREAD, "thread", "tree"),
    System(RAW, "raw", "limit", states=("cold",), note="ProcessPoolExecutor, one submit per task, the same files"),
    System(
        RAW_THREAD, "raw", "limit", settings={"BENCHMARK_POOL": "thread"}, states=("cold",),
        note="ThreadPoolExecutor, the same files",
    ),
    System(RAW_PACKED, "raw_packed", "limit", states=("cold",), note="ProcessPoolExecutor in chunks, SQLite in groups"),
    System(
        NINJA, "ninja", "limit", states=("no-op",), command=("ninja", "-C", "{place}"),
        note="finds out that nothing is to be done; its files were made before",
    ),
    System("taskproc 0.13.0", "ours", "peer", ("taskproc==0.13.0",)),
    System("taskproc 0.25.3", "taskproc_025", "peer", ("taskproc==0.25.3",)),
    System("joblib", "joblib", "peer", ("joblib",), note="Memory under Parallel (loky), wave after wave of nodes"),
    System(
        "dask", "dask", "peer", ("dask",), states=("cold",), keeps=False,
        note="scheduler for processes; keeps no results",
    ),
    System("luigi", "luigi", "peer", ("luigi",), note="no-op and one-changed look at the last result only"),
    System("doit", "doit", "peer", ("doit",)),
    System("redun", "redun", "peer", ("redun",), states=_NOT_CLEARED),
    System("parsl", "parsl", "peer", ("parsl>=2026.1",), states=_NOT_CLEARED, note="threads, checkpoint at the end"),
    System("executorlib", "executorlib", "peer", ("executorlib[cache]",), states=_NOT_CLEARED),
    System(
        "snakemake", "snakemake", "peer", ("snakemake",), note="a line of shell for each node",
        command=("{bin}/snakemake", "--cores", "{workers}", "--directory", "{place}", "-s", "{place}/Snakefile", "-q"),
    ),
    System(
        "pytask", "pytask", "peer", ("pytask", "pytask-parallel"), note="with pytask-parallel",
        command=("{bin}/pytask", "build", "-n", "{workers}", "{place}"),
    ),
]  # fmt: skip
