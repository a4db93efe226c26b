"""Whether a worker has loaded the text of a task's code that its driver has read.

A driver writes down, once per run, which files it read, with digests, and their texts. A worker compares what it has
loaded itself before a task begins, and again at the end if the task has loaded more.
"""
from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from ..base.errors import SourceChangedError
from ..base.lean import NamedTuple, pickle
from ..base.private import opener
from ..base.script import counts_as, script_name
from ..tasks.loaded import Loaded, hand_over, loaded, look_at_modules, text_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..tasks.node import Node
    from .handover import Assignment

FILE = "texts.pkl"


class Texts(NamedTuple):
    """What a driver has read.

    Attributes:
        digests: File -> the digest of its text, and the name of its module, empty if that was not loaded.
        scripts: File -> the text of what travels by value, for graphs that tasks run.
        beside: Task name -> the classes of its arguments' values, and those of its upstreams, by module and name.
        helpers: Whether what a class uses of the user's own modules is a part of its source.
        files: Whether these modules count as a whole.
        script: The name that the driver's script counts under.
    """

    digests: Mapping[str, tuple[bytes, str]]
    scripts: Mapping[str, bytes]
    beside: Mapping[str, tuple[Sequence[tuple[str, str]], Sequence[tuple[str, str]]]]
    helpers: bool
    files: bool
    script: str


def write_texts(run_directory: str, texts: Texts, whole: Mapping[str, bytes], number: int = 0) -> None:
    """Write down what a driver has read, and behind it the whole texts, which few workers want.

    Args:
        run_directory: The run's directory.
        texts: What was read.
        whole: The texts, by file.
        number: How often more was read since the run began.
    """
    with open(_path(run_directory, number), "wb", opener=opener) as file:
        pickle.dump(tuple(texts), file, 4)
        pickle.dump(dict(whole), file, 4)


def check_texts(assignment: Assignment, task: Node) -> None:
    """Refuse to run a task whose code is not what its driver has read.

    Args:
        assignment: What is to be done.
        task: The task, with its class and its attributes loaded.

    Raises:
        SourceChangedError: Another text is loaded, and says something else.
    """
    key = assignment.context, assignment.name, assignment.texts
    if _same.get(key) == len(sys.modules):
        return
    path = _path(os.path.dirname(assignment.context), assignment.texts)
    texts = _read(path)
    look_at_modules()
    other = {}
    for file, (digest, module) in texts.digests.items():
        known = _loaded(file, module)
        if known is not None and known.digest != digest:
            other[file] = known.file
    if other and not _says_the_same(type(task), path, texts, assignment.name, other):
        msg = (
            f"{' and '.join(map(os.path.basename, other))} changed since the driver has read the source of "
            f"{assignment.name}, and the worker has the other text: nothing was run. Run again, from a fresh process."
        )
        raise SourceChangedError(msg)
    _same[key] = len(sys.modules)


def refuse_edited(assignment: Assignment) -> None:
    """Say that a task cannot be loaded because its code has been edited, if it has: half of an edit may not work.

    Raises:
        SourceChangedError: Another text than its driver's lies on the disk.
    """
    path = _path(os.path.dirname(assignment.context), assignment.texts)
    edited = [file for file, (digest, _) in _read(path).digests.items()
              if _on_disk(file, digest) != digest]  # fmt: skip
    if edited:
        msg = (
            f"{' and '.join(map(os.path.basename, edited))} changed since the driver has read the source of "
            f"{assignment.name}, and cannot be loaded as it is now: nothing was run. Run again when it can."
        )
        raise SourceChangedError(msg)


def _on_disk(file: str, otherwise: bytes) -> bytes:
    try:
        with open(file, "rb") as stream:
            return text_digest(stream.read())
    except OSError:
        return otherwise


# By context, task name and number of the texts, how many modules there were when all was well.
_same: dict[tuple[str, str, int], int] = {}
_texts: dict[str, Texts] = {}


def _path(run_directory: str, number: int) -> str:
    return f"{run_directory}/{FILE}.{number}" if number else f"{run_directory}/{FILE}"


def _read(path: str) -> Texts:
    texts = _texts.get(path)
    if texts is None:
        try:
            with open(path, "rb") as file:
                texts = Texts(*pickle.load(file))
        except FileNotFoundError:  # of a driver that reads no classes
            texts = Texts({}, {}, {}, True, False, script_name())
        _texts.clear()
        _texts[path] = texts
        if texts.script != script_name():
            counts_as(texts.script)
        for script, text in texts.scripts.items():
            hand_over(script, text)
    return texts


def _loaded(file: str, module: str) -> Loaded | None:
    """Give a file as it was loaded here; on another machine it may lie elsewhere."""
    known = loaded(file)
    if known is None and module:
        there = getattr(sys.modules.get(module), "__file__", None)
        known = loaded(there) if there else None
    return known


def _says_the_same(cls: type, path: str, texts: Texts, name: str, other: Mapping[str, str]) -> bool:
    """Whether both texts are the same to a class: comments and what it does not use do not count."""
    from ..tasks.node import Node
    from ..tasks.source import SourceReader
    from ..tasks.source.files import as_if

    with open(path, "rb") as file:
        pickle.load(file)
        whole = pickle.load(file)
    values, upstreams = (_classes(names) for names in texts.beside.get(name, ((), ())))
    own = SourceReader(Node, helpers=texts.helpers, files=texts.files).text(cls, values, upstreams)
    with as_if({here: whole[there] for there, here in other.items()}):
        drivers = SourceReader(Node, helpers=texts.helpers, files=texts.files).text(cls, values, upstreams)
    return own is not None and own == drivers


def _classes(names: Sequence[tuple[str, str]]) -> list[type]:
    """Find classes by name; what is not loaded here is not used here."""
    found = []
    for module, qualname in names:
        at: object = sys.modules.get(module)
        for part in qualname.split("."):
            at = getattr(at, part, None)
        if isinstance(at, type):
            found.append(at)
    return found
