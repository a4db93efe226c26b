"""The terminal takes any text, and is handed back as it was, whatever a task or a prefix command did to it."""
from __future__ import annotations

import io
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


def print_any_text() -> None:
    """Let standard output write with backslashes what it cannot encode, as standard error does.

    The paths and labels that we print need not be UTF-8, and neither need the terminal.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
