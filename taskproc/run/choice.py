"""Which backend runs a task, and with which options.

The backend, from what counts most to what counts least:

| Said by                                                        | Example                             |
|----------------------------------------------------------------|-------------------------------------|
| the run, for a class or, after that, for a channel             | `-b Train=slurm`, `-b gpu=slurm`    |
| the run, for every task                                        | `-b slurm`, `run_graph(backend=)`   |
| the class                                                      | `class Train(TaskBase, backend=)`   |
| an assignment to `Context`, the settings file, the environment | `backend = "slurm"`, `TP_BACKEND`   |
| nobody                                                         | `local`                             |

Each may name a profile of the settings file instead of a backend.

The options, where a later line wins over an earlier one:

| Written in                             | For                                                                   |
|----------------------------------------|-----------------------------------------------------------------------|
| `[backends.slurm]` of the settings     | that backend                                                          |
| `[profile.gpu]` of the settings        | tasks that the profile was chosen for                                 |
| `backend_options=` of a class          | the class's own backend; `cpus`, `mem`, `time` and `gpus` of a class  |
|                                        | without one go wherever it runs                                       |
| `-o`, `run_graph(backend_options=)`    | the backends that the run names; if it names none, the default        |
|                                        | backend, and `cpus`, `mem`, `time` and `gpus` for every task          |
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..base.errors import OptionError
from ..base.options import PORTABLE, nearest

if TYPE_CHECKING:
    from ..tasks.settings import Profile, Settings


class BackendChoice:
    """Chooses the backend of each task of a run, and puts its options together.

    Args:
        settings: The settings in force.
        overall: The backend or profile that the run asked for.
        specific: Backends or profiles that the run asked for, by class name (`Train`, `mod.Train`) or channel.
        options: The options that the run was given.

    Example:
        >>> from taskproc.tasks.settings import Settings
        >>> choice = BackendChoice(Settings(), None, {"Train": "slurm"}, {})
        >>> choice.choose("mod.Train", (), None, {"mem": "32G"})
        ('slurm', {'mem': '32G'}, 'slurm (backend_options of mod.Train)')
        >>> choice.choose("mod.Score", (), None, {})
        ('local', {}, 'local (for mod.Score)')
    """

    def __init__(
        self,
        settings: Settings,
        overall: str | None = None,
        specific: Mapping[str, str] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._settings = settings
        self._overall = overall
        self._specific = dict(specific or {})
        self._options = dict(options or {})
        self._named = {self._profile(name).backend for name in [overall, *self._specific.values()] if name}
        self._unmatched = dict.fromkeys(self._specific)
        self._places: dict[tuple[str, tuple[str, ...], str | None], _Chosen] = {}

    @property
    def unmatched(self) -> list[str]:
        """The names in `specific` that no task chosen for so far has as its class or channel."""
        return list(self._unmatched)

    def choose(
        self,
        task_name: str,
        channels: tuple[str, ...],
        class_backend: str | None,
        class_options: Mapping[str, Any],
    ) -> tuple[str, dict[str, Any], str]:
        """Give the name of a task's backend, its options, and where they come from, for errors.

        Args:
            task_name: `module.qualname` of its class.
            channels: Its labels.
            class_backend: The backend or profile that the class asks for.
            class_options: The options that the class asks for.

        Raises:
            OptionError: The class has options that are not portable, and no backend that they could be for.
        """
        key = (task_name, channels, class_backend)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = self._place(*key)
        if not class_options:
            return place.backend, {**place.below, **place.above}, place.where()
        if class_backend is None:
            _check_portable(task_name, class_options)
        if not place.takes_class_options:
            return place.backend, {**place.below, **place.above}, place.where()
        options = {**place.below, **class_options, **place.above}
        return place.backend, options, place.where(f"backend_options of {task_name}")

    def _place(self, task_name: str, channels: tuple[str, ...], class_backend: str | None) -> _Chosen:
        name = (
            self._specific_for(task_name, channels) or self._overall or class_backend or self._settings.backend
        )
        profile = self._profile(name)
        backend = profile.backend
        defaults = self._settings.backend_options.get(backend, {})
        own = self._profile(class_backend).backend if class_backend else backend
        above = self._run_options_for(backend)
        sources = [
            f"[backends.{backend}]" if defaults else "",
            f"profile {profile.name}" if profile.options else "",
        ]
        return _Chosen(
            backend,
            {**defaults, **profile.options},
            above,
            own == backend,
            task_name,
            tuple(filter(None, sources)),
        )

    def _specific_for(self, task_name: str, channels: tuple[str, ...]) -> str | None:
        of_class = [key for key in self._specific if key == task_name or task_name.endswith(f".{key}")]
        of_channels = [label for label in channels if label in self._specific and label not in of_class]
        matches = sorted(of_class, key=len, reverse=True) + of_channels
        for key in matches:
            self._unmatched.pop(key, None)
        return self._specific[matches[0]] if matches else None

    def _run_options_for(self, backend: str) -> dict[str, Any]:
        if self._named:
            return self._options if backend in self._named else {}
        if backend == self._profile(self._settings.backend).backend:
            return self._options
        return {name: value for name, value in self._options.items() if name in PORTABLE}

    def _profile(self, name: str) -> Profile:
        """Give the profile of that name; a backend's own name is a profile without options."""
        from ..tasks.settings import Profile

        return self._settings.profiles.get(name) or Profile(name, name)


@dataclass(frozen=True)
class _Chosen:
    """What is the same for all tasks of a class; the class's options go between `below` and `above`."""

    backend: str
    below: Mapping[str, Any]
    above: Mapping[str, Any]
    takes_class_options: bool
    task_name: str
    sources: tuple[str, ...]

    def where(self, *further: str) -> str:
        run = ("options of the run",) if self.above else ()
        return f"{self.backend} ({', '.join([*self.sources, *further, *run]) or f'for {self.task_name}'})"


def _check_portable(task_name: str, options: Mapping[str, Any]) -> None:
    for name in options:
        if name not in PORTABLE:
            msg = (
                f"{task_name}: backend_options has {name!r}, but the class names no backend that it is for; "
                f"give backend= too, or use options that every backend knows: {nearest(name, list(PORTABLE))}"
            )
            raise OptionError(msg)
