"""What an attempt leaves: the provenance of its result, and what is noted beside it."""
from __future__ import annotations

import os
import time

from ..base.errors import TaskDefinitionError
from ..base.lean import NamedTuple, blake2b
from ..store import files
from ..store.meta import EXPANDS, NAMES_FILES, NAMES_PLACE, NESTED, Meta, write_notes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..tasks.node import Node
    from .handover import Assignment
    from .left_files import LeftFiles


class Spent(NamedTuple):
    """What a task took.

    Attributes:
        seconds: Of time.
        cpu: Of processor time.
        memory: KiB at its peak.
    """

    seconds: float
    cpu: float
    memory: int


class Leaving:
    """Finds out what is to be said of an attempt's result.

    Args:
        assignment: What was to be done.

    Attributes:
        notes: What is to be kept beside the result, plain data by kind.
        inputs: The digest of the states of what it read from outside.
    """

    def __init__(self, assignment: Assignment) -> None:
        self.notes: dict[str, Any] = {}
        self.inputs = bytes(16)
        self._assignment = assignment
        self._flags = 0
        self._left: LeftFiles | None = None

    def look_at_files(self, task: Node, fsync: bool) -> None:
        """Read what the attempt left in its data directory, which others may read, too."""
        if not os.path.isdir(f"{self._assignment.directory}/{files.DATA}"):
            return
        self._left = self._files_of(task)
        if fsync:
            self._left.reach_disk()

    def expansion(self, task: Node, value: Any) -> Any:
        """Write down the tasks that an expanding one returned, in the place of its result."""
        from ..tasks.expansion import expansion_of

        self._flags |= EXPANDS
        return expansion_of(task, value)

    def describe(self, task: Node, value: Any, writer: files.ResultWriter, spent: Spent) -> tuple[Meta, bytes]:
        """Give the provenance of a result that was pickled, and its notes.

        Args:
            task: The task.
            value: The result.
            writer: What it was pickled with.
            spent: What it took.
        """
        led_to = self._note_files(task, writer)
        notes = write_notes(self.notes) if self.notes else b""
        digest = self._with_files(_own_digest(task, value) or writer.digest, led_to)
        return self._provenance(digest, spent, len(notes)), notes

    def _provenance(self, value: bytes, spent: Spent, notes: int) -> Meta:
        """Say where a result came from, and whether it is as good as the one that it replaces."""
        assignment = self._assignment
        commit = bytes.fromhex(assignment.nonce)
        return Meta(
            identity=assignment.digest,
            source=assignment.source,
            upstreams=assignment.upstreams,
            upstream_values=assignment.upstream_values,
            inputs=self.inputs,
            value=value,
            version=self._former_version(value) or commit,
            commit=commit,
            made=time.time(),
            seconds=spent.seconds,
            cpu=spent.cpu,
            memory=spent.memory,
            flags=self._flags | (NESTED if "nested" in self.notes else 0),
            notes=notes,
            size=0,
        )

    def _former_version(self, value: bytes) -> bytes:
        """Give the version of the result that is replaced by the same one; nothing if this one is to count as new.

        What runs only because something above it was cleared, or computed by force, counts as new: so does all that
        follows from it, one step after another.
        """
        before = self._assignment.before
        if before is None or before.value != value:
            return b""
        same_values = before.upstream_values == self._assignment.upstream_values
        is_renewed = same_values and before.upstreams != self._assignment.upstreams
        return b"" if is_renewed else before.version

    def _files_of(self, task: Node) -> LeftFiles:
        from .left_files import LeftFiles

        cache, class_name = os.path.split(self._assignment.class_directory)
        data = f"{class_name}/results/{self._assignment.id}/{files.DATA}"
        return LeftFiles(cache, data, task._task_config.files)

    def _note_files(self, task: Node, writer: files.ResultWriter) -> bytes | None:
        """Note the files that the result names, and give what stands for all that it leads to.

        None: that cannot be told from anything else.
        """
        own = b"" if self._left is None else self._left.digest
        references = writer.references
        if references is None or not (references.named or references.embedded or writer.marked):
            return own
        from ..store.named_files import NOTED, PLACE
        from .left_files import notes_on, others_digest

        left = self._left or self._files_of(task)
        notes = notes_on(references, writer.marked, left)
        self.notes.update(notes)
        self._flags |= (NAMES_FILES if NOTED in notes else 0) | (NAMES_PLACE if PLACE in notes else 0)
        others = others_digest(references, writer.marked, left)
        return None if own is None or others is None else own + others

    def _with_files(self, digest: bytes, led_to: bytes | None) -> bytes:
        """Digest a result with what it leads to; None makes it like no other."""
        if led_to is None:
            return bytes.fromhex(self._assignment.nonce)
        return blake2b(digest + led_to, digest_size=16).digest() if led_to else digest


def _own_digest(task: Any, value: Any) -> bytes | None:
    """Hash what a task's class says makes its result the same as another; None if it says nothing."""
    own = value.digest() if task._task_config.expands else task.result_digest(value)
    if own is None:
        return None
    if not isinstance(own, (str, bytes)):
        msg = f"{type(task).__qualname__}.result_digest gave a {type(own).__qualname__}; it gives text, bytes or None"
        raise TaskDefinitionError(msg)
    data = own.encode("utf-8", "surrogatepass") if isinstance(own, str) else own
    return blake2b(data, digest_size=16).digest()
