"""What type checkers see of tasks that are written right. Checked by mypy --strict and pyright, never run."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typing_extensions import assert_type

from taskproc import (
    Const,
    EnvVar,
    FailedTaskError,
    InputDir,
    InputFile,
    Package,
    Req,
    Requires,
    RequiresDict,
    RequiresList,
    Task,
    TaskBase,
)


class Choose(TaskBase):
    prev1: Requires[int]
    prev2: Requires[int]

    def __init__(self, n: int, k: int):
        if 0 < k < n:
            self.prev1, self.prev2 = Choose(n - 1, k - 1), Choose(n - 1, k)
        else:
            self.prev1, self.prev2 = Const(0), Const(1)

    def run_task(self) -> int:
        assert_type(self.prev1, int)
        return self.prev1 + self.prev2


choose = Choose(6, 3)
assert_type(choose, Choose)
assert_type(choose.run_graph(), int)
assert_type(choose.run_graph(backend="thread", max_workers=2, on_error="continue"), int)
assert_type(choose.run_graph_with_stats(), tuple[int, dict[str, Any]])
assert_type(choose.get_task_result(), int)
assert_type(Choose.task_name, str)
assert_type(choose.task_name, str)
assert_type(choose.task_id, int)
assert_type(choose.task_args, dict[str, Any])
assert_type(choose.task_directory, Path)
assert_type(choose.task_stdout, Path)
Choose.clear_all_tasks()


class Scores(TaskBase):
    def run_task(self) -> dict[str, list[float]]:
        return {"train": [0.5]}


assert_type(Scores()["train"].get_task_result(), list[float])
assert_type(Scores()["train"][0].get_task_result(), float)


class Summary(TaskBase, channel=["memory", "disk"], compress_level=1, retries=2, timeout=60, store="packed"):
    """Takes requirements of every kind, and tasks as arguments."""

    one: Requires[float]
    many: RequiresList[float]
    named: RequiresDict[str, float]
    by_number: RequiresDict[int, list[float]]
    loose: Requires[Any]

    def __init__(self, tasks: Mapping[str, Task[float]], more: list[Task[float]], scale: float = 1.0):
        self.one = Scores()["train"][0]
        self.many = [Scores()["train"][0], Const(0.5), *more]
        self.named = tasks
        self.by_number = {0: Scores()["train"], 1: Const([0.5])}
        self.loose = Scores()
        self.scale = scale

    def run_task(self) -> Path:
        assert_type(self.one, float)
        assert_type(self.many, list[float])
        assert_type(self.named, dict[str, float])
        assert_type(self.by_number, dict[int, list[float]])
        assert_type(self.loose, Any)
        path = self.task_directory / "summary.txt"
        path.write_text(str(self.scale * sum(self.many)))
        return path


class Seven(TaskBase):
    def run_task(self) -> float:
        return 7.0


assert_type(Summary({"seven": Seven(), "half": Const(0.5)}, [Seven()]).run_graph(), Path)


class Split(TaskBase, expands=True):
    """Returns tasks; whoever requires it gets their results."""

    def run_task(self) -> list[Task[float]]:
        return [Seven(), Scores()["train"][0], Const(0.5)]


class ByName(TaskBase, expands=True):
    def run_task(self) -> dict[str, Seven]:
        return {"seven": Seven()}


class Another(TaskBase, expands=True):
    def run_task(self) -> Seven:
        return Seven()


class Total(TaskBase):
    many: Requires[list[float]]
    named: Requires[dict[str, float]]
    one: Requires[float]

    def __init__(self) -> None:
        self.many = Split()
        self.named = ByName()
        self.one = Another()

    def run_task(self) -> float:
        assert_type(self.many, list[float])
        assert_type(self.named, dict[str, float])
        return sum(self.many) + self.named["seven"] + self.one


class OnItsOwn(TaskBase):
    """Needs no type argument, no constructor, and no result."""


OnItsOwn().run_graph()


class Grows(TaskBase):
    """Fills a list in `__init__`.

    For a type checker a requirement reads as its results there too, although it is tasks: so the list comes first.
    """

    many: RequiresList[float]

    def __init__(self, n: int) -> None:
        many: list[Task[float]] = []
        for _ in range(n):
            many.append(Seven())
        self.many = many
        assert_type(self.many, list[float])


class Assigned(TaskBase):
    """Declares its requirements by assignment, as code for 0.13 may do."""

    count: Requires[int] = Req()

    def __init__(self) -> None:
        self.count = Choose(2, 1)

    def run_task(self) -> list[int]:
        return [self.count]


assert_type(Assigned()[0].get_task_result(), int)


class WithTypeArgument(TaskBase[int]):
    """Names the type of its result, which then holds for `run_task` too."""

    def run_task(self) -> int:
        return 1


class Inheriting(Choose):
    extra: Requires[str]

    def __init__(self, n: int):
        super().__init__(n, 1)
        self.extra = Const("x")

    def run_task(self) -> int:
        assert_type(self.extra, str)
        return self.prev1


assert_type(Inheriting(3).run_graph(), int)


def account(error: FailedTaskError) -> str:
    assert_type(error.task.task_name, str)
    assert_type(error.exception, BaseException)
    return str(error)


class Reads(TaskBase, depends_on=[InputFile("a.csv"), EnvVar("X"), Package("numpy")]):
    """Reads from outside: through arguments, which are paths and text, and through requirements."""

    table: Requires[Path]
    tables: RequiresList[Path]
    settings: Requires[dict[str, float]]
    mode: Requires[str]
    version: Requires[str]

    def __init__(self, argument: InputFile, directory: InputDir | None, loose: InputFile | str, variable: EnvVar):
        self.argument, self.directory, self.loose, self.variable = argument, directory, loose, variable
        self.table = InputFile("in.csv")
        self.tables = [InputFile("in.csv"), InputDir("data"), Const(Path("other"))]
        self.settings = InputFile("settings.toml", key="train")
        self.mode, self.version = EnvVar("MODE", default="fast"), Package("numpy")

    def run_task(self) -> int:
        assert_type(self.table, Path)
        assert_type(self.tables, list[Path])
        assert_type(self.settings, dict[str, float])
        assert_type(self.mode, str)
        with open(self.argument) as file, open(self.loose) as other:
            return len(file.read() + other.read() + self.argument.name + self.variable.upper())


class ReadsOne(TaskBase, depends_on=InputFile("a.csv")):
    def __init__(self, settings: InputFile[Any]):
        self.settings = settings


assert_type(Reads(InputFile("a"), InputDir("b"), "c", EnvVar("d")).run_graph(), int)
ReadsOne(InputFile(Path("settings.toml"), key="train"))
