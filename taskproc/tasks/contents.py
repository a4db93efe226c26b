"""What lies in files and directories: digests, and the stamps that tell without reading that all is as it was.

A stamp is a file's size, its times to the nanosecond and its number. As long as it is the same, so is the content;
except for a file that was modified a moment before it was looked at, since a later change may fall on the same tick of
the clock. Such a stamp is empty: it equals nothing, and the content is read again.
"""
from __future__ import annotations

import os
import stat
import time

from ..base.lean import NamedTuple, blake2b
from ..store.named_files import content_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Protocol

    class Memory(Protocol):
        """Remembers digests by path and stamp."""

        def recall(self, path: str, stamp: bytes) -> tuple[bytes, str] | None: ...
        def note(self, path: str, stamp: bytes, digest: bytes, shown: str) -> None: ...


_RECENT = 2_000_000_000  # nanoseconds: the coarsest clock of a file system that is in use
_TRIES = 3
_LARGE = 1 << 26  # bytes
_MOST_LISTED = 1000  # files


_LISTING = b"listing"  # stands for a stamp where what a directory holds is remembered by its digest


class Content(NamedTuple):
    """What a file or a directory holds.

    Attributes:
        digest: 16 bytes.
        stamp: What tells that it is as it was; empty if nothing does.
        files: How many files that is.
        size: Their bytes.
    """

    digest: bytes
    stamp: bytes
    files: int
    size: int


class WrongKindError(OSError):
    """A directory where a file should be, or the other way round."""

    def __init__(self, mode: int) -> None:
        super().__init__()
        self.is_directory = stat.S_ISDIR(mode)
        self.is_file = stat.S_ISREG(mode)


