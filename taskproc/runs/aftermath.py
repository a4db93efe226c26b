"""Tidies up after drivers that died, once nothing of theirs is alive and nobody may want to follow their jobs."""
from __future__ import annotations

import os
import shutil

from ..store.cache import Cache
from .adoption import Orphan, Orphans, is_filed, withdraw
from .claims import Claims
from .ledger import NESTED, driver_lives, run_directories
from .staging import has_ended
from .tidying import clear_sets, tidy


def tidy_up(claims: Claims, orphans: Orphans, cache: Cache) -> None:
    """Remove what dead runs left: scratch files, filed jobs, claims on attempts that have ended, directories, entries.

    The claim on an attempt that may still run elsewhere stays: a run that wants the task will find the attempt by it,
    and follow it or withdraw it.

    Args:
        claims: The claims of all drivers.
        orphans: Finds what dead drivers filed.
        cache: The cache.
    """
    ended = []
    for run in claims.dead_runs():
        alive = {orphan.nonce for orphan in orphans.of(run) if _may_run(orphan)}
        over = [digest for digest, claim in claims.of(run).items() if claim.nonce not in alive]
        claims.drop(over, run)
        if not alive:
            tidy(f"{cache.runs}/{run}")
            ended.append(run)
    if ended and claims.is_alone(ended):  # so that nobody follows what they filed
        for run in ended:
            clear_sets(f"{cache.runs}/{run}")
        for store in cache.class_stores():
            store.remove_abandoned(lambda: claims.is_alone(ended))
        claims.strike_out(ended)


def forget_old_runs(claims: Claims, cache: Cache, keep: int) -> None:
    """Remove the directories of old runs, but for the newest ones, and the newest of those that tasks started.

    A run that lives, or has left claims or jobs that somebody must see to, stays.

    Args:
        claims: The claims of all drivers.
        cache: The cache.
        keep: How many runs of each kind stay.
    """
    found = run_directories(cache.runs)
    nested = [path for path in found if path.endswith(NESTED)]
    old = nested[keep:] + [path for path in found if not path.endswith(NESTED)][keep:]
    needed = claims.runs() if old else set()
    for path in old:
        if os.path.basename(path) not in needed and not driver_lives(path):
            shutil.rmtree(path, ignore_errors=True)


def _may_run(orphan: Orphan) -> bool:
    """Whether an attempt may outlive its driver; one that may not is taken out of the race."""
    if not orphan.durable:
        withdraw(orphan.directory, orphan.nonce)
        return False
    return is_filed(orphan.directory, orphan.nonce) and not has_ended(orphan.ref.staged, orphan.nonce)
