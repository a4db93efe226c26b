"""How people name tasks: `Class`, `Class#7` by the id, `Class(n=3)` by arguments."""
from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..base.errors import OptionError
from ..tasks.readable import readable

_NAME = re.compile(r"(?P<cls>[^\W\d][\w.]*)(?:#(?P<id>\d+)|(?P<call>\(.*\)))?", re.DOTALL)


@dataclass(frozen=True)
class TaskPattern:
    """What somebody wrote to name a task, or several.

    Attributes:
        text: As written.
        cls: The class, with or without its module.
        id: The task's id; None for any.
        positional: The values of the first arguments, as written.
        named: Values of arguments by name. Those that are left out may be anything.
        label: The task as shown to people, if its arguments are not all plain values.
    """

    text: str
    cls: str
    id: int | None = None
    positional: Sequence[Any] = ()
    named: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""

    @property
    def by_arguments(self) -> bool:
        """Whether arguments are named."""
        return bool(self.positional or self.named or self.label)

    def fits_class(self, name: str) -> bool:
        """Whether it may be a task of the class of this full name."""
        return name == self.cls or name.endswith(f".{self.cls}")

    def fits(self, id: int, args: Mapping[str, Any], label: str = "") -> bool:
        """Whether it may be the task with this id, these arguments (as `task_args` has them) and this label."""
        if self.id is not None and id != self.id:
            return False
        if self.label:
            return bool(label) and _bare(label) == _bare(self.label)
        if len(self.positional) > len(args):
            return False
        positional, named = self._readable
        given = {**dict(zip(args, positional, strict=False)), **named}
        return all(name in args and args[name] == value for name, value in given.items())

    @cached_property
    def _readable(self) -> tuple[list[Any], dict[str, Any]]:
        """The arguments in plain JSON."""
        return readable(list(self.positional)), readable(dict(self.named))


def parse_task_name(text: str) -> TaskPattern:
    """Read a task's name.

    Raises:
        OptionError: It is none.

    Example:
        >>> parse_task_name("tasks.Load(3, kind='a')").named, parse_task_name("Load#7").id
        ({'kind': 'a'}, 7)
    """
    match = _NAME.fullmatch(text.strip())
    if match is None:
        msg = f"{text!r} names no task; write Class, Class#7 (the id) or Class(n=3)"
        raise OptionError(msg)
    cls, id, call = match["cls"], match["id"], match["call"]
    if call is None:
        return TaskPattern(text, cls, None if id is None else int(id))
    try:
        expression = ast.parse(f"f{call}", mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        expression = None
    if not isinstance(expression, ast.Call) or not isinstance(expression.func, ast.Name):
        msg = f"the arguments of {text!r} cannot be read; write them as in Python: Class(n=3, name='a')"
        raise OptionError(msg)
    try:
        positional = [ast.literal_eval(node) for node in expression.args]
        named = {word.arg or "": ast.literal_eval(word.value) for word in expression.keywords}
    except (ValueError, TypeError):  # a task, or another value without a literal
        return TaskPattern(text, cls, label=f"{cls.rpartition('.')[2]}{call}")
    return TaskPattern(text, cls, positional=positional, named=named)


def _bare(label: str) -> str:
    """Leave out what people may write in one way or another."""
    return "".join(label.split()).replace('"', "'")
