"""A graph as lines of text: a tree below the task asked for, each node told once."""
from __future__ import annotations

from collections.abc import Iterator

from .folding import Picture

_DEEPEST = 60


def tree_text(picture: Picture) -> str:
    """Write a picture as a tree; what was told already is only named again.

    >>> from taskproc.look.pages.folding import Node
    >>> load, train = (Node(title, "", "cached", "", {"cached": 1}, False) for title in ("Load()", "Train(n=1)"))
    >>> print(tree_text(Picture([load, train], {(0, 1): 1}, 1)))
    Train(n=1)  cached
    └─ Load()  cached
    <BLANKLINE>
    """
    return "\n".join(_lines(picture)) + "\n"


def _lines(picture: Picture) -> Iterator[str]:
    needs: dict[int, list[int]] = {}
    for up, down in picture.edges:
        if up != down:
            needs.setdefault(down, []).append(up)
    told: set[int] = set()
    # From the end: a node too deep to be drawn in its place gets a tree of its own.
    for root in (picture.root, *reversed(range(len(picture.nodes)))):
        if root not in told:
            yield from _tree(picture, needs, root, told)


def _tree(picture: Picture, needs: dict[int, list[int]], root: int, told: set[int]) -> Iterator[str]:
    waiting = [(root, "", "")]
    while waiting:
        number, first, rest = waiting.pop()
        node, below = picture.nodes[number], needs.get(number, [])
        if number in told:
            yield f"{first}{_line(node.title)}  (as above)"
            continue
        if len(rest) >= 3 * _DEEPEST:
            yield f"{first}{_line(node.title)}  (below)"
            continue
        told.add(number)
        again = "  (needs itself)" if (number, number) in picture.edges else ""
        yield f"{first}{_line(node.title)}  {_line(node.note)}{again}"
        for up in reversed(below):
            last = up == below[-1]
            waiting.append((up, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  ")))


def _line(text: str) -> str:
    """Keep a text on one line, and control characters from the terminal."""
    return "".join(char if char.isprintable() else " " for char in text)
