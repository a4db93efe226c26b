"""How a task's failure is caught, told and carried over to the driver."""
from __future__ import annotations

import os
import sys

from ..base.errors import TaskDefinitionError, TaskprocError
from ..base.lean import pickle
from ..base.telling import told
from .driver_main import why_missing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class RemoteTraceback(Exception):
    """The traceback of an exception that was raised in another process."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def unpickle_failure(pickled: bytes, failure: dict[str, Any]) -> BaseException:
    """Give the exception that an attempt raised, with its traceback as its cause."""
    try:
        error: BaseException = pickle.loads(pickled)
    except Exception:
        error = RuntimeError(f"{failure.get('type')}: {failure.get('message')}")
    BaseException.__setattr__(error, "__cause__", RemoteTraceback(failure.get("traceback", "")))  # frozen ones, too
    return error


def in_this_process(task: Any) -> Any:
    """Run the task; a child that it forked and that comes back from it ends here: the result is the parent's."""
    own = os.getpid()
    try:
        value = task.run_task()
    except BaseException as error:
        if os.getpid() == own:
            raise
        try_to_print(readable_traceback(error))
        os._exit(1)
    if os.getpid() != own:
        from .capture import flush

        flush()
        os._exit(0)
    return value


def as_failure(error: BaseException) -> BaseException:
    """Give the error to tell of what a task raised."""
    if isinstance(error, SystemExit):
        return TaskprocError(f"the task called sys.exit({error.code!r}); a task ends by returning its result")
    if reason := why_missing(error):
        return TaskDefinitionError(reason)
    return error


def readable_traceback(error: BaseException) -> str:
    """Format a traceback from the task's own frames on."""
    import traceback

    frames = error.__traceback__
    own = os.path.dirname(__file__)
    at = frames
    while at is not None and os.path.dirname(at.tb_frame.f_code.co_filename) == own:
        at = at.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, at or frames))
    except Exception as failed:  # of a user's exception, or of the text of a user's module
        return f"{told(error)}\n(its traceback cannot be shown: {type(failed).__name__})\n"


def pickled_exception(error: BaseException, text: str) -> bytes:
    """Pickle an exception so that it surely reads back; one that would not is told as text."""
    BaseException.with_traceback(error, None)  # of a frozen class, which lets nothing be set, too
    try:
        data = pickle.dumps(error, 5)
        if isinstance(pickle.loads(data), BaseException):
            return data
    except Exception:
        pass
    try:
        from ..base import by_value

        data = by_value.dumps(error)
        if isinstance(pickle.loads(data), BaseException):
            return data
    except Exception:
        pass
    return pickle.dumps(RuntimeError(told(error)), 5)


def try_to_print(text: str) -> None:
    """Print to the standard error, if that is there."""
    try:
        print(text, file=sys.stderr, end="", flush=True)
    except Exception:  # the stream may be the task's own
        pass