def file_content(path: str, memory: Memory) -> Content:
    """Digest a file; it is read if its stamp is another one than is remembered.

    Raises:
        WrongKindError: It is no regular file.
        OSError: It is not there, or cannot be read.
    """
    begun = time.time_ns()
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise WrongKindError(status.st_mode)
    stamp = _stamp(status, begun)
    known = memory.recall(path, stamp) if stamp else None
    if known is not None:
        return Content(known[0], stamp, 1, status.st_size)
    if not stamp and status.st_size > _LARGE:
        time.sleep(_RECENT / 1e9)  # once here, lest everybody who looks at it has to read it again
    before, after, digest = status, status, b""
    for _ in range(_TRIES):
        begun = time.time_ns()
        with open(path, "rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            digest = content_digest(file)
            after = os.fstat(file.fileno())
        if _marks(before) == _marks(after):
            break
    stamp = _stamp(after, begun) if _marks(before) == _marks(after) else b""
    if stamp:
        memory.note(path, stamp, digest, "")
    return Content(digest, stamp, 1, after.st_size)


def file_stamp(path: str) -> bytes:
    """Give the stamp of a file.

    Raises:
        WrongKindError: It is no regular file.
        OSError: It is not there.
    """
    begun = time.time_ns()
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise WrongKindError(status.st_mode)
    return _stamp(status, begun)


def directory_content(path: str, memory: Memory) -> Content:
    """Digest the names and the contents of all that lies below a directory.

    Raises:
        WrongKindError: It is none.
        OSError: It, or a file below it, is not there or cannot be read.
    """
    if not stat.S_ISDIR(os.stat(path).st_mode):
        raise WrongKindError(os.stat(path).st_mode)
    begun = time.time_ns()
    entries = list(_entries(path))
    listing, files, total = {}, 0, 0
    for entry in entries:
        content = b""
        if entry.kind == "file":
            content, _, _, size = file_content(entry.path, memory)
            files, total = files + 1, total + size
        listing[entry.name] = f"{entry.kind} {content.hex()}"
    hashed = blake2b(digest_size=16)
    for name, looks in listing.items():
        hashed.update(f"{name!r} {looks}\n".encode("utf-8", "surrogatepass"))
    digest = hashed.digest()
    if len(listing) <= _MOST_LISTED and memory.recall(listing_of(digest), _LISTING) is None:
        memory.note(listing_of(digest), _LISTING, digest, repr(listing))
    return Content(digest, _whole_stamp(entries, begun), files, total)


def changed_below(before: bytes, now: bytes, memory: Memory) -> list[str]:
    """Say which files below a directory are other ones than when it had another digest, as far as that is known."""
    known = [memory.recall(listing_of(digest), _LISTING) for digest in (before, now)]
    if None in known:
        return []
    from ast import literal_eval

    was, has = (literal_eval(shown) for _, shown in known)  # type: ignore[misc]  # neither is None
    gone = [f"{name} is gone" for name in was if name not in has]
    new = [f"{name} is new" for name in has if name not in was]
    return [*(f"{name} changed" for name in has if name in was and has[name] != was[name]), *new, *gone]


def listing_of(digest: bytes) -> str:
    """Name what a memory knows of a directory with this digest."""
    return f"\0{digest.hex()}"


def directory_stamp(path: str) -> bytes:
    """Give the stamp of a directory: of all the files below it."""
    begun = time.time_ns()
    return _whole_stamp(list(_entries(path)), begun)


def size_text(size: float) -> str:
    """Write a number of bytes for people.

    >>> size_text(12), size_text(1_250_000)
    ('12 bytes', '1.2 MB')
    """
    if size < 1000:
        return f"{size:.0f} byte{'' if size == 1 else 's'}"
    units = iter(("kB", "MB", "GB", "TB", "PB"))
    unit = "bytes"
    while size >= 1000 and unit != "PB":
        size, unit = size / 1000, next(units)
    return f"{size:.1f} {unit}"


def _marks(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _stamp(status: os.stat_result, begun: int) -> bytes:
    """Write the stamp of a file that is looked at from that time on; an empty one if it was modified just before."""
    if max(status.st_mtime_ns, status.st_ctime_ns) > begun - _RECENT:
        return b""
    return b"%d %d %d %d" % _marks(status)


class _Entry(NamedTuple):
    """What lies below a directory: a file, an empty directory, or something that is not read, such as a socket."""

    name: str
    path: str
    kind: str
    status: Any


def _whole_stamp(entries: list[_Entry], begun: int) -> bytes:
    hashed = blake2b(digest_size=16)
    for entry in entries:
        stamp = _stamp(entry.status, begun) if entry.kind == "file" else b"-"
        if not stamp:
            return b""
        hashed.update(f"{entry.name!r} {entry.kind} ".encode("utf-8", "surrogatepass") + stamp)
    return hashed.digest()


def _entries(top: str) -> Iterator[_Entry]:
    """List all that lies below a directory, links followed, in an order that is the same on every machine.

    A link that leads back up is not followed; nor is what Python and taskproc write themselves.
    """
    waiting = [("", top, _above(top))]
    while waiting:
        name, path, above = waiting.pop()
        status = os.stat(path)
        own = status.st_dev, status.st_ino
        if own in above:
            yield _Entry(name, path, "loop", None)
            continue
        names = sorted(os.listdir(path))
        if not names and name:
            yield _Entry(name, path, "empty directory", None)
        inner = []
        for one in names:
            entry = _entry(f"{name}/{one}" if name else one, f"{path}/{one}")
            if entry is None or (entry.kind == "directory" and _is_by_product(entry.path)):
                continue
            if entry.kind == "directory":
                inner.append((entry.name, entry.path, above | {own}))
            else:
                yield entry
        waiting += reversed(inner)


def _above(top: str) -> frozenset[tuple[int, int]]:
    """Give the numbers of all directories that hold one."""
    found, at = set(), os.path.dirname(os.path.realpath(top))
    while True:
        status = os.stat(at)
        found.add((status.st_dev, status.st_ino))
        if at == os.path.dirname(at):
            return frozenset(found)
        at = os.path.dirname(at)


def _is_by_product(path: str) -> bool:
    """Whether a directory is a cache of Python's or of taskproc's, which every run may change."""
    name = os.path.basename(path)
    return name == "__pycache__" or (name == "taskproc" and os.path.isdir(f"{path}/.runs"))


def _entry(name: str, path: str) -> _Entry | None:
    try:
        status = os.stat(path)
    except PermissionError:
        raise
    except OSError:
        try:
            return _Entry(name, path, f"link to {os.readlink(path)!r}", None)  # which leads nowhere
        except FileNotFoundError:  # it has gone meanwhile
            return None
    kind = "directory" if stat.S_ISDIR(status.st_mode) else "file" if stat.S_ISREG(status.st_mode) else "special file"
    return _Entry(name, path, kind, status)
