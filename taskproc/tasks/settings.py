"""What is set outside of the code: the environment, `.env`, settings files, and `Context`.

From what counts most to what counts least: an assignment to `Context`, the settings file, the environment, a
`.env` file, the default. Nothing is read before somebody asks.

A settings file is `taskproc.toml`, or the table `[tool.taskproc]` of `pyproject.toml`, in the working directory or
the nearest directory above it that has one:

    backend = "gpu"             # a backend, or a profile
    cache_dir = "cache"         # relative to this file
    max_workers = 8
    plugins = ["mysite"]

    [profile.gpu]
    backend = "slurm"           # the rest are options of that backend
    partition = "gpu"

    [backends.slurm]            # options for every task on that backend
    account = "lab"

    [limits]
    download = 2

    [worker]
    setup = "mymodule:setup"    # called once in each worker process, before its first task
"""
from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from ..base.errors import SettingsError
from ..store import cache

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = ["Context", "Profile", "Settings", "load_settings", "usable_cpus"]

T = TypeVar("T")

_OFF = {"", "0", "false", "no", "off"}
_STORES = ("tree", "packed")
_DETECTS = ("names", "files")
_VARIABLES = {
    "cache_dir": ("TP_CACHE_DIR",),
    "backend": ("TP_BACKEND", "TP_EXECUTOR"),
    "max_workers": ("TP_MAX_WORKERS",),
    "detect_source_change": ("TP_DETECT_SOURCE_CHANGE",),
    "detect_helper_change": ("TP_DETECT_HELPER_CHANGE",),
    "detect": ("TP_DETECT",),
    "store": ("TP_STORE",),
    "fsync": ("TP_FSYNC",),
    "track_packages": ("TP_TRACK_PACKAGES",),
    "trust_cache": ("TP_TRUST_CACHE",),
    "keep_runs": ("TP_KEEP_RUNS",),
}
_ALL_VARIABLES = [name for names in _VARIABLES.values() for name in names]


