"""What type checkers must refuse. Checked by mypy --strict and pyright, never run.

Both fail when an error marked here does not occur, since an `ignore` without an error is an error itself.
"""
from __future__ import annotations

from taskproc import Const, Requires, RequiresDict, RequiresList, TaskBase


class Number(TaskBase):
    def __init__(self, n: int):
        self.n = n

    def run_task(self) -> int:
        return self.n


class Text(TaskBase):
    def run_task(self) -> str:
        return "text"


class Table(TaskBase):
    def run_task(self) -> dict[str, int]:
        return {"a": 1}


Number("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Number()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Number(m=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Number(1).run_graph(max_worker=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
a_text: str = Number(1).run_graph()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
Number(1)["key"]  # type: ignore[call-overload,misc]  # pyright: ignore[reportIndexIssue]
Table()[0]  # type: ignore[index]  # pyright: ignore[reportArgumentType]


class Wrong(TaskBase):
    number: Requires[int]
    numbers: RequiresList[int]
    named: RequiresDict[str, int]

    def __init__(self) -> None:
        self.number = Text()  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
        self.number = Number  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
        self.number = 1  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
        self.number = Const("1")  # type: ignore[arg-type]  # pyright: ignore[reportAttributeAccessIssue]
        self.number = Table()["a"]["b"]  # type: ignore[call-overload,misc]  # pyright: ignore[reportIndexIssue]
        self.numbers = [Text()]  # type: ignore[list-item]  # pyright: ignore[reportAttributeAccessIssue]
        self.numbers = Number(1)  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
        self.named = {1: Number(1)}  # type: ignore[dict-item]  # pyright: ignore[reportAttributeAccessIssue]
        self.named = {"text": Text()}  # type: ignore[dict-item]  # pyright: ignore[reportAttributeAccessIssue]

    def run_task(self) -> str:
        return self.number  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


class OtherResult(TaskBase[int]):
    def run_task(self) -> str:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return ""
