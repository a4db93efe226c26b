"""Runs on disk, those of the dead included: their directories and ledgers, claims on tasks, jobs left on a cluster.

May import what is before it: `base`, `store`, `tasks`, `work`, the contract, `plan`. Begin with `ledger`.
"""
