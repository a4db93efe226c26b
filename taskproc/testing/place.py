"""Where the suite's tests run: a directory and a cache of their own, and scripts as a user would run them."""
from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..store import cache as stores
from ..tasks import construction
from ..tasks.settings import Context


@contextmanager
def fresh_cache(directory: Path) -> Iterator[Path]:
    """Use a cache of one's own for a while, and forget the tasks that were made before.

    Args:
        directory: Where it is; it need not exist.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as scratch, fresh_cache(Path(scratch)) as cache:
        ...     print(Context.cache_dir == cache)
        True
    """
    variables = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("TP_")}
    os.environ["TP_CACHE_DIR"] = str(directory)
    before = Context._assigned.get("cache_dir")
    Context.cache_dir = directory
    construction._memos.clear()
    try:
        yield directory
    finally:
        if before is None:
            del Context.cache_dir
        else:
            Context.cache_dir = before
        os.environ.pop("TP_CACHE_DIR", None)
        os.environ.update(variables)
        for path in [path for path in stores._class_stores if path.startswith(f"{directory}/")]:
            stores._class_stores.pop(path).close()
        gc.collect()


@dataclass
class Script:
    """A Python script that runs as a process of its own.

    Args:
        text: The script.
        home: Its directory, which is also its working directory.
    """

    text: str
    home: Path

    def __post_init__(self) -> None:
        path = self.home / "script.py"
        path.write_text(self.text, encoding="utf-8")
        self._out, self._err = self.home / "script.out", self.home / "script.err"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, str(path)], cwd=self.home, env=environment, stdout=out, stderr=err
            )

    def end(self, seconds: float) -> str:
        """Wait for its end, and give what it printed.

        Raises:
            TimeoutExpired: It runs on.
        """
        self.process.wait(seconds)
        return self._out.read_text(encoding="utf-8", errors="replace")

    @property
    def errors(self) -> str:
        """The end of its stderr."""
        return self._err.read_text(encoding="utf-8", errors="replace")[-3000:]

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def clean_up(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def wait_until(condition: Callable[[], object], seconds: float) -> bool:
    """Wait until something is true; whether it came true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def size_of(path: Path) -> int:
    """Give a file's size; 0 while there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def beats(path: Path, seconds: float) -> bool:
    """Whether a file that a task writes to grows within so many seconds."""
    before = size_of(path)
    return wait_until(lambda: size_of(path) > before, seconds)


def falls_silent(path: Path, seconds: float) -> bool:
    """Whether a file that a task writes to stops growing within so many seconds."""
    return wait_until(lambda: not beats(path, 1.5), seconds)
