"""A result's provenance, and the notes that not every result has, as they lie beside its value.

In a file, the provenance stands in the gzip header's extra field (RFC 1952, subfield `TP`), and notes in empty members
behind the value (subfield `TN`), which any tool unpacks to nothing. In a packed row, notes stand behind the value.
"""
from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ..base.lean import NamedTuple, struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_META = struct.Struct("<16s16s16s16s16s16s16s16sdddQIIQ")
_HEAD = struct.Struct("<3sBIBBHccH")  # magic and method, flags, time, extra flags, system, length, subfield id, length
META_AT = _HEAD.size
META_SIZE = _META.size
BODY_AT = META_AT + META_SIZE

NESTED = 1 << 2  # a flag: it ran graphs, which its notes tell of
# Flags: the notes say of which files the result must find in the cache, and where the cache must be.
NAMES_FILES, NAMES_PLACE = 0x10, 0x20
EXPANDS = 1 << 8  # the value is what an expanding task returned: tasks

_MOST_NOTED = 0xFFFF - 4  # bytes in one extra field
_NOTHING = b"\x03\0" + bytes(8)  # an empty value, deflated, its checksum and its size


class Meta(NamedTuple):
    """A result's provenance.

    Attributes:
        identity: The task's identity digest, 16 bytes, as are all digests here.
        source: The digest of the source that computed it; zeros when there was none to read.
        upstreams: The digest of the upstreams' versions.
        upstream_values: The digest of the digests of their values.
        inputs: The digest of what it read from outside; zeros when that is nothing.
        value: The digest of the result, and of the files that belong to it.
        version: What the results computed from it note: the version of the one that it replaced if that was the same,
            otherwise its own commit id.
        commit: The result's own commit id: the nonce of the attempt.
        made: When it was made, in seconds since the epoch, by the clock of the worker.
        seconds: How long `run_task` took.
        cpu: Seconds of processor time that it took, with the processes that it started and waited for.
        memory: The worker's peak memory in KiB while the task ran.
        flags: What else there is to know: `NESTED`, `NAMES_FILES`, `NAMES_PLACE`, `EXPANDS`.
        notes: The bytes of its notes, behind the value.
        size: The size of the whole file in bytes; 0 in a packed row.
    """

    identity: bytes
    source: bytes
    upstreams: bytes
    upstream_values: bytes
    inputs: bytes
    value: bytes
    version: bytes
    commit: bytes
    made: float
    seconds: float
    cpu: float
    memory: int
    flags: int
    notes: int
    size: int

    def pack(self) -> bytes:
        """Give the bytes that stand in the header, or in a packed row."""
        return _META.pack(*self)

    @classmethod
    def unpack(cls, data: bytes) -> Meta:
        """Read them back, from the beginning of some bytes."""
        return cls._make(_META.unpack_from(data))

    @classmethod
    def unpack_all(cls, data: bytes) -> Iterator[Meta]:
        """Read many of them, one behind another."""
        return map(partial(tuple.__new__, cls), _META.iter_unpack(data))

    def header(self) -> bytes:
        """Give the header of a result's file."""
        return HEAD + self.pack()

    @classmethod
    def of_head(cls, head: bytes) -> Meta | None:
        """Read the provenance from the beginning of a result's file; None if that is no result of this format."""
        if len(head) < BODY_AT or head[:META_AT] != HEAD:
            return None
        return cls._make(_META.unpack_from(head, META_AT))


def _head(subfield: bytes, size: int) -> bytes:
    return _HEAD.pack(b"\x1f\x8b\x08", 4, 0, 0, 255, 4 + size, subfield[:1], subfield[1:], size)


HEAD = _head(b"TP", META_SIZE)
_NOTE_SIZE = _HEAD.size + len(_NOTHING)


def is_former(head: bytes) -> bool:
    """Whether a file begins as a result of another format of taskproc's."""
    subfield = slice(META_AT - 4, META_AT - 2)
    return head[:4] == HEAD[:4] and head[subfield] == HEAD[subfield] and head[:META_AT] != HEAD


def write_notes(notes: Any) -> bytes:
    """Write notes, plain data, as the members that stand behind a file's value."""
    import json

    text = json.dumps(notes, separators=(",", ":")).encode("utf-8", "surrogatepass")
    parts = [text[at : at + _MOST_NOTED] for at in range(0, len(text), _MOST_NOTED)]
    return b"".join(_head(b"TN", len(part)) + part + _NOTHING for part in parts)


def read_notes(data: bytes) -> Any:
    """Read notes back.

    Raises:
        ValueError: These are none.
    """
    import json

    parts, at = [], 0
    while at < len(data):
        if len(data) - at < _NOTE_SIZE:
            msg = "cut short"
            raise ValueError(msg)
        *_, first, second, size = _HEAD.unpack_from(data, at)
        if first + second != b"TN":
            msg = "no notes"
            raise ValueError(msg)
        parts.append(data[at + _HEAD.size : at + _HEAD.size + size])
        at += _NOTE_SIZE + size
    return json.loads(b"".join(parts))
