"""Looks at inputs from outside: what state they are in, and whether that is still so.

A state is a digest of what an input holds. Both the plan and the worker look: what a worker read is what the plan saw.
"""
from __future__ import annotations

import os

from ..base.errors import InputError, TaskDefinitionError
from ..base.lean import NamedTuple, blake2b
from .contents import WrongKindError, directory_content, directory_stamp, file_content, file_stamp, size_text
from .tables import table_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .contents import Memory
    from .valued import Spec

NO_INPUTS = bytes(16)  # what a result notes whose task has none
CHANGED_MEANWHILE = b"\xff" * 16  # and one whose task had one that changed while it ran: no state gives this

_LONGEST = 60  # characters of a value that are shown
_SECRET = ("TOKEN", "SECRET", "PASSW", "PASSPHRASE", "CREDENTIAL", "KEY", "PRIVATE")


class Seen(NamedTuple):
    """An input as it was when it was looked at.

    Attributes:
        spec: What it is called.
        path: The absolute path of a file or a directory.
        digest: What it holds, digested to 16 bytes.
        stamp: What tells without reading that a file or directory is as it was; empty if nothing does.
        shown: Its size, its value or its version, for people.
        value: The text of a variable; None of others.
    """

    spec: Spec
    path: str
    digest: bytes
    stamp: bytes
    shown: str
    value: str | None


class _Forgetful:
    """Remembers nothing."""

    def recall(self, path: str, stamp: bytes) -> tuple[bytes, str] | None:
        return None

    def note(self, path: str, stamp: bytes, digest: bytes, shown: str) -> None:
        pass


FORGETFUL = _Forgetful()


def look(spec: Spec, memory: Memory = FORGETFUL, path: str = "") -> Seen:
    """Look at an input.

    Args:
        spec: What it is called.
        memory: Knows the digests of files that were read before.
        path: Where a file or directory lies; by default, seen from the working directory.

    Raises:
        InputError: It is not there, or cannot be read. The message goes on from the name of the task and "its".
    """
    kind, name, *more = spec
    if kind == "env":
        return _variable(spec, name, more)
    if kind == "package":
        version = installed_version(name)
        return Seen(spec, "", _digested(version), b"", version, None)
    path = path or os.path.abspath(name)
    with _Told("directory" if kind == "dir" else "file", spec, path):
        if more:
            return _table(spec, path, more[0], memory)
        found = directory_content(path, memory) if kind == "dir" else file_content(path, memory)
        several = f"{found.files} {'file' if found.files == 1 else 'files'}, " if kind == "dir" else ""
        return Seen(spec, path, found.digest, found.stamp, several + size_text(found.size), None)


def stamp_of(seen: Seen) -> bytes:
    """Give the stamp that a file or directory has now; empty if that says nothing, or it is not there."""
    try:
        return directory_stamp(seen.path) if seen.spec[0] == "dir" else file_stamp(seen.path)
    except OSError:
        return b""


def value_of(seen: Seen) -> Any:
    """Give what an input stands for in its task."""
    kind, name, *more = seen.spec
    if kind == "env":
        return seen.value
    if kind == "package":
        return seen.shown
    if more:
        return table_in(seen.path, name, more[0])
    from pathlib import Path

    return Path(name)


def digest_of_all(seen: Sequence[Seen]) -> bytes:
    """Digest the states of a task's inputs; zeros if there are none."""
    if not seen:
        return NO_INPUTS
    parts = sorted(f"{key_of(one.spec)!r}{one.digest.hex()}" for one in seen)
    return blake2b("".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def key_of(spec: Spec) -> Spec:
    """Give what tells an input from others; the default of a variable does not."""
    return spec[:2] if spec[0] == "env" else spec


def told(spec: Spec) -> str:
    """Name an input for people."""
    kind, name, *more = spec
    if kind == "env":
        return f"EnvVar {name}"
    return "".join([name, *(f"[{key}]" for key in more)])


def installed_version(name: str) -> str:
    """Give the version of a package, by the name that it is installed or imported by.

    Raises:
        InputError: It is not installed.
    """
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        found = sorted(set(metadata.packages_distributions().get(name, ())))
        if not found:
            msg = f"package {name} is not installed for this Python"
            raise InputError(msg) from None
        return ", ".join(f"{one} {metadata.version(one)}" if len(found) > 1 else metadata.version(one) for one in found)


def _variable(spec: Spec, name: str, default: list[str | None]) -> Seen:
    value = os.environ.get(name, *default)
    if value is None and not default:
        msg = f"variable {name} is not set in the environment; set it, or say EnvVar({name!r}, default=...)"
        raise InputError(msg)
    has_password = value is not None and "://" in value and "@" in value
    is_secret = has_password or any(word in name.upper() for word in _SECRET)
    shown = "" if is_secret else _short(repr(value))
    return Seen(spec, "", _digested("" if value is None else f"={value}"), b"", shown, value)


def _table(spec: Spec, path: str, key: str, memory: Memory) -> Seen:
    stamp = file_stamp(path)
    known = memory.recall(f"{path}\0{key}", stamp) if stamp else None
    if known is None:
        known = _digested_table(path, spec[1], key)
        if stamp != file_stamp(path):
            stamp = b""
        if stamp:
            memory.note(f"{path}\0{key}", stamp, *known)
    return Seen(spec, path, known[0], stamp, known[1], None)


def _digested_table(path: str, name: str, key: str) -> tuple[bytes, str]:
    from .arguments import canonical

    value = table_in(path, name, key)
    try:
        text = canonical({"value": value}, name)
    except TaskDefinitionError as error:  # such as a list that contains itself, in YAML
        msg = f"file {name} has under {key!r} what cannot be told from other values ({error}; {path})"
        raise InputError(msg) from None
    return _digested(text), _short(repr(value))


class _Told:
    """Turns errors of the operating system into ours: the end of a sentence that begins with the task's name."""

    def __init__(self, what: str, spec: Spec, path: str) -> None:
        self._what = f"{what} {spec[1]}"
        self._spec = spec
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        name = self._spec[1]
        if isinstance(error, WrongKindError):
            if error.is_directory:
                msg = f"{self._what} is a directory; write InputDir({name!r})"
            elif error.is_file:
                msg = f"{self._what} is a file; write InputFile({name!r})"
            else:
                msg = f"{self._what} is no regular file ({self._path}): what it gives cannot be told from what it gave"
            raise InputError(msg) from None
        if isinstance(error, FileNotFoundError):
            msg = f"{self._what} is not there (looked for at {self._path})"
            raise InputError(msg) from None
        if isinstance(error, OSError):
            msg = f"{self._what} cannot be read: {error.strerror} ({error.filename or self._path})"
            raise InputError(msg) from None


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _digested(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
