"""Where `logging` in a task goes: to the task's own log."""
from __future__ import annotations

import logging
import sys
from typing import Any


class TaskLog(logging.StreamHandler):  # type: ignore[type-arg]  # which is no generic class at run time
    """Writes to what is the standard error just now."""

    def __init__(self, level: int) -> None:
        logging.Handler.__init__(self, level)

    @property
    def stream(self) -> Any:
        return sys.stderr
