"""The daemon's process: `mbatchd.py STATE_DIRECTORY`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from lsf.daemon import serve  # noqa: E402  (the package is found only from here on)

serve(Path(sys.argv[1]))
