"""A graph in the DOT language of Graphviz (https://graphviz.org/doc/info/lang.html)."""
from __future__ import annotations

from collections.abc import Iterator

from .folding import Node, Picture

_FILL = {"cached": "#d9ecdf", "stale": "#f6e7c1", "running": "#d3e3f8", "failed": "#f6d3d1"}


def dot_text(picture: Picture, title: str) -> str:
    """Write a picture as DOT.

    >>> print(dot_text(Picture([Node('Say("hi")', "Say", "stale: no result", "", {"stale": 1}, False)], {}, 0), "Say"))
    digraph "Say" {
      rankdir=LR;
      node [shape=box, style="rounded,filled", fontname="sans-serif", fontsize=11];
      edge [color="#7a828c"];
      n0 [label="Say(\\"hi\\")\\nstale: no result", fillcolor="#f6e7c1"];
    }
    <BLANKLINE>
    """
    return "\n".join(_lines(picture, title)) + "\n"


def _lines(picture: Picture, title: str) -> Iterator[str]:
    yield f"digraph {_quoted(title)} {{"
    yield "  rankdir=LR;"
    yield '  node [shape=box, style="rounded,filled", fontname="sans-serif", fontsize=11];'
    yield '  edge [color="#7a828c"];'
    for number, node in enumerate(picture.nodes):
        yield f"  n{number} [label={_label(node)}, fillcolor={_quoted(_FILL[node.state])}];"
    for (up, down), count in picture.edges.items():
        yield f"  n{up} -> n{down}" + (f' [label="{count}"];' if count > 1 else ";")
    yield "}"


def _label(node: Node) -> str:
    return _quoted(f"{node.title}\n{node.note}")


def _quoted(text: str) -> str:
    r"""Quote a string; in labels, a backslash would begin an escape, and `\n` a new line.

    >>> print(_quoted('a\\b\n"'))
    "a\\b\n\""
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "").replace("\0", "")
    return '"' + escaped.replace("\n", "\\n") + '"'
