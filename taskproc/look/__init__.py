"""Looking at tasks, caches and runs without running anything: history, progress, explanations, pages.

May import all that is before it. Begin with `history`, which says what became of each task of a run.
"""
