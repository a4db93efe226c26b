"""The text of source files as it was when this process loaded them, whatever is saved over it later.

The file of a task class is read when the class is defined, the file of another module when it is looked at first.
Workers do so too, so this module is light; whether a text really is what runs, `source.proof` finds out where it may
not be.
"""
from __future__ import annotations

import os
import sys
import time

from ..base.lean import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType, ModuleType
    from typing import Any

_handed_over = object()  # in the place of a module's spec, for a text that another process has loaded
_TICK = 0.01  # seconds: how exactly a process's beginning is known
_SLACK = 2.0  # seconds by which the clock of a file's machine may lag behind ours


class Loaded:
    """A file as it was loaded.

    Attributes:
        file: Its path, as its code has it.
        text: Its bytes.
        digest: Of the text.
        code: The code of its module, if it was seen while that ran.
        recent: Whether the file may have been written since this process began, so that the text may not be what runs.
        is_newer: Whether it surely was, by this machine's clock.
        fits_bytecode: Whether the bytecode beside it, if there is any, is that of a file of this time and size.
        doubt: Why it is not what runs; empty if it is, None until somebody has looked.
        parsed: The text as parsed, once somebody asked for it.
    """

    __slots__ = (
        "_spec", "_stamp", "code", "digest", "doubt", "file", "fits_bytecode", "is_newer", "parsed", "recent", "text",
    )  # fmt: skip

    def __init__(self, file: str, text: bytes, status: os.stat_result, code: CodeType | None, spec: Any) -> None:
        self.file = file
        self.text = text
        self.code = code
        self.digest = text_digest(text)
        written = max(status.st_mtime, status.st_ctime)
        self.recent = written >= _began - _SLACK
        self.is_newer = written > _began + _TICK
        self.doubt: str | None = None if self.recent else ""
        self.fits_bytecode = True
        self.parsed: Any = None
        self._stamp = _stamp(status)
        self._spec = spec

    def other_text(self) -> bytes | None:
        """Give what lies on the disk by now; None if it is the same, or gone."""
        try:
            status = os.stat(self.file)
            if _stamp(status) == self._stamp:
                return None
            with open(self.file, "rb") as stream:
                text = stream.read()
        except OSError:
            return None
        if text != self.text:
            return text
        self._stamp = _stamp(status)
        return None

    def is_of(self, module: ModuleType) -> bool:
        """Whether the module has not been loaded again since."""
        return self._spec is _handed_over or getattr(module, "__spec__", None) is self._spec


def text_digest(text: bytes) -> bytes:
    """Hash the text of a file to 16 bytes."""
    return blake2b(text, digest_size=16).digest()


def take(cls: type, depth: int) -> Loaded | None:
    """Take the text of the file in which a class is being defined; None if it is in none.

    Args:
        cls: The class.
        depth: How many calls there are between this one and the class's own.
    """
    code, file = _place(sys._getframe(depth + 1), cls.__module__)
    known = _taken.get(file)
    if known is not None and (code is None or known.code is code):
        return known
    return _read(file, code, sys.modules.get(cls.__module__))


def loaded(file: str) -> Loaded | None:
    """Give the text of a file as it was loaded; None if it is the file of no loaded module."""
    module = _modules.get(file)
    known = _taken.get(file)
    if known is not None and (module is None or known.is_of(module)):
        return known
    return _read(file, None, module) if module is not None else None


def drop_doubtful_bytecode(file: str, compiled: str | None) -> None:
    """Remove bytecode as old as the source: Python compares whole seconds, so it may be that of an earlier version.

    Whoever loads it later would run that, and the result would count as one of the source that is there then.
    """
    try:
        if compiled and int(os.stat(compiled).st_mtime) <= int(os.stat(file).st_mtime):
            os.unlink(compiled)
    except OSError:
        pass


def hand_over(file: str, text: bytes) -> None:
    """Take the text of a file from the process that loaded it: its classes come from there, too."""
    if file not in _taken:
        try:
            _taken[file] = Loaded(file, text, os.stat(file), None, _handed_over)
        except OSError:
            return
        _taken[file].doubt = ""


def look_at_modules() -> None:
    """Learn which modules are loaded by now, and from which files."""
    global _modules
    found: dict[str, ModuleType] = {}
    for module in list(sys.modules.values()):
        file = getattr(module, "__dict__", {}).get("__file__")
        if type(file) is str:
            found.setdefault(file, module)  # a script that is imported by its name, too, counts as the script
    _modules = found


def module_of(file: str) -> ModuleType | None:
    """Give the module that was loaded from a file."""
    return _modules.get(file)


_taken: dict[str, Loaded] = {}
_modules: dict[str, ModuleType] = {}


def _read(file: str, code: CodeType | None, module: ModuleType | None) -> Loaded | None:
    try:
        status = os.stat(file)
        with open(file, "rb") as stream:
            text = stream.read()
    except (OSError, ValueError):  # typed, or in an archive
        return None
    before = _taken.get(file)
    found = Loaded(file, text, status, code, getattr(module, "__spec__", None))
    compiled = getattr(module, "__cached__", None)
    found.fits_bytecode = not found.recent or not compiled or _fits(compiled, status)
    drop_doubtful_bytecode(file, compiled)
    if before is not None and before.text == text:
        found.parsed = before.parsed
    _taken[file] = found
    return found


def _place(frame: FrameType | None, module: str) -> tuple[CodeType | None, str]:
    """Find the code of the module that is being loaded, and the file of the class."""
    file = ""
    while frame is not None:
        if frame.f_globals.get("__name__") == module:
            file = file or frame.f_code.co_filename
            if frame.f_code.co_name == "<module>":
                return frame.f_code, frame.f_code.co_filename
        frame = frame.f_back
    return None, file


def _fits(compiled: str, status: os.stat_result) -> bool:
    """Whether bytecode says that it is of a source of this time and size."""
    try:
        with open(compiled, "rb") as stream:
            header = stream.read(16)
    except OSError:
        return True
    if len(header) < 16 or header[4:8] != bytes(4):  # flags: checked by a hash, or not at all
        return True
    said = [int.from_bytes(header[at : at + 4], "little") for at in (8, 12)]
    return said == [int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF]


def _stamp(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _process_began() -> float:
    """Say when this process began, in seconds since the epoch: no module was loaded before."""
    try:
        with open("/proc/self/stat", "rb") as stream:
            ticks = int(stream.read().rpartition(b")")[2].split()[19])
        up = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        return time.time() - up
    except (OSError, ValueError, IndexError, AttributeError):  # no Linux
        import psutil

        return float(psutil.Process().create_time())


_began = _process_began()
