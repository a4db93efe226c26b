"""A graph in the language of Mermaid (https://mermaid.js.org/syntax/flowchart.html), which many wikis draw."""
from __future__ import annotations

import re
from collections.abc import Iterator

from .folding import Picture
from .model import STATES

_STYLE = {
    "cached": "fill:#d9ecdf,stroke:#3d8a5a,color:#15251b",
    "stale": "fill:#f6e7c1,stroke:#a8791a,color:#2b2108",
    "running": "fill:#d3e3f8,stroke:#2f6fbf,color:#0f2036",
    "failed": "fill:#f6d3d1,stroke:#b83a34,color:#330f0d",
}
# Mermaid reads Markdown, HTML and its own syntax inside of labels, so all but these go by number.
_SPECIAL = re.compile(r"[^\w .,:()=+-]", re.ASCII)


def mermaid_text(picture: Picture) -> str:
    """Write a picture for Mermaid.

    >>> from taskproc.look.pages.folding import Node
    >>> print(mermaid_text(Picture([Node("Say(<b>)", "Say", "cached", "", {"cached": 1}, False)], {}, 0)))
    flowchart LR
      n0["Say(#60;b#62;)<br>cached"]:::cached
      classDef cached fill:#d9ecdf,stroke:#3d8a5a,color:#15251b
    <BLANKLINE>
    """
    return "\n".join(_lines(picture)) + "\n"


def _lines(picture: Picture) -> Iterator[str]:
    yield "flowchart LR"
    for number, node in enumerate(picture.nodes):
        yield f'  n{number}["{_escaped(node.title)}<br>{_escaped(node.note)}"]:::{node.state}'
    for (up, down), count in picture.edges.items():
        yield f"  n{up} -->{f'|{count}|' if count > 1 else ''} n{down}"
    present = {node.state for node in picture.nodes}
    for state in STATES:
        if state in present:
            yield f"  classDef {state} {_STYLE[state]}"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda match: f"#{ord(match[0])};", " ".join(text.split()))
