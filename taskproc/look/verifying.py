"""Reading everything that a cache holds, to find what of it is not what was written.

Nothing is unpickled, nothing is run, and nothing in the cache is changed, whatever is found. Runs may go on meanwhile;
then files that a task is about to write anew are told as gone, if another task's result names them.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..store import files
from ..store.files import DamagedResultError, FormerResultError
from ..store.meta import Meta, read_notes
from ..store.named_files import FileState, change_of, digest_of, read_noted
from .catalogue import Entry, class_names, entries

if TYPE_CHECKING:
    from ..store.cache import Cache
    from ..store.class_store import ClassStore
    from ..tasks.node import Node

    Wanted = Mapping[str, Mapping[bytes, Node]]


@dataclass(frozen=True)
class Checked:
    """One result that was read.

    Attributes:
        name: The name of its class's directory.
        task: The task for people.
        files: How many files it names.
        faults: What of it is damaged, in words.
    """

    name: str
    task: str
    files: int
    faults: tuple[str, ...]


class Verifier:
    """Reads the results of a cache, and the files that they name.

    Args:
        cache: The cache.
        wanted: The tasks whose results are read, by the name of their class's directory and their identity; None: all.
        on_read: Called with numbers of bytes as they are read.
    """

    def __init__(self, cache: Cache, wanted: Wanted | None, on_read: Callable[[int], object]) -> None:
        self._cache = cache
        self._wanted = wanted
        self._on_read = on_read
        self._looked_at: dict[tuple[str, FileState | None], str] = {}

    def results(self) -> Iterator[Checked]:
        """Read one result after another; results in a former format, which are computed again, are passed over."""
        for name in class_names(self._cache):
            if self._wanted is None or name in self._wanted:
                store = self._cache.class_store(name)
                yield from self._packed(name, store)
                for entry in entries(self._cache, name):
                    if (checked := self._in_tree(entry)) is not None:
                        yield checked

    def _packed(self, name: str, store: ClassStore) -> Iterator[Checked]:
        try:
            for identity, meta, value, is_whole in store.packed.read_through():
                self._on_read(len(value))
                if meta is not None and self._is_wanted(name, identity):
                    task = self._label(name, identity, f"{name.rpartition('.')[2]} {identity.hex()} (packed)")
                    if is_whole:
                        yield self._checked(name, task, meta, _notes(meta, value))
                    else:
                        fault = f"its result in {store.packed.path} is damaged: its checksum does not match"
                        yield Checked(name, task, 0, (fault,))
        except DamagedResultError as error:
            yield Checked(name, f"{name} (packed)", 0, (str(error),))

    def _in_tree(self, entry: Entry) -> Checked | None:
        path = f"{entry.directory}/{files.RESULT}"
        meta = None
        try:
            meta = files.peek(path)
            if meta is None or not self._is_wanted(entry.name, meta.identity):
                return None
            files.verify(path)
            self._on_read(meta.size)
            task = self._label(entry.name, meta.identity, entry.label)
            checked = self._checked(entry.name, task, meta, files.load_notes(path, meta))
        except FormerResultError:
            return None
        except DamagedResultError as error:
            task = self._label(entry.name, meta.identity if meta else b"", entry.label)
            checked = Checked(entry.name, task, 0, (f"its result is damaged: {error}",))
        return checked if not checked.faults or self._stands(path, meta) else None

    def _checked(self, name: str, task: str, meta: Meta, notes: Any) -> Checked:
        noted = read_noted({} if notes is None else notes)
        if noted is None or (notes is None and meta.notes):
            return Checked(name, task, 0, ("what it notes beside its value cannot be read",))
        faults = [
            f"the file {self._cache.root}/{rest.rstrip('/')} {change}"
            for rest, state in noted.items()
            if (change := self._change(rest, state))
        ]
        return Checked(name, task, sum(state is not None for state in noted.values()), tuple(faults))

    def _change(self, rest: str, state: FileState | None) -> str:
        """Say what has changed of a file; one that several results name is read once."""
        key = rest, state
        if key not in self._looked_at:
            path = f"{self._cache.root}/{rest}"
            self._looked_at[key] = change_of(path, state, "content", lambda path: digest_of(path, self._on_read))
        return self._looked_at[key]

    def _is_wanted(self, name: str, identity: bytes) -> bool:
        return self._wanted is None or identity in self._wanted[name]

    def _label(self, name: str, identity: bytes, otherwise: str) -> str:
        task = self._wanted[name].get(identity) if self._wanted is not None else None
        return otherwise if task is None else repr(task)

    def _stands(self, path: str, meta: Meta | None) -> bool:
        """Whether a result is still the one that was read, and not one that a run has replaced meanwhile."""
        try:
            now = files.peek(path)
        except DamagedResultError:
            return True
        return now is not None and meta is not None and now.commit == meta.commit


def wanted_by(tasks: list[Node], cache: Cache) -> Wanted:
    """Give the tasks whose results are to be read."""
    wanted: dict[str, dict[bytes, Node]] = {}
    for task in tasks:
        name = cache.class_directory(task._task_config.name).rpartition("/")[2]
        wanted.setdefault(name, {})[task._task.digest] = task
    return wanted


def _notes(meta: Meta, value: bytes) -> Any:
    try:
        return read_notes(value[len(value) - meta.notes :]) if meta.notes else {}
    except ValueError:
        return None
