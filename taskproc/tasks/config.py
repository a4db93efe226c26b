"""What a task class says of itself through its class keywords."""
from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from types import ModuleType, SimpleNamespace

from ..base.errors import TaskDefinitionError
from ..base.lean import blake2b
from ..base.script import module_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any, Literal

    from ..store.named_files import FilesKind
    from .binding import Binder
    from .loaded import Loaded
    from .requires import Req
    from .valued import Input, Spec

    OptionSource = Mapping[str, Any] | Callable[[Any, int], Mapping[str, Any]] | None
    StoreKind = Literal["tree", "packed"]
    DependsOn = Input[Any] | Iterable[Input[Any]]
    Watched = str | os.PathLike[str] | ModuleType | Iterable[str | os.PathLike[str] | ModuleType]


class _Definitions:
    """The names of the task classes that were defined so far.

    Attributes:
        renewals: How often it was seen that a class was defined under a name that there was already.
    """

    def __init__(self) -> None:
        self.renewals = 0
        self._names: set[str] = set()

    def note(self, name: str) -> None:
        """Note that a class has been defined."""
        if name in self._names:
            self.renew()
        self._names.add(name)

    def renew(self) -> None:
        """Note that a class, a task's or one of their arguments, was defined again: tasks that live may hold it."""
        self.renewals += 1


definitions = _Definitions()


