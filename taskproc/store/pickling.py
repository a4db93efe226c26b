"""Pickling a result: plainly if that will do, with references to paths of the cache, or by value."""
from __future__ import annotations

from functools import partial

from ..base.lean import pickle
from ..base.telling import told
from .files import MarkedError, ResultWriter
from .references import References, ReferringPickler, marks_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_UNPICKLABLE = (pickle.PicklingError, AttributeError, TypeError, RecursionError, ValueError)


def pickle_value(value: Any, writer_of: Callable[[], ResultWriter], directory: str) -> ResultWriter:
    """Pickle a value into a fresh writer: with pickle, or by value what has no name.

    Args:
        value: The value.
        writer_of: Makes a writer.
        directory: The cache's directory; paths below it are pickled as references.

    Raises:
        pickle.PicklingError: Neither can; one sentence with the reason.
    """
    marks = marks_of(directory)
    try:
        return _pickled(value, writer_of, lambda writer: writer.look_for(marks, stops=True), _dump)
    except MarkedError:
        try:
            return _pickled(value, writer_of, partial(_refer, directory), _dump)
        except _UNPICKLABLE:
            pass
    except _UNPICKLABLE:
        pass
    try:
        return _pickled(value, writer_of, partial(_refer, directory), _dump_by_value)
    except OSError:
        raise
    except Exception as error:
        msg = f"the result, of type {type(value).__qualname__}, cannot be pickled: {told(error)}"
        raise pickle.PicklingError(msg) from error


def _pickled(
    value: Any,
    writer_of: Callable[[], ResultWriter],
    set_up: Callable[[ResultWriter], None],
    dump: Callable[[Any, ResultWriter], None],
) -> ResultWriter:
    writer = writer_of()
    try:
        set_up(writer)
        dump(value, writer)
    except BaseException:
        writer.discard()
        raise
    return writer


def _refer(directory: str, writer: ResultWriter) -> None:
    writer.references = References(directory)
    writer.look_for(writer.references.whole, stops=False)


def _dump(value: Any, writer: ResultWriter) -> None:
    if writer.references is None:
        pickle.Pickler(writer, 5).dump(value)
    else:
        ReferringPickler(writer, writer.references).dump(value)


def _dump_by_value(value: Any, writer: ResultWriter) -> None:
    from ..base import by_value

    assert writer.references is not None
    by_value.dump(value, writer, writer.references.of)
