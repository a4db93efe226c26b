"""Where one task's files are, as seen from the driver, a worker, or a task that was unpickled elsewhere."""
from __future__ import annotations

import os
from collections.abc import Callable

from ..base.private import DIRECTORY_MODE, make_directories
from ..store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


class Location:
    """A task's place in a cache: its class's directory there, and its id (looked up, or allotted, when needed).

    It stands for the whole record in a task that was not constructed in this process.
    """

    sequence = 0  # as a task's that is no longer under construction

    __slots__ = ("_args", "_id", "class_directory", "digest", "label", "name", "on_touch")

    def __init__(
        self, name: str, digest: bytes, class_directory: str, id: int | None = None, label: str = "", args: str = "{}"
    ) -> None:
        self.name = name
        self.digest = digest
        self.class_directory = class_directory
        self.label = label
        self.on_touch: Callable[[], object] | None = None
        self._id = id
        self._args = args

    def __reduce__(self) -> tuple[Any, ...]:
        return Location, (self.name, self.digest, self.class_directory, self._id, self.label, self._args)

    @property
    def id(self) -> int:
        """The task's id; allotted now if it has none yet."""
        if self._id is None:
            from ..store.cache import class_store_at

            self._id = class_store_at(self.class_directory).allot([self.digest])[self.digest]
        return self._id

    @property
    def directory(self) -> str:
        """The instance directory, which may not exist."""
        return f"{self.class_directory}/results/{self.id}"

    @property
    def stdout(self) -> Path:
        """The log of the standard output."""
        return _path(self.directory, files.STDOUT)

    @property
    def stderr(self) -> Path:
        """The log of the standard error."""
        return _path(self.directory, files.STDERR)

    def data_directory(self) -> Path:
        """Make the data directory, and give it."""
        if self.on_touch is not None:
            self.on_touch()
        path = _path(self.directory, files.DATA)
        try:
            path.mkdir(DIRECTORY_MODE)
        except FileExistsError:
            pass
        except FileNotFoundError:
            make_directories(str(path))
        return path

    def load_result(self) -> Any:
        """Read the result back."""
        from ..store.cache import class_store_at
        from .trust import check_trust

        root = os.path.dirname(self.class_directory)
        check_trust(root, [self.class_directory])
        return as_given(class_store_at(self.class_directory).load(self.digest, self.label), root)

    def clear(self) -> None:
        """Remove the result, the logs and the contents of the data directory."""
        from ..store.cache import class_store_at
        from ..store.disk import disk_errors

        with disk_errors(self.class_directory):
            class_store_at(self.class_directory).clear([self.digest])

    def identity(self) -> Any:
        """Stand for this task inside another one's arguments."""
        return {"task": self.name, "digest": self.digest.hex()}

    def shown_inside(self) -> dict[str, Any]:
        """Stand for this task in the arguments that another one shows."""
        return {"__args__": self.args()}

    def args(self) -> dict[str, Any]:
        """Show the arguments in plain JSON."""
        import json

        shown: dict[str, Any] = json.loads(self._args)
        return shown


def as_given(value: Any, root: str) -> Any:
    """Give what a kept value gives to others: itself, or, if it is tasks that a task returned, their results.

    Args:
        value: What was kept.
        root: The cache's own directory, `{cache_dir}/taskproc`.
    """
    results = getattr(type(value), "__taskproc_given__", None)
    return value if results is None else results(value, root)


def _path(*parts: str) -> Path:
    from pathlib import Path  # which most workers never need

    return Path(*parts)
