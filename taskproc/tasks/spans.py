"""Spans of time as people write them: `90s`, `30m` or `30min`, `12h`, `7d`, `2w`."""
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds_of(span: str | float | timedelta) -> float:
    """Read a span of time.

    Raises:
        ValueError: It is none, or not above 0.

    Example:
        >>> seconds_of("7d"), seconds_of("1.5 h"), seconds_of(90)
        (604800.0, 5400.0, 90.0)
    """
    if isinstance(span, str):
        text = span.strip()
        number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
        seconds = float(number) * _SECONDS[text[len(number) :]] if text[len(number) :] in _SECONDS else 0.0
    elif isinstance(span, (int, float)):
        seconds = 0.0 if isinstance(span, bool) else float(span)
    else:
        seconds = span.total_seconds() if hasattr(span, "total_seconds") else 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(span)
    return seconds
