"""Progress for people: a bar per task class on a terminal or in a notebook, and a line now and then elsewhere."""
from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Protocol, TextIO

from ..plugin import Event

SECONDS_BETWEEN_LINES = 10.0
INTERACTIVE = "interactive"  # stands in the events of tasks that have the terminal
_SECONDS_BETWEEN_TICKS = 1.0
_MOST_BARS = 16
_USUAL_LINES = 24
_LONGEST_NAME = 40
_BAR_FORMAT = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


@dataclass
class ClassProgress:
    """How far the tasks of one class are.

    Attributes:
        running: The ids of those that run.
        since: When the first one began.
    """

    name: str
    total: int
    done: int = 0
    failed: int = 0
    running: set[int] = field(default_factory=set)
    since: float | None = None

    @property
    def is_active(self) -> bool:
        """Whether it has begun, and is not through."""
        return bool(self.running) or 0 < self.done + self.failed < self.total

    def take_in(self, event: Event) -> None:
        """Count one event."""
        if event.kind == "grown":
            self.total += event.detail["planned"]
            return
        if self.since is None:
            self.since = event.time
        if event.kind == "started":
            self.running.add(event.task_id)
        elif event.kind in ("done", "cached", "failed", "lost", "cancelled"):
            self.running.discard(event.task_id)
            if event.kind in ("done", "cached"):
                self.done += 1
            elif event.kind == "failed" and not event.detail.get("retried"):
                self.failed += 1


class _Display(Protocol):
    def add(self, one: ClassProgress) -> None:
        """Learn of one more class, of tasks that were added to the run."""

    def show(self, changed: Sequence[ClassProgress]) -> None:
        """Show what changed."""

    def pause(self) -> None:
        """Leave the screen to a task, until the next call of `show`."""

    def close(self) -> None:
        """Show the end, and leave the screen in order."""


class Progress:
    """Shows how far a run is; a context manager, called with the events since the last call.

    Args:
        counts: How many tasks are planned, by task name.
        stream: Where to show it; standard error by default. Bars are for terminals, and for notebooks.

    Example:
        >>> with Progress({"pkg.Train": 3}) as progress:
        ...     progress([])
    """

    def __init__(self, counts: Mapping[str, int], stream: TextIO | None = None) -> None:
        self.classes = {name: ClassProgress(name, total) for name, total in counts.items()}
        self._stream = stream if stream is not None else sys.stderr
        self._display: _Display | None = None

    def __enter__(self) -> Progress:
        if self.classes and self._stream is not None:
            self._display = self._choose_display()
        return self

    def __call__(self, events: Sequence[Event]) -> None:
        changed: dict[str, ClassProgress] = {}
        for event in events:
            one = self.classes.get(event.task)
            if one is None:
                one = self.classes[event.task] = ClassProgress(event.task, 0)
                if self._display is not None:
                    self._display.add(one)
            one.take_in(event)
            changed[event.task] = one
        if self._display is not None and changed:
            self._display.show(list(changed.values()))
            if any(event.kind == "started" and event.backend == INTERACTIVE for event in events):
                self._display.pause()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._display is not None:
            self._display.close()
            self._display = None

    def _choose_display(self) -> _Display:
        assert self._stream is not None
        classes = list(self.classes.values())
        if _in_notebook():
            return Bars(classes, self._stream, max(_MOST_BARS, len(classes)))
        if _is_terminal(self._stream):
            return Bars(classes, self._stream, min(_MOST_BARS, _terminal_lines(self._stream) - 2))
        return Lines(classes, self._stream)


