"""The terminal is handed back as it was, whatever a task or a prefix command did to it."""
from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_terminal() -> Iterator[None]:
    """Restore the modes of the terminal at the end.

    Some prefix commands (those that open a terminal on a cluster) leave it without echo or line breaks.
    """
    try:
        import termios

        fd = sys.stdin.fileno()
        before = termios.tcgetattr(fd)
    except Exception:  # no terminal, no stdin, or no termios: nothing to restore
        yield
        return
    try:
        yield
    finally:
        try:
            # In the background, changing the terminal would stop this process.
            if os.tcgetpgrp(fd) == os.getpgrp():
                termios.tcsetattr(fd, termios.TCSADRAIN, before)
        except (OSError, termios.error):
            pass
