"""The files of one task: its result with where it came from, its failure, and the directory they lie in.

A result is a gzip file that any tool can read. Its provenance travels inside it (`meta.py`): one file, one rename, so
the two can never disagree.
"""
from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable, Mapping, Sequence

from ..base.errors import ResultUnreadableError, TaskprocError, UpstreamChangedError
from ..base.lean import blake2b, pickle, struct
from ..base.private import DIRECTORY_MODE, FILE_MODE, make_directories, opener
from ..base.script import place_of
from ..base.telling import told
from .meta import BODY_AT, HEAD, META_AT, Meta, is_former, read_notes
from .references import resolve, root_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from .references import References

RESULT = "result.pkl.gz"
ARGS = "args.json"
STDOUT = "stdout.txt"
STDERR = "stderr.txt"
DATA = "data"
DEPS = "deps"
DEPS_FILE = "deps.json"
FAILURE = "failure.json"
FAILURE_PICKLE = "failure.pkl"
EARLIER = "earlier"
ATTEMPT = "attempt."

MOST_LINKS = 1000
SPILL = 1 << 16
_CHUNK = 1 << 20

_OWN = 0o700  # what the owner of a directory may do with it

_TAIL = struct.Struct("<II")
_GLANCE = 1024  # bytes to read for a result's provenance: the end of a short file shows its size as well
_DIGEST = 16  # bytes


class DamagedResultError(TaskprocError):
    """A result's file is truncated, or holds something else; it counts as missing."""


class FormerResultError(DamagedResultError):
    """A result is in a format that taskproc wrote in the past; it counts as missing.

    Args:
        path: Its file.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is in a format of an older taskproc")


class MarkedError(Exception):
    """A pickle has something in it that a writer was told to stop at."""


class ResultWriter(io.RawIOBase):
    """Takes a pickle as it is made: small ones stay in memory, large ones go through gzip to a temporary file.

    Attributes:
        references: What was pickled as a reference; None if nothing was looked for, as nothing can have been there.
        marked: Whether there is in the pickle what `look_for` named.

    Args:
        path: The temporary file.
        level: gzip's compression level.
        before_open: Called before the temporary file of a large one is made.
    """

    def __init__(self, path: str, level: int, before_open: Callable[[], Any]) -> None:
        self._path = path
        self._level = level
        self._before_open = before_open
        self._chunks: list[bytes] = []
        self._size = 0
        self._file: BinaryIO | None = None
        self._crc = 0
        self._compress: Any = None
        self._digest = blake2b(digest_size=_DIGEST)
        self._marks: Sequence[bytes] = ()
        self._stops = False
        self.references: References | None = None
        self.marked = False

    def look_for(self, marks: Sequence[bytes], stops: bool) -> None:
        """Look for these bytes in what is written; stop at the first with an error, or else note it.

        A pickler writes text as a whole, so that none of them lies in two pieces.
        """
        self._marks, self._stops = marks, stops

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self._size += size
        self._digest.update(data)
        if self._marks and _is_marked(data, self._marks):
            self._marks, self.marked = (), True
            if self._stops:
                raise MarkedError
        if self._file is None:
            if self._size <= SPILL:
                self._chunks.append(bytes(data))
                return size
            self._spill()
        self._deflate(data)
        return size

    @property
    def small(self) -> bytes | None:
        """All that was written, if it was little."""
        return b"".join(self._chunks) if self._file is None else None

    @property
    def digest(self) -> bytes:
        """The digest of all that was written."""
        return self._digest.digest()

    def finish(self, meta: Meta, notes: bytes, fsync: bool) -> None:
        """Complete the temporary file.

        Args:
            meta: The result's provenance; its size is found out here.
            notes: Its notes, as `write_notes` makes them.
            fsync: Whether the file must reach the disk.
        """
        if self._file is None:
            self._write_whole(meta, notes, fsync)
            return
        file = self._file
        file.write(self._compress.flush() + _TAIL.pack(self._crc, self._size & 0xFFFFFFFF) + notes)
        size = file.tell()
        file.seek(0)
        file.write(meta._replace(size=size).header())
        file.flush()
        if fsync:
            os.fsync(file.fileno())
        file.close()

    def discard(self) -> None:
        """Remove the temporary file, if there is one."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError:  # on a full disk the rest cannot be written
                pass
        try:
            os.unlink(self._path)
        except OSError:
            pass

    def _write_whole(self, meta: Meta, notes: bytes, fsync: bool) -> None:
        content = b"".join(self._chunks)
        compress = zlib.compressobj(self._level, zlib.DEFLATED, -15)
        body = compress.compress(content) + compress.flush()
        tail = _TAIL.pack(zlib.crc32(content), len(content)) + notes
        whole = meta._replace(size=BODY_AT + len(body) + len(tail)).header() + body + tail
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
        try:
            _write_all(fd, whole)
            if fsync:
                os.fsync(fd)
        finally:
            os.close(fd)

    def _spill(self) -> None:
        self._before_open()
        file: BinaryIO = open(self._path, "wb", _CHUNK, opener=opener)  # noqa: SIM115 (finish or discard closes it)
        file.write(b"\0" * BODY_AT)
        self._file = file
        self._compress = zlib.compressobj(self._level, zlib.DEFLATED, -15)
        chunks, self._chunks = self._chunks, []
        for chunk in chunks:
            self._deflate(chunk)

    def _deflate(self, data: Any) -> None:
        assert self._file is not None
        view = memoryview(data).cast("B")
        for at in range(0, len(view), _CHUNK):
            part = view[at : at + _CHUNK]
            self._crc = zlib.crc32(part, self._crc)
            self._file.write(self._compress.compress(part))


