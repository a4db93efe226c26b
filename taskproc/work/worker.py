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
from ..base.lean import ContextVar, Lock, blake2b, pickle
from ..base.private import make_directories
from ..base.telling import told, words_of
from ..store import files
from ..store.meta import EXPANDS, NAMES_FILES, NAMES_PLACE, NESTED, Meta, write_notes
from ..store.pickling import pickle_value
from ..tasks.valued import handed
from .driver_main import why_missing
from .handover import apply_context, restore_task
from .setup import call_hook, set_up_thread
from .texts import check_texts, refuse_edited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    from ..tasks.node import Node
    from .capture import DescriptorCapture
    from .handover import Assignment
    from .inputs import Reading
    from .left_files import LeftFiles

    Capture = Literal["fd", "thread", "none"]

_SUPERSEDED = "another driver has taken this attempt over; its result is not kept"
_STILL_RUNS = (
    "a thread of a run that was interrupted still runs this task in this process; wait until it has ended, or start "
    "the process anew"
)
_PATIENCE = 10.0  # seconds for such a thread to end


class SupersededError(TaskprocError):
    """Another driver has taken this attempt's place: it must not commit."""


class RemoteTraceback(Exception):
    """The traceback of an exception that was raised in another process."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


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
        self.notes: dict[str, Any] = {}  # what is to be kept beside the result, plain data by kind
        self.flags = 0  # and what is to be known of it at a glance
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
            files.save_failure(self.directory, self.assignment.nonce, failure, _pickled_exception(error, text))
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
            value = _in_this_process(task)
            seconds = time.perf_counter() - self.started
            cpu = usage.cpu_seconds(shared) - cpu
            check_texts(assignment, task)
            left = self._left_files(task)
            if self._reading is not None:
                self.notes["inputs"] = self._reading.end()
        except BaseException as error:
            failure = _as_failure(error)
            text = _readable_traceback(error)
            if isinstance(failure, TaskDefinitionError) and failure is not error:
                text += f"{told(failure)}\n"
            _try_to_print(text)
            with keeping:
                return self.fail(failure, text)
        try:
            if task._task_config.expands:
                value = self._expansion(task, value)
            with keeping:
                return self._commit(task, value, seconds, cpu, left)
        except Exception as error:
            text = f"{told(error)}\n"
            _try_to_print(text)
            return self.fail(error, text)
        finally:
            del task, value

    def _begin_reading(self) -> None:
        """Look at what the task reads from outside, and let it be what it stands for when the task is unpickled."""
        from .inputs import Reading

        self._reading = Reading(self.assignment.inputs, own=descriptors is not None and at_hand is self)
        handed.set(self._reading.values())

    def _commit(self, task: Any, value: Any, seconds: float, cpu: float, left: LeftFiles | None) -> Ended:
        assignment = self.assignment
        memory = usage.peak(seconds)
        temporary = f"{self.directory}/{files.RESULT}.{assignment.nonce}.tmp"
        cache = os.path.dirname(assignment.class_directory)
        writer = pickle_value(value, lambda: files.ResultWriter(temporary, assignment.level, self.touch), cache)
        try:
            led_to = self._note_files(task, writer, left)
            notes = write_notes(self.notes) if self.notes else b""
            digest = self._with_files(_own_digest(task, value) or writer.digest, led_to)
            meta = self._provenance(digest, seconds, cpu, memory, len(notes))
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

    def _expansion(self, task: Node, value: Any) -> Any:
        """Write down the tasks that an expanding one returned, in the place of its result."""
        from ..tasks.expansion import expansion_of

        self.flags |= EXPANDS
        return expansion_of(task, value)

    def _provenance(self, value: bytes, seconds: float, cpu: float, memory: int, notes: int) -> Meta:
        """Say where a result came from, and whether it is as good as the one that it replaces."""
        assignment = self.assignment
        commit = bytes.fromhex(assignment.nonce)
        return Meta(
            identity=assignment.digest,
            source=assignment.source,
            upstreams=assignment.upstreams,
            upstream_values=assignment.upstream_values,
            inputs=self._reading.digest if self._reading is not None else bytes(16),
            value=value,
            version=self._former_version(value) or commit,
            commit=commit,
            made=time.time(),
            seconds=seconds,
            cpu=cpu,
            memory=memory,
            flags=self.flags | (NESTED if "nested" in self.notes else 0),
            notes=notes,
            size=0,
        )

    def _former_version(self, value: bytes) -> bytes:
        """Give the version of the result that is replaced by the same one; nothing if this one is to count as new.

        What runs only because something above it was cleared, or computed by force, counts as new: so does all that
        follows from it, one step after another.
        """
        before = self.assignment.before
        if before is None or before.value != value:
            return b""
        same_values = before.upstream_values == self.assignment.upstream_values
        is_renewed = same_values and before.upstreams != self.assignment.upstreams
        return b"" if is_renewed else before.version

    def _left_files(self, task: Any) -> LeftFiles | None:
        """Read what the attempt left in its data directory, which others may read, too."""
        if not self._touched or not os.path.isdir(f"{self.directory}/{files.DATA}"):
            return None
        left = self._files_of(task)
        if self._fsync:
            left.reach_disk()
        return left

    def _files_of(self, task: Any) -> LeftFiles:
        from .left_files import LeftFiles

        cache, class_name = os.path.split(self.assignment.class_directory)
        data = f"{class_name}/results/{self.assignment.id}/{files.DATA}"
        return LeftFiles(cache, data, type(task)._task_config.files)

    def _note_files(self, task: Any, writer: files.ResultWriter, left: LeftFiles | None) -> bytes | None:
        """Note the files that the result names, and give what stands for all that it leads to.

        None: that cannot be told from anything else.
        """
        own = b"" if left is None else left.digest
        references = writer.references
        if references is None or not (references.named or references.embedded or writer.marked):
            return own
        from ..store.named_files import NOTED, PLACE
        from .left_files import notes_on, others_digest

        left = left or self._files_of(task)
        notes = notes_on(references, writer.marked, left)
        self.notes.update(notes)
        self.flags |= (NAMES_FILES if NOTED in notes else 0) | (NAMES_PLACE if PLACE in notes else 0)
        others = others_digest(references, writer.marked, left)
        return None if own is None or others is None else own + others

    def _with_files(self, digest: bytes, led_to: bytes | None) -> bytes:
        """Digest a result with what it leads to; None makes it like no other."""
        if led_to is None:
            return bytes.fromhex(self.assignment.nonce)
        return blake2b(digest + led_to, digest_size=16).digest() if led_to else digest

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


def unpickle_failure(pickled: bytes, failure: dict[str, Any]) -> BaseException:
    """Give the exception that an attempt raised, with its traceback as its cause."""
    try:
        error: BaseException = pickle.loads(pickled)
    except Exception:
        error = RuntimeError(f"{failure.get('type')}: {failure.get('message')}")
    BaseException.__setattr__(error, "__cause__", RemoteTraceback(failure.get("traceback", "")))  # frozen ones, too
    return error


def _in_this_process(task: Any) -> Any:
    """Run the task; a child that it forked and that comes back from it ends here: the result is the parent's."""
    own = os.getpid()
    try:
        value = task.run_task()
    except BaseException as error:
        if os.getpid() == own:
            raise
        _try_to_print(_readable_traceback(error))
        os._exit(1)
    if os.getpid() != own:
        from .capture import flush

        flush()
        os._exit(0)
    return value


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


