"""The files that a result names: what is noted of them beside it, and what has become of them since.

The notes under `files` have the path of each below the cache's directory. A directory's path ends with a slash, and
stands before all that lies in it.
"""
from __future__ import annotations

import os
from stat import S_ISDIR, S_ISREG

from ..base.lean import NamedTuple, blake2b
from .files import DATA, DEPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any, Literal

    FilesKind = Literal["exists", "size", "content"]

NOTED, PLACE = "files", "cache"  # the notes: of the files; where a cache was whose results cannot be moved
KINDS = ("exists", "size", "content")
_CHUNK = 1 << 20
_UNKNOWN = -1


class FileState(NamedTuple):
    """What is noted of a file.

    Attributes:
        size: Its bytes; -1 for a file or a directory of which nothing else counts than that it is there.
        mtime: When it was changed last, in nanoseconds.
        ctime: When it, or what the system knows of it, was changed last.
        digest: Of its content, 16 bytes in hexadecimal digits; empty if that was not read.
    """

    size: int
    mtime: int
    ctime: int
    digest: str


PRESENT = FileState(_UNKNOWN, 0, 0, "")


def state_of(path: str, read: bool) -> FileState | None:
    """Look at a file, and read it if that is asked for; None for what is no file.

    Raises:
        OSError: It is not there, cannot be read, or was written to meanwhile.
    """
    status = os.stat(path)
    if not S_ISREG(status.st_mode):  # to read a pipe would take for ever
        return None
    digest = ""
    if read:
        digest = digest_of(path)
        after = os.stat(path)
        if (after.st_size, after.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
            msg = f"{path} was written to while it was read"
            raise OSError(msg)
    return FileState(status.st_size, status.st_mtime_ns, status.st_ctime_ns, digest)


def digest_of(path: str, on_read: Callable[[int], object] = lambda _: None) -> str:
    """Digest a file's content.

    Args:
        path: The file.
        on_read: Called with the number of bytes after each piece.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        return content_digest(file, on_read).hex()


def content_digest(file: Any, on_read: Callable[[int], object] = lambda _: None) -> bytes:
    """Digest what an open file holds, likewise, to 16 bytes."""
    hashed = blake2b(digest_size=16)
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    while size := file.readinto(buffer):
        hashed.update(view[:size])
        on_read(size)
    return hashed.digest()


def below(directory: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Give all that lies in a directory by its name there, each behind what it lies in; links are not followed."""
    with os.scandir(directory) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        yield entry.name, entry
        if entry.is_dir(follow_symlinks=False):
            for name, inner in below(entry.path):
                yield f"{entry.name}/{name}", inner


def owner_of(rest: str) -> tuple[str, int] | None:
    """Give the class's directory and the id of the task in whose data directory a path leads; None for any other."""
    parts = rest.split("/")
    if len(parts) < 4 or parts[1] != "results" or not parts[2].isdecimal() or parts[3] != DATA:
        return None
    return parts[0], int(parts[2])


def without_links(directory: str, rest: str) -> str:
    """Follow the link to an upstream that a path goes through, so that it shows whose file it is."""
    parts = rest.split("/")
    if len(parts) < 5 or parts[1] != "results" or parts[3] != DEPS:
        return rest
    try:
        target = os.readlink(f"{directory}/{'/'.join(parts[:5])}")
    except (OSError, ValueError):  # there is none, or that is no name of a file
        return rest
    return "/".join([*target.split("/")[-3:], *parts[5:]])


def read_noted(notes: Mapping[str, Any]) -> dict[str, FileState | None] | None:
    """Read what is noted of files; None if that is damaged."""
    try:
        noted = notes.get(NOTED, {})
        return {rest: None if state is None else FileState(*state) for rest, state in noted.items()}
    except (AttributeError, TypeError):
        return None


def changes(directory: str, noted: Mapping[str, FileState | None], kind: FilesKind) -> list[tuple[str, str]]:
    """Say of which files something has changed that counts: their paths below the cache, and what in words.

    Args:
        directory: The cache's directory.
        noted: What was noted of them.
        kind: What counts: that they are there, their sizes too, or their contents too.
    """
    found = [
        (rest.rstrip("/"), change)
        for rest, state in noted.items()
        if (change := change_of(f"{directory}/{rest}", state, kind))
    ]
    if kind == "content":
        found += [(rest, "was not there before") for rest in _new(directory, noted)]
    return found


def change_of(
    path: str, state: FileState | None, kind: FilesKind, digest: Callable[[str], str] | None = None
) -> str:
    """Say what has changed of a file or a directory that counts; nothing if it is as it was.

    Args:
        path: Where it is.
        state: What was noted of it.
        kind: What counts.
        digest: Reads its content, whatever its times say; without it, a file with its former times has its content.
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return "is gone"
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    if state is None:
        return "" if S_ISDIR(status.st_mode) else "is no directory now"
    if kind == "exists" or state.size == _UNKNOWN:
        return ""
    if not S_ISREG(status.st_mode):
        return "is a directory now" if S_ISDIR(status.st_mode) else "is no file now"
    if status.st_size != state.size:
        return f"has {status.st_size} bytes instead of {state.size}"
    if kind == "size" or not state.digest:
        return ""
    times = status.st_mtime_ns, status.st_ctime_ns
    if digest is None and (times == (state.mtime, state.ctime) or _found_the_same.get(path) == (*times, state.digest)):
        return ""
    try:
        if (digest or digest_of)(path) != state.digest:
            return "has another content"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    _found_the_same[path] = *times, state.digest
    return ""


_found_the_same: dict[str, tuple[int, int, str]] = {}  # files that were copied with a cache have other times than noted


def told(change: tuple[str, str], whose: str) -> str:
    """Say what has changed as a reason: `its file data/model.bin is gone`."""
    rest, words = change
    return f"{whose} file {rest.split('/', 3)[-1]} {words}"


def is_elsewhere(directory: str, notes: Mapping[str, Any]) -> bool:
    """Whether the cache is not where it was when a result was kept that cannot be moved."""
    place = notes.get(PLACE, directory)
    try:
        return place != directory and not os.path.samefile(place, directory)
    except (OSError, TypeError, ValueError):
        return True


def _new(directory: str, noted: Mapping[str, FileState | None]) -> Sequence[str]:
    """Name what lies in the directories that were noted, and was not noted itself."""
    found = []
    for rest, state in noted.items():
        if state is None:
            try:
                names = sorted(os.listdir(f"{directory}/{rest}"))
            except OSError:
                continue
            new = [rest + name for name in names if rest + name not in noted and f"{rest}{name}/" not in noted]
            found += [path for path in new if _is_noted(f"{directory}/{path}")]
    return found


def _is_noted(path: str) -> bool:
    """Whether what lies there would have been noted: what leads nowhere, and what is no file, is not."""
    return os.path.isfile(path) or (os.path.isdir(path) and not os.path.islink(path))