def peek(path: str) -> Meta | None:
    """Read a result's provenance without reading the result; None if there is none.

    Raises:
        DamagedResultError: The file is truncated, or no result of ours.
        FormerResultError: It is one in a format of the past.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DamagedResultError(f"{path} cannot be opened: {error.strerror}") from error
    try:
        head = os.read(fd, _GLANCE)
        size = len(head) if len(head) < _GLANCE else os.fstat(fd).st_size
    except OSError as error:
        raise DamagedResultError(f"{path} cannot be read: {error.strerror}") from error
    finally:
        os.close(fd)
    meta = Meta.of_head(head)
    if meta is None:
        if is_former(head):
            raise FormerResultError(path)
        raise DamagedResultError(f"{path} is no result of taskproc, or cut short")
    if meta.size != size:
        raise DamagedResultError(f"{path} has {size} bytes instead of {meta.size}")
    return meta


def load_notes(path: str, meta: Meta | None = None) -> Any:
    """Read a result's notes; None if it has none, or they cannot be read.

    Args:
        path: Its file.
        meta: Its provenance, if that has been read.
    """
    try:
        meta = meta or peek(path)
        if meta is None or not meta.notes:
            return None
        with open(path, "rb", buffering=0) as file:
            return read_notes(os.pread(file.fileno(), meta.notes, meta.size - meta.notes))
    except (DamagedResultError, OSError, ValueError, struct.error):
        return None


def load(path: str, whose: str, identity: bytes = b"", commit: bytes = b"") -> Any:
    """Read a result back, checking it whole.

    Args:
        path: The file.
        whose: The task, for errors.
        identity: The task's identity digest, if it is to be checked, too.
        commit: The commit id that the result must have; any if empty.

    Raises:
        UpstreamChangedError: It has another commit id.
        FileNotFoundError: There is none.
        DamagedResultError: The file is damaged, or holds another task's result.
        ResultUnreadableError: It is whole, but cannot be unpickled here.
    """
    try:
        with open(path, "rb", buffering=_CHUNK) as file:
            meta = Meta.of_head(head := file.read(BODY_AT))
            if meta is None or (identity and meta.identity != identity):
                raise DamagedResultError(f"{path} is no result of {whose}")
            if commit and meta.commit != commit:
                raise changed_upstream(whose)
            if os.fstat(file.fileno()).st_size <= SPILL:
                data = head + file.read()
                return unpickle(_inflate(path, data[: len(data) - meta.notes]), whose, root_of(path))
            file.seek(0)
            return _load_large(path, file, whose)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(path) from None
    except OSError as error:
        raise DamagedResultError(f"{path} cannot be read: {error}") from error


def changed_upstream(whose: str) -> UpstreamChangedError:
    """Say that a result is not the one any more that a run was planned with."""
    return UpstreamChangedError(f"the upstream {whose} was computed again by another run; nothing was run with it")


def tell_of_former() -> None:
    """Say, once in a process, that results in a format of the past are computed again."""
    global _told_of_former
    if not _told_of_former:
        _told_of_former = True
        import logging

        logging.getLogger(__name__).warning(
            "the cache holds results in the format of an older taskproc, which do not say all that is asked of them "
            "now; they are computed again"
        )


_told_of_former = False


def verify(path: str) -> None:
    """Read a whole result for its checksum's sake; nothing is unpickled.

    Raises:
        DamagedResultError: It is damaged.
    """
    import gzip

    try:
        with gzip.open(path) as unpacked:
            while unpacked.read(_CHUNK):
                pass
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedResultError(f"{path} is damaged: {error}") from error


class _Reader(pickle.Unpickler):
    """Finds a script's classes also where the script runs in another way than when they were pickled.

    Args:
        file: The pickle.
        directory: The directory of the cache that it is from, to which its references lead.
    """

    def __init__(self, file: Any, directory: str) -> None:
        super().__init__(file)
        self._directory = directory

    def persistent_load(self, reference: Any) -> Any:
        return resolve(self._directory, reference)

    def find_class(self, module: str, name: str) -> Any:
        return super().find_class(place_of(module, name), name)


def unpickle(data: bytes, whose: str, directory: str) -> Any:
    """Unpickle a value whose bytes are known to be what was written.

    Args:
        data: The bytes.
        whose: The task, for errors.
        directory: The directory of the cache that they are from.

    Raises:
        ResultUnreadableError: It cannot be unpickled here, for example because its class is not there.
    """
    try:
        return _Reader(io.BytesIO(data), directory).load()
    except Exception as error:
        raise _unreadable(whose, error) from error


def prepare(directory: str, args: str, deps: Mapping[str, str] | None, nonce: str = "") -> bool:
    """Make the instance directory for an attempt, empty but for `args.json` and links to the upstreams'.

    Whatever other attempt was filed there can no longer start, or commit. A result goes aside, with its files.

    Returns:
        Whether the directory was there before.
    """
    existed = False
    try:
        os.mkdir(directory, DIRECTORY_MODE)
    except FileExistsError:
        existed = True
        set_aside(directory)
        clean(directory, keep=(EARLIER,), attempt=nonce)
    except FileNotFoundError:
        make_directories(directory)
    write_text(f"{directory}/{ARGS}", args)
    if deps:
        _link(directory, deps)
    return existed


def clean(directory: str, keep: Sequence[str] = (), attempt: str = "") -> None:
    """Empty an instance directory, but for an attempt's file.

    The result goes first, so that it never stands over other data than its own.

    Args:
        directory: The directory.
        keep: Names to leave alone.
        attempt: The nonce of the attempt whose file stays; without one, all such files stay.
    """
    try:
        unlock(directory)
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        os.unlink(directory)
        os.mkdir(directory, DIRECTORY_MODE)
        return
    for name in sorted(names, key=lambda name: name != RESULT):
        if name not in keep and not (name.startswith(ATTEMPT) and name.endswith(attempt)):
            remove(f"{directory}/{name}")


def set_aside(directory: str) -> None:
    """Put the result in an instance directory, and all that belongs to it, to where an attempt does not come.

    It is there as a whole or not at all: what a kill leaves half-way has another name, and goes with the next cleaning.
    """
    if not os.path.isdir(directory) or not os.path.exists(f"{directory}/{RESULT}"):
        return
    unlock(directory)
    half = f"{directory}/{EARLIER}.half"
    remove(half)
    os.mkdir(half, DIRECTORY_MODE)
    os.rename(f"{directory}/{RESULT}", f"{half}/{RESULT}")
    for name in os.listdir(directory):
        if name not in (EARLIER, f"{EARLIER}.half") and not name.startswith(ATTEMPT):
            os.rename(f"{directory}/{name}", f"{half}/{name}")
    remove(f"{directory}/{EARLIER}")
    os.rename(half, f"{directory}/{EARLIER}")


def put_back(directory: str, commit: bytes) -> bool:
    """Put the result that was set aside in the place of what a failed attempt left; whether it is there.

    Args:
        directory: The instance directory, which nobody else uses meanwhile.
        commit: The result's commit id.
    """
    earlier = f"{directory}/{EARLIER}"
    if not _holds(earlier, commit):
        return False
    clean(directory, keep=(EARLIER,))
    for name in sorted(os.listdir(earlier), key=lambda name: name == RESULT):
        os.rename(f"{earlier}/{name}", f"{directory}/{name}")
    remove(earlier)
    return True


def take_over(before: str, now: str, commit: bytes, identity: bytes) -> bool:
    """Give the result in an instance directory another identity, and another place; whether it is there.

    Args:
        before: Where it is.
        now: Where it is to be; what is there goes.
        commit: Its commit id.
        identity: Its new identity.
    """
    if not _holds(before, commit):
        return False
    if before != now:
        remove(now)
        make_directories(os.path.dirname(now))
        os.rename(before, now)
    unlock(now)
    with open(f"{now}/{RESULT}", "r+b", buffering=0) as file:
        file.seek(META_AT)  # where it is the first
        file.write(identity)
    return True


def _holds(directory: str, commit: bytes) -> bool:
    """Whether the result in a directory is this very one."""
    try:
        meta = peek(f"{directory}/{RESULT}")
    except DamagedResultError:
        return False
    return meta is not None and meta.commit == commit


def forget_earlier(directory: str) -> None:
    """Remove what was set aside, now that another result stands in its place."""
    try:
        remove(f"{directory}/{EARLIER}")
    except OSError:  # it is in nobody's way
        pass


def remove(path: str) -> None:
    """Remove a file or a directory with all in it; it may be gone already.

    Directories in it that their own owner may not write to are made writable; the one around it is left as it is.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except (IsADirectoryError, PermissionError):
        if os.path.islink(path) or not os.path.isdir(path):
            raise
        import shutil

        try:
            shutil.rmtree(path)
        except PermissionError:
            _unlock_all(path)
            shutil.rmtree(path)


