"""Wrong use of `Requires`, `RequiresList` and `RequiresDict`. Checked by mypy --strict and pyright, never run."""
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


class Returns(TaskBase, expands=True):
    def run_task(self) -> list[Number]:
        return [Number(1)]


class Sets(TaskBase):
    """Sets its requirements to what they are not."""

    number: Requires[int]
    numbers: RequiresList[int]
    named: RequiresDict[str, int]

    def __init__(self) -> None:
        self.number = Text()
        # mypy says: Incompatible types in assignment (expression has type "Text"
        # pyright says: Cannot assign to attribute "number" for class "Sets*" Type "Text" is not assignable to type
        self.number = Number
        # mypy says: Incompatible types in assignment (expression has type "type[Number]"
        # pyright says: Cannot assign to attribute "number" for class "Sets*" Type "type[Number]" is not assignable to
        self.number = 1
        # mypy says: Incompatible types in assignment (expression has type "int"
        # pyright says: Cannot assign to attribute "number" for class "Sets*" Type "Literal[1]" is not assignable to
        self.number = None
        # mypy says: Incompatible types in assignment (expression has type "None"
        # pyright says: Cannot assign to attribute "number" for class "Sets*" Type "None" is not assignable to type
        self.number = Returns()
        # mypy says: Incompatible types in assignment (expression has type "Returns"
        # pyright says: Cannot assign to attribute "number" for class "Sets*" Type "Returns" is not assignable to type
        self.number = Const("1")
        # mypy says: Argument 1 to "Const" has incompatible type "str"; expected "int"  [arg-type]
        # pyright says: Cannot assign to attribute "number" for class "Sets*" Type "Const[str]" is not assignable to
        self.number = [Number(1)]
        # mypy says: Incompatible types in assignment (expression has type "list[Number]"
        # pyright says: Cannot assign to attribute "number" for class "Sets*" Type "list[Number]" is not assignable to
        self.numbers = [Text()]
        # mypy says: List item 0 has incompatible type "Text"
        # pyright says: Cannot assign to attribute "numbers" for class "Sets*" Type "Text" is not assignable to type
        self.numbers = [1, 2]
        # mypy says: List item 0 has incompatible type "int"
        # mypy says: List item 1 has incompatible type "int"
        # pyright says: Cannot assign to attribute "numbers" for class "Sets*" Type "Literal[1]" is not assignable to
        self.numbers = Number(1)
        # mypy says: Incompatible types in assignment (expression has type "Number"
        # pyright says: Cannot assign to attribute "numbers" for class "Sets*" "Number" is not assignable to
        self.numbers = {"one": Number(1)}
        # mypy says: Incompatible types in assignment (expression has type "dict[str, Number]"
        # pyright says: Cannot assign to attribute "numbers" for class "Sets*" Argument of type "dict[str, Number]"
        self.named = {1: Number(1)}
        # mypy says: Dict entry 0 has incompatible type "int": "Number"
        # pyright says: Cannot assign to attribute "named" for class "Sets*" "Literal[1]" is not assignable to "str"
        self.named = {"text": Text()}
        # mypy says: Dict entry 0 has incompatible type "str": "Text"
        # pyright says: Cannot assign to attribute "named" for class "Sets*" Type "Text" is not assignable to type
        self.named = [Number(1)]
        # mypy says: Incompatible types in assignment (expression has type "list[Number]"
        # pyright says: Cannot assign to attribute "named" for class "Sets*" "list[Number]" is not assignable to
        self.named = {"one": 1}
        # mypy says: Dict entry 0 has incompatible type "str": "int"
        # pyright says: Cannot assign to attribute "named" for class "Sets*" Type "Literal[1]" is not assignable to type
        self.numbers.append(Number(1))
        # mypy says: Argument 1 to "append" of "list" has incompatible type "Number"; expected "int"  [arg-type]
        # pyright says: Argument of type "Number" cannot be assigned to parameter "object" of type "int"
        self.named["one"] = Number(1)
        # mypy says: Incompatible types in assignment (expression has type "Number", target has type "int")
        # pyright says: Argument of type "Number" cannot be assigned to parameter "value" of type "int"
        self.nothing = self.missing
        # mypy says: "Sets" has no attribute "missing"  [attr-defined]
        # pyright says: Cannot access attribute "missing" for class "Sets*"


class Reads(TaskBase):
    """Takes its requirements for what they are not."""

    number: Requires[int]
    numbers: RequiresList[int]
    named: RequiresDict[str, int]

    def __init__(self) -> None:
        self.number, self.numbers, self.named = Number(1), [Number(1)], {"one": Number(1)}

    def run_task(self) -> str:
        self.number.upper()
        # mypy says: "int" has no attribute "upper"  [attr-defined]
        # pyright says: Cannot access attribute "upper" for class "int"
        self.number.run_graph()
        # mypy says: "int" has no attribute "run_graph"  [attr-defined]
        # pyright says: Cannot access attribute "run_graph" for class "int"
        self.numbers["one"]
        # mypy says: No overload variant of "__getitem__" of "list" matches argument type "str"  [call-overload]
        # pyright says: No overloads for "__getitem__" match the provided arguments
        # pyright says: Argument of type "Literal['one']" cannot be assigned to parameter "s" of type
        self.numbers.items()
        # mypy says: "list[int]" has no attribute "items"  [attr-defined]
        # pyright says: Cannot access attribute "items" for class "list[int]"
        self.named[1]
        # mypy says: Invalid index type "int" for "dict[str, int]"; expected type "str"  [index]
        # pyright says: Argument of type "Literal[1]" cannot be assigned to parameter "key" of type "str"
        self.named["one"].upper()
        # mypy says: "int" has no attribute "upper"  [attr-defined]
        # pyright says: Cannot access attribute "upper" for class "int"
        return self.number
        # mypy says: Incompatible return value type (got "int", expected "str")  [return-value]
        # pyright says: Type "int" is not assignable to return type "str"


class Inherits(Reads):
    """Uses an inherited requirement for what it is not."""

    def __init__(self) -> None:
        super().__init__()
        self.number = Text()
        # mypy says: Incompatible types in assignment (expression has type "Text"
        # pyright says: Cannot assign to attribute "number" for class "Inherits*" Type "Text" is not assignable to type


class InItsBody(TaskBase):
    """Sets a requirement in its body, which works, and which no type checker knows of."""

    number: Requires[int] = Number(1)
    # mypy says: Incompatible types in assignment (expression has type "Number", variable has type "Req[
    # pyright says: Type "Number" is not assignable to declared type "Requires[int]"


class Declares(TaskBase):
    """Declares with the wrong number of types."""

    pair: Requires[int, str]
    # mypy says: Bad number of arguments for type alias, expected 1, given 2  [type-arg]
    # pyright says: Too many type arguments provided for "Requires[R@Requires]"; expected 1 but received 2
    named: RequiresDict[int]
    # mypy says: Bad number of arguments for type alias, expected 2, given 1  [type-arg]
    # pyright says: Too few type arguments provided for "RequiresDict[K@RequiresDict, R@RequiresDict]"; expected 2 but


Reads.number + 1
# mypy says: Unsupported operand types for + ("Req[TaskLike[int] | MappedTask[int] | Const[int] | Input[int] |
# pyright says: Operator "+" not supported for types "Req[Task[int], int]" and "Literal[1]"
Reads().number = Text()
# mypy says: Incompatible types in assignment (expression has type "Text"
# pyright says: Cannot assign to attribute "number" for class "Reads" Type "Text" is not assignable to type "Task[int]"
