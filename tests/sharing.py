"""Which tests stay in one process when pytest-xdist spreads them: those that share something that is dear to start."""
from __future__ import annotations

import pytest


def group_of(item: pytest.Item) -> str:
    """Name what a test shares: a kind of cluster, the browser, or what its file sets up; nothing if it may go anywhere.

    Args:
        item: A collected test.
    """
    names = getattr(item, "fixturenames", ())
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if "slurm_accounting" in names or parameters.get("slurm") == "accounting":
        return "slurm with accounting"
    if "slurm" in names or "slurm_plain" in names:
        return "slurm"
    if "sge" in names:
        return "sge"
    if "browser" in names:
        return "browser"
    definitions = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    return str(item.path) if any(found[-1].scope in ("class", "module") for found in definitions.values()) else ""