@dataclass(frozen=True)
class Profile:
    """A name for a backend together with options for it."""

    name: str
    backend: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """Everything that is set, resolved.

    Args:
        cache_dir: The directory above the cache's own.
        backend: The backend, or profile, of tasks that nobody else says it for.
        max_workers: How many tasks run at once on this machine; None: as many as there are CPUs to use.
        detect_source_change: Whether a changed task class makes its results stale.
        detect_helper_change: Whether what it uses of the user's own modules is a part of it.
        detect: How much of these modules: what is reached by `names`, or whole `files`.
        store: Where results go, for classes that do not say it themselves.
        fsync: Whether to wait until results, and files in data directories, are on the disk.
        track_packages: The installed packages whose versions count for classes that reach them, or `all`.
        trust_cache: Whether to read a cache that others may write to.
        keep_runs: How many runs to keep the accounts of, for `taskproc runs`, `status` and `report`.
        plugins: Modules, or files, that bring backends.
        limits: How many tasks may run at once, per channel or task name.
        profiles: The profiles by name.
        backend_options: Options for every task on a backend, by the backend's name.
        worker_setup: A function, as `module:name`, that each worker process calls before its first task.
        file: The settings file that was read.
    """

    cache_dir: Path = Path("./.cache")
    backend: str = "local"
    max_workers: int | None = None
    detect_source_change: bool = True
    detect_helper_change: bool = True
    detect: Literal["names", "files"] = "names"
    store: Literal["tree", "packed"] = "tree"
    fsync: bool = False
    track_packages: tuple[str, ...] | Literal["all"] = ()
    trust_cache: bool = False
    keep_runs: int = 20
    plugins: tuple[str, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    backend_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    worker_setup: str | None = None
    file: Path | None = None


def load_settings(start: Path | None = None) -> Settings:
    """Read everything anew, and resolve it.

    Args:
        start: The directory to look for a settings file from, upwards; None: `Context.start`, or else the
            working directory.

    Raises:
        SettingsError: A setting is not right.
    """
    _settings_for.cache_clear()
    return _resolved(start)


def usable_cpus() -> int:
    """Count the CPUs that this process may use, by its affinity and by the limits of its control groups.

    >>> usable_cpus() >= 1
    True
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = _cgroup_limit(Path("/"))
    return max(1, allowed if limit is None else min(allowed, int(limit)))


# ------------------------------------------------------------------------------------------- Context


class _Setting:
    """A setting as an attribute of `Context`: resolved when read, unless somebody has assigned it."""

    def __init__(self, resolved: Callable[[Settings], Any], convert: Callable[[Any], Any]) -> None:
        self._resolved = resolved
        self._convert = convert

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, context: _ContextType, owner: type) -> Any:
        if self._name in context._assigned:
            return context._assigned[self._name]
        return self._resolved(_current_settings())

    def __set__(self, context: _ContextType, value: Any) -> None:
        context._assigned[self._name] = self._convert(value)

    def __delete__(self, context: _ContextType) -> None:
        context._assigned.pop(self._name, None)


class _ContextType(type):
    """The attributes of `Context`; those of a metaclass can be computed when they are read from the class."""

    _assigned: dict[str, Any]

    if TYPE_CHECKING:
        cache_dir: Path
        executor_name: str
        max_workers: int
        detect_source_change: bool
        detect_helper_change: bool
        track_packages: Sequence[str] | Literal["all"]
        trust_cache: bool
        num_cpu: int
    else:
        cache_dir = _Setting(lambda settings: settings.cache_dir, Path)
        executor_name = _Setting(lambda settings: settings.backend, str)
        max_workers = _Setting(lambda settings: settings.max_workers or -1, lambda number: number or -1)
        detect_source_change = _Setting(lambda settings: settings.detect_source_change, bool)
        detect_helper_change = _Setting(lambda settings: settings.detect_helper_change, bool)
        track_packages = _Setting(
            lambda settings: settings.track_packages, lambda given: _packages("Context.track_packages", given)
        )
        trust_cache = _Setting(lambda settings: settings.trust_cache, bool)
        num_cpu = _Setting(lambda _: usable_cpus(), int)

    def __setattr__(cls, name: str, value: Any) -> None:
        if not name.startswith("_") and name not in (known := _assignable(cls)):
            msg = f"Context has no setting {name!r}, so assigning it would change nothing; {_nearest_word(name, known)}"
            raise SettingsError(msg)
        super().__setattr__(name, value)


def _assignable(cls: _ContextType) -> list[str]:
    """Name the settings that may be assigned to `Context`."""
    return [name for name in (*vars(_ContextType), *vars(cls)) if not name.startswith("_")]


class Context(metaclass=_ContextType):
    """The settings that code may read and assign; what was assigned wins over files and the environment.

    Attributes:
        cache_dir: The directory above the cache's own.
        executor_name: The backend, or profile, of tasks that nobody else says it for.
        max_workers: How many tasks run at once on this machine; -1: as many as there are CPUs to use.
        detect_source_change: Whether a changed task class makes its results stale.
        detect_helper_change: Whether what it uses of the user's own modules is a part of it.
        track_packages: The installed packages whose versions count for classes that reach them, or `all`.
        trust_cache: Whether to read a cache that others may write to.
        num_cpu: The number of CPUs that this process may use.
        interactive: Whether all tasks run in the driver's main thread, with the real terminal.
        start: The directory to look for a settings file from; None: the working directory.

    Example:
        >>> Context.max_workers = 4
        >>> load_settings().max_workers
        4
        >>> del Context.max_workers
    """

    interactive: bool = False
    start: Path | None = None
    _assigned: dict[str, Any] = {}

    @classmethod
    def get_executor(cls, executor_name: str | None = None, max_workers: int | None = None) -> Executor:
        """Make a pool of the standard library, as taskproc 0.13 did: `process` (or `local`) or `thread`.

        Raises:
            ValueError: Another name.
        """
        from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

        name = executor_name or Context.executor_name
        workers = max_workers or (Context.max_workers if Context.max_workers > 0 else None)
        if name in ("process", "local"):
            return ProcessPoolExecutor(workers)
        if name == "thread":
            return ThreadPoolExecutor(workers)
        msg = f"there is no executor {name!r}; it is 'process' or 'thread'"
        raise ValueError(msg)


def _current_settings() -> Settings:
    """Give the settings for `Context`: as last read, unless the environment or the directory changed."""
    return _settings_for(
        _working_directory(),
        Context.start,
        tuple(map(os.environ.get, _ALL_VARIABLES)),
        tuple(Context._assigned.items()),
    )


@lru_cache(maxsize=8)
def _settings_for(*circumstances: Any) -> Settings:
    return _resolved(None)


def _resolved(start: Path | None) -> Settings:
    here = _working_directory()
    found = _from_environment(here)
    file = _settings_file(start or Context.start or here)
    if file is not None:
        found.update(_from_file(file))
    found.update(_assigned())
    return Settings(**found)


def _assigned() -> dict[str, Any]:
    found = dict(Context._assigned)
    found.pop("num_cpu", None)
    if "executor_name" in found:
        found["backend"] = found.pop("executor_name")
    if "max_workers" in found:
        found["max_workers"] = found["max_workers"] if found["max_workers"] > 0 else None
    return found


# ------------------------------------------------------------------------------------------- the environment


def _from_environment(here: Path | None) -> dict[str, Any]:
    file = _nearest(here, ".env")
    further = _dotenv(file, *_version(file)) if file else {}
    found: dict[str, Any] = {}
    for key, names in _VARIABLES.items():
        given = [(name, values[name]) for values in (os.environ, further) for name in names if name in values]
        if given and (value := _PARSERS[key](*given[0])) is not None:
            found[key] = value
    return found


def _path(name: str, text: str) -> Path | None:
    return Path(text).expanduser() if text.strip() else None


def _word(name: str, text: str) -> str | None:
    return text.strip() or None


def _count(name: str, text: str) -> int | None:
    try:
        number = int(text or -1)
    except ValueError:
        msg = f"{name}={text!r} is not a whole number"
        raise SettingsError(msg) from None
    return number if number > 0 else None


def _flag(name: str, text: str) -> bool:
    return text.strip().lower() not in _OFF


def _detect(name: str, text: str) -> str | None:
    if text and text not in _DETECTS:
        msg = f"{name}={text!r} is neither 'names' nor 'files'"
        raise SettingsError(msg)
    return text or None


def _package_names(name: str, text: str) -> tuple[str, ...] | str | None:
    words = text.replace(",", " ").split()
    return "all" if words == ["all"] else _packages(name, words) if words else None


def _packages(name: str, given: Any) -> tuple[str, ...] | str:
    """Accept the names of packages, or `all`."""
    if given == "all":
        return "all"
    several = [given] if isinstance(given, str) else given
    if isinstance(several, Iterable):
        names = tuple(several)
        if all(isinstance(one, str) and one and one != "all" for one in names):
            return names
    msg = f"{name} = {given!r} is neither \"all\" nor a list of packages, such as [\"numpy\"]"
    raise SettingsError(msg)


def _store(name: str, text: str) -> str | None:
    if text and text not in _STORES:
        msg = f"{name}={text!r} is neither 'tree' nor 'packed'"
        raise SettingsError(msg)
    return text or None


_PARSERS: dict[str, Callable[[str, str], Any]] = {
    "cache_dir": _path,
    "backend": _word,
    "max_workers": _count,
    "detect_source_change": _flag,
    "detect_helper_change": _flag,
    "detect": _detect,
    "store": _store,
    "fsync": _flag,
    "track_packages": _package_names,
    "trust_cache": _flag,
    "keep_runs": _count,
}


@lru_cache(maxsize=8)
def _dotenv(file: Path, modified: int, size: int) -> dict[str, str]:
    from dotenv import dotenv_values

    try:
        values = dotenv_values(file)
    except (OSError, UnicodeDecodeError):  # somebody else's
        return {}
    return {name: values[name] or "" for name in _ALL_VARIABLES if name in values}


# ------------------------------------------------------------------------------------------- settings files


def _settings_file(start: Path | None) -> Path | None:
    for directory in _upwards(start):
        for name in ("taskproc.toml", "pyproject.toml"):
            file = directory / name
            if _is_ours(file) and _table(file, *_version(file)) is not None:
                return file
    return None


def _from_file(file: Path) -> dict[str, Any]:
    table = _table(file, *_version(file))
    found: dict[str, Any] = {"file": file}
    for key, value in (table or {}).items():
        reader = _READERS.get(key)
        if reader is None:
            _fail(file, f"there is no setting {key!r}; {_nearest_word(key, _READERS)}")
        name, read = reader(file, key, value)
        if name in found and isinstance(found[name], dict):
            _fail(file, "[backend.NAME] and [backends.NAME] mean the same; write all tables as [backends.NAME]")
        found[name] = read
    return found


@lru_cache(maxsize=32)
def _table(file: Path, modified: int, size: int) -> dict[str, Any] | None:
    """Read the settings of a file; None if it is somebody else's `pyproject.toml`."""
    try:
        data = file.read_bytes()
    except OSError as error:
        if file.name == "pyproject.toml":
            return None
        _fail(file, f"it cannot be read: {error.strerror}")
    if file.name == "pyproject.toml" and b"taskproc" not in data:
        return None
    return _parsed(file, data)


def _parsed(file: Path, data: bytes) -> dict[str, Any] | None:
    import sys

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        table = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        _fail(file, f"it is not TOML: {error}")
    if file.name != "pyproject.toml":
        return table
    tools = table.get("tool")
    ours = tools.get("taskproc") if isinstance(tools, dict) else None
    return ours if isinstance(ours, dict) else None


def _read_path(file: Path, key: str, value: Any) -> tuple[str, Any]:
    return key, file.parent / Path(_typed(file, key, value, str, "a path")).expanduser()


def _read_count(file: Path, key: str, value: Any) -> tuple[str, Any]:
    return key, _positive(file, key, value)


def _read_flag(file: Path, key: str, value: Any) -> tuple[str, Any]:
    return key, _typed(file, key, value, bool, "true or false")


def _read_detect(file: Path, key: str, value: Any) -> tuple[str, Any]:
    if value not in _DETECTS:
        _fail(file, f"{key} = {value!r} is neither 'names' nor 'files'")
    return key, value


def _read_store(file: Path, key: str, value: Any) -> tuple[str, Any]:
    if value not in _STORES:
        _fail(file, f"{key} = {value!r} is neither 'tree' nor 'packed'")
    return key, value


def _read_packages(file: Path, key: str, value: Any) -> tuple[str, Any]:
    return key, _packages(f"{file}: {key}", value)


def _read_plugins(file: Path, key: str, value: Any) -> tuple[str, Any]:
    names = _typed(file, key, value, list, "a list of modules or files")
    if not all(isinstance(name, str) for name in names):
        _fail(file, f"{key} = {value!r} is not a list of modules or files")
    return key, tuple(str(file.parent / name) if _is_path(name) else name for name in names)


def _read_limits(file: Path, key: str, value: Any) -> tuple[str, Any]:
    table = _typed(file, key, value, dict, "a table")
    return key, {label: _positive(file, f"{key}.{label}", number) for label, number in table.items()}


def _read_backend(file: Path, key: str, value: Any) -> tuple[str, Any]:
    if isinstance(value, dict):  # [backend.slurm], for who writes it like that
        return _read_backends(file, key, value)
    return key, _typed(file, key, value, str, "the name of a backend or profile")


def _read_backends(file: Path, key: str, value: Any) -> tuple[str, Any]:
    table = _typed(file, key, value, dict, "a table")
    for name, options in table.items():
        _typed(file, f"{key}.{name}", options, dict, "a table of options")
    return "backend_options", table


def _read_profiles(file: Path, key: str, value: Any) -> tuple[str, Any]:
    profiles = {}
    for name, table in _typed(file, key, value, dict, "a table").items():
        options = dict(_typed(file, f"{key}.{name}", table, dict, "a table"))
        if "backend" not in options:
            _fail(file, f"{key}.{name} has no backend; add for example backend = \"slurm\"")
        backend = _typed(file, f"{key}.{name}.backend", options.pop("backend"), str, "the name of a backend")
        profiles[name] = Profile(name, backend, options)
    return "profiles", profiles


def _read_worker(file: Path, key: str, value: Any) -> tuple[str, Any]:
    table = _typed(file, key, value, dict, "a table")
    for name in table:
        if name != "setup":
            _fail(file, f"there is no setting '{key}.{name}'; it is '{key}.setup'")
    hook = _typed(file, f"{key}.setup", table.get("setup"), str, 'a function such as "mymodule:setup"')
    module, _, name = hook.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), *name.split(".")]):
        _fail(file, f'{key}.setup = {hook!r} is not a function such as "mymodule:setup"')
    return "worker_setup", hook


