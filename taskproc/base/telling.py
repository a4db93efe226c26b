"""An exception in words: also a user's own whose `__str__` fails, since what went wrong must be told all the same."""
from __future__ import annotations


def words_of(error: BaseException) -> str:
    """Give what an exception says of itself.

    >>> words_of(ValueError("no such port"))
    'no such port'
    """
    try:
        return str(error)
    except BaseException as failed:  # whatever it is, it is less than what is being told
        return f"(its text cannot be had: its __str__ raised {type(failed).__name__})"


def told(error: BaseException) -> str:
    """Name an exception, with what it says of itself.

    >>> told(ValueError("no such port"))
    'ValueError: no such port'
    """
    return f"{type(error).__qualname__}: {words_of(error)}"
