"""The tasks of the conformance suite. Workers import this module, so it needs nothing but taskproc."""
from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ..task import TaskBase
from ..tasks.requires import Requires, RequiresList
from ..tasks.substitutes import Const

_BEAT = 'while [ ! -e "$1.stop" ]; do printf x >> "$1.child"; sleep 0.1; done'


class Choose(TaskBase):
    """A binomial coefficient, by a graph in which most tasks have two users."""

    prev1: Requires[int]
    prev2: Requires[int]

    def __init__(self, n: int, k: int):
        if 0 < k < n:
            self.prev1, self.prev2 = Choose(n - 1, k - 1), Choose(n - 1, k)
        else:
            self.prev1, self.prev2 = Const(0), Const(1)

    def run_task(self) -> int:
        return self.prev1 + self.prev2


class Value(TaskBase):
    """Gives what it was given."""

    def __init__(self, value: Any):
        self.value = value

    def run_task(self) -> Any:
        return self.value


class Sum(TaskBase):
    """Adds up."""

    parts: RequiresList[int]

    def __init__(self, *parts: Any):
        self.parts = list(parts)

    def run_task(self) -> int:
        return sum(self.parts)


class Count(TaskBase):
    """Counts what it is given."""

    parts: RequiresList[Any]

    def __init__(self, *parts: Any):
        self.parts = list(parts)

    def run_task(self) -> int:
        return len(self.parts)


class Numbered(TaskBase):
    """One of many; a few of them talk."""

    def __init__(self, n: int):
        self.n = n

    def run_task(self) -> int:
        if self.n % 50 == 0:
            print(self.n)
        return self.n


class WhereItRan(TaskBase):
    """Gives its process and its place."""

    def __init__(self, n: int = 0):
        self.n = n

    def run_task(self) -> tuple[int, str]:
        return os.getpid(), os.getcwd()


class Fails(TaskBase):
    """Raises a ValueError."""

    def __init__(self, word: str = "42"):
        self.word = word

    def run_task(self) -> None:
        print("before the failure", file=sys.stderr)
        raise ValueError(self.word)


class Exits(TaskBase):
    """Ends its own process with an exit status, past all handlers."""

    def __init__(self, code: int):
        self.code = code

    def run_task(self) -> None:
        os._exit(self.code)


class Dies(TaskBase):
    """Dies of a signal."""

    def __init__(self, how: str):
        self.how = how

    def run_task(self) -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if self.how == "SIGSEGV":
            ctypes.string_at(0)
        os.kill(os.getpid(), getattr(signal, self.how))
        time.sleep(60)


class Talks(TaskBase):
    """Prints to both of its streams."""

    def __init__(self, text: str = "hello"):
        self.text = text

    def run_task(self) -> str:
        print(self.text)
        print(self.text, file=sys.stderr)
        return self.text


class TalksThroughOthers(TaskBase):
    """Writes by way of a shell, of bare descriptors, and of C."""

    def run_task(self) -> None:
        print("python", flush=True)
        subprocess.run(["sh", "-c", "echo shell; echo shell >&2"], check=True)
        os.write(1, b"descriptor\n")
        os.write(2, b"descriptor\n")
        ctypes.CDLL(None).puts(b"buffered-in-C")


class Big(TaskBase, compress_level=1):
    """Gives so many mebibytes that do not compress."""

    def __init__(self, mebibytes: int):
        self.mebibytes = mebibytes

    def run_task(self) -> bytes:
        return os.urandom(self.mebibytes << 20)


class Length(TaskBase):
    """Measures what it is given."""

    data: Requires[bytes]

    def __init__(self, data: Any):
        self.data = data

    def run_task(self) -> int:
        return len(self.data)


class Notes(TaskBase):
    """Writes its name into a log, waits until a file exists if it has to, and gives 1."""

    def __init__(self, log: str, name: str, gate: str = ""):
        self.log = log
        self.name = name
        self.gate = gate

    def run_task(self) -> int:
        with open(self.log, "a") as file:
            file.write(f"{self.name}\n")
        while self.gate and not os.path.exists(self.gate):
            with open(f"{self.log}.{self.name}", "a") as file:
                file.write("x")
            time.sleep(0.1)
        return 1


class Beats(TaskBase):
    """Writes to a file as long as it lives, and has a child that does the same; a file named `.stop` ends both."""

    def __init__(self, path: str):
        self.path = path

    def run_task(self) -> int:
        with subprocess.Popen(["sh", "-c", _BEAT, "sh", self.path]):
            while not os.path.exists(f"{self.path}.stop"):
                with open(self.path, "a") as file:
                    file.write("x")
                time.sleep(0.1)
        return 1


class Flaky(TaskBase, retries=2):
    """Fails until it has been tried often enough."""

    def __init__(self, log: str, successes_from: int):
        self.log = log
        self.successes_from = successes_from

    def run_task(self) -> int:
        with open(self.log, "a") as file:
            file.write("x")
        tries = os.path.getsize(self.log)
        if tries < self.successes_from:
            raise ValueError(tries)
        return tries


class OutlivesItsTime(TaskBase, timeout=2.0):
    """Runs on after its timeout, with a child."""

    def __init__(self, path: str):
        self.path = path

    def run_task(self) -> None:
        Beats.run_task(self)  # type: ignore[arg-type]  # it has a path too


class Prefixed(TaskBase, prefix_command="echo caller; env TP_TEST_PREFIX=yes"):
    """Runs behind a prefix command that leaves a sign."""

    def run_task(self) -> str:
        print("callee")
        return os.environ.get("TP_TEST_PREFIX", "")


class PrefixFails(TaskBase, prefix_command="echo no such queue >&2; exit 3;"):
    """Has a prefix command that never runs it."""

    def run_task(self) -> None: ...


class PrefixRunsThrice(TaskBase, prefix_command="sh -c '\"$0\" \"$@\" & \"$0\" \"$@\" & \"$0\" \"$@\" & wait'"):
    """Has a prefix command that starts three workers, as srun does."""

    def __init__(self, log: str):
        self.log = log

    def run_task(self) -> int:
        with open(self.log, "a") as file:
            file.write("ran\n")
        time.sleep(0.3)
        return 1


class Nests(TaskBase):
    """Runs a graph of its own, down to a task that the outer graph wants too."""

    def __init__(self, depth: int):
        self.depth = depth

    def run_task(self) -> int:
        below = Nests(self.depth - 1) if self.depth else Value(1)
        result: int = below.run_graph()
        return result + 1


class OnThreads(TaskBase, backend="thread"):
    """Runs in the driver's process, whatever the others do."""

    def run_task(self) -> int:
        return os.getpid()


class Both(TaskBase):
    """Depends on a task of another backend."""

    elsewhere: Requires[int]

    def __init__(self) -> None:
        self.elsewhere = OnThreads()

    def run_task(self) -> tuple[int, int]:
        return self.elsewhere, os.getpid()


class Overlaps(TaskBase, channel="one-at-a-time"):
    """Leaves a sign while it runs, and counts those of others."""

    def __init__(self, directory: str, n: int):
        self.directory = Path(directory)
        self.n = n

    def run_task(self) -> int:
        sign = self.directory / str(self.n)
        sign.touch()
        time.sleep(0.1)
        seen = len(list(self.directory.iterdir()))
        sign.unlink()
        return seen
