"""What an attempt leaves besides its result: the files in its data directory, and what is noted of those it names."""
from __future__ import annotations

import os

from ..base.lean import blake2b
from ..store.files import DATA, RESULT, DamagedResultError, peek
from ..store.named_files import NOTED, PLACE, PRESENT, below, owner_of, state_of, without_links

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ..store.named_files import FilesKind, FileState
    from ..store.references import References


class LeftFiles:
    """The files of one attempt.

    Args:
        cache: The cache's directory.
        rest: The data directory below that.
        kind: What counts of them.

    Attributes:
        cache: As given.
        owner: The class's directory and the id of the task.
        digest: Of their names and contents; empty if there are none, None if that cannot be said.
    """

    def __init__(self, cache: str, rest: str, kind: FilesKind) -> None:
        self.cache = cache
        self._rest = rest
        self.owner = rest.split("/")[0], rest.split("/")[2]
        self._kind = kind
        self._states: dict[str, FileState | None] = {}
        self.digest = self._read()

    def note(self, named: Iterable[str]) -> dict[str, FileState | None]:
        """Note what a result names, as far as it lies in a data directory and is there.

        Args:
            named: Paths below the cache's directory.
        """
        noted: dict[str, FileState | None] = {}
        for rest in sorted({without_links(self.cache, os.path.normpath(rest)) for rest in named}):
            if owner_of(rest) is not None:
                self._note(noted, rest)
        return noted

    def reach_disk(self) -> None:
        """Wait until the disk has the files, as far as they may be opened."""
        directory = f"{self.cache}/{self._rest}"
        inner = [entry.path for _, entry in below(directory) if not entry.is_symlink()]
        for path in [*filter(_is_kept, inner), directory]:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except (PermissionError, FileNotFoundError):
                continue
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def _note(self, noted: dict[str, FileState | None], rest: str) -> None:
        path = f"{self.cache}/{rest}"
        if rest in noted or f"{rest}/" in noted:
            return
        try:
            if self._kind == "exists":
                os.stat(path)
                noted[rest] = PRESENT
                return
            if not os.path.isdir(path):
                self._note_file(noted, rest)
                return
            noted[f"{rest}/"] = None
            for name, entry in below(path):
                self._note_inner(noted, f"{rest}/{name}", entry.is_dir(follow_symlinks=False))
        except (OSError, ValueError):  # it is a name only, for what may be there later, or no name of a file at all
            pass

    def _note_inner(self, noted: dict[str, FileState | None], rest: str, is_directory: bool) -> None:
        if is_directory:
            noted[f"{rest}/"] = None
        elif os.path.exists(f"{self.cache}/{rest}"):
            self._note_file(noted, rest)

    def _note_file(self, noted: dict[str, FileState | None], rest: str) -> None:
        state = self._states.get(rest)
        if state is None and self._kind == "content":
            try:
                state = state_of(f"{self.cache}/{rest}", read=True)
            except OSError:  # something still writes to it, or it cannot be read; its size may say something
                pass
        state = state or state_of(f"{self.cache}/{rest}", read=False)
        if state is not None:
            noted[rest] = state

    def _read(self) -> bytes | None:
        directory = f"{self.cache}/{self._rest}"
        try:
            if not os.path.isdir(directory) or not os.listdir(directory):
                return b""
            if self._kind == "exists":
                return None
            hashed = blake2b(digest_size=16)
            for name, entry in below(directory):
                for part in (os.fsencode(name), self._content(f"{self._rest}/{name}", entry)):
                    hashed.update(len(part).to_bytes(8, "little") + part)
            return hashed.digest()
        except OSError:
            return None

    def _content(self, rest: str, entry: os.DirEntry[str]) -> bytes:
        """Stand for what lies under a name: a file by its content, a link by where it leads."""
        if entry.is_symlink():
            return b"link" + self._of_link(entry.path)
        if entry.is_dir():
            return b"directory"
        if not entry.is_file():
            return b"other"
        state = state_of(entry.path, read=True)
        assert state is not None, "it is a file"
        self._states[rest] = state
        return bytes.fromhex(state.digest)

    def _of_link(self, path: str) -> bytes:
        """Stand for a link: what it leads to outside of the data directory is not read, but its times are looked at."""
        target = os.fsencode(os.readlink(path))
        inside = os.path.realpath(f"{self.cache}/{self._rest}")
        if os.path.realpath(path).startswith(f"{inside}/") or not os.path.exists(path):
            return target
        status = os.stat(path)
        return target + f"\0{status.st_size} {status.st_mtime_ns}".encode()


def others_digest(references: References, is_whole: bool, left: LeftFiles) -> bytes | None:
    """Stand for what lies behind the paths in a result, other than the attempt's own files.

    The same paths may lead to other files than before. So the tasks whose files they are stand for them, by the digests
    of their values; None if a path leads elsewhere, so that nobody can say whether that is as before.
    """
    owners: set[tuple[str, str]] = set()
    for rest in [*map(os.path.normpath, references.named), *references.embedded]:
        owner, is_data = _led_to(without_links(left.cache, rest))
        if owner is None or (owner == left.owner and not is_data):
            return None
        owners.add(owner)
    values = [_value(left.cache, *owner) for owner in sorted(owners - {left.owner})]
    return None if is_whole or None in values else b"".join(filter(None, values))


def _led_to(rest: str) -> tuple[tuple[str, str] | None, bool]:
    """Give the class's directory and the id of the task to which a path leads, and whether it is to its files."""
    parts = rest.split("/")
    if len(parts) < 4 or parts[1] != "results" or not parts[2].isdecimal() or ".." in rest:
        return None, False
    return (parts[0], parts[2]), parts[3] == DATA


def _value(cache: str, name: str, id: str) -> bytes | None:
    try:
        meta = peek(f"{cache}/{name}/results/{id}/{RESULT}")
    except DamagedResultError:
        return None
    return None if meta is None else meta.value


def _is_kept(path: str) -> bool:
    return os.path.isfile(path) or os.path.isdir(path)


def notes_on(references: References, is_whole: bool, left: LeftFiles) -> dict[str, Any]:
    """Give what is to be noted beside a result.

    Args:
        references: What it refers to.
        is_whole: Whether it also has a path that could not be made relative.
        left: The files of the attempt.
    """
    noted = left.note(references.named)
    notes: dict[str, Any] = {NOTED: noted} if noted else {}
    if is_whole:
        notes[PLACE] = left.cache
    return notes
