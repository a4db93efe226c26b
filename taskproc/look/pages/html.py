"""A graph as an interactive page."""
from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ...base.version import __version__
from .model import STATES, ShownGraph, ShownTask
from .page import link, page_text

_STYLES = ("theme.css", "page.css", "drawing.css", "graph.css")
_SCRIPTS = ("dagre.min.js", "drawing.js", "page.js", "viewport.js", "graph.js")

_BODY = """<header>
<h1></h1>
<p class="about"></p>
<nav class="states" aria-label="Tasks by state"></nav>
</header>
<main>
<section class="graph" aria-label="Graph">
<div class="tools">
<input type="search" placeholder="Find a task" aria-label="Find a task">
<button id="fold">Fold all</button>
<button id="turn" title="Draw it downwards, or to the right">Turn</button>
<button id="smaller" aria-label="Smaller" title="Smaller">&minus;</button>
<button id="larger" aria-label="Larger" title="Larger">+</button>
<button id="fit">Fit</button>
</div>
<svg class="drawing" role="group" aria-label="Task graph"></svg>
<p class="hint" role="status"></p>
</section>
<aside aria-label="Details" tabindex="-1"></aside>
</main>
<noscript>This page draws the graph with a script, which this browser does not run.</noscript>"""


def graph_page(graph: ShownGraph, base: Path | None) -> str:
    """Write the page.

    Args:
        graph: The graph.
        base: The directory that the page will lie in, if that is known.
    """
    return page_text(f"{graph.title} - task graph", _BODY, _STYLES, _SCRIPTS, graph_data(graph, base))


def graph_data(graph: ShownGraph, base: Path | None) -> dict[str, Any]:
    """Give a graph as the page's script reads it: one row per task, with what repeats written once."""
    names = {name: number for number, name in enumerate(graph.classes)}
    places: dict[tuple[Any, ...], int] = {}
    reasons: dict[str, int] = {"": 0}
    rows = [_row(task, names, places, reasons, base) for task in graph.tasks]
    return {
        "title": graph.title,
        "cache": graph.cache,
        "made": time.time(),
        "version": __version__,
        "states": STATES,
        "classes": [{"name": name, "short": graph.short_names[name]} for name in graph.classes],
        "places": [{"backend": backend, "host": host, "pid": pid} for backend, host, pid in places],
        "reasons": list(reasons),
        "tasks": rows,
    }


def _row(
    task: ShownTask,
    names: dict[str, int],
    places: dict[tuple[Any, ...], int],
    reasons: dict[str, int],
    base: Path | None,
) -> list[Any]:
    place = (task.backend, task.host, task.pid)
    return [
        names[task.class_name],
        task.id,
        STATES.index(task.state),
        task.label,
        task.brief,
        list(task.arguments.items()),
        reasons.setdefault(task.reason, len(reasons)),
        list(task.upstreams),
        places.setdefault(place, len(places)),
        task.started and round(task.started, 3),
        task.seconds and round(task.seconds, 6),
        task.memory,
        task.directory and link(task.directory, base),
        [[name, text, link(f"{task.directory}/{name}", base)] for name, text in task.logs.items()],
    ]
