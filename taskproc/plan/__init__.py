"""What must run, and why: the graph below a task, compared with what the cache has.

May import `base`, `store`, `tasks`, `work` and the contract. Begin with `graph`.
"""
