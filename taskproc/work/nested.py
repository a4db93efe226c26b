"""Graphs that a running task runs inside: what they are nested in, what must not wait behind it, what they leave."""
from __future__ import annotations

from ..tasks.anew import write_down
from . import worker
from .handover import apply_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..tasks.node import Node


def tell_of_nesting() -> None:
    """Have workers hand back what waits behind the task that this is part of, since a graph is to be run here.

    Threads do not inherit what runs. In one that a task started, it may be any of the tasks in this process, so all
    hand back; but for one with the terminal, which would wait for the others to end, unless it is alone.
    """
    for attempt in _around():
        if worker.current.get() is not None or attempt.capture != "none" or len(worker.running) == 1:
            attempt.hand_back()


def ancestors() -> list[str]:
    """Give the digests of the tasks that what runs here is nested in, outermost first; none outside of a task.

    A worker's process runs nothing else than the task that it was given; so its other threads are that task's, too.
    """
    attempt = worker.current.get() or (next(iter(worker.running), None) if worker.watched else None)
    if attempt is None:
        return []
    context = apply_context(attempt.assignment.context)
    return [*context.get("ancestors", ()), attempt.assignment.digest.hex()]


def note_nested(root: Node, version: bytes) -> None:
    """Note beside the result of the task that this is part of that it ran a graph, so that it goes stale with that.

    In a thread that a task started it may be any of the tasks in this process: then all note it.

    Args:
        root: The task that was asked for.
        version: Its result's.
    """
    around = _around()
    if not around or "<locals>" in type(root).__qualname__:
        return  # the text of a class without a name is a part of the source of the task that defines it
    from binascii import b2a_base64

    try:
        recipe = write_down([root])
    except Exception:  # of a user's class: it cannot be looked at later, so it must run again
        recipe = b""
    note = [repr(root), root._task_config.name, version.hex(), b2a_base64(recipe, newline=False).decode()]
    for attempt in around:
        attempt.leaving.notes.setdefault("nested", {})[root._task.digest.hex()] = note


def _around() -> list[worker.Attempt]:
    own = worker.current.get()
    return [own] if own is not None else list(worker.running)
