"""The second level: whole graphs through `run_graph`, interrupted drivers and dead ones included."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ..base.errors import BackendError, OptionError, PrefixError, TaskprocError, TaskTimeoutError
from ..plugin import Job, Portable
from ..run.caller import DriverReports
from ..task import TaskBase
from ..tasks.failed import FailedTaskError
from . import tasks as t
from .clauses import ContractBroken, breach, require
from .contract import BackendContract
from .place import Script, beats, falls_silent, wait_until
from .suite import Suite

_SCRIPT = """\
import json
from taskproc.testing import tasks as t

if __name__ == "__main__":
    how = json.loads({how!r})
    print("answer", {task}.run_graph(**how), flush=True)
"""

_MAIN_SCRIPT = """\
import json
import neighbour
from taskproc import Requires, TaskBase

class Thing:
    def __init__(self, value):
        self.value = value

class Makes(TaskBase):
    def __init__(self, n: int):
        self.n = n

    def run_task(self):
        return Thing(neighbour.double(self.n))

class Uses(TaskBase):
    thing: Requires[object]

    def __init__(self):
        self.thing = Makes(21)

    def run_task(self):
        assert isinstance(self.thing, Thing)
        return open("beside.txt").read() + str(self.thing.value)

how = json.loads({how!r})
print("answer", Uses().run_graph(**how), flush=True)
"""


class BackendGraphs(Suite):
    """Tests of what a user sees of a backend."""

    def run(self, task: TaskBase[Any], clause: str, **more: Any) -> Any:
        """Run a graph that must go well."""
        __tracebackhide__ = True
        return self.count(task, clause, **more)[0]

    def count(self, task: TaskBase[Any], clause: str, **more: Any) -> tuple[Any, int]:
        """Run a graph that must go well; give its result, and how many tasks ran."""
        __tracebackhide__ = True
        try:
            with self.in_time("W4" if clause == "W4" else "R1"):
                result, stats = task.run_graph_with_stats(**{**self.how(), **more})
        except TaskprocError as error:
            what = f"{type(error).__name__}: {error}"
            breach(clause, f"a graph that should go well on {self.backend!r} ended with {what}.")
        return result, sum(stats["stats"].values())

    def failure(self, task: TaskBase[Any], clause: str, **more: Any) -> FailedTaskError:
        """Run a graph in which a task must fail; give the error."""
        __tracebackhide__ = True
        try:
            with self.in_time():
                result = task.run_graph(**{**self.how(), **more})
        except FailedTaskError as error:
            return error
        except TaskprocError as error:
            breach(clause, f"a task that should fail by itself ended with {type(error).__name__}: {error}.")
        raise ContractBroken(clause, f"a task that should fail gave {result!r}.")

    @contextmanager
    def in_time(self, clause: str = "R1") -> Iterator[None]:
        """Interrupt a run that does not end, which breaks a clause."""
        __tracebackhide__ = True
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        late = threading.Event()

        def interrupt() -> None:
            late.set()
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(3 * self.patience, interrupt)
        timer.start()
        try:
            yield
        except KeyboardInterrupt:
            if not late.is_set():
                raise
            seconds = f"{3 * self.patience:g} seconds"
            what = "some job was not run, or not reported finished"
            breach(clause, f"a graph on {self.backend!r} did not end within {seconds}: {what}.")
        finally:
            timer.cancel()
            timer.join()

    # --- results ---

    def test_graph_is_computed_once(self) -> None:
        found = self.count(t.Choose(4, 2), "R5")
        require(found == (6, 8), "R5", f"of a graph of 8 tasks with the result 6 came {found}.")
        again = self.count(t.Choose(4, 2), "R5")
        require(again == (6, 0), "R5", f"the second run of a graph ran {again[1]} tasks again.")

    def test_packed_results_arrive(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TP_STORE", "packed")
        found = self.count(t.Choose(4, 2), "R5")
        require(found == (6, 8), "R5", f"with store=packed, of 8 tasks with the result 6 came {found}.")
        require(self.count(t.Choose(4, 2), "R5") == (6, 0), "R5", "packed results were not kept.")

    def test_work_is_done_where_it_should_be(self) -> None:
        pid, cwd = self.run(t.WhereItRan(), "W1")
        where = "in the driver's process" if pid == os.getpid() else "apart from the driver"
        require((pid != os.getpid()) == self.apart, "W1", f"apart={self.apart}, but tasks run {where}.")
        require(cwd == os.getcwd(), "W5", f"the driver works in {os.getcwd()}, and the worker in {cwd}.")

    def test_big_results_go_on_to_others(self) -> None:
        found = self.run(t.Length(t.Big(20)), "R5")
        require(found == 20 << 20, "R5", f"of a result of 20 MiB, {found} bytes arrived.")

    def test_unicode_survives(self) -> None:
        text = "žluťoučký 🐴\n'quoted' \"twice\" $HOME \\ \x00 \udc80"
        found = self.run(t.Value({text: [text]}), "W1")
        require(found == {text: [text]}, "W1", f"{text!r} came back as {found!r}.")
        task = t.Talks("žluťoučký 🐴")
        self.run(task, "W1")
        said = _read(task.task_stdout)
        require(said == "žluťoučký 🐴\n", "W1", f"a task printed 'žluťoučký 🐴', and its stdout has {said!r}.")

    def test_many_tasks_at_once(self) -> None:
        found = self.count(t.Sum(*[t.Numbered(n) for n in range(self.many)]), "R1")
        expected = sum(range(self.many)), self.many + 1
        require(found == expected, "R5", f"of {self.many} tasks and their sum came {found} instead of {expected}.")

    # --- output ---

    def test_output_is_captured(self, capfd: pytest.CaptureFixture[str]) -> None:
        task = t.Talks("heard")
        self.run(t.Count(task, t.Value(1)), "W1")
        require(_read(task.task_stdout) == "heard\n", "W1", f"stdout has {_read(task.task_stdout)!r}, not 'heard'.")
        require(_read(task.task_stderr) == "heard\n", "W1", f"stderr has {_read(task.task_stderr)!r}, not 'heard'.")
        require(not t.Value(1).task_stdout.exists(), "W1", "a silent task has a stdout.")
        out, err = capfd.readouterr()
        require("heard" not in out + err, "W1", "what a task printed went to the driver's own streams.")

    def test_output_of_subprocesses_is_captured(self) -> None:
        if not self.apart:
            pytest.skip("the descriptors are the driver's")
        task = t.TalksThroughOthers()
        self.run(task, "W1")
        found = sorted(_read(task.task_stdout).split())
        said = found == ["buffered-in-C", "descriptor", "python", "shell"]
        require(said, "W1", f"of what a task and its children wrote, stdout has {found}.")
        found = sorted(_read(task.task_stderr).split())
        require(found == ["descriptor", "shell"], "W1", f"of what a task and its children wrote, stderr has {found}.")

    # --- failures ---

    def test_failure_is_told_with_cause_and_output(self) -> None:
        error = self.failure(t.Count(t.Fails("word")), "R4")
        raised = error.exception
        require(isinstance(raised, ValueError), "R4", f"a task raised a ValueError, and its error has {raised!r}.")
        for part in ("Fails(word='word')", "ValueError: word", "before the failure"):
            require(part in str(error), "W1", f"the error of a failed task does not show {part!r}: {error}.")

    def test_crash_is_told_and_hurts_nobody(self) -> None:
        if not self.isolated:
            pytest.skip("tasks of this backend die together")
        others = [t.Numbered(n) for n in range(1, 9)]
        error = self.failure(t.Count(*others, t.Dies("SIGSEGV")), "R4", on_error="continue")
        require(error.task is t.Dies("SIGSEGV"), "W3", f"a crash of one task is told as that of {error.task!r}.")
        require("SIGSEGV" in str(error), "R4", f"the error of a task that crashed does not name SIGSEGV: {error}.")
        hurt = [task for task in others if not _has_result(task)]
        require(not hurt, "W3", f"a crash took others with it: {hurt}.")

    def test_failed_attempt_is_tried_again(self, home: Path) -> None:
        found = self.run(t.Flaky(str(home / "log"), 3), "R4")
        require(found == 3, "R4", f"a task that goes well the third time went well at time {found}.")

    # --- limits, prefixes, timeouts ---

    def test_timeout_ends_the_task_with_its_children(self, home: Path) -> None:
        path = home / "beats"
        error = self.failure(t.OutlivesItsTime(str(path)), "W6")
        said = isinstance(error.exception, TaskTimeoutError)
        require(said, "W6", f"a task that outlived its timeout is told as {type(error.exception).__name__}: {error}.")
        for name in ("beats", "beats.child"):
            require(falls_silent(home / name, self.patience), "W6", "a task, or its child, outlives its timeout.")

    def test_prefix_stands_before_the_worker(self) -> None:
        task = t.Prefixed()
        found = self.run(task, "W6")
        require(found == "yes", "W6", f"the prefix command did not have its effect: {found!r}.")
        log = _read(task.task_stdout)
        expected = "=== caller log ===\ncaller\n=== callee log ===\ncallee\n"
        require(log == expected, "W6", f"the log of a task behind a prefix is {log!r}.")

    def test_prefix_that_fails_is_shown(self) -> None:
        error = self.failure(t.PrefixFails(), "W6")
        said = isinstance(error.exception, PrefixError) and "no such queue" in str(error)
        require(said, "W6", f"a prefix command that failed with 'no such queue' is told as: {error}.")

    def test_prefix_that_starts_three_workers_runs_the_task_once(self, home: Path) -> None:
        self.run(t.PrefixRunsThrice(str(home / "log")), "W2")
        ran = (home / "log").read_text()
        times = ran.count("ran")
        require(times == 1, "W2", f"behind a prefix that starts three workers, a task ran {times} times.")

    def test_rate_limit_holds(self, home: Path) -> None:
        (home / "signs").mkdir()
        tasks = [t.Overlaps(str(home / "signs"), n) for n in range(5)]
        most = self.run(t.Sum(*tasks), "R1", rate_limits={"one-at-a-time": 1})
        held = most == len(tasks)
        require(held, "R4", "a rate limit of 1 did not hold: jobs were reported finished while they still ran.")

    @pytest.mark.parametrize("max_workers", [1, 2])
    def test_task_may_run_a_graph_of_its_own(self, max_workers: int) -> None:
        root = t.Sum(t.Nests(2), t.Nests(1), t.Nests(0), t.Value(1))
        found = self.run(root, "W4", **({"max_workers": max_workers} if "executor" not in self.how() else {}))
        require(found == 10, "W4", f"graphs within tasks gave {found} instead of 10.")

    # --- options and plugins ---

    def test_unknown_option_is_refused(self) -> None:
        if self.plugin().route is not None or "executor" in self.how():
            pytest.skip("it has no options of its own")
        options = {**self.options, "no_such_option": 1}
        with pytest.raises(OptionError, match="no_such_option"):
            t.Value(1).run_graph(**{**self.how(), "backend_options": options})

    def test_portable_options_are_taken(self) -> None:
        if "executor" in self.how():
            pytest.skip("a pool takes none")
        plugin = self.plugin()
        if plugin.route is None and not issubclass(plugin.options, Portable):
            pytest.skip("its options are its own")
        options = {"cpus": 1, "time": "10min", **self.options}
        found = self.run(t.Value(1), "P3", backend_options=options)
        require(found == 1, "P3", "with cpus=1 and time=10min, a task gave another result.")

    def test_broken_plugin_beside_it_does_no_harm(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        info = home / "site" / "taskproc_broken-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: taskproc-broken\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[taskproc]\nbroken = taskproc_broken_plugin:plugin\n")
        (home / "site" / "taskproc_broken_plugin.py").write_text("import a_module_that_is_not_there\n")
        monkeypatch.syspath_prepend(str(home / "site"))
        require(self.run(t.Value(1), "P1") == 1, "P1", "beside a broken plugin, a task gave another result.")
        with pytest.raises(BackendError, match=r"taskproc-broken 1\.0.*a_module_that_is_not_there"):
            t.Value(2).run_graph(backend="broken")

    def test_reports_that_come_twice_are_harmless(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("started", "finished"):
            monkeypatch.setattr(DriverReports, name, _twice(getattr(DriverReports, name)))
        found = self.count(t.Choose(4, 2), "R2")
        require(found == (6, 8), "R2", f"with every report coming twice, a graph gave {found}.")

    def test_two_backends_in_one_graph(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        if "executor" in self.how():
            pytest.skip("a class's backend would give way to the run's")
        options = [f"{json.dumps(name)} = {json.dumps(value)}\n" for name, value in self.options.items()]
        with (home / "taskproc.toml").open("a") as settings:
            settings.write("".join([f"[backends.{json.dumps(self.backend)}]\n", *options]))
        monkeypatch.setenv("TP_BACKEND", self.backend)
        here, there = self.run(t.Both(), "R1", backend=None, backend_options=None)
        require(here == os.getpid(), "R5", "the task of the backend 'thread' ran elsewhere.")
        require((there != os.getpid()) == self.apart, "R5", "the task of this backend ran elsewhere.")

    # --- drivers that end ---

    def test_classes_of_the_main_script_arrive(self, home: Path, start: Callable[[str], Script]) -> None:
        (home / "neighbour.py").write_text("def double(n):\n    return 2 * n\n")
        (home / "beside.txt").write_text("read ")
        script = start(_MAIN_SCRIPT.format(how=self._json()))
        out = self._end(script, "W5")
        require("answer read 42" in out, "W5", f"tasks of a script's __main__ gave {out!r}; it said: {script.errors}")

    def test_interrupt_ends_what_runs(self, heart: tuple[t.Beats, Path], start: Callable[[str], Script]) -> None:
        _, path = heart
        script = start(_SCRIPT.format(how=self._json(), task=f"t.Beats({str(path)!r})"))
        require(beats(path, self.patience), "R1", f"a task did not start: {script.errors}")
        script.signal(signal.SIGINT)
        self._end(script, "X1")
        require(script.process.returncode != 0, "X1", "a driver that was interrupted ended with exit status 0.")
        require(falls_silent(path, self.patience), "C2", "after an interrupt, a task runs on.")
        if self.isolated:
            ended = falls_silent(path.with_name("beats.child"), self.patience)
            require(ended, "C2", "after an interrupt, a process that a task had started runs on.")

    def test_death_of_the_driver(self, home: Path, start: Callable[[str], Script]) -> None:
        log, gate = str(home / "log"), str(home / "gate")
        quick = [t.Notes(log, f"quick{n}") for n in range(2)]
        task = f"t.Count(t.Notes({log!r}, 'quick0'), t.Notes({log!r}, 'quick1'), t.Notes({log!r}, 'slow', {gate!r}))"
        text = _SCRIPT.format(how=self._json(), task=task)
        beating = home / "log.slow"

        first = start(text)
        ready = wait_until(lambda: all(map(_has_result, quick)) and beating.exists(), 2 * self.patience)
        require(ready, "R1", f"three tasks did not get going: {first.errors}")
        first.signal(signal.SIGKILL)
        first.process.wait()
        durable = self._is_durable()
        if durable:
            require(beats(beating, self.patience), "D4", "a job on a durable backend died with its driver.")
        else:
            require(falls_silent(beating, self.patience), "X3", "a task runs on after its driver was killed.")

        second = start(text)
        time.sleep(2 if durable else 0)
        Path(gate).touch()
        out = self._end(second, "X3")
        require("answer 3" in out, "X3", f"after a driver's death, the next run gave {out!r}: {second.errors}")
        ran = Counter(Path(log).read_text().split())
        kept = ran["quick0"] == ran["quick1"] == 1
        require(kept, "X3", f"what had been done before a driver's death ran again: {dict(ran)}.")
        expected = 1 if durable else 2
        slow = ran["slow"]
        require(slow == expected, "D2", f"a task that ran when its driver died ran {slow} times in all.")

    # --- helpers ---

    def _json(self) -> str:
        try:
            return json.dumps(self.how())
        except TypeError:
            pytest.skip("what the caller brings cannot be given to a script")

    def _end(self, script: Script, clause: str) -> str:
        __tracebackhide__ = True
        try:
            return script.end(3 * self.patience)
        except subprocess.TimeoutExpired:
            breach(clause, f"a driver did not end in {3 * self.patience:g} seconds; it said: {script.errors}")

    def _is_durable(self) -> bool:
        from .bench import Bench

        how = self.how()
        with Bench(self.backend, [t.Value(0)], options=how["backend_options"], plugins=self._plugins()) as bench:
            return bool(bench.capabilities.durable)


class BackendConformance(BackendContract, BackendGraphs):
    """The whole suite: inherit from it, and say which backend.

    Example:
        >>> class TestMine(BackendConformance):
        ...     backend = "mine"
        ...     plugins = ["mine.py"]
    """


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _has_result(task: TaskBase[Any]) -> bool:
    try:
        task.get_task_result()
    except FileNotFoundError:
        return False
    return True


def _twice(report: Callable[..., None]) -> Callable[..., None]:
    def reported(self: DriverReports, job: Job, *rest: Any, **named: Any) -> None:
        report(self, job, *rest, **named)
        report(self, job, *rest, **named)

    return reported
