"""What people look at: a task graph, or a run, as a page of its own or as text for other tools.

Only commands and notebooks import this; neither a driver nor a worker does.
"""
