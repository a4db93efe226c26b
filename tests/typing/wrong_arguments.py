"""Wrong arguments of constructors, of class keywords and of runs. Checked by mypy --strict and pyright, never run."""
from __future__ import annotations

from pathlib import Path

from taskproc import Const, Requires, Task, TaskBase


class Number(TaskBase):
    def __init__(self, n: int, *, scale: float = 1.0):
        self.n = n
        self.scale = scale

    def run_task(self) -> int:
        return self.n


class Text(TaskBase):
    def run_task(self) -> str:
        return "text"


class Increment(TaskBase):
    number: Requires[int]

    def __init__(self, source: Task[int]):
        self.number = source

    def run_task(self) -> int:
        return self.number + 1


Number("one")
# mypy says: Argument 1 to "Number" has incompatible type "str"; expected "int"  [arg-type]
# pyright says: Argument of type "Literal['one']" cannot be assigned to parameter "n" of type "int"
Number()
# mypy says: Missing positional argument "n" in call to "Number"  [call-arg]
# pyright says: Argument missing for parameter "n"
Number(m=1)
# mypy says: Unexpected keyword argument "m" for "Number"  [call-arg]
# pyright says: Argument missing for parameter "n"
# pyright says: No parameter named "m"
Number(1, 2.0)
# mypy says: Too many positional arguments for "Number"  [call-arg]
# pyright says: Expected 1 positional argument
Number(1, scale="large")
# mypy says: Argument "scale" to "Number" has incompatible type "str"; expected "float"  [arg-type]
# pyright says: Argument of type "Literal['large']" cannot be assigned to parameter "scale" of type "float"
Text(1)
# mypy says: Too many arguments for "Text"  [call-arg]
# pyright says: Expected 0 positional arguments
Increment(1)
# mypy says: Argument 1 to "Increment" has incompatible type "int"
# pyright says: Argument of type "Literal[1]" cannot be assigned to parameter "source" of type "Task[int]"
Increment(Text())
# mypy says: Argument 1 to "Increment" has incompatible type "Text"
# pyright says: Argument of type "Text" cannot be assigned to parameter "source" of type "Task[int]"
Increment(Const("1"))
# mypy says: Argument 1 to "Const" has incompatible type "str"; expected "int"  [arg-type]
# pyright says: Argument of type "Const[str]" cannot be assigned to parameter "source" of type "Task[int]"
Increment(Number)
# mypy says: Argument 1 to "Increment" has incompatible type "type[Number]"
# pyright says: Argument of type "type[Number]" cannot be assigned to parameter "source" of type "Task[int]"

Number(1).run_graph(max_worker=1)
# mypy says: Unexpected keyword argument "max_worker" for "run_graph" of "TaskBase"; did you mean "max_workers"?
# pyright says: No parameter named "max_worker"
Number(1).run_graph(max_workers="two")
# mypy says: Argument "max_workers" to "run_graph" of "TaskBase" has incompatible type "str"
# pyright says: Argument of type "Literal['two']" cannot be assigned to parameter "max_workers" of type "int | None"
Number(1).run_graph(2)
# mypy says: Too many positional arguments for "run_graph" of "TaskBase"  [call-arg]
# mypy says: Argument 1 to "run_graph" of "TaskBase" has incompatible type "int"; expected "Executor | None"  [arg-type]
# pyright says: Expected 0 positional arguments
Number(1).run_graph(rate_limits={"network": "two"})
# mypy says: Dict entry 0 has incompatible type "str": "str"; expected "str": "int"  [dict-item]
# pyright says: Argument of type "dict[str, str]" cannot be assigned to parameter "rate_limits" of type "Mapping[str,
Number(1).run_graph(backend=Path("slurm"))
# mypy says: Argument "backend" to "run_graph" of "TaskBase" has incompatible type "Path"; expected "str | None"
# pyright says: Argument of type "Path" cannot be assigned to parameter "backend" of type "str | None"
Number(1).clear_tasks()
# mypy says: "Number" has no attribute "clear_tasks"  [attr-defined]
# pyright says: Cannot access attribute "clear_tasks" for class "Number"
Number.clear_all_task()
# mypy says: "type[Number]" has no attribute "clear_all_task"  [attr-defined]
# pyright says: Cannot access attribute "clear_all_task" for class "type[Number]"


class Channel(TaskBase, channel=3): ...
# mypy says: Argument "channel" to "__init_subclass__" of "TaskBase" has incompatible type "int"
# pyright says: Incorrect keyword arguments for __init_subclass__ method
# pyright says: Argument of type "Literal[3]" cannot be assigned to parameter "channel" of type "str | Iterable[str] |


class Level(TaskBase, compress_level="high"): ...
# mypy says: Argument "compress_level" to "__init_subclass__" of "TaskBase" has incompatible type "str"
# pyright says: Incorrect keyword arguments for __init_subclass__ method
# pyright says: Argument of type "Literal['high']" cannot be assigned to parameter "compress_level" of type "int"


class Retries(TaskBase, retries=None): ...
# mypy says: Argument "retries" to "__init_subclass__" of "TaskBase" has incompatible type "None"; expected "int"
# pyright says: Incorrect keyword arguments for __init_subclass__ method
# pyright says: Argument of type "None" cannot be assigned to parameter "retries" of type "int"


class Store(TaskBase, store="zip"): ...
# mypy says: Argument "store" to "__init_subclass__" of "TaskBase" has incompatible type "Literal['zip']"
# pyright says: Incorrect keyword arguments for __init_subclass__ method
# pyright says: Argument of type "Literal['zip']" cannot be assigned to parameter "store" of type "StoreKind | None"


class Misspelled(TaskBase, chanel="network"): ...
# mypy says: Argument "chanel" to "__init_subclass__" of "TaskBase" has incompatible type "str"; expected "Never"
# pyright says: Incorrect keyword arguments for __init_subclass__ method
# pyright says: Argument of type "Literal['network']" cannot be assigned to parameter "chanel" of type "NoReturn"
