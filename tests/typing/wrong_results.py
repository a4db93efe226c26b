"""Wrong use of results, and of `task['key']`. Checked by mypy --strict and pyright, never run."""
from __future__ import annotations

from taskproc import Const, Requires, RequiresList, TaskBase


class Number(TaskBase):
    def run_task(self) -> int:
        return 1


class Table(TaskBase):
    def run_task(self) -> dict[str, list[float]]:
        return {"train": [0.5]}


class Row(TaskBase):
    def run_task(self) -> list[int]:
        return [1]


a_text: str = Number().run_graph()
# mypy says: Incompatible types in assignment (expression has type "int", variable has type "str")  [assignment]
# pyright says: Type "int" is not assignable to declared type "str"
another: str = Number().get_task_result()
# mypy says: Incompatible types in assignment (expression has type "int", variable has type "str")  [assignment]
# pyright says: Type "int" is not assignable to declared type "str"
both: tuple[str, str] = Number().run_graph_with_stats()
# mypy says: Incompatible types in assignment (expression has type "tuple[int, dict[str, Any]]"
# pyright says: Type "tuple[int, dict[str, Any]]" is not assignable to declared type "tuple[str, str]"
scores: list[int] = Table()["train"].get_task_result()
# mypy says: Incompatible types in assignment (expression has type "list[float]"
# pyright says: Type "list[float]" is not assignable to declared type "list[int]"
number: int = Number().task_name
# mypy says: Incompatible types in assignment (expression has type "str", variable has type "int")  [assignment]
# pyright says: Type "str" is not assignable to declared type "int"

Number()["key"]
# mypy says: Invalid self argument "Number" to attribute function "__getitem__"
# mypy says: No overload variant of "__getitem__" of "TaskBase" matches argument type "str"  [call-overload]
# pyright says: "__getitem__" method not defined on type "Number"
Number()[0]
# mypy says: Invalid self argument "Number" to attribute function "__getitem__"
# pyright says: "__getitem__" method not defined on type "Number"
Table()[0]
# mypy says: Invalid index type "int" for "Table"; expected type "str"  [index]
# pyright says: Argument of type "Literal[0]" cannot be assigned to parameter "key" of type "str"
Table()["train"]["key"]
# mypy says: Invalid index type "str" for "MappedTask[list[float]]"; expected type "int"  [index]
# pyright says: Argument of type "Literal['key']" cannot be assigned to parameter "key" of type "int"
Table()["train"][0]["deeper"]
# mypy says: Invalid self argument "MappedTask[float]" to attribute function "__getitem__"
# mypy says: No overload variant of "__getitem__" of "MappedTask" matches argument type "str"  [call-overload]
# pyright says: "__getitem__" method not defined on type "MappedTask[float]"
print(Table().train)
# mypy says: "Table" has no attribute "train"  [attr-defined]
# pyright says: Cannot access attribute "train" for class "Table"
Row()["first"]
# mypy says: Invalid index type "str" for "Row"; expected type "int"  [index]
# pyright says: Argument of type "Literal['first']" cannot be assigned to parameter "key" of type "int"
Row()[0][0]
# mypy says: Invalid self argument "MappedTask[int]" to attribute function "__getitem__"
# pyright says: "__getitem__" method not defined on type "MappedTask[int]"
Const({"a": 1})["a"]
# mypy says: Value of type "Const[dict[str, int]]" is not indexable  [index]
# pyright says: "__getitem__" method not defined on type "Const[dict[str, int]]"
list(Row())
# mypy says: No overload variant of "list" matches argument type "Row"  [call-overload]
# pyright says: Argument of type "Row" cannot be assigned to parameter "iterable" of type "Iterable[_T@list]"
list(Table()["train"])
# mypy says: No overload variant of "list" matches argument type "MappedTask[list[float]]"  [call-overload]
# pyright says: Argument of type "MappedTask[list[float]]" cannot be assigned to parameter "iterable" of type


class Wants(TaskBase):
    number: Requires[int]
    numbers: RequiresList[int]

    def __init__(self) -> None:
        self.number = Table()["train"]
        # mypy says: Incompatible types in assignment (expression has type "MappedTask[list[float]]"
        # pyright says: Cannot assign to attribute "number" for class "Wants*" Type "MappedTask[list[float]]" is not
        self.number = Table()["train"][0]
        # mypy says: Incompatible types in assignment (expression has type "MappedTask[float]"
        # pyright says: Cannot assign to attribute "number" for class "Wants*" Type "MappedTask[float]" is not
        self.number = Row()[0]
        self.numbers = Row()
        # mypy says: Incompatible types in assignment (expression has type "Row"
        # pyright says: Cannot assign to attribute "numbers" for class "Wants*" "Row" is not assignable to
        self.numbers = [Row()]
        # mypy says: List item 0 has incompatible type "Row"
        # pyright says: Cannot assign to attribute "numbers" for class "Wants*" Type "Row" is not assignable to type
        self.numbers = Table()["train"]
        # mypy says: Incompatible types in assignment (expression has type "MappedTask[list[float]]"
        # pyright says: Cannot assign to attribute "numbers" for class "Wants*" "MappedTask[list[float]]" is not

    def run_task(self) -> int:
        return self.number


class OtherResult(TaskBase[int]):
    def run_task(self) -> str:
        # mypy says: Return type "str" of "run_task" incompatible with return type "int" in supertype
        # pyright says: Method "run_task" overrides class "TaskBase" in an incompatible manner
        return ""


class Narrows(Wants):
    def run_task(self) -> str:
        # mypy says: Return type "str" of "run_task" incompatible with return type "int" in supertype "Wants"
        # pyright says: Method "run_task" overrides class "Wants" in an incompatible manner
        return ""
