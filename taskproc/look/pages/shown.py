"""The pages for Python: to be saved, or shown in a notebook."""
from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ...base.errors import CacheError

if TYPE_CHECKING:
    from ...tasks.node import Node

_HEIGHT = 640


class Page:
    """A page in one file that needs no network. A notebook shows it where it is the value of a cell.

    Args:
        text_for: Writes the page for the directory that it will lie in, or for none.
    """

    def __init__(self, text_for: Callable[[Path | None], str]) -> None:
        self._text_for = text_for

    def save(self, path: Path | str) -> Path:
        """Write the page to a file, over an older page but over no other file.

        Args:
            path: The file.

        Returns:
            The file.

        Raises:
            TaskprocError: There is another file of that name, or none can be written there.
        """
        from .page import write_page

        target = Path(path)
        write_page(target, self._text_for(target.absolute().parent))
        return target

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{html.escape(self._text_for(None))}" sandbox="allow-scripts" '
            f'style="width: 100%; height: {_HEIGHT}px; border: 1px solid #8888; border-radius: 6px"></iframe>'
        )


def graph_page(task: Node) -> Page:
    """Draw the graph of all that a task needs, as `taskproc graph` does; nothing is run.

    Args:
        task: The task.

    Returns:
        The page; what it shows is as of now.
    """
    from ...run.choice import BackendChoice
    from ...run.request import RunRequest
    from ...run.run import make_plan
    from ...tasks.in_use import current_cache
    from ...tasks.settings import load_settings
    from . import html as graph_html
    from .gather import gather_graph

    settings, cache = load_settings(), current_cache()
    graph = gather_graph(make_plan(task, RunRequest(), settings, cache), BackendChoice(settings), cache)
    return Page(lambda base: graph_html.graph_page(graph, base))


def run_report(run: str | None = None, *, cache_dir: Path | str | None = None) -> Page:
    """Report on a run, as `taskproc report` does, from what is on disk.

    Args:
        run: The run's name, as `taskproc runs` lists it; by default, the newest one.
        cache_dir: The directory above the cache's own; by default, the one in use.

    Returns:
        The page; each time that it is saved or shown it is as of then.

    Raises:
        CacheError: There is no such run.
    """
    from ...runs.ledger import run_directories
    from ...store.cache import open_cache
    from ...tasks.in_use import current_cache
    from .report import report_page

    cache = current_cache() if cache_dir is None else open_cache(cache_dir)
    found = [path for path in run_directories(cache.runs) if run in (None, Path(path).name)]
    if not found:
        msg = f"there is no run{f' {run!r}' if run else ''} in {cache.root}; `taskproc runs` lists them."
        raise CacheError(msg)
    return Page(lambda base: report_page(found[0], base))
