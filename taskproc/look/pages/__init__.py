"""What people look at: a task graph, or a run, as a page of its own, in a notebook, or as text for other tools.

Only commands and notebooks import this; neither a driver nor a worker does.

Example:
    >>> from taskproc import graph_page, run_report
    >>> graph_page(Main()).save("graph.html")  # doctest: +SKIP
    >>> run_report().save("report.html")  # doctest: +SKIP
"""
from .shown import Page, graph_page, run_report

__all__ = ["Page", "graph_page", "run_report"]
