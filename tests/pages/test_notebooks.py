"""What a notebook shows: tasks, graphs and reports."""
from __future__ import annotations

import html
import pickle
from pathlib import Path

import pytest
from IPython.core.formatters import HTMLFormatter

from taskproc import Requires, TaskBase
from taskproc.base.errors import CacheError, TaskprocError
from taskproc.look.pages import graph_page, run_report
from tests.support import ScriptRunner

EVIL = "<script>alert(1)</script>"


class Load(TaskBase):
    def __init__(self, name: str) -> None: ...

    def run_task(self) -> int:
        return 1


class Train(TaskBase):
    data: Requires[int]

    def __init__(self, name: str = "digits", lr: float = 0.1) -> None:
        self.data = Load(name)

    def run_task(self) -> int:
        return self.data


def shown(value: object) -> str:
    """Show a value as a notebook does."""
    text: str = HTMLFormatter()(value)
    return text


def test_a_task_is_shown_with_its_arguments_and_its_state(cache: Path) -> None:
    before = shown(Train())
    Train().run_graph(backend="thread")
    after = shown(Train())

    assert "stale: no result" in before
    assert "1 task: 0 cached, 1 stale" in before
    assert "stale" not in after.replace("0 stale", "")
    assert "1 task: 1 cached" in after
    assert str(cache / "taskproc") in after
    for text in (before, after):
        assert "lr</td>" in text
        assert "<code>0.1</code>" in text


def test_showing_a_task_makes_nothing(cache: Path) -> None:
    shown(Train())

    assert not cache.exists()


def test_what_tasks_say_is_text(cache: Path) -> None:
    assert EVIL not in shown(Train(EVIL))
    assert html.escape(EVIL) in shown(Train(EVIL))


def test_a_task_from_another_process_is_shown_by_its_arguments(cache: Path) -> None:
    stranger = pickle.loads(pickle.dumps(Train()))
    text = shown(stranger)

    assert "lr</td>" in text
    assert "stale" not in text


def test_graphs_and_reports_are_shown_in_frames_of_their_own(cache: Path) -> None:
    Train(EVIL).run_graph(backend="thread")

    for page in (graph_page(Train(EVIL)), run_report()):
        text = shown(page)
        assert text.startswith('<iframe srcdoc="&lt;!DOCTYPE html&gt;')
        assert 'sandbox="allow-scripts"' in text
        assert text.count("<") == 2


def test_pages_are_saved_but_not_over_other_files(cache: Path, tmp_path: Path) -> None:
    page = graph_page(Train())
    assert page.save(tmp_path / "graph.html") == page.save(str(tmp_path / "graph.html"))
    (tmp_path / "mine.html").write_text("mine")

    with pytest.raises(TaskprocError, match=r"mine\.html is there already"):
        page.save(tmp_path / "mine.html")


def test_progress_is_made_of_widgets(run_script: ScriptRunner) -> None:
    pytest.importorskip("ipywidgets", reason="ipywidgets is not installed; it is in the group `pages`")
    script = """
        import sys, types
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config

        sys.modules["ipykernel.zmqshell"] = types.ModuleType("zmqshell")  # by which tqdm knows a notebook's kernel
        shell = InteractiveShell.instance(config=Config({"IPKernelApp": {"parent_appname": "notebook"}}))
        cell = "from taskproc import TaskBase\\nclass Main(TaskBase): ...\\nMain().run_graph(show_progress=True)"
        ran = shell.run_cell(cell)

        from ipywidgets import FloatProgress
        from ipywidgets.widgets.widget import _instances
        bars = [one for one in _instances.values() if isinstance(one, FloatProgress)]
        print("bars:", ran.success, [(bar.value, bar.max, bar.bar_style) for bar in bars])
    """

    ended = run_script(script, env={"IPYTHONDIR": str(run_script.home / "ipython")})
    assert "bars: True [(1.0, 1.0, 'success')]" in ended.out


def test_a_run_that_is_not_there_is_named(cache: Path) -> None:
    with pytest.raises(CacheError, match="there is no run 'r7'"):
        run_report("r7")
    with pytest.raises(CacheError, match="there is no run in"):
        run_report()
