"""Kept so that code written for 0.13 finds the graph of a task where it was."""
from __future__ import annotations

from .plan.graph import Plan, TaskGraph
from .tasks.failed import FailedTaskError

__all__ = ["FailedTaskError", "Plan", "TaskGraph"]
