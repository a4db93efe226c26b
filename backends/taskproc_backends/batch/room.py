"""How many elements the scheduler takes: the user's own bound, and the site's, learned from refusals."""

from __future__ import annotations

import time

# How long a refusal is believed before one job tries again; other runs may have left room meanwhile.
_BELIEVED_SECONDS = 60.0
_PLENTY = 1 << 30


class Room:
    """Grants elements for submission.

    An array counts against a site's limit as a whole, so a refused one is tried again at half its size, down
    to one element. When that is refused too, as many as are in the queue by then are taken for the limit.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._step = _PLENTY
        self._ceiling: int | None = None
        self._refused_at = 0.0

    def grant(self, wanted: int, alive: int, most: int | None) -> int:
        """Say how many of the wanted elements to submit in one array now; 0: none, for `reason`.

        Args:
            wanted: How many there are.
            alive: How many are in the queue.
            most: The user's own bound.
        """
        if most is not None and alive >= most:
            self.reason = f"max_submitted={most} are in the queue"
            return 0
        if self._ceiling is not None and time.monotonic() > self._refused_at + _BELIEVED_SECONDS:
            self._ceiling = None
        if self._ceiling is not None and alive >= self._ceiling:
            return 0
        bounds = [wanted, self._step]
        bounds += [bound - alive for bound in (most, self._ceiling) if bound is not None]
        return min(bounds)

    def taken(self, size: int) -> None:
        """Learn that an array of this size was taken."""
        if size >= self._step:
            self._step = min(_PLENTY, 2 * self._step)

    def refused(self, size: int, alive: int, reason: str) -> None:
        """Learn that an array of this size was refused, for the scheduler's own reason."""
        self.reason = reason
        self._step = max(1, size // 2)
        if size == 1:
            self._ceiling, self._refused_at = alive, time.monotonic()
