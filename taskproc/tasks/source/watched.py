"""What the modules and files say that a task class counts as a whole."""
from __future__ import annotations

import os
from collections.abc import Iterator

from ...base.lean import blake2b
from .files import read_file
from .normal_form import written


def watched_texts(cls: type) -> Iterator[str]:
    """Write what a class and its bases watch: modules in their normal form, other files as a digest."""
    files = [file for base in cls.__mro__ for file in getattr(base.__dict__.get("_task_config"), "watch", ())]
    for file in dict.fromkeys(files):
        yield f"__watched__ = {os.path.basename(file)!r}"
        tree = read_file(file).tree if file.endswith(".py") else None
        yield written(tree) if tree is not None and tree.body else f"__digest__ = {_digest(file)!r}"


def _digest(file: str) -> str:
    try:
        with open(file, "rb") as stream:
            return blake2b(stream.read(), digest_size=16).hexdigest()
    except OSError:
        return "missing"
