"""The command lines that start worker processes."""
from __future__ import annotations

import os
import sys

BOOTSTRAP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bootstrap.py")


def serve_command(run_directory: str) -> list[str]:
    """Build the argv of a worker that is fed on its standard input."""
    return [sys.executable, BOOTSTRAP, "serve", run_directory]
