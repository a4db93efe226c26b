"""Warns of a page that makes a reader's browser ask another machine for anything."""
from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

_LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}
_logger = logging.getLogger(__name__)


class _Loads(HTMLParser):
    """Collects what a page loads from elsewhere; what it only links to is the reader's choice."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if (tag, name) in _LOADED and (value or "").startswith(("http:", "https:", "//")):
                self.found.append(value or "")


def check(app: Sphinx, error: Exception | None) -> None:
    """Look through the finished pages and their style sheets."""
    if error is not None or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        loads = _Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        for address in loads.found:
            _logger.warning("%s loads %s", page.relative_to(app.outdir), address)
    for sheet in Path(app.outdir).rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        if "url(http" in text or "@import" in text:
            _logger.warning("%s loads something from elsewhere", sheet.relative_to(app.outdir))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
