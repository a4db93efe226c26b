"""What third parties bring: backends and listeners, found by name and checked.

The contract itself is `taskproc.plugin`, beside this room. May import that, `base`, `store`, `tasks` and `work`.
"""