_READERS: dict[str, Callable[[Path, str, Any], tuple[str, Any]]] = {
    "backend": _read_backend,
    "backends": _read_backends,
    "cache_dir": _read_path,
    "detect": _read_detect,
    "detect_helper_change": _read_flag,
    "detect_source_change": _read_flag,
    "fsync": _read_flag,
    "keep_runs": _read_count,
    "limits": _read_limits,
    "max_workers": _read_count,
    "plugins": _read_plugins,
    "profile": _read_profiles,
    "store": _read_store,
    "track_packages": _read_packages,
    "trust_cache": _read_flag,
    "worker": _read_worker,
}


def _typed(file: Path, key: str, value: Any, kind: type[T], right: str) -> T:
    if not isinstance(value, kind):
        _fail(file, f"{key} = {value!r} is not {right}")
    return value


def _positive(file: Path, key: str, value: Any) -> int:
    if type(value) is not int or value < 1:
        _fail(file, f"{key} = {value!r} is not a whole number from 1")
    return value


def _is_path(name: str) -> bool:
    return name.endswith(".py") or "/" in name


def _nearest_word(name: str, known: Iterable[str]) -> str:
    from ..base.options import nearest

    return nearest(name, list(known))


def _fail(file: Path, problem: str) -> NoReturn:
    msg = f"{file}: {problem}"
    raise SettingsError(msg)


