"""A page in one file, which needs no network and lets nothing in that is not its own.

Its policy (Content-Security-Policy) allows the scripts written here and no other, and nothing to be fetched. All data
travels as JSON, in which no `<` can end the script that holds it.
"""
from __future__ import annotations

import base64
import hashlib
import html
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ...base.errors import TaskprocError
from .assets import read_asset

GENERATOR = "taskproc"
_MARK = f'<meta name="generator" content="{GENERATOR}">'
_LIBRARY = "dagre.min.js"


def page_text(title: str, body: str, styles: Sequence[str], scripts: Sequence[str], data: Any) -> str:
    """Put a page together.

    Args:
        title: The title, as text.
        body: The body, as HTML.
        styles: The names of its style sheets among the assets.
        scripts: The names of its scripts; they find the data in the element with the id `data`.
        data: What is to be shown.
    """
    codes = [_script(name) for name in scripts]
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'" for code in codes)
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {hashes}; base-uri 'none'"
    style = "\n".join(read_asset(name) for name in styles)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            _MARK,
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(title)}</title>",
            '<link rel="icon" href="data:,">',
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            body,
            f'<script type="application/json" id="data">{_embedded(data)}</script>',
            *(f"<script>{code}</script>" for code in codes),
            "</body>",
            "</html>",
            "",
        ]
    )


def write_page(path: Path, text: str) -> None:
    """Write a page, over an older one of ours, but over no other file.

    Raises:
        TaskprocError: There is another file of that name, or none can be written there.
    """
    if path.exists() and not _is_ours(path):
        msg = f"{path} is there already, and is no page of taskproc's; name another file with --output."
        raise TaskprocError(msg)
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Write a file.

    Raises:
        TaskprocError: None can be written there.
    """
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}."
        raise TaskprocError(msg) from None


def link(path: str, base: Path | None) -> str:
    """Give the address of a file for a page that lies in a directory, relative to that; without one, from the root.

    So links hold in a project that is moved or copied as a whole, whether opened as a file or from a server.

    >>> link("/data/.cache/a b#1", Path("/data/pages"))
    '../.cache/a%20b%231'
    >>> link("/data/a", None)
    'file:///data/a'
    """
    if base is None:
        return "file://" + quote(os.fsencode(os.path.abspath(path)))
    return quote(os.fsencode(os.path.relpath(path, base)))


def _is_ours(path: Path) -> bool:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return _MARK in file.read(4096)
    except OSError:
        return False


def _script(name: str) -> str:
    code = read_asset(name)
    if name == _LIBRARY:
        lines = [line for line in code.splitlines() if not line.startswith("//# sourceMappingURL")]
        code = "\n".join(["/*", read_asset(f"{name}.LEGAL.txt"), "*/", *lines])
    return f"\n{code}"


def _embedded(data: Any) -> str:
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
