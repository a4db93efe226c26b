"""The ends of logs, as they are shown."""
from __future__ import annotations

import os

_SHOWN = 4000  # bytes


def end_of_log(path: str) -> str:
    """Read the end of a log, from the beginning of a line; nothing if it is not there."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _SHOWN))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return text if size <= _SHOWN else "[...]\n" + text.partition("\n")[2]
