"""The tasks that every backend must run alike."""
from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from taskproc import Const, Requires, RequiresDict, RequiresList, TaskBase


class Choose(TaskBase):
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
    def __init__(self, value: Any):
        self.value = value

    def run_task(self) -> Any:
        return self.value


class Nothing(TaskBase):
    pass


class Everything(TaskBase):
    """Takes constants, tasks and parts of results, alone and in lists and dicts."""

    one: Requires[int]
    part: Requires[str]
    many: RequiresList[Any]
    named: RequiresDict[str, Any]

    def __init__(self) -> None:
        record = Value({"a": [10, {"b": "deep"}], "c": 3})
        self.one = Const(1)
        self.part = record["a"][1]["b"]
        self.many = [Const(2), Value(3), record["a"][0]]
        self.named = {"const": Const(4), "task": Value(5), "part": record["c"]}

    def run_task(self) -> Any:
        return self.one, self.part, self.many, self.named


class OfAClass:
    """A result of a class of its own."""

    def __init__(self, value: int):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OfAClass) and other.value == self.value

    def __hash__(self) -> int:
        return hash(self.value)


class GivesAnObject(TaskBase):
    def run_task(self) -> OfAClass:
        return OfAClass(7)


class Fails(TaskBase):
    def __init__(self, word: str = "42"):
        self.word = word

    def run_task(self) -> None:
        print("before the failure", file=sys.stderr)
        helper_that_raises(self.word)


def helper_that_raises(word: str) -> None:
    raise ValueError(word)


class TwoArgumentError(Exception):
    """Does not survive plain pickling."""

    def __init__(self, first: int, second: int):
        super().__init__(f"{first} and {second}")


class FailsOddly(TaskBase):
    def run_task(self) -> None:
        raise TwoArgumentError(1, 2)


class Downstream(TaskBase):
    up: Requires[Any]

    def __init__(self, up: Any):
        self.up = up

    def run_task(self) -> Any:
        return self.up


class Dies(TaskBase):
    def __init__(self, how: str, word: str = ""):
        self.how = how

    def run_task(self) -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # nobody wants to read this core
        if self.how == "segfault":
            ctypes.string_at(0)
        os.kill(os.getpid(), getattr(signal, self.how))


class Talks(TaskBase):
    def __init__(self, text: str = "hello"):
        self.text = text

    def run_task(self) -> None:
        print(self.text)
        print(self.text, file=sys.stderr)


class WritesMuch(TaskBase):
    def __init__(self, mebibytes: int):
        self.mebibytes = mebibytes

    def run_task(self) -> int:
        line = "x" * 1023 + "\n"
        for _ in range(self.mebibytes):
            sys.stdout.write(line * 1024)
        return self.mebibytes


class Sum(TaskBase):
    parts: RequiresList[int]

    def __init__(self, *parts: Any):
        self.parts = list(parts)

    def run_task(self) -> int:
        return sum(self.parts)


class Files(TaskBase):
    def __init__(self, name: str):
        self.name = name

    def run_task(self) -> Path:
        assert not list(self.task_directory.iterdir())
        path = self.task_directory / self.name
        path.write_text("content")
        return path


class Reads(TaskBase):
    path: Requires[Path]

    def __init__(self, path: Any):
        self.path = path

    def run_task(self) -> str:
        return self.path.read_text()


class Exits(TaskBase):
    def __init__(self, code: Any = 3):
        self.code = code

    def run_task(self) -> None:
        sys.exit(self.code)


class ClosesItsOutput(TaskBase):
    def __init__(self, how: str):
        self.how = how

    def run_task(self) -> str:
        print("said before")
        if self.how == "stream":
            sys.stdout.close()
        else:
            sys.stdout.flush()
            os.close(1)
            os.close(2)
        return "done"


class GivesWhatCannotBePickled(TaskBase):
    def run_task(self) -> Any:
        return threading.Lock()


class CannotComeBack:
    def __reduce__(self) -> Any:
        return refuse, ()


def refuse() -> None:
    msg = "no way back"
    raise RuntimeError(msg)


class GivesWhatCannotBeRead(TaskBase):
    def run_task(self) -> Any:
        return CannotComeBack()


class HoldsWhatCannotBePickled(TaskBase):
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def run_task(self) -> None: ...


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


class InTime(TaskBase, timeout=60):
    def run_task(self) -> str:
        print("in time")
        return "in time"


class Prefixed(TaskBase, prefix_command="echo caller; echo oops >&2; env TP_TEST_PREFIX=yes"):
    def __init__(self, word: str = "callee"):
        self.word = word

    def run_task(self) -> str:
        print(self.word)
        print(self.word, file=sys.stderr)
        return os.environ.get("TP_TEST_PREFIX", "")


class PrefixFails(TaskBase, prefix_command="echo no such queue >&2; exit 3;"):
    def run_task(self) -> None: ...


class PrefixNotFound(TaskBase, prefix_command="no-such-command-anywhere"):
    def run_task(self) -> None: ...


class PrefixForgetsUs(TaskBase, prefix_command="echo submitted; true"):
    def run_task(self) -> None: ...


class Nests(TaskBase):
    """Runs a graph of its own, and asks for a task that the outer graph wants too."""

    def __init__(self, depth: int):
        self.depth = depth

    def run_task(self) -> int:
        below = type(self)(self.depth - 1) if self.depth else Value(1)
        return below.run_graph() + 1


class NestsBehindAPrefix(Nests, prefix_command="env"): ...


class NestsInTime(Nests, timeout=60): ...


class Sleeps(TaskBase):
    def __init__(self, seconds: float, n: int = 0):
        self.seconds = seconds

    def run_task(self) -> float:
        time.sleep(self.seconds)
        return self.seconds


class PrefixFailsAfterwards(TaskBase, prefix_command="sh -c '\"$0\" \"$@\"; exit 9'"):
    def run_task(self) -> str:
        return "kept"
