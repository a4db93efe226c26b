"""The ends of logs, as they are shown."""
from __future__ import annotations

from ...store import files

_SHOWN = 4000  # bytes


def end_of_log(path: str) -> str:
    """Read the end of a log, from the beginning of a line; nothing if it is not there."""
    text, is_all = files.read_end(path, _SHOWN)
    return text if is_all else "[...]\n" + text.partition("\n")[2]
