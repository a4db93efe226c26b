"""One run, from a plan to its results: the only writer of `runs`.

May import what is before it: `base`, `store`, `tasks`, `work`, the contract, `plan`, `runs`. Begin with `run`, which
puts a run together.
"""
