"""What a task reads from outside, on its worker: compared with what the plan saw, before it runs and after."""
from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from ..base.errors import InputError
from ..tasks.outside import CHANGED_MEANWHILE, Seen, digest_of_all, installed_version, look, stamp_of, value_of
from ..tasks.valued import Spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_versions: dict[str, str] = {}  # of packages, which do not change in a process that has loaded them


class Reading:
    """One task's inputs while it runs.

    What a file holds when the task starts is what its result notes, also if the plan saw something else, so that the
    next plan finds out. If it is not the same at the end, nobody knows what the task has read.

    Args:
        planned: What the plan saw.
        own: Whether the task has this process for itself, and gets the variables as they were where it was planned.

    Raises:
        InputError: An input is not there on this machine, or is another one than the driver's.
    """

    def __init__(self, planned: Sequence[Seen], own: bool) -> None:
        self._own = own
        self._seen = [self._now(seen) for seen in planned]
        self.digest = digest_of_all(self._seen)

    def values(self) -> Mapping[Spec, Any]:
        """Give what the inputs stand for in the task.

        Raises:
            InputError: A table cannot be read any more.
        """
        return {seen.spec: value_of(seen) for seen in self._seen}

    def set_variables(self) -> None:
        """Put the variables into the environment of a process that the task has for itself."""
        for seen in self._seen if self._own else ():
            if seen.spec[0] == "env":
                os.environ.pop(seen.spec[1], None)
                if seen.value is not None:
                    os.environ[seen.spec[1]] = seen.value

    def end(self) -> list[list[Any]]:
        """Look once more, and give what is to be noted of the inputs: what each is called, its state, its looks.

        What changed meanwhile has no state.
        """
        changed = {seen.spec for seen in self._seen if not _is_as_it_was(seen)}
        if changed:
            self.digest = CHANGED_MEANWHILE
        return [[seen.spec, "" if seen.spec in changed else seen.digest.hex(), seen.shown] for seen in self._seen]

    def _now(self, planned: Seen) -> Seen:
        kind, name, *_ = planned.spec
        if kind == "env":
            return planned if self._own else look(planned.spec)
        if kind == "package":
            return self._same_package(planned, name)
        if planned.stamp and stamp_of(planned) == planned.stamp:
            return planned
        try:
            return look(planned.spec, path=planned.path)
        except InputError as error:
            msg = f"its {error} on {os.uname().nodename}, where it runs; when the run was planned, it could be read"
            raise InputError(msg) from None

    def _same_package(self, planned: Seen, name: str) -> Seen:
        try:
            version = _versions[name] if name in _versions else _versions.setdefault(name, installed_version(name))
        except InputError:
            version = "none"
        if version != planned.shown:
            msg = (
                f"the package {name} is {planned.shown} where the run was planned, and {version} on "
                f"{os.uname().nodename} ({sys.executable}); install the same, or say nothing of the package"
            )
            raise InputError(msg)
        return planned


def _is_as_it_was(seen: Seen) -> bool:
    if not seen.path:
        return True
    if seen.stamp:
        return stamp_of(seen) == seen.stamp
    try:
        return look(seen.spec, path=seen.path).digest == seen.digest
    except InputError:
        return False

