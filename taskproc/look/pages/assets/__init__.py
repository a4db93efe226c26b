"""Scripts and styles of the pages. `dagre.min.js` is @dagrejs/dagre 3.1.3, whose licence lies beside it."""
from __future__ import annotations

from importlib.resources import files


def read_asset(name: str) -> str:
    """Read one of the files here.

    >>> read_asset("dagre.min.js.LEGAL.txt").startswith("Copyright")
    True
    """
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
