"""A terminal's screen, as far as progress bars use one."""
from __future__ import annotations

import re

_PIECE = re.compile(r"\x1b\[(?P<count>\d*)(?P<code>[A-Za-z])|(?P<control>[\r\n])|(?P<text>[^\x1b\r\n]+)|\x1b")


def screen(written: str, columns: int = 80) -> list[str]:
    """Give the lines that a terminal would show after all that was written; what scrolled away is kept on top."""
    lines: list[list[str]] = [[]]
    row = column = 0
    for piece in _PIECE.finditer(written):
        if piece["control"] == "\r":
            column = 0
        elif piece["control"] == "\n":
            row, column = row + 1, 0
        elif piece["code"] == "A":
            row = max(0, row - int(piece["count"] or 1))
        elif piece["code"] == "K":
            lines[row] = lines[row][:column]
        for character in piece["text"] or "":
            line = lines[row]
            line.extend(" " * (column + 1 - len(line)))
            line[column] = character
            column = min(column + 1, columns - 1)
        while row >= len(lines):
            lines.append([])
    return ["".join(line).rstrip() for line in lines]
