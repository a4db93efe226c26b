"""Paths and bytes: where a cache keeps the results of each class, under which ids, behind which locks.

May import `base`. Begin with `cache`, the layout from above, then `files`, the format of one result.
"""
