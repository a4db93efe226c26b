"""How LSF writes times, long lines and the reasons for an end.

Formats: bhist, bjobs -l and "Termination reasons displayed by bacct, bhist, and bjobs", LSF 10.1.
"""

from __future__ import annotations

import os
import time

RULE = "-" * 78
REASONS = {
    "TERM_ADMIN": "job killed by root or LSF administrator",
    "TERM_EXTERNAL_SIGNAL": "job killed by a signal external to LSF",
    "TERM_FORCE_OWNER": "job killed by owner without time for cleanup",
    "TERM_MEMLIMIT": "job killed after reaching LSF memory usage limit",
    "TERM_OWNER": "job killed by owner",
    "TERM_RUNLIMIT": "job killed after reaching LSF run time limit",
    "TERM_ZOMBIE": "job exited while LSF is not available",
}
_WIDTH = 79
_INDENT = " " * 21


def reason(keyword: str | None) -> str:
    """Write a termination reason in full.

    >>> reason("TERM_OWNER")
    'TERM_OWNER: job killed by owner'
    """
    return f"{keyword}: {REASONS[keyword]}" if keyword else ""


def stamp(at: float) -> str:
    """Write a time as the long formats do, with the year only where the site asks for it."""
    year = " %Y" if os.environ.get("LSB_DISPLAY_YEAR", "").upper() == "Y" else ""
    return _day(time.strftime(f"%a %b %d %H:%M:%S{year}", time.localtime(at)), 8)


def short_stamp(at: float) -> str:
    """Write a time as the columns of bjobs do, such as `Mar  3 16:46`."""
    return _day(time.strftime("%b %d %H:%M", time.localtime(at)), 4)


def full_stamp(at: float) -> str:
    """Write a time as a job's report does."""
    return _day(time.strftime("%a %b %d %H:%M:%S %Y", time.localtime(at)), 8)


def wrap(line: str) -> str:
    """Break a line of a long format at column 79, inside words, with continuations 21 columns in."""
    pieces, rest = [line[:_WIDTH]], line[_WIDTH:]
    step = _WIDTH - len(_INDENT)
    pieces += [_INDENT + rest[at : at + step] for at in range(0, len(rest), step)]
    return "\n".join(pieces)


def _day(text: str, at: int) -> str:
    """Write the day of the month with a space for its leading zero."""
    return text[:at] + text[at:].replace("0", " ", 1) if text[at] == "0" else text
