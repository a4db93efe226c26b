"""A graph as an SVG picture, arranged and drawn by the same code as in the page, which dukpy runs here."""
from __future__ import annotations

import re
from typing import Any

from ...base.errors import SettingsError, TaskprocError
from .assets import read_asset
from .folding import Picture

_VARIABLE = re.compile(r"--([\w-]+):\s*(#\w+);")
_USE = re.compile(r"var\(--([\w-]+)\)")
# dagre copies its options by this function of browsers.
_AS_IN_A_BROWSER = "globalThis.structuredClone = (value) => JSON.parse(JSON.stringify(value));"
_MOST_NODES = 300
_CALL = "drawing.draw(dagre, dukpy.picture)"


def svg_text(picture: Picture) -> str:
    """Draw a picture; it is black on white, and needs nothing but itself.

    Raises:
        SettingsError: dukpy is not installed.
        TaskprocError: There are too many nodes.
    """
    if len(picture.nodes) > _MOST_NODES:
        msg = (
            f"{len(picture.nodes)} nodes are too many to be arranged for SVG, which takes {_MOST_NODES}: use "
            "--fold, or give the output of -f dot to Graphviz."
        )
        raise TaskprocError(msg)
    drawn = _drawn(picture)
    size = f'width="{drawn["width"]}" height="{drawn["height"]}" viewBox="0 0 {drawn["width"]} {drawn["height"]}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="drawing" {size}>\n'
        f'<style>{_style()}</style>\n<rect width="100%" height="100%" fill="#ffffff"/>\n{drawn["markup"]}\n</svg>\n'
    )


def _drawn(picture: Picture) -> dict[str, Any]:
    try:
        import dukpy
    except ImportError:
        msg = "SVG needs the package dukpy: pip install 'taskproc[svg]'; html, dot, mermaid and text do not."
        raise SettingsError(msg) from None
    script = "\n".join([_AS_IN_A_BROWSER, read_asset("dagre.min.js"), read_asset("drawing.js"), _CALL])
    drawn: Any = dukpy.evaljs(script, picture=_as_data(picture))
    return dict(drawn)


def _as_data(picture: Picture) -> dict[str, Any]:
    nodes = [
        {
            "key": f"n{number}",
            "kind": "class" if node.folded else "task",
            "title": node.name,
            "note": node.note if node.folded else node.state,
            "brief": node.brief,
            "told": node.note,
            "counts": node.counts,
            "group": None,
        }
        for number, node in enumerate(picture.nodes)
    ]
    edges = [{"from": f"n{up}", "to": f"n{down}", "count": count} for (up, down), count in picture.edges.items()]
    return {"nodes": nodes, "groups": [], "edges": edges, "down": False}


def _style() -> str:
    """Give the drawing's style in the light colours, spelt out: most programs but browsers know no variables."""
    light = dict(_VARIABLE.findall(read_asset("theme.css").partition("@media")[0]))
    return _USE.sub(lambda use: light[use[1]], read_asset("drawing.css")) + ".drawing .sign { display: none; }"