# ------------------------------------------------------------------------------------------- finding files


def _working_directory() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it was removed
        return None


def _upwards(start: Path | None) -> Iterator[Path]:
    if start is not None:
        start = start.absolute()
        yield from (start, *start.parents)


def _nearest(start: Path | None, name: str) -> Path | None:
    return next((directory / name for directory in _upwards(start) if _is_ours(directory / name)), None)


def _is_ours(file: Path) -> bool:
    """Tell whether there is such a file, and not one that a stranger left where everybody may write."""
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            return False
        if status.st_uid in (0, os.getuid()):
            return True
        return not file.parent.stat().st_mode & stat.S_IWOTH
    except OSError:
        return False


def _version(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


# ------------------------------------------------------------------------------------------- control groups


def _cgroup_limit(root: Path) -> float | None:
    """Give the CPUs that the control groups of this process allow, versions 1 and 2; None if they set no limit.

    Format: cgroups(7), and cpu.max in the kernel's Documentation/admin-guide/cgroup-v2.rst.
    """
    limits = []
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            limits += [_quota(group / "cpu.max") for group in _groups(root / "sys/fs/cgroup", path)]
        elif "cpu" in controllers.split(","):
            mounts = [root / "sys/fs/cgroup" / name for name in (controllers, "cpu")]
            for mount in mounts:
                limits += [
                    _quota(group / "cpu.cfs_quota_us", group / "cpu.cfs_period_us")
                    for group in _groups(mount, path)
                ]
    found = [limit for limit in limits if limit is not None]
    return min(found) if found else None


def _groups(mount: Path, path: str) -> Iterator[Path]:
    """Give a group's directory and those above it: each of them may set a limit."""
    group = mount / path.strip("/")
    yield group
    while group != mount and mount in group.parents:
        group = group.parent
        yield group


def _quota(*files: Path) -> float | None:
    words = [word for file in files for line in _lines(file) for word in line.split()]
    try:
        quota, period = map(int, words)
    except ValueError:  # "max", or no such file
        return None
    return quota / period if quota > 0 and period > 0 else None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []


if cache.handed_over:  # a worker that was given its driver's cache before it came here
    Context.cache_dir = Path(cache.handed_over)