class TaskConfig:
    """One task class's own settings. It travels with a class that is pickled by value.

    Attributes:
        name: `module.qualname`, which is also the name of the class's directory in the cache; a script's classes
            have the name of its file there.
        short_name: The class's name for people.
        channels: The labels to limit by; the name is always the first.
        requirements: The names of its requirements, inherited ones included, sorted.
        loaded: The text of its file, taken when it was defined; None if it is in none, or comes from another process.
        watch: The files that count as a whole.
        cutoff: Whether a result that is the same as before spares the tasks that need it.
        ignore: The names of the arguments that make no difference.
        expires: The seconds for which a result is fresh; 0 for any time.
        files: What counts of the files that a result names.
        depends_on: What it reads from outside besides, as it says itself; not what its bases say.
        expands: Whether its tasks return tasks, whose results others get.
        defaults: Those requirements that the class body sets.
        held_as: The names of the attributes that hold them.
        private: The names of those attributes of a task that are taskproc's own.
    """

    def __init__(
        self,
        task_class: Any,
        *,
        channel: str | Iterable[str] | None,
        compress_level: int,
        prefix_command: str,
        interactive: bool,
        backend: str | None,
        backend_options: OptionSource,
        retries: int,
        timeout: float | None,
        store: StoreKind | None,
        watch: Watched,
        cutoff: bool,
        ignore: str | Iterable[str],
        version: str | int | None,
        expires: str | float | timedelta | None,
        files: FilesKind,
        depends_on: DependsOn,
        expands: bool | None,
    ) -> None:
        self.task_class = task_class
        self.name = f"{module_name(task_class.__module__)}.{task_class.__qualname__}"
        definitions.note(self.name)
        self.short_name = task_class.__qualname__.rpartition("<locals>.")[2]
        self.channels = (self.name, *_labels(task_class, channel))
        self.compress_level = _checked_level(task_class, compress_level)
        self.prefix_command = prefix_command
        self.interactive = interactive
        self.backend = backend
        self.backend_options = backend_options if callable(backend_options) else dict(backend_options or {})
        self.retries = _checked_retries(task_class, retries)
        self.timeout = _checked_timeout(task_class, timeout)
        self.store = _checked_store(task_class, store)
        self.watch = _checked_watch(task_class, watch) if watch else ()
        self.cutoff = cutoff
        self.ignore = _checked_ignore(task_class, ignore) if ignore else ()
        _check_version(task_class, version)
        self.expires = _checked_expiry(task_class, expires) if expires is not None else 0.0
        self.files: FilesKind = files if files == "size" else _checked_files(task_class, files)
        self.depends_on: tuple[Spec, ...] = _checked_inputs(task_class, depends_on) if depends_on != () else ()
        self.expands = _expands(task_class) if expands is None else expands
        self.requirements: tuple[str, ...] = ()
        self.loaded: Loaded | None = None
        self.defaults: tuple[Req[Any, Any], ...] = ()
        self.held_as: tuple[str, ...] = ()
        self.private: frozenset[str] = frozenset()

    def require(self, requirements: Mapping[str, Req[Any, Any]]) -> None:
        """Take note of the requirements that the class declares, by name."""
        self.requirements = tuple(requirements)
        self.defaults = tuple(held for held in requirements.values() if held.default is not None)
        self.held_as = tuple(held.private_name for held in requirements.values())
        self.private = frozenset(("_task", *self.held_as))

    def __getstate__(self) -> dict[str, Any]:
        made_anew = ("binder", "inputs", "made_inputs", "name_hash", "plain_text")
        state = {name: value for name, value in self.__dict__.items() if name not in made_anew}
        return {**state, "loaded": None}

    @cached_property
    def binder(self) -> Binder:
        """Bind the constructor's arguments."""
        from .binding import Binder

        return Binder(self.task_class.__init__, self.task_class.__qualname__)

    def counted(self, bound: Mapping[str, Any]) -> dict[str, Any]:
        """Leave out of bound arguments those that make no difference."""
        return {name: value for name, value in bound.items() if name not in self.ignore}
    @cached_property
    def made_inputs(self) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
        """Make inputs of arguments where the constructor's annotations say so; None if they do not."""
        if sys.version_info < (3, 14) and not getattr(self.task_class.__init__, "__annotations__", True):
            return None  # from 3.14 on, to ask is to evaluate them
        from .annotated import made_inputs

        return made_inputs(self.task_class)

    @cached_property
    def inputs(self) -> tuple[Spec, ...]:
        """What every task of the class reads from outside: as the class says, and its bases."""
        known = [base.__dict__.get("_task_config") for base in self.task_class.__mro__]
        return tuple(dict.fromkeys(spec for config in known if config is not None for spec in config.depends_on))

    def digest(self, text: str) -> bytes:
        """Hash the class's name and the canonical text of a task's arguments to 16 bytes: the task's identity."""
        hashed = self.name_hash.copy()
        hashed.update(text.encode("ascii"))
        return hashed.digest()

    @cached_property
    def plain_text(self) -> Callable[[Mapping[str, Any]], str]:
        """Write the canonical text of arguments if they are plain."""
        from .arguments import plain_writer

        return plain_writer(self.binder.names)

    @cached_property
    def name_hash(self) -> blake2b:
        """Hash what all tasks of the class have in common, once."""
        return blake2b(f"{self.name}\0".encode("utf-8", "surrogatepass"), digest_size=16)

    @property
    def db(self) -> SimpleNamespace:
        """Kept for code written for 0.13, which read `_task_config.db.compress_level`."""
        return SimpleNamespace(name=self.name, compress_level=self.compress_level)


