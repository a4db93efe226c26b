"""The sleeping tasks of 0.13's test, in a module that is quick to import."""
from __future__ import annotations

import time

from taskproc import RequiresList, Task, TaskBase


class SleepTask(TaskBase):
    prevs: RequiresList[float]

    def __init__(self, *prevs: Task[float]):
        self.prevs = list(prevs)

    def run_task(self) -> float:
        time.sleep(0.5)
        return 0.5 + max(self.prevs, default=0)
