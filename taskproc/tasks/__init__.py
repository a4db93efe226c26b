"""What a task is: its arguments and identity, what it requires, its construction, its source text, its settings.

Runs nothing. May import `base` and `store`. Begin with `node`, the part of a task that every other room knows.
"""
