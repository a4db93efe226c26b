"""What is refused when a class is defined: methods that would never run, and tasks in its body that nobody runs."""
from __future__ import annotations

from types import FunctionType

from ..base.errors import TaskDefinitionError
from .config import where_defined
from .node import Node
from .requires import not_a_task, parts
from .substitutes import Const, MappedTask
from .valued import Input

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # code flags, as `inspect` names them
_VARIABLE_ARGUMENTS = 0x04
_OUR_MODULES = ("abc", "builtins", "taskproc.base.lean", "taskproc.task", "taskproc.tasks.node", "typing")
_CONTAINERS = (list, tuple, dict, set, frozenset)


def check_methods(cls: type[Any], root: type[Any]) -> None:
    """Refuse a class whose method cannot run, or would never be called.

    Args:
        cls: The class, just defined.
        root: `TaskBase`, whose `run_task` gives None.

    Raises:
        TaskDefinitionError: It is so.
    """
    own = cls.__dict__
    if cls._task_config.expands and "result_digest" in own:
        problem = "it says expands=True and defines result_digest, but the tasks in its result tell one from another"
        raise _refusal(cls, problem)
    if "run_task" in own:
        problem = _cannot_run(own["run_task"])
        if problem:
            raise _refusal(cls, problem)
        return
    if not _is_idle(cls):
        return
    for base in cls.__mro__[cls.__mro__.index(root) :]:
        if base is not root and "run_task" in base.__dict__:
            name = base.__qualname__
            problem = f"TaskBase comes before {name}, so its run_task is never called; write ({name}, TaskBase)"
            raise _refusal(cls, problem)
    is_abstract = any(getattr(value, "__isabstractmethod__", False) for value in own.values())
    if callable(own.get("run")) and not is_abstract:
        raise _refusal(cls, "it defines run, but what computes a task's result is run_task; rename it")


def refuse_idle(cls: type[Any], requirements: tuple[str, ...]) -> None:
    """Refuse to construct tasks of a class that has methods, but none that would run.

    A class that only requires others, or has no method but a constructor yet, gives None.

    Raises:
        TaskDefinitionError: It is so.
    """
    if requirements or not _is_idle(cls):
        return
    theirs = [vars(base).items() for base in cls.__mro__ if not _is_ours(base)]
    code = [name for items in theirs for name, value in items if _is_code(name, value)]
    if code:
        raise _refusal(cls, f"it has {code[0]}, but no run_task, and requires no tasks, so nothing would run")


def checked_default(cls: type[Any], name: str, value: Any) -> Any:
    """Give what a class body sets a requirement to.

    Raises:
        TaskDefinitionError: It is not a task, or a list or dict of tasks.
    """
    for key, item in parts(value):
        if not isinstance(item, (Node, MappedTask, Const, Input)):
            raise not_a_task(f"{where_defined(cls)}{cls.__qualname__}", name, key, item)
    return value


def refuse_undeclared(cls: type[Any]) -> None:
    """Refuse tasks in a class body that are not declared as requirements.

    Raises:
        TaskDefinitionError: There is one.
    """
    for name, value in cls.__dict__.items():
        if isinstance(value, (Node, MappedTask)) or (isinstance(value, _CONTAINERS) and _holds_task(value)):
            from .undeclared import undeclared

            raise undeclared(cls, name, value)


def _holds_task(value: Any) -> bool:
    from .taken import inside

    return any(isinstance(part, Node) for part in inside(value))


def _is_idle(cls: type[Any]) -> bool:
    """Whether a class has no `run_task` but the one that gives None."""
    return _is_ours(next((base for base in cls.__mro__ if "run_task" in base.__dict__), cls))


def _is_ours(cls: type[Any]) -> bool:
    return cls.__module__ in _OUR_MODULES


def _is_code(name: str, value: Any) -> bool:
    return isinstance(value, FunctionType) and not name.startswith("__")


def _cannot_run(method: Any) -> str:
    code = getattr(method, "__code__", None)
    if code is None:
        return "" if hasattr(method, "__get__") else f"its run_task is {method!r}, which is no method"
    if code.co_flags & (_COROUTINE | _ASYNC_GENERATOR):
        return "its run_task is async, which nobody would await; define it without, and call asyncio.run(...) in it"
    if code.co_flags & _GENERATOR:
        return "its run_task yields, so its result would be a generator; return a list or another value"
    required = code.co_argcount - len(method.__defaults__ or ())
    if required > 1 or code.co_kwonlyargcount > len(method.__kwdefaults__ or ()):
        return "its run_task takes arguments beside self, but is called without; set what it needs in __init__"
    if not code.co_argcount and not code.co_flags & _VARIABLE_ARGUMENTS:
        return "its run_task does not take self; write def run_task(self)"
    return ""


def _refusal(cls: type[Any], problem: str) -> TaskDefinitionError:
    msg = f"{where_defined(cls)}{cls.__qualname__}: {problem}."
    return TaskDefinitionError(msg)
