"""The far end: runs one task in this process, keeps its result or its failure, and says how it ended.

It imports neither the graph nor the backends, and cloudpickle only for what pickle cannot do.
"""
from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from ..base import usage
from ..base.ended import Ended
from ..base.errors import TaskDefinitionError, TaskprocError
from ..base.lean import ContextVar, Lock
from ..base.private import make_directories
from ..base.telling import told, words_of
from ..store import files
from ..store.pickling import pickle_value
from ..tasks.valued import handed
from .failing import as_failure, in_this_process, pickled_exception, readable_traceback, try_to_print
from .handover import apply_context, restore_task
from .leaving import Leaving, Spent
from .setup import call_hook, set_up_thread
from .texts import check_texts, refuse_edited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    from .capture import DescriptorCapture
    from .handover import Assignment
    from .inputs import Reading

    Capture = Literal["fd", "thread", "none"]

_SUPERSEDED = "another driver has taken this attempt over; its result is not kept"
_STILL_RUNS = (
    "a thread of a run that was interrupted still runs this task in this process; wait until it has ended, or start "
    "the process anew"
)
_PATIENCE = 10.0  # seconds for such a thread to end


class SupersededError(TaskprocError):
    """Another driver has taken this attempt's place: it must not commit."""


class Unguarded:
    """Stands for the lock below in a process that no guard ends."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


current: ContextVar[Attempt | None] = ContextVar("taskproc_attempt", default=None)
descriptors: DescriptorCapture | None = None
keeping: Lock | Unguarded = Unguarded()  # held while something is kept, and for good once the process is to end
running: dict[Attempt, None] = {}  # what runs in this process, in the order of its start
watched = False  # whether this process has a guard that ends it in time
at_hand: Attempt | None = None  # what runs in this process with its output captured


class CapturedDescriptors:
    """Captures descriptors 1 and 2 for a while, and gives them back."""

    def __init__(self, run_directory: str) -> None:
        self._scratch = f"{run_directory}/output"
        self._kept: list[int] = []

    def __enter__(self) -> None:
        global descriptors
        from .capture import DescriptorCapture

        self._kept = [os.dup(1), os.dup(2)]
        descriptors = DescriptorCapture(self._scratch)

    def __exit__(self, *_: object) -> None:
        global descriptors
        if descriptors is not None:
            descriptors.close()
            descriptors = None
        for fd, copy in zip((1, 2), self._kept, strict=True):
            os.dup2(copy, fd)
            os.close(copy)


class Attempt:
    """One attempt at one task, in the process that runs it."""

    def __init__(self, assignment: Assignment, body: bytes, on_nested: Callable[[], None] | None = None) -> None:
        self.assignment = assignment
        self.capture: Capture = "none"
        self.directory = assignment.directory
        self.started = 0.0
        self._body = body
        self._touched = False
        self._had_directory = False
        self._touching = Lock()  # the task, threads of its own and the guard may all want the directory at once
        self._fsync = False
        self._on_nested = on_nested
        self._nesting = Lock()
        self.leaving = Leaving(assignment)
        self._reading: Reading | None = None
        self._revoked = False
        self._at_work = Lock()

    def run(self, capture: Capture) -> Ended:
        """Run the task, with its output where it belongs; a filed attempt is claimed before that."""
        token, outer = current.set(self), handed.set({})
        self.capture = capture
        running[self] = None
        self._at_work.acquire()
        try:
            if capture == "fd":
                usage.begin()
                return self._run_with_descriptors()
            if capture == "thread":
                from .routing import ThreadCapture

                with ThreadCapture(self.touch):
                    return self._run()
            return self._run()
        finally:
            self._at_work.release()
            del running[self]
            handed.reset(outer)
            current.reset(token)

    def hand_back(self) -> None:
        """See to it, once, that nothing waits behind this attempt any more; whoever comes meanwhile waits for that."""
        with self._nesting:
            on_nested, self._on_nested = self._on_nested, None
            if on_nested is not None:
                on_nested()

    def claim(self) -> bool:
        """Start once, ever: whoever renames the attempt's file runs it."""
        try:
            os.rename(self._file("queued"), self._file("running"))
        except FileNotFoundError:
            return False
        return True

    def touch(self) -> str:
        """Make the instance directory, empty for this attempt, and give it."""
        if not self._touched:
            with self._touching:
                if not self._touched:
                    if not self.is_ours():
                        raise SupersededError(_SUPERSEDED)
                    self._await_predecessor()
                    args, deps, nonce = self.assignment.args, self.assignment.deps, self.assignment.nonce
                    self._had_directory = files.prepare(self.directory, args, deps, nonce)
                    self._touched = True
        return self.directory

    def is_ours(self) -> bool:
        """Whether the attempt, which has begun, was not taken back since."""
        if self._revoked or not self.assignment.filed:
            return not self._revoked
        return os.path.exists(self._file("running")) or os.path.exists(self._file("committing"))

    def revoke(self) -> None:
        """See to it that the attempt, which a thread of this process runs and nobody can end, keeps nothing."""
        self._revoked = True

    def _await_predecessor(self) -> None:
        """Wait for an attempt that was revoked and still has the directory."""
        for other in list(running):
            if other is not self and other._revoked and other.directory == self.directory:
                if not other._at_work.acquire(timeout=_PATIENCE):
                    raise TaskprocError(_STILL_RUNS)
                other._at_work.release()

    def begin_filed(self) -> None:
        """File the attempt as one that has begun, where nobody else has filed it."""
        make_directories(self.directory)
        files.write_text(self._file("running"), "")

    def let_go(self) -> None:
        """See to it that whoever still runs the attempt can keep nothing any more."""
        files.remove(self._file("running"))

    def fail_beside(self, error: BaseException) -> Ended:
        """Keep a failure of the attempt that another process runs, or ran."""
        self._touched = True
        return self.fail(error, f"{told(error)}\n")

    def fail(self, error: BaseException, text: str) -> Ended:
        """Keep a failure, and tell of it."""
        failure = {
            "type": type(error).__qualname__,
            "message": words_of(error),
            "traceback": text,
            "time": time.time(),
            "host": os.uname().nodename,
            "pid": os.getpid(),
        }
        reason = told(error)
        try:
            if not self.is_ours():  # what lies there now is another attempt's
                return Ended(reason=_SUPERSEDED, exit_code=1, host=os.uname().nodename)
            self.touch()
            files.save_failure(self.directory, self.assignment.nonce, failure, pickled_exception(error, text))
        except OSError as disk:
            reason += f" (and this could not be written to {self.directory}: {disk.strerror})"
        return Ended(reason=reason, exit_code=1, host=os.uname().nodename)

    def _run_with_descriptors(self) -> Ended:
        if descriptors is None:
            return self._run_as_guest()
        global at_hand
        outer, at_hand = at_hand, self
        descriptors.begin(self.touch)
        try:
            return self._run()
        finally:
            descriptors.end()
            at_hand = outer

    def _run_as_guest(self) -> Ended:
        """Run the task in somebody else's process, and leave that as it was."""
        main = sys.modules["__main__"]
        try:
            with CapturedDescriptors(os.path.dirname(self.assignment.context)):
                return self._run_with_descriptors()
        finally:
            sys.modules["__main__"] = main

    def _run(self) -> Ended:
        assignment = self.assignment
        try:
            if not assignment.packed or not assignment.fresh:
                self.touch()
            context = apply_context(assignment.context)
            self._fsync = bool(context.get("fsync"))
            call_hook(context["setup"])
            if assignment.inputs:
                self._begin_reading()
            try:
                task = restore_task(assignment, self._body, self.touch)
            except TaskprocError:
                refuse_edited(assignment)
                raise
            check_texts(assignment, task)
            if self.capture != "none":  # else it runs in the driver's own thread, which is as it should be
                set_up_thread(context["setup"])
            if descriptors is not None and at_hand is self:
                descriptors.note_surroundings()
            if self._reading is not None:
                self._reading.set_variables()
            shared = self.capture == "thread"
            cpu = usage.cpu_seconds(shared)
            self.started = time.perf_counter()
            value = in_this_process(task)
            seconds = time.perf_counter() - self.started
            cpu = usage.cpu_seconds(shared) - cpu
            check_texts(assignment, task)
            spent = Spent(seconds, cpu, usage.peak(seconds))
            if self._touched:
                self.leaving.look_at_files(task, self._fsync)
            if self._reading is not None:
                self.leaving.notes["inputs"] = self._reading.end()
                self.leaving.inputs = self._reading.digest
        except BaseException as error:
            failure = as_failure(error)
            text = readable_traceback(error)
            if isinstance(failure, TaskDefinitionError) and failure is not error:
                text += f"{told(failure)}\n"
            try_to_print(text)
            with keeping:
                return self.fail(failure, text)
        try:
            if task._task_config.expands:
                value = self.leaving.expansion(task, value)
            with keeping:
                return self._commit(task, value, spent)
        except Exception as error:
            text = f"{told(error)}\n"
            try_to_print(text)
            return self.fail(error, text)
        finally:
            del task, value

    def _begin_reading(self) -> None:
        """Look at what the task reads from outside, and let it be what it stands for when the task is unpickled."""
        from .inputs import Reading

        self._reading = Reading(self.assignment.inputs, own=descriptors is not None and at_hand is self)
        handed.set(self._reading.values())

    def _commit(self, task: Any, value: Any, spent: Spent) -> Ended:
        assignment = self.assignment
        temporary = f"{self.directory}/{files.RESULT}.{assignment.nonce}.tmp"
        cache = os.path.dirname(assignment.class_directory)
        writer = pickle_value(value, lambda: files.ResultWriter(temporary, assignment.level, self.touch), cache)
        try:
            meta, notes = self.leaving.describe(task, value, writer, spent)
            if assignment.packed and not self._touched and writer.small is not None and not self._printed():
                return Ended(exit_code=0, value=meta.pack() + writer.small + notes)
            self.touch()
            writer.finish(meta, notes, self._fsync)
            self._let_go()
            os.replace(temporary, f"{self.directory}/{files.RESULT}")
        except BaseException:
            writer.discard()
            raise
        if self._had_directory:
            files.forget_earlier(self.directory)
        if assignment.filed:
            files.remove(self._file("committing"))
        return Ended(exit_code=0)

    def _printed(self) -> bool:
        return descriptors is not None and descriptors.any_output()

    def _let_go(self) -> None:
        """Make sure that the attempt is still ours, at the last moment."""
        if self._revoked:
            raise SupersededError(_SUPERSEDED)
        if not self.assignment.filed:
            return
        try:
            os.rename(self._file("running"), self._file("committing"))
        except FileNotFoundError:
            raise SupersededError(_SUPERSEDED) from None

    def _file(self, state: str) -> str:
        """Name the file that shows the state of a filed attempt."""
        return f"{self.directory}/{files.ATTEMPT}{state}.{self.assignment.nonce}"
