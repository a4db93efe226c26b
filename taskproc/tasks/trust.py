"""Whether the results in a cache may be read: they are pickles, so who may write them may run code as their reader."""
from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from ..base.errors import UntrustedCacheError


def check_trust(root: str, class_directories: Iterable[str] = ()) -> None:
    """Refuse a cache that everybody may write to, or that somebody else owns, unless the settings trust it.

    Directories of root's are trusted, and those that a group may write to: a lab may share a cache.

    Args:
        root: The cache's own directory, `{cache_dir}/taskproc`.
        class_directories: The directories of the classes that are about to be read.

    Raises:
        UntrustedCacheError: It is not to be trusted.
    """
    reason = _why_not(os.path.dirname(root), sticky_will_do=True)
    for directory in (root, f"{root}/.runs", *class_directories):
        reason = reason or _why_not(directory)
    if reason and not _is_trusted():
        msg = (
            f"{reason}; results are pickles, so others could have them run any code. If you trust the cache all the "
            "same, say --trust-cache, TP_TRUST_CACHE=1, or trust_cache = true in a settings file."
        )
        raise UntrustedCacheError(msg)


def _why_not(directory: str, sticky_will_do: bool = False) -> str:
    """Say why a directory is not to be trusted; nothing if it is, or is not there.

    In a sticky directory, such as /tmp, others can add names but not replace ours.
    """
    try:
        status = os.stat(directory)
    except OSError:
        return ""
    if status.st_uid not in (0, os.geteuid()):
        return f"{directory} belongs to another user (number {status.st_uid})"
    if status.st_mode & stat.S_IWOTH and not (sticky_will_do and status.st_mode & stat.S_ISVTX):
        return f"everybody may write to {directory} (try: chmod o-w {directory})"
    return ""


def _is_trusted() -> bool:
    from .settings import Context

    return Context.trust_cache
