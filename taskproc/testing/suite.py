"""What both levels of the suite share: what an author says of a backend, and the place where a test runs."""
from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ..base.errors import BackendError
from ..contract.plugins import Plugins
from ..plugin import BackendPlugin
from .clauses import breach
from .place import Script, fresh_cache
from .tasks import Beats


class Suite:
    """What an author says of a backend, as class attributes.

    Attributes:
        backend: Its name.
        options: Options for every run; the tests' machine should have them.
        plugins: Modules, or files beside the test file, that bring it, if it is not an installed package.
        max_workers: As in `run_graph`.
        apart: Whether tasks run in processes other than the driver's.
        isolated: Whether a task that dies, or is ended, takes nobody with it.
        many: How many jobs "many at once" are.
        patience: Seconds until something that has not happened will not happen.
    """

    backend: ClassVar[str] = ""
    options: ClassVar[Mapping[str, Any]] = {}
    plugins: ClassVar[Sequence[str]] = ()
    max_workers: ClassVar[int] = 2
    apart: ClassVar[bool] = True
    isolated: ClassVar[bool] = True
    many: ClassVar[int] = 200
    patience: ClassVar[float] = 60.0

    def how(self) -> dict[str, Any]:
        """Give the arguments of `run_graph` that choose the backend."""
        return {"backend": self.backend, "backend_options": dict(self.options), "max_workers": self.max_workers}

    @pytest.fixture
    def shared_directory(self, tmp_path: Path) -> Path:
        """Give a directory that workers can see too. Override it where they do not see this machine's /tmp."""
        return tmp_path

    @pytest.fixture(autouse=True)
    def home(self, shared_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """Run the test in a directory and with a cache of its own, the plugins named in the settings."""
        home = shared_directory / "home"
        home.mkdir()
        files = [f"plugins = {self._plugins()!r}\n"] if self.plugins else []
        (home / "taskproc.toml").write_text("".join(files), encoding="utf-8")
        monkeypatch.chdir(home)
        with fresh_cache(home / "cache"):
            yield home

    @pytest.fixture
    def start(self, home: Path) -> Iterator[Any]:
        """Start scripts that are drivers of their own."""
        started: list[Script] = []

        def start(text: str) -> Script:
            started.append(Script(text, home))
            return started[-1]

        yield start
        for script in started:
            script.clean_up()

    @pytest.fixture
    def heart(self, home: Path) -> Iterator[tuple[Beats, Path]]:
        """Give a task that runs until it is ended, and the file that it writes to as long as it lives."""
        path = home / "beats"
        path.with_name("beats.child").touch()
        yield Beats(str(path)), path
        path.with_name("beats.stop").touch()

    def plugin(self) -> BackendPlugin:
        """Load the plugin."""
        __tracebackhide__ = True
        try:
            return Plugins(self._plugins()).backend(self.backend)
        except BackendError as error:
            breach("P2" if "contract" in str(error) or "needs a factory" in str(error) else "P1", f"{error}.")

    def _plugins(self) -> list[str]:
        """Name the plugins; files are looked for beside the test file."""
        here = os.path.dirname(os.path.abspath(inspect.getfile(type(self))))
        return [os.path.join(here, name) if name.endswith(".py") else name for name in self.plugins]
