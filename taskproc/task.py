"""Tasks: a class becomes a node of the graph for each set of arguments."""
from __future__ import annotations

from abc import ABCMeta
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from .base.errors import TaskDefinitionError
from .base.lean import Generic, cast, overload
from .tasks.config import TaskConfig, where_defined
from .tasks.definition import check_methods, checked_default, refuse_undeclared
from .tasks.failed import FailedTaskError
from .tasks.loaded import take
from .tasks.node import Node, located
from .tasks.requires import Req, Requires, RequiresDict, RequiresList, declared_requirements
from .tasks.substitutes import Const, MappedTask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Executor
    from datetime import timedelta
    from typing import Any, ClassVar, NoReturn

    from typing_extensions import TypeVar

    from .store.named_files import FilesKind
    from .tasks.config import DependsOn, OptionSource, StoreKind, Watched
    from .tasks.protocols import Task, TaskLike
    from .tasks.substitutes import K, T

    R = TypeVar("R", covariant=True, default=Any)
    S = TypeVar("S", default=Any)
else:
    from .tasks.requires import R

__all__ = [
    "Const",
    "FailedTaskError",
    "Req",
    "Requires",
    "RequiresDict",
    "RequiresList",
    "Task",
    "TaskBase",
]


def __getattr__(name: str) -> Any:
    if name == "Task":  # which is a union that only `typing` can make
        from .tasks.protocols import Task

        return Task
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


@cache
def _constructor() -> Any:
    """Load `construction` when the first task is constructed, as most workers never do."""
    from .tasks.construction import construct

    return construct


if TYPE_CHECKING:
    from datetime import timedelta
    # A type checker reads the constructor from __init__, and checks class keywords only where it knows the metaclass.
    TaskMeta = ABCMeta
else:

    class TaskMeta(ABCMeta):
        """Makes `Class(arguments)` give the one living task with these arguments."""

        def __call__(cls, *args, **kwargs):
            return _constructor()(cls, args, kwargs)