def _as_failure(error: BaseException) -> BaseException:
    if isinstance(error, SystemExit):
        return TaskprocError(f"the task called sys.exit({error.code!r}); a task ends by returning its result")
    if reason := why_missing(error):
        return TaskDefinitionError(reason)
    return error


def _readable_traceback(error: BaseException) -> str:
    """Format a traceback from the task's own frames on."""
    import traceback

    frames = error.__traceback__
    own = os.path.dirname(__file__)
    at = frames
    while at is not None and os.path.dirname(at.tb_frame.f_code.co_filename) == own:
        at = at.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, at or frames))
    except Exception as failed:  # of a user's exception, or of the text of a user's module
        return f"{told(error)}\n(its traceback cannot be shown: {type(failed).__name__})\n"


def _pickled_exception(error: BaseException, text: str) -> bytes:
    """Pickle an exception so that it surely reads back; one that would not is told as text."""
    BaseException.with_traceback(error, None)  # of a frozen class, which lets nothing be set, too
    try:
        data = pickle.dumps(error, 5)
        if isinstance(pickle.loads(data), BaseException):
            return data
    except Exception:
        pass
    try:
        from ..base import by_value

        data = by_value.dumps(error)
        if isinstance(pickle.loads(data), BaseException):
            return data
    except Exception:
        pass
    return pickle.dumps(RuntimeError(told(error)), 5)


def _try_to_print(text: str) -> None:
    try:
        print(text, file=sys.stderr, end="", flush=True)
    except Exception:  # the stream may be the task's own
        pass
