"""What all tests share: a cache of one's own, and scripts in processes of their own."""
from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from taskproc.store import cache as stores
from taskproc.tasks import construction
from taskproc.tasks.settings import Context
from tests.sharing import group_of
from tests.support import ScriptRunner

# How long an example takes says something of the machine, and nothing of what is tested.
hypothesis.settings.register_profile("taskproc", deadline=None)
hypothesis.settings.load_profile("taskproc")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what runs on request only, by `-m exhaustive`, and keep tests together that share something."""
    if "exhaustive" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("exhaustive")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("exhaustive")]
    for item in items:
        if group := group_of(item):
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture
def cache_name() -> str:
    """Name the cache directory; a test on names has others."""
    return "cache"


@pytest.fixture
def cache(tmp_path: Path, cache_name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the test a cache directory of its own, and forget the tasks of the tests before."""
    directory = tmp_path / cache_name
    for name in ("TP_BACKEND", "TP_EXECUTOR", "TP_MAX_WORKERS", "TP_DETECT_SOURCE_CHANGE", "TP_STORE", "TP_FSYNC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TP_CACHE_DIR", str(directory))
    monkeypatch.setattr(Context, "_assigned", {"cache_dir": directory})
    construction._memos.clear()
    yield directory
    _close_stores(directory)


@pytest.fixture(params=["tree", "packed"])
def either_store(request: pytest.FixtureRequest, cache: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Keep results in either of the stores."""
    kind: str = request.param
    monkeypatch.setenv("TP_STORE", kind)
    return kind


@pytest.fixture
def run_script(tmp_path: Path) -> ScriptRunner:
    """Run Python texts as scripts, in a directory and with a cache of their own."""
    home = tmp_path / "scripts"
    home.mkdir()
    return ScriptRunner(home, tmp_path / "cache")


def _close_stores(directory: Path) -> None:
    """Close the files of a cache that nobody will use again."""
    for path in [path for path in stores._class_stores if path.startswith(f"{directory}/")]:
        stores._class_stores.pop(path).close()
    gc.collect()
