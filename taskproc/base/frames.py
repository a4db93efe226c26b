"""Messages on a pipe between a driver and a worker that it started.

A frame is eight bytes of little-endian length and as many bytes of content. To a worker, a frame's content is a
group of payloads, made with `pack_group`. From a worker, it is the pickled `(nonce, Outcome)` of one payload, in the
group's order, or `(nonce, "nested")` when a task runs a graph of its own: the payloads behind it come back
unstarted, as `(nonce, "returned")`, and the worker itself is busy for as long as that takes. An empty group asks a
worker for all that it has not begun; that comes back in the same way.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from .lean import struct
from .private import opener

_LENGTH = struct.Struct("<Q")


class FrameBuffer:
    """Cuts a stream of bytes, arriving in pieces, into frames.

    Example:
        >>> buffer = FrameBuffer()
        >>> buffer.feed(frame(b"one") + frame(b"two")[:9])
        [b'one']
        >>> buffer.feed(frame(b"two")[9:])
        [b'two']
    """

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived and give the frames that are now whole."""
        self._data += data
        frames, at = [], 0
        while len(self._data) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._data, at)
            end = at + _LENGTH.size + length
            if len(self._data) < end:
                break
            frames.append(bytes(self._data[at + _LENGTH.size : end]))
            at = end
        del self._data[:at]
        return frames


def frame(content: bytes) -> bytes:
    """Make one frame.

    Args:
        content: Any bytes.

    Returns:
        What to write to the stdin of a worker that `BackendContext.serve` starts.
    """
    return _LENGTH.pack(len(content)) + content


def pack_group(payloads: Sequence[bytes]) -> bytes:
    """Put several payloads into one frame's content.

    Args:
        payloads: As `Job.payload` makes them; the worker runs them one after another.

    Returns:
        The content for `frame`.
    """
    return b"".join([_LENGTH.pack(len(payload)) + payload for payload in payloads])


def unpack_group(content: bytes) -> Iterator[bytes]:
    """Take the payloads of a group apart again.

    >>> list(unpack_group(pack_group([b"a", b"bc"])))
    [b'a', b'bc']
    """
    at = 0
    while at < len(content):
        (length,) = _LENGTH.unpack_from(content, at)
        yield content[at + _LENGTH.size : at + _LENGTH.size + length]
        at += _LENGTH.size + length


def write_elements(path: str, contents: Sequence[bytes]) -> None:
    """Write the contents of a set's elements into one file: where each begins, where the last one ends, and they."""
    places = accumulate(map(len, contents), initial=_LENGTH.size * (len(contents) + 1))
    with open(path, "wb", opener=opener) as file:
        file.write(b"".join(map(_LENGTH.pack, places)))
        file.writelines(contents)


def read_element(path: str, index: int) -> bytes:
    """Read one element's content.

    Raises:
        EOFError: The file has no such element, or was cut short.
    """
    with open(path, "rb", buffering=0) as file:
        (first,) = _LENGTH.unpack(file.read(_LENGTH.size))  # which is where the table of places ends, too
        if _LENGTH.size * (index + 2) > first:
            raise EOFError(f"{path} has no element {index}")
        file.seek(_LENGTH.size * index)
        begin, end = struct.unpack("<QQ", file.read(2 * _LENGTH.size))
        file.seek(begin)
        content = file.read(end - begin)
    if len(content) < end - begin:
        raise EOFError(f"{path} is cut short in element {index}")
    return content