def unlock(directory: str) -> None:
    """Let the owner of a directory read it, write to it and enter it, if it is ours."""
    mode = os.stat(directory).st_mode
    if mode & _OWN != _OWN:
        try:
            os.chmod(directory, mode & 0o7777 | _OWN)
        except PermissionError:  # somebody else's; what is done in it next tells
            pass


def _unlock_all(path: str) -> None:
    """Unlock a directory and all below it, but nothing that links lead to."""
    unlock(path)
    with os.scandir(path) as entries:
        inner = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    for directory in inner:
        _unlock_all(directory)


def remove_result(directory: str) -> None:
    """Remove the result in an instance directory, if there is one."""
    if os.path.exists(path := f"{directory}/{RESULT}"):
        unlock(directory)
        remove(path)


def write_text(path: str, text: str) -> None:
    """Write a small text file."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    try:
        _write_all(fd, text.encode("utf-8", "surrogatepass"))
    finally:
        os.close(fd)


def save_failure(directory: str, nonce: str, failure: Mapping[str, Any], pickled: bytes) -> None:
    """Leave a failed attempt's account: for people, and for the driver."""
    import json

    make_directories(directory)
    for name, content in ((FAILURE_PICKLE, pickled), (FAILURE, json.dumps({"nonce": nonce, **failure}).encode())):
        temporary = f"{directory}/{name}.{os.urandom(8).hex()}.tmp"  # the guards of two processes may tell at once
        with open(temporary, "wb", opener=opener) as file:
            file.write(content)
        os.replace(temporary, f"{directory}/{name}")


