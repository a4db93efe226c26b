"""The suite that tells a backend's author whether the backend keeps the contract.

>>> from taskproc.testing import BackendConformance
>>> class TestMine(BackendConformance):
...     backend = "mine"
...     options = {"queue": "short"}

That is a whole test file for pytest. `docs/write-a-backend.md` lists the clauses that failures name.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bench import Bench
    from .clauses import CLAUSES, ContractBroken
    from .contract import BackendContract
    from .graphs import BackendConformance, BackendGraphs
    from .place import fresh_cache
    from .recorder import Recorder

__all__ = [
    "CLAUSES",
    "BackendConformance",
    "BackendContract",
    "BackendGraphs",
    "Bench",
    "ContractBroken",
    "Recorder",
    "fresh_cache",
]

_MODULES = {
    "BackendConformance": "graphs",
    "BackendContract": "contract",
    "BackendGraphs": "graphs",
    "Bench": "bench",
    "CLAUSES": "clauses",
    "ContractBroken": "clauses",
    "Recorder": "recorder",
    "fresh_cache": "place",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: workers, which only want the tasks, need no pytest."""
    from importlib import import_module

    if name not in _MODULES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        import pytest  # noqa: F401
    except ModuleNotFoundError as error:
        msg = "taskproc.testing needs pytest, which is not installed here; pip install pytest"
        raise ImportError(msg) from error
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
