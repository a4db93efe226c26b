"""Reads Markdown pages: which code blocks they have, and what is to be done with each.

- `python`: part of the page's script. A line `print(...)  # 20` must print what its comment says.
- `python` that starts with a comment `# name.py`, or `toml` with `# name.toml`: a file beside the script.
- `console`: commands after `$ `. Those that call `taskproc` or `python` are run, in order, after the script.

A page's script keeps the line numbers of the page, so that a traceback leads to the line to mend.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\s*$")
_FILE_NAME = re.compile(r"^# (?P<name>[\w./-]+\.(?:py|toml))\b")
_PRINTED = re.compile(r"^ *print\(.*\) {2,}# (?P<text>.+)$")


@dataclass(frozen=True)
class Block:
    """A fenced code block; `line` is the number of its first line of code, from 1."""

    language: str
    text: str
    line: int

    @property
    def file_name(self) -> str:
        """The file that it is, if it is one."""
        match = _FILE_NAME.match(self.text)
        return match["name"] if match and self.language in ("python", "toml") else ""


@dataclass(frozen=True)
class Page:
    """A page, taken apart.

    Attributes:
        files: The files that it shows: name -> content.
        script: Its Python blocks as one script; empty if it has none.
        printed: What the script must print, in this order.
        commands: The commands to run after the script.
    """

    files: dict[str, str]
    script: str
    printed: list[str]
    commands: list[str]


def read_page(path: Path) -> Page:
    """Take a page apart."""
    blocks = list(find_blocks(path.read_text(encoding="utf-8")))
    lines: list[str] = []
    for block in blocks:
        if block.language == "python" and not block.file_name:
            lines += [""] * (block.line - 1 - len(lines)) + block.text.splitlines()
    script = "\n".join([*lines, ""]) if lines else ""
    return Page(
        files={block.file_name: block.text for block in blocks if block.file_name},
        script=script,
        printed=[match["text"] for line in lines if (match := _PRINTED.match(line))],
        commands=[command for block in blocks if block.language == "console" for command in find_commands(block.text)],
    )


def find_blocks(text: str) -> Iterator[Block]:
    """Find the fenced code blocks of a page."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        opening = _FENCE.match(lines[at])
        at += 1
        if opening is None:
            continue
        start = at
        while at < len(lines) and lines[at].strip() != "```":
            at += 1
        indent = len(opening["indent"])
        code = "".join(f"{line[indent:]}\n" for line in lines[start:at])
        yield Block(opening["language"], code, start + 1)
        at += 1


def find_commands(text: str) -> Iterator[str]:
    """Find what a console block calls of ours."""
    for line in text.splitlines():
        command = line.removeprefix("$ ").partition("  #")[0].strip()
        if line.startswith("$ ") and command.split()[0] in ("taskproc", "python"):
            yield command
