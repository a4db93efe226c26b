"""A script that is edited between its runs, each of which is a process of its own."""
from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.support import Ended, ScriptRunner

NOTE = """
def note(name):
    with open("ran.txt", "a") as file:
        print(name, file=file)
"""


class Project:
    """A script of steps, which say that they run by `note`.

    Args:
        run_script: Where it lies.
        text: The script's text; `note` is put at its end.
        environment: Variables of its runs.
    """

    def __init__(self, run_script: ScriptRunner, text: str, **environment: str) -> None:
        self.text = text + NOTE
        self._run_script = run_script
        self._environment = environment
        self._ran = run_script.home / "ran.txt"

    def edit(self, before: str, after: str) -> None:
        """Replace a part of the text that is there once."""
        assert self.text.count(before) == 1
        self.text = self.text.replace(before, after)

    def command(self, *arguments: str, check: bool = True) -> Ended:
        """Give a command of taskproc."""
        return self._run(["-m", "taskproc", *arguments], check)

    def do(self, statement: str) -> str:
        """Do something with the steps, and give what was printed."""
        return self._run(["-c", f"from steps import *; {statement}"]).out.strip()

    def run(self, *options: str, check: bool = True) -> list[str]:
        """Run it all, and give the names of what ran, sorted."""
        self.command("steps.py", "--no-progress", *options, check=check)
        return self.ran

    @property
    def ran(self) -> list[str]:
        """What the last process ran, sorted."""
        return sorted(self._ran.read_text().split())

    def _run(self, arguments: Sequence[str], check: bool = True) -> Ended:
        self._ran.write_text("")
        self._run_script.write(self.text, "steps.py")
        return self._run_script.run([sys.executable, *arguments], env=self._environment, check=check)