def where_defined(cls: type) -> str:
    """Name the file of a class, as the start of an error's sentence."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return f"{os.path.basename(file)}: " if file else ""


def _labels(cls: type, channel: str | Iterable[str] | None) -> tuple[str, ...]:
    if channel is None:
        return ()
    labels = (channel,) if isinstance(channel, str) else tuple(channel) if isinstance(channel, Iterable) else (channel,)
    if not all(isinstance(label, str) for label in labels):
        msg = f"{where_defined(cls)}{cls.__qualname__}: channel={channel!r} is not a label or several labels (text)."
        raise TaskDefinitionError(msg)
    return labels


def _expands(cls: type) -> bool:
    """Whether the class whose `run_task` it is, if that is a base, says that this returns tasks."""
    owner = next(base for base in cls.__mro__ if "run_task" in base.__dict__)
    return owner is not cls and getattr(owner.__dict__.get("_task_config"), "expands", False)


def _checked_level(cls: type, level: int) -> int:
    if level not in range(-1, 10):
        msg = f"{where_defined(cls)}{cls.__qualname__}: compress_level={level!r} is not one of -1 and 0 to 9."
        raise TaskDefinitionError(msg)
    return level


def _checked_retries(cls: type, retries: int) -> int:
    if not isinstance(retries, int) or retries < 0:
        msg = f"{where_defined(cls)}{cls.__qualname__}: retries={retries!r} is not a whole number from 0."
        raise TaskDefinitionError(msg)
    return retries


def _checked_timeout(cls: type, timeout: float | None) -> float | None:
    if timeout is not None and not (isinstance(timeout, (int, float)) and timeout > 0):
        msg = f"{where_defined(cls)}{cls.__qualname__}: timeout={timeout!r} is not a number of seconds above 0."
        raise TaskDefinitionError(msg)
    return timeout


def _checked_store(cls: type, store: StoreKind | None) -> StoreKind | None:
    if store not in (None, "tree", "packed"):
        msg = f"{where_defined(cls)}{cls.__qualname__}: store={store!r} is neither 'tree' nor 'packed'."
        raise TaskDefinitionError(msg)
    return store


def _checked_ignore(cls: type, ignore: str | Iterable[str]) -> tuple[str, ...]:
    from .binding import Binder

    names = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    known = Binder(cls.__init__, cls.__qualname__).names  # type: ignore[misc]  # the class's own
    for name in names:
        if name not in known:
            msg = (
                f"{where_defined(cls)}{cls.__qualname__}: ignore={name!r} is no argument of __init__, which has "
                f"{', '.join(known) or 'none'}."
            )
            raise TaskDefinitionError(msg)
    return names


def _check_version(cls: type, version: str | int | None) -> None:
    if not isinstance(version, (str, int, type(None))):
        msg = f"{where_defined(cls)}{cls.__qualname__}: version={version!r} is neither text nor a whole number."
        raise TaskDefinitionError(msg)


def _checked_expiry(cls: type, expires: str | float | timedelta) -> float:
    from .spans import seconds_of

    try:
        return seconds_of(expires)
    except ValueError:
        msg = (
            f"{where_defined(cls)}{cls.__qualname__}: expires={expires!r} is no span of time above 0, such as '90s', "
            "'30min', '12h', '7d' or '2w', a number of seconds, or a timedelta."
        )
        raise TaskDefinitionError(msg) from None
def _checked_files(cls: type, files: FilesKind) -> FilesKind:
    if files not in ("exists", "size", "content"):
        msg = f"{where_defined(cls)}{cls.__qualname__}: files={files!r} is neither 'exists' nor 'size' nor 'content'."
        raise TaskDefinitionError(msg)
    return files
def _checked_inputs(cls: type, depends_on: DependsOn) -> tuple[Spec, ...]:
    from .valued import Input, spec_of

    given: Any = depends_on
    found = []
    for one in [given] if isinstance(given, (Input, str)) or not isinstance(given, Iterable) else given:
        if not isinstance(one, Input):
            hint = "Package('numpy')" if isinstance(one, ModuleType) else "InputFile('data/in.csv')"
            msg = (
                f"{where_defined(cls)}{cls.__qualname__}: depends_on names {one!r}, which is no input; give an "
                f"InputFile, InputDir, EnvVar or Package, or a list of them, such as [{hint}]."
            )
            raise TaskDefinitionError(msg)
        found.append(spec_of(one))
    return tuple(found)


def _checked_watch(cls: type, watch: Watched) -> tuple[str, ...]:
    from .watch import watched_files

    try:
        return watched_files(cls, watch)
    except LookupError as error:
        msg = (
            f"{where_defined(cls)}{cls.__qualname__}: watch names {error.args[0]!r}, which is no module with a file "
            "and no file beside the class's own; give a module, its name, or a path relative to the file of the class."
        )
        raise TaskDefinitionError(msg) from None
