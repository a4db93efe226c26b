"""Which packages of others the user's modules import."""
from __future__ import annotations

import sys
from collections.abc import Iterable

from .bindings import imports_anywhere
from .modules import OURS, Module
from .resolver import Resolver


def imported_packages(program: Resolver, modules: Iterable[Module]) -> frozenset[str]:
    """Name the modules at the top of all that modules import, and the user's modules that they import in turn.

    Python's own modules are left out. Names are given that no package has, too, as of an import that may fail.
    """
    found: set[str] = set()
    waiting, seen = list(modules), set()
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        for parsed in module.trees():
            every = imports_anywhere(parsed.tree)
            waiting += program.imported_modules(module, every)
            found.update(imported.module.partition(".")[0] for imported in every if not imported.level)
    return frozenset(
        name for name in found.difference(sys.stdlib_module_names, OURS) if name and program.find(name) is None
    )
