"""The cache in use: the one that `Context.cache_dir` names, or that a worker was handed by its driver."""
from __future__ import annotations

import sys

from ..store import cache


def current_cache() -> cache.Cache:
    """Give the cache that `Context.cache_dir` names now."""
    if cache.handed_over and "taskproc.tasks.settings" not in sys.modules:
        return cache.open_cache(cache.handed_over)
    from .settings import Context

    return cache.open_cache(Context.cache_dir)