class Lines:
    """A plain line now and then, and one at the end.

    Args:
        classes: What to show.
        stream: Where.
        clock: Gives the time in seconds.
    """

    def __init__(
        self, classes: Sequence[ClassProgress], stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._classes = list(classes)
        self._stream = stream
        self._clock = clock
        self._began = self._last = clock()

    def add(self, one: ClassProgress) -> None:
        self._classes.append(one)

    def show(self, changed: Sequence[ClassProgress]) -> None:
        if self._clock() >= self._last + SECONDS_BETWEEN_LINES:
            self._last = self._clock()
            self._write()

    def pause(self) -> None:
        """Do nothing: lines get in nobody's way."""

    def close(self) -> None:
        self._write()

    def _write(self) -> None:
        done, total = sum(one.done for one in self._classes), sum(one.total for one in self._classes)
        failed, running = sum(one.failed for one in self._classes), sum(len(one.running) for one in self._classes)
        parts = [f"{done}/{total} tasks done"]
        parts += [f"{running} running"] if running else []
        parts += [f"{failed} failed"] if failed else []
        names = short_names([one.name for one in self._classes])
        active = [f"{names[one.name]} {one.done}/{one.total}" for one in self._classes if one.is_active]
        if active:
            more = f", and {len(active) - 3} more classes" if len(active) > 3 else ""
            parts.append(f"now {', '.join(active[:3])}{more}")
        try:
            self._stream.write(f"taskproc: {', '.join(parts)}, after {_clock_text(self._clock() - self._began)}\n")
            self._stream.flush()
        except (OSError, ValueError):  # a reader that left must not end the run
            pass


class Bars:
    """A tqdm bar per class. If there are more classes than room, those at work are shown, above a bar for all.

    Args:
        classes: What to show.
        stream: The terminal.
        room: How many bars there is room for.
    """

    def __init__(self, classes: Sequence[ClassProgress], stream: TextIO, room: int) -> None:
        from tqdm.auto import tqdm
        from tqdm.contrib.logging import logging_redirect_tqdm

        self._classes = list(classes)
        self._names = short_names([one.name for one in classes])
        self._room = max(1, room)
        self._add_bar = partial(self._new_bar, tqdm, stream)
        self._folded = len(classes) > max(1, room)
        self._lock = threading.RLock()
        self._restore = ExitStack()
        self._restore.enter_context(logging_redirect_tqdm(tqdm_class=tqdm))
        self._restore.enter_context(_Warnings(tqdm, stream))
        self._shown: dict[str, Any] = {}
        self._free: list[Any] = []
        self._width = max(len(name) for name in self._names.values())
        self._bars = [self._new_bar(tqdm, stream, at) for at in range(max(1, room) if self._folded else len(classes))]
        self._overall = self._bars[-1] if self._folded else None
        self._paused = False
        self._assign_first()
        self._end = threading.Event()
        threading.Thread(target=self._tick, name="taskproc-progress", daemon=True).start()

    def add(self, one: ClassProgress) -> None:
        with self._lock:
            self._classes.append(one)
            self._names = short_names([known.name for known in self._classes])
            if not self._folded and len(self._bars) < self._room:
                self._bars.append(self._add_bar(len(self._bars)))
                self._free.append(self._bars[-1])
                self._assign(one)

    def show(self, changed: Sequence[ClassProgress]) -> None:
        with self._lock:
            if self._paused:
                changed = self._classes
                self._resume()
            if self._folded:
                self._reassign()
            for one in changed:
                if one.name in self._shown:
                    self._draw(one)
            self._draw_overall()

    def pause(self) -> None:
        with self._lock:
            self._paused = True
            for bar in reversed(self._bars):
                bar.clear()
            for bar in self._bars:
                bar.disable = True  # or a line of logging would bring it back

    def close(self) -> None:
        self._end.set()
        with self._lock:
            self._resume()
            for one in self._classes:
                if one.name in self._shown:
                    self._draw(one)
            self._draw_overall()
            try:
                for bar in self._bars if self._folded else []:
                    bar.clear()
                for bar in self._bars:
                    bar.leave = not self._folded or bar is self._overall
                    bar.close()
            finally:
                self._restore.close()

    def _resume(self) -> None:
        self._paused = False
        for bar in self._bars:
            bar.disable = False

    def _new_bar(self, tqdm: Any, stream: TextIO, position: int) -> Any:
        options = {} if _in_notebook() else {"file": stream, "dynamic_ncols": True, "bar_format": _BAR_FORMAT}
        # The delay keeps it from being drawn before it has a name and a number.
        return tqdm(total=0, position=position, leave=True, smoothing=0.1, mininterval=0, delay=1e-9, **options)

    def _assign_first(self) -> None:
        self._free = [bar for bar in self._bars if bar is not self._overall]
        for one in self._classes[: len(self._free)]:
            self._assign(one)
        self._draw_overall()

    def _assign(self, one: ClassProgress) -> None:
        bar = self._shown[one.name] = self._free.pop(0)
        bar.total = one.total
        bar.initial = bar.n = one.done
        bar.start_t = bar.last_print_t = bar._time() - (time.time() - one.since if one.since else 0.0)
        bar.set_description_str(self._names[one.name][: self._width].ljust(self._width), refresh=False)
        self._draw(one)

    def _reassign(self) -> None:
        """Give the bars of classes that are waiting or through to those that have begun."""
        waiting = [one for one in self._classes if one.is_active and one.name not in self._shown]
        if not waiting:
            return
        idle = [one for one in self._classes if one.name in self._shown and not one.is_active]
        idle.sort(key=lambda one: (one.failed > 0, one.done + one.failed < one.total))
        for one, other in zip(waiting, idle, strict=False):
            self._free.append(self._shown.pop(other.name))
            self._assign(one)

    def _draw(self, one: ClassProgress) -> None:
        self._update(self._shown[one.name], one.done, max(one.total, one.done), len(one.running), one.failed)

    def _draw_overall(self) -> None:
        if self._overall is None:
            return
        total, done = sum(one.total for one in self._classes), sum(one.done for one in self._classes)
        running, failed = sum(len(one.running) for one in self._classes), sum(one.failed for one in self._classes)
        through = sum(not one.is_active and one.done + one.failed >= one.total for one in self._classes)
        waiting = sum(not one.is_active and one.done + one.failed == 0 for one in self._classes)
        name = f"{len(self._classes)} classes ({through} through, {waiting} waiting)"
        self._overall.set_description_str(name, refresh=False)
        self._update(self._overall, done, max(total, done), running, failed)

    def _update(self, bar: Any, done: int, total: int, running: int, failed: int) -> None:
        parts = [f"{running} running"] if running else []
        parts += [f"{failed} failed"] if failed else []
        bar.total, bar.n = total, done
        bar.set_postfix_str(", ".join(parts), refresh=False)
        self._guarded(bar.refresh)

    def _guarded(self, draw: Callable[[], Any]) -> None:
        try:
            draw()
        except (OSError, ValueError):  # a terminal that went away must not end the run
            pass

    def _tick(self) -> None:
        """Let the clocks go on while nothing happens."""
        while not self._end.wait(_SECONDS_BETWEEN_TICKS):
            with self._lock:
                if self._paused or self._end.is_set():
                    continue
                for one in self._classes:
                    if one.running and one.name in self._shown:
                        self._guarded(self._shown[one.name].refresh)
                if self._overall is not None:
                    self._guarded(self._overall.refresh)


class _Warnings:
    """Prints warnings above the bars."""

    def __init__(self, tqdm: Any, stream: TextIO) -> None:
        self._tqdm = tqdm
        self._stream = stream

    def __enter__(self) -> None:
        self._before = warnings.showwarning
        warnings.showwarning = self._show

    def __exit__(self, *error: object) -> None:
        if warnings.showwarning == self._show:
            warnings.showwarning = self._before

    def _show(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        self._tqdm.write(text, file=file or self._stream, end="")


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Leave the module out where the rest tells the classes apart.

    >>> short_names(["tasks.Train", "tasks.Load", "other.Load"])
    {'tasks.Train': 'Train', 'tasks.Load': 'tasks.Load', 'other.Load': 'other.Load'}
    """
    short = [name.rpartition("<locals>.")[2].rpartition(".")[2] for name in names]
    chosen = [own if short.count(own) == 1 else name for name, own in zip(names, short, strict=True)]
    return {
        name: shown if len(shown) <= _LONGEST_NAME else f"...{shown[3 - _LONGEST_NAME:]}"
        for name, shown in zip(names, chosen, strict=True)
    }


def _clock_text(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):
        return False


def _terminal_lines(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).lines or _USUAL_LINES
    except (OSError, ValueError, AttributeError):
        return _USUAL_LINES


def _in_notebook() -> bool:
    """Whether this is the kernel of a notebook, where tqdm.auto draws widgets."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in shell.config
