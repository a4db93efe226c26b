"""The sources of a graph's classes, read from what this process has loaded, or refused."""
from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..base.errors import SourceChangedError
from ..tasks.config import TaskConfig, where_defined
from ..tasks.loaded import Loaded, loaded, look_at_modules, module_of
from ..tasks.node import Node
from ..tasks.source import SourceReader
from ..tasks.source.files import as_if, is_installed, is_standard, noting, read_file
from ..tasks.source.pieces import NOTHING_BESIDE, Beside
from ..tasks.source.proof import doubt, former_users

_WAYS_OUT = "Load it again (importlib.reload, also whatever imports from it), or start again."


class Asked(NamedTuple):
    """One class of a graph.

    Attributes:
        config: Its settings.
        values: The classes of the values in its tasks' arguments.
        upstreams: The task classes whose results its tasks may be given.
    """

    config: TaskConfig
    values: Iterable[type]
    upstreams: Iterable[type]


class Read(NamedTuple):
    """What was read for a graph.

    Attributes:
        sources: The normalised source of each class; None if there is none.
        texts: The files that a worker loads itself, with their texts.
        scripts: The files of what travels by value, with their texts.
        asked: What it was read for.
        beside: What the classes make use of and a worker that only imports them does not have.
        helpers: Whether what a class uses of the user's own modules is a part of its source.
        files: Whether these modules count as a whole.
        packages: The modules at the top of others' packages that each class reaches; or, if that was asked for, of
            those that its modules import. Of a class that is not there nobody knows.
    """

    sources: Mapping[type, str | None]
    texts: Mapping[str, bytes]
    scripts: Mapping[str, bytes]
    asked: Mapping[type, Asked]
    beside: Beside
    helpers: bool
    files: bool
    packages: Mapping[type, frozenset[str]]


NOTHING_READ = Read({}, {}, {}, {}, NOTHING_BESIDE, helpers=True, files=False, packages={})


def read_texts(asked: Mapping[type, Asked], *, helpers: bool, files: bool, imported: bool = False) -> Read:
    """Read the sources of classes, all from what is loaded.

    Args:
        asked: The classes.
        helpers: As in `Read`.
        files: As in `Read`.
        imported: Whether all packages count that the modules of a class import.

    Raises:
        SourceChangedError: What is loaded is not what a file says, and a worker would run something else.
    """
    with noting() as noted:
        look_at_modules()
        for cls, one in asked.items():
            _refuse_former(cls, one.config.loaded)
        reader = SourceReader(Node, helpers=helpers, files=files)
        sources = _sources(reader, asked)
        own = sorted(file for file in noted if not is_installed(file) and not is_standard(file))
        known = [one for one in map(loaded, own) if one is not None]
        _refuse_doubtful(reader, known, own)
        script = getattr(sys.modules["__main__"], "__file__", None)
        by_name = [one for one in known if module_of(one.file) is not None and one.file != script]
        changed = {one.file: text for one in by_name if (text := one.other_text()) is not None}
        if changed:
            with as_if(changed):
                _refuse_changed(changed, sources, _sources(SourceReader(Node, helpers=helpers, files=files), asked))
        scripts = {one.file: one.text for one in known if one not in by_name}
        texts = {file: read_file(file).text for file in own if file not in scripts}
        packages = {cls: reader.imported(cls) for cls in asked} if imported else reader.packages
        return Read(sources, texts, scripts, asked, reader.beside, helpers, files, packages)


def _sources(reader: SourceReader, asked: Mapping[type, Asked]) -> dict[type, str | None]:
    return {cls: reader.text(cls, one.values, one.upstreams) for cls, one in asked.items()}


def _refuse_former(cls: type, text: Loaded | None) -> None:
    now = loaded(text.file) if text is not None else None
    if text is not None and now is not None and now.text != text.text:
        msg = (
            f"{where_defined(cls)}{cls.__qualname__} is the class as it was before its file was loaded again. "
            "Construct its tasks anew; if another module still holds the former class, load that again, too, or start "
            "again."
        )
        raise SourceChangedError(msg)


def _refuse_doubtful(reader: SourceReader, known: Iterable[Loaded], files: Iterable[str]) -> None:
    for one in known:
        why = doubt(one, reader.may_be_set)
        if why:
            msg = f"{os.path.basename(one.file)} is not on the disk as it was loaded ({why}). {_WAYS_OUT}"
            raise SourceChangedError(msg)
        holder = former_users(one, files)
        if holder:
            msg = (
                f"{os.path.basename(one.file)} was loaded again, but {holder} as it was before. Load that again, too, "
                "or start again."
            )
            raise SourceChangedError(msg)


def _refuse_changed(
    changed: Iterable[str], sources: Mapping[type, str | None], saved: Mapping[type, str | None]
) -> None:
    other = [cls.__qualname__ for cls in sources if saved[cls] != sources[cls]]
    if other:
        named = " and ".join(sorted(map(os.path.basename, changed)))
        msg = (
            f"{named} changed since it was loaded, in what {other[0]} uses: what runs here is not what a worker would "
            f"run. {_WAYS_OUT}"
        )
        raise SourceChangedError(msg)