class TaskBase(Node, Generic[R], metaclass=TaskMeta):
    """The base of all tasks: a class and its arguments are a task, with one result and one directory.

    A subclass declares what it needs from others (`Requires`), sets it in `__init__`, and computes its result in
    `run_task`. `__init__` runs at once, in the driver; `run_task` runs on a worker.

    Arguments of `__init__` are the task's identity, defaults applied. They are taken at the call: `__init__` gets
    copies of what can be changed. They may be numbers, text, None, lists, tuples, dicts, sets, bytes, paths, dates,
    enums, dataclasses, numpy scalars, inputs such as `InputFile` and other tasks, nested in any way; anything else is a
    `TaskDefinitionError` that names the argument.

    Class keywords count for the class that states them, and not for classes derived from it:

    Class keywords:
        channel (str or several): Labels, for `rate_limits`.
        compress_level (int): gzip's, 9 by default; -1 and 0 to 9.
        prefix_command (str): A command put before the worker's own command line, run by a shell.
        interactive (bool): Run in the driver's main thread with the real terminal.
        backend (str): The name of a backend or of a profile.
        backend_options (mapping or callable): Options, or a function from (task, attempt from 0) to them.
        retries (int): How many times a failed attempt is tried again; 0 by default.
        timeout (float): Seconds after which an attempt is ended, with all processes that it started.
        store (str): `tree` or `packed`; as in the settings by default.
        watch (module, its name, a path, or several): Counts as a whole as a part of the class's source, where reading
            cannot tell what the class uses. Paths are relative to the file of the class. Derived classes watch it too.
        cutoff (bool): Whether a result that is the same as before spares the tasks that need it; True.
        ignore (name or several): Arguments that make no difference, such as `n_jobs`: tasks that differ only in them
            share a result.
        version (text or number): A part of the source; a new one makes all results stale.
        expires (text, seconds or timedelta): How old a result may grow, such as `12h` or `7d`.
        files (str): What counts of the files below a `task_directory` that a result names: that they are there
            (`exists`), their sizes, too (`size`, the default), or their contents, too (`content`).
        depends_on (InputFile, InputDir, EnvVar, Package, or several): What the tasks read from outside besides their
            arguments. Tasks of derived classes depend on it too.
        expands (bool): Whether `run_task` returns tasks: one, or a list or a dict of them, nested in any way. They are
            added to the graph, and whoever requires the task gets their results in the same shape. A derived class
            that inherits this `run_task` does so, too.

    Raises:
        TaskDefinitionError: A class keyword, a method or an argument is not right, `__init__` sets a requirement to
            what is not a task, or an attribute holds a task that is not declared.
        CycleError: The task needs itself.

    Example:
        >>> class Square(TaskBase):
        ...     def __init__(self, n: int):
        ...         self.n = n
        ...     def run_task(self) -> int:
        ...         return self.n ** 2
        >>> Square(3) is Square(n=3)
        True
        >>> class SumOfSquares(TaskBase):
        ...     squares: RequiresList[int]
        ...     def __init__(self, n: int):
        ...         self.squares = [Square(i) for i in range(n)]
        ...     def run_task(self) -> int:
        ...         return sum(self.squares)
        >>> SumOfSquares(4).run_graph(backend="thread")
        14
    """

    __iter__: ClassVar[None] = None  # having __getitem__, a task would be taken for an endless sequence

    def __init__(self) -> None:
        """Take no arguments, and need no upstreams, unless a subclass says otherwise."""

    def run_task(self) -> R:
        """Compute the result; called on a worker, once all upstreams have run.

        Returns:
            Anything that can be pickled. A class without a `run_task` of its own gives None.
        """
        return cast("R", None)

    def result_digest(self, value: Any) -> str | bytes | None:
        """Say what makes a result the same as the one before it, so that what depends on it need not run again.

        Override it for values whose pickles differ though they mean the same. It is called on the worker. The files
        that the task leaves count besides.

        Args:
            value: What `run_task` returned.

        Returns:
            Equal text or bytes for equal results; None to go by the pickle.

        Example:
            >>> class Words(TaskBase):
            ...     def run_task(self) -> set[str]:
            ...         return {"lamb", "sheep"}
            ...     def result_digest(self, value: set[str]) -> str:
            ...         return repr(sorted(value))
        """
        return None

    def __init_subclass__(
        cls,
        *,
        channel: str | Iterable[str] | None = None,
        compress_level: int = 9,
        prefix_command: str = "",
        interactive: bool = False,
        backend: str | None = None,
        backend_options: OptionSource = None,
        retries: int = 0,
        timeout: float | None = None,
        store: StoreKind | None = None,
        watch: Watched = (),
        cutoff: bool = True,
        ignore: str | Iterable[str] = (),
        version: str | int | None = None,
        expires: str | float | timedelta | None = None,
        files: FilesKind = "size",
        depends_on: DependsOn = (),
        expands: bool | None = None,
        **kwargs: NoReturn,  # those of a base class that is no task
    ) -> None:
        try:
            super().__init_subclass__(**kwargs)
        except TypeError as error:
            msg = f"{where_defined(cls)}{cls.__qualname__}: unknown class keyword {', '.join(kwargs)} ({error})."
            raise TaskDefinitionError(msg) from None
        cls._task_config = TaskConfig(
            cls,
            channel=channel,
            compress_level=compress_level,
            prefix_command=prefix_command,
            interactive=interactive,
            backend=backend,
            backend_options=backend_options,
            retries=retries,
            timeout=timeout,
            store=store,
            watch=watch,
            cutoff=cutoff,
            ignore=ignore,
            version=version,
            expires=expires,
            files=files,
            depends_on=depends_on,
            expands=expands,
        )
        for name in declared_requirements(cls, frame_depth=1):
            value = cls.__dict__.get(name)
            if not isinstance(value, Req):
                requirement: Req[Any, Any] = Req()
                requirement.__set_name__(cls, name)
                requirement.default = None if value is None else checked_default(cls, name, value)
                setattr(cls, name, requirement)
        check_methods(cls, TaskBase)
        refuse_undeclared(cls)
        cls._task_config.require(_requirements(cls))
        cls._task_config.loaded = take(cls, depth=1)

    def _repr_html_(self) -> str:
        """Show the task in a notebook, with its state."""
        from .look.pages.card import task_card

        return task_card(self)

    @overload
    def __getitem__(self: TaskLike[Sequence[T]], key: int) -> MappedTask[T]: ...
    @overload
    def __getitem__(self: TaskLike[Mapping[K, T]], key: K) -> MappedTask[T]: ...
    def __getitem__(self: Any, key: Any) -> MappedTask[Any]:
        """Stand for a part of the result: `task['key'][0]` can be required like a task."""
        return MappedTask(self, key)

    if TYPE_CHECKING:  # what is had of a task that returns tasks

        @overload
        def _results_of_returned(self: TaskLike[Sequence[Task[T]]]) -> list[T]: ...
        @overload
        def _results_of_returned(self: TaskLike[Mapping[K, Task[T]]]) -> dict[K, T]: ...
        @overload
        def _results_of_returned(self: TaskLike[TaskLike[T]]) -> T: ...
        @overload
        def _results_of_returned(self: TaskLike[S]) -> S: ...
        def _results_of_returned(self: Any) -> Any: ...

    def get_task_result(self: TaskLike[S]) -> S:
        """Read the result from the cache; nothing is run.

        Returns:
            What `run_task` returned, also if the task is stale by now.

        Raises:
            ResultNotFoundError: There is none (it is a `FileNotFoundError` too).
            ResultUnreadableError: It cannot be read back here.
        """
        return cast("S", located(cast("TaskBase[Any]", self)).load_result())

    def clear_task(self) -> None:
        """Remove the result, the logs and the contents of the data directory; downstream results are then stale.

        Raises:
            CacheError: The cache cannot be written to.
        """
        located(self).clear()

    @classmethod
    def clear_all_tasks(cls) -> None:
        """Remove the results, logs and data of every task of this class.

        Raises:
            CacheError: The cache cannot be written to.
        """
        from .store.disk import disk_errors
        from .tasks.in_use import current_cache

        store = current_cache().class_store(cls._task_config.name)
        with disk_errors(store.directory):
            store.clear_all()

    def run_graph(
        self: TaskLike[S],
        *,
        executor: Executor | None = None,
        max_workers: int | None = None,
        rate_limits: Mapping[str, int] | None = None,
        detect_source_change: bool | None = None,
        show_progress: bool = False,
        force_interactive: bool = False,
        backend: str | None = None,
        backend_options: Mapping[str, Any] | None = None,
        on_error: str = "stop",
    ) -> S:
        """Run what is not cached of this task's graph, and give the task's result.

        Args:
            executor: A pool to run tasks in, used as it is; it stays open.
            max_workers: How many tasks run at once on this machine; by default, the CPUs this process may use.
            rate_limits: How many tasks with a channel, or of one `task_name`, run at once.
            detect_source_change: Whether changed code makes results stale; on by default.
            show_progress: Whether to show a progress bar per task class.
            force_interactive: Run every task in this thread, with the real terminal.
            backend: The name of a backend or a profile that runs every task.
            backend_options: Options for that backend.
            on_error: `stop`: submit nothing more after a failure. `continue`: run all that does not depend on it.

        Returns:
            What this task's `run_task` returned, now or in an earlier run.

        Raises:
            FailedTaskError: A task failed; with `on_error='continue'`, a `FailedTasksError` if several did.
            SettingsError: A setting or an argument of this call is not right.
            OptionError: A backend's options are wrong; nothing has run then.
            BackendError: There is no such backend; nothing has run then.
            TaskDefinitionError: Two classes of the graph have one name.
            InputError: What a task reads from outside is not there; nothing has run then.
            CycleError: A running task runs this graph, which needs that very task.
            SourceChangedError: What is loaded is not what a file says; nothing has run then.
            CacheError: The cache cannot be used as it is; if others may write to it, an `UntrustedCacheError`.
            ResultUnreadableError: The result cannot be read back here.

        Example:
            >>> class Double(TaskBase):
            ...     def __init__(self, n: int):
            ...         self.n = n
            ...     def run_task(self) -> int:
            ...         return 2 * self.n
            >>> Double(21).run_graph(backend="thread", max_workers=2)
            42
        """
        result, _ = cast("TaskBase[Any]", self).run_graph_with_stats(
            executor=executor,
            max_workers=max_workers,
            rate_limits=rate_limits,
            detect_source_change=detect_source_change,
            show_progress=show_progress,
            force_interactive=force_interactive,
            backend=backend,
            backend_options=backend_options,
            on_error=on_error,
        )
        return cast("S", result)

    def run_graph_with_stats(
        self: TaskLike[S],
        *,
        executor: Executor | None = None,
        max_workers: int | None = None,
        rate_limits: Mapping[str, int] | None = None,
        detect_source_change: bool | None = None,
        dump_generations: bool = False,
        show_progress: bool = False,
        force_interactive: bool = False,
        backend: str | None = None,
        backend_options: Mapping[str, Any] | None = None,
        on_error: str = "stop",
    ) -> tuple[S, dict[str, Any]]:
        """Do as `run_graph`, with its arguments and errors, and tell what ran.

        Args:
            dump_generations: Whether to list, under `stats['generations']`, the tasks still to do at each step.

        Returns:
            The result, and a dict whose `stats` maps each `task_name` to the number of its tasks that ran.

        Example:
            >>> class Half(TaskBase):
            ...     def __init__(self, n: int):
            ...         self.n = n
            ...     def run_task(self) -> float:
            ...         return self.n / 2
            >>> result, stats = Half(42).run_graph_with_stats(backend="thread")
            >>> result, stats["stats"][Half.task_name]
            (21.0, 1)
        """
        from .run.run import run_graph

        return run_graph(
            cast("TaskBase[Any]", self),
            executor=executor,
            max_workers=max_workers,
            rate_limits=rate_limits,
            detect_source_change=detect_source_change,
            dump_generations=dump_generations,
            progress=_progress() if show_progress else None,
            force_interactive=force_interactive,
            backend=backend,
            backend_options=backend_options,
            on_error=on_error,
        )


def _progress() -> Any:
    from .look.progress import Progress

    return Progress


def _requirements(cls: type) -> dict[str, Req[Any, Any]]:
    """List all requirements of a class, inherited ones included; a subclass may override one with a plain attribute."""
    names = {name for base in cls.__mro__ for name, value in base.__dict__.items() if isinstance(value, Req)}
    found = {name: _class_attribute(cls, name) for name in sorted(names)}
    return {name: value for name, value in found.items() if isinstance(value, Req)}


def _class_attribute(cls: type, name: str) -> Any:
    return next((base.__dict__[name] for base in cls.__mro__ if name in base.__dict__), None)
