"""Tasks that wait for one another, in a module that is quick to import."""
from __future__ import annotations

import time
from pathlib import Path

from taskproc import RequiresList, Task, TaskBase

LONGEST = 120.0  # seconds


class Meets(TaskBase):
    """Shows that it runs, and ends when another does, too."""

    befores: RequiresList[list[str]]

    def __init__(self, place: Path, name: str, *befores: Task[list[str]], meets: str = ""):
        self.place, self.name, self.meets = place, name, meets
        self.befores = list(befores)

    def run_task(self) -> list[str]:
        (self.place / self.name).touch()
        deadline = time.monotonic() + LONGEST
        while self.meets and not (self.place / self.meets).exists():
            assert time.monotonic() < deadline, f"{self.name} was alone all the time"
            time.sleep(0.02)
        return [*(name for names in self.befores for name in names), self.name]