def forget_failure(directory: str) -> None:
    """Remove the account of an attempt that has failed by no fault of its task."""
    for name in (FAILURE, FAILURE_PICKLE):
        remove(f"{directory}/{name}")


def load_failure(directory: str, nonce: str) -> tuple[dict[str, Any], bytes] | None:
    """Read the account of this very attempt; None if it left none."""
    import json

    try:
        with open(f"{directory}/{FAILURE}", encoding="utf-8") as file:
            failure = json.load(file)
        if failure.get("nonce") != nonce:
            return None
        with open(f"{directory}/{FAILURE_PICKLE}", "rb") as pickled:
            return failure, pickled.read()
    except (OSError, ValueError, AttributeError):
        return None


def read_object(path: str) -> dict[str, Any]:
    """Read the JSON object in a file; an empty one if there is none, or it is damaged."""
    import json

    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            found = json.load(file)
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def read_end(path: str, most: int) -> tuple[str, bool]:
    """Read the end of a log, and whether that is all of it; nothing if it is not there.

    Args:
        path: The log, which may be growing.
        most: How many bytes to read.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most))
            return file.read().decode("utf-8", "replace"), size <= most
    except OSError:
        return "", True


def _link(directory: str, deps: Mapping[str, str]) -> None:
    if len(deps) > MOST_LINKS:
        import json

        write_text(f"{directory}/{DEPS_FILE}", json.dumps(dict(deps), indent=0))
        return
    links = f"{directory}/{DEPS}"
    os.mkdir(links, DIRECTORY_MODE)
    for name, target in deps.items():
        os.symlink(f"../../../../{target}", f"{links}/{name}")


def _is_marked(data: Any, marks: Sequence[bytes]) -> bool:
    if isinstance(data, (bytes, bytearray)):
        return any(mark in data for mark in marks)
    view = memoryview(data).cast("B")
    more = max(map(len, marks))
    parts = (bytes(view[at : at + _CHUNK + more]) for at in range(0, len(view), _CHUNK))
    return any(mark in part for part in parts for mark in marks)


def _inflate(path: str, data: bytes) -> bytes:
    if data[:META_AT] != HEAD:
        raise DamagedResultError(f"{path} is no result of taskproc, or cut short")
    try:
        content = zlib.decompress(data[BODY_AT : -_TAIL.size], -15)
        crc, size = _TAIL.unpack(data[-_TAIL.size :])
    except (zlib.error, struct.error) as error:
        raise DamagedResultError(f"{path} is damaged: {error}") from error
    if zlib.crc32(content) != crc or len(content) & 0xFFFFFFFF != size:
        raise DamagedResultError(f"{path} is damaged: its checksum does not match")
    return content


def _load_large(path: str, file: Any, whose: str) -> Any:
    import gzip

    with gzip.GzipFile(fileobj=file) as unpacked:
        try:
            value = _Reader(unpacked, root_of(path)).load()
            unpacked.read()
            return value
        except Exception as error:
            verify(path)
            raise _unreadable(whose, error) from error


def _unreadable(whose: str, error: Exception) -> ResultUnreadableError:
    msg = (
        f"the result of {whose} cannot be unpickled here: {told(error)}. "
        "Run it where its classes can be imported, or clear it."
    )
    return ResultUnreadableError(msg)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
