"""The real command in a process of its own: with pipes, and on a terminal."""
from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.support import PACKAGES, Ended


class Command:
    """Runs `taskproc` in a directory of its own.

    Args:
        home: The working directory, where task files are written.
    """

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *args: str | Path, timeout: float = 60, stdin: str = "", **env: str) -> Ended:
        """Run the command to its end."""
        done = subprocess.run(
            self.argv(*args), cwd=self.home, env=self.environment(env), input=stdin, capture_output=True, text=True,
            timeout=timeout, check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *args: str | Path, **env: str) -> subprocess.Popen[str]:
        """Start the command in a process group of its own."""
        return subprocess.Popen(
            self.argv(*args), cwd=self.home, env=self.environment(env), text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )

    def on_terminal(self, *args: str | Path, lines: int = 30, columns: int = 100, **env: str) -> Terminal:
        """Start the command on a terminal of its own."""
        return Terminal(self.argv(*args), self.home, self.environment(env), lines, columns)

    def file(self, text: str, name: str = "tasks.py") -> Path:
        """Write a task file."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def argv(self, *args: str | Path) -> list[str]:
        """Build the command line."""
        return [sys.executable, "-m", "taskproc", *map(str, args)]

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """Give the environment, without anything that would steer taskproc."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TP_", "COV_"))}
        path = os.pathsep.join([*PACKAGES, *filter(None, [os.environ.get("PYTHONPATH")])])
        return {**inherited, "PYTHONPATH": path, "PYTHONFAULTHANDLER": "1", **more}


@dataclass
class Terminal:
    """A process on a pseudo-terminal, whose controlling terminal it is."""

    argv: list[str]
    home: Path
    env: dict[str, str]
    lines: int
    columns: int

    def __post_init__(self) -> None:
        self.output = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(self.home)
                os.execve(self.argv[0], self.argv, {**self.env, "TERM": "xterm"})
            finally:
                os._exit(127)
        self._resize()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self.fd)

    def type(self, text: str) -> None:
        """Type on the keyboard; `\\x03` is Ctrl-C."""
        os.write(self.fd, text.encode())

    def wait_for(self, text: str, seconds: float = 30) -> str:
        """Read until a text appears."""
        deadline = time.monotonic() + seconds
        while text not in self.output:
            if not self._read(deadline - time.monotonic()):
                msg = f"no {text!r} in:\n{self.output}"
                raise AssertionError(msg)
        return self.output

    def end(self, seconds: float = 30) -> int:
        """Read to the end; give the exit status."""
        deadline = time.monotonic() + seconds
        while self._read(deadline - time.monotonic()):
            pass
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        msg = f"still running:\n{self.output}"
        raise AssertionError(msg)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.fd], [], [], max(0.0, seconds))
        if not ready:
            return False
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:  # on Linux, the other side is closed
            return False
        self.output += data.decode("utf-8", "replace")
        return bool(data)

    def _resize(self) -> None:
        import fcntl
        import struct
        import termios

        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", self.lines, self.columns, 0, 0))
