"""The first level: a backend object is driven as the core drives it, and its reports are looked at one by one."""
from __future__ import annotations

import time
from collections import Counter
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ..base.errors import BackendError
from ..contract.plugins import Plugins
from ..plugin import API_VERSION, BackendPlugin, Job
from ..task import TaskBase
from .bench import Bench
from .clauses import breach, require
from .place import beats, falls_silent
from .suite import Suite
from .tasks import Beats, Dies, Exits, Fails, Notes, Numbered, Talks, Value


class BackendContract(Suite):
    """Tests of the contract itself, by a bench that stands for the core."""

    def bench(self, *tasks: TaskBase[Any], **others: Any) -> Bench:
        """Make a backend, with a job for each task."""
        __tracebackhide__ = True
        given = {"options": self._options(), "max_workers": self.max_workers, "patience": self.patience, **others}
        return Bench(self.backend, tasks, plugins=self._plugins(), **given)

    @pytest.fixture
    def leaf(self) -> BackendPlugin:
        """Give the plugin, where it has a backend object at all."""
        plugin = self.plugin()
        if plugin.route is not None:
            pytest.skip("a router has no backend of its own; what it routes to is tested by itself")
        return plugin

    @pytest.fixture
    def durable(self, leaf: BackendPlugin) -> None:
        """Skip where jobs end with their driver."""
        with self.bench(Value(0)) as bench:
            if not bench.capabilities.durable:
                pytest.skip("not a durable backend")

    # --- the plugin ---

    def test_plugin_is_found_and_loads(self) -> None:
        plugin = self.plugin()
        require(plugin.name == self.backend, "P2", f"the plugin {self.backend!r} calls itself {plugin.name!r}.")
        require(plugin.api_version == API_VERSION, "P2", f"it is for version {plugin.api_version} of the contract.")
        is_line = bool(plugin.summary.strip()) and "\n" not in plugin.summary
        require(is_line, "P2", f"its summary {plugin.summary!r} is no line of text.")

    def test_options_declare_themselves(self) -> None:
        options = self.plugin().options
        require(is_dataclass(options), "P3", f"options={options!r} is no dataclass.")
        require(options.__dataclass_params__.frozen, "P3", f"{options.__name__} is not frozen.")
        for field in fields(options):
            require("help" in field.metadata, "P3", f"{options.__name__}.{field.name} is not made with option().")
            require(field.metadata["help"], "P3", f"{options.__name__}.{field.name} has no help.")
        try:
            hash(options())
        except TypeError as error:
            breach("P3", f"{options.__name__}() cannot be hashed: {error}.")

    def test_router_leads_to_a_backend(self) -> None:
        plugin = self.plugin()
        if plugin.route is None:
            pytest.skip("not a router")
        for prefix in ("", "env A=b"):
            visited, found = [plugin.name], plugin
            while found.route is not None:
                name = found.route(Job("", "mod.Task", "Task-0", Path(), None, prefix))
                require(name not in visited, "P5", f"the route {' -> '.join([*visited, name])} is a circle.")
                visited.append(name)
                try:
                    found = Plugins(self._plugins()).backend(name)
                except BackendError as error:
                    breach("P5", f"{visited[-2]!r} routes to {name!r}: {error}.")

    def test_capabilities_are_true(self, leaf: BackendPlugin) -> None:
        with self.bench(Value(0)) as bench:
            said = bench.capabilities
            require(said.window is None or said.window >= 1, "P4", f"window={said.window!r} lets nothing through.")
            require(said.gather >= 0 and said.latency >= 0, "P4", f"gather and latency are not negative in {said}.")
            if said.durable:
                for method in ("adopt", "preview"):
                    require(callable(getattr(bench.backend, method, None)), "P4", f"durable, but it has no {method}().")

    # --- submit and reports ---

    def test_every_job_is_reported_finished_once(self, leaf: BackendPlugin) -> None:
        with self.bench(*[Numbered(n) for n in range(5)]) as bench:
            bench.submit()
            bench.outcomes()
            time.sleep(0.5)  # for a second word on any of them

    def test_many_jobs_at_once(self, leaf: BackendPlugin) -> None:
        tasks = [Numbered(n) for n in range(self.many)]
        with self.bench(*tasks, patience=3 * self.patience) as bench:
            bench.submit()
            bench.outcomes()
            missing = [job.label for job in bench.jobs if not bench.has_result(job)]
            require(not missing, "R5", f"{len(missing)} of {self.many} jobs have no result: {missing[:5]}.")

    def test_outcome_of_a_success(self, leaf: BackendPlugin) -> None:
        with self.bench(Value("word")) as bench:
            (job,) = bench.jobs
            bench.submit()
            outcome = bench.outcome(job)
            went_well = outcome.kind == "ended" and not outcome.exit_code and outcome.signal is None
            require(went_well, "R4", f"a task that went well is reported as {outcome}.")
            require(bench.has_result(job), "R5", "a job is reported finished, but its result is not there.")

    def test_outcome_of_a_failure(self, leaf: BackendPlugin) -> None:
        with self.bench(Fails("word")) as bench:
            (job,) = bench.jobs
            bench.submit()
            outcome = bench.outcome(job)
            said = outcome.kind == "ended" and outcome.exit_code not in (0, None)
            require(said, "R4", f"a task that raised an exception is reported as {outcome}.")
            log = job.directory / "stderr.txt"
            require(log.exists(), "W1", "what a failing task wrote to its stderr, and its traceback, are nowhere.")
            require("before the failure" in log.read_text(), "W1", "what a failing task wrote to its stderr is lost.")

    def test_outcome_of_a_crash(self, leaf: BackendPlugin) -> None:
        self._needs_isolation()
        with self.bench(Dies("SIGKILL"), Exits(7), Exits(0)) as bench:
            killed, left, absent = bench.jobs
            bench.submit()
            outcome = bench.outcome(killed)
            told = outcome.signal == 9 or outcome.exit_code == 137 or "KILL" in outcome.reason
            said = f"a worker that was killed by SIGKILL is reported as {outcome}."
            require(outcome.kind == "ended" and told, "R4", said)
            outcome = bench.outcome(left)
            told = outcome.kind == "ended" and outcome.exit_code == 7
            require(told, "R4", f"a worker that ended with exit status 7 is reported as {outcome}.")
            outcome = bench.outcome(absent)
            require(outcome.kind == "ended", "R4", f"a worker that left before its time is reported as {outcome}.")
            require(not bench.has_result(absent), "R5", "a worker that left before its time has a result.")

    def test_crash_hurts_no_other_job(self, leaf: BackendPlugin) -> None:
        self._needs_isolation()
        others = [Numbered(n) for n in range(1, 9)]
        with self.bench(*others[:4], Dies("SIGSEGV"), *others[4:]) as bench:
            bench.submit()
            bench.outcomes()
            hurt = [job.label for job in bench.jobs if "Dies" not in job.task and not bench.has_result(job)]
            require(not hurt, "W3", f"a worker that crashed took other jobs with it: {', '.join(hurt)}.")

    def test_output_goes_to_the_tasks_files(self, leaf: BackendPlugin, capfd: pytest.CaptureFixture[str]) -> None:
        with self.bench(Talks("žluťoučký 🐴")) as bench:
            (job,) = bench.jobs
            bench.submit()
            bench.outcome(job)
            for name in ("stdout.txt", "stderr.txt"):
                path = job.directory / name
                found = path.read_text(encoding="utf-8") if path.exists() else "nothing"
                require(found == "žluťoučký 🐴\n", "W1", f"of a task's output, {name} has {found!r}.")
        out, err = capfd.readouterr()
        require("žluť" not in out + err, "W1", "what a task printed went to the driver's own streams.")

    def test_payload_is_made_at_most_once(self, leaf: BackendPlugin) -> None:
        with self.bench(*[Numbered(n) for n in range(3)]) as bench:
            bench.submit()
            bench.outcomes()
            often = [job.label for job in bench.jobs if bench.read_payloads(job) > 1]
            require(not often, "S2", f"payload() was called more than once for {', '.join(often)}.")

    def test_payload_that_cannot_be_made_spoils_its_own_job_alone(self, leaf: BackendPlugin) -> None:
        with self.bench(*[Numbered(n) for n in range(3)]) as bench:
            bench.jobs[1] = spoilt = replace(bench.jobs[1], payload=_refuse)
            bench.submit()
            bench.outcomes()
            outcome = bench.outcome(spoilt)
            require(outcome.kind == "rejected", "S2", f"a job whose payload() raised is reported as {outcome}.")
            require(_REFUSAL in outcome.reason, "S2", f"the reason that payload() gave is lost: {outcome.reason!r}.")
            hurt = [job.label for job in bench.jobs if job is not spoilt and not bench.has_result(job)]
            require(not hurt, "S2", f"a payload() that raised spoilt other jobs: {', '.join(hurt)}.")

    def test_attempt_starts_once(self, leaf: BackendPlugin, home: Path) -> None:
        tasks = [Notes(str(home / "log"), str(n)) for n in range(6)]
        with self.bench(*tasks) as bench:
            bench.submit()
            bench.outcomes()
        ran = Counter((home / "log").read_text().split())
        twice = [name for name, times in ran.items() if times > 1]
        require(not twice, "W2", f"{len(twice)} of {len(tasks)} jobs ran more than once.")

    # --- cancel ---

    def test_cancel_of_what_waits(self, leaf: BackendPlugin, home: Path, heart: tuple[Beats, Path]) -> None:
        behind = [Notes(str(home / "log"), str(n)) for n in range(20)]
        with self.bench(heart[0], *behind, max_workers=1) as bench:
            first, *waiting = bench.jobs
            bench.submit([first])
            self._beating(heart[1])
            waiting = waiting[: bench.room]
            if not waiting:
                pytest.skip("its window lets no job wait")
            bench.submit(waiting)
            bench.cancel(waiting)
            if not self.isolated:
                heart[1].with_name("beats.stop").touch()
            outcomes = bench.outcomes(waiting)
            log = home / "log"
            ran = _lines(log)
            for job, outcome, task in zip(waiting, outcomes, behind[: len(waiting)], strict=True):
                honest = outcome.kind == "cancelled" or (task.name in ran and outcome.kind in ("ended", "lost"))
                # A worker that started all the same found its attempt taken back, and said so before the cancel came.
                honest = honest or (outcome.kind == "lost" and job.nonce in bench.staging.refs)
                require(honest, "R4", f"{job.label} was cancelled before it started, and is reported as {outcome}.")
            time.sleep(2)
            late = _lines(log) - ran
            require(not late, "C1", f"{len(late)} jobs started after they were reported cancelled.")
            bench.cancel([first])
            if self.isolated:
                bench.outcome(first)

    def test_cancel_of_what_runs(self, leaf: BackendPlugin, heart: tuple[Beats, Path]) -> None:
        self._needs_isolation()
        task, path = heart
        with self.bench(task, Value(1)) as bench:
            running, other = bench.jobs
            bench.submit()
            self._beating(path)
            bench.cancel([running])
            outcome = bench.outcome(running, "C2")
            require(outcome.kind == "cancelled", "R4", f"a job that was cancelled is reported as {outcome}.")
            require(falls_silent(path, self.patience), "C2", "the task of a cancelled job runs on.")
            child = path.with_name("beats.child")
            require(falls_silent(child, self.patience), "C2", "a process that a cancelled job had started runs on.")
            bench.outcome(other)
            require(bench.has_result(other), "W3", "cancelling one job took another with it.")

    def test_cancel_of_nothing_is_harmless(self, leaf: BackendPlugin) -> None:
        with self.bench(Value(1), Value(2)) as bench:
            first, second = bench.jobs
            bench.cancel([])
            bench.submit([first])
            bench.outcome(first)
            bench.cancel([first])
            bench.cancel([first])
            bench.submit([second])
            bench.outcome(second)
            require(bench.has_result(second), "C3", "after cancel() of a finished job, no other job goes well.")

    # --- close ---

    def test_close_of_what_was_never_used(self, leaf: BackendPlugin) -> None:
        with self.bench(Value(1)) as bench:
            bench.close()

    def test_close_ends_what_runs(self, leaf: BackendPlugin, heart: tuple[Beats, Path]) -> None:
        task, path = heart
        with self.bench(task) as bench:
            bench.submit()
            self._beating(path)
            if bench.capabilities.durable or not self.isolated:
                bench.cancel(bench.jobs)  # as the core does before it closes for good
            began = time.monotonic()
            bench.close()
            seconds = time.monotonic() - began
            require(seconds < self.patience, "X1", f"close() took {seconds:.0f} seconds.")
            if self.isolated:
                require(falls_silent(path, self.patience), "X2", "a task runs on after close().")
                ended = falls_silent(path.with_name("beats.child"), self.patience)
                require(ended, "X2", "a process that a task had started runs on after close().")

    # --- durable backends ---

    @pytest.mark.usefixtures("durable")
    def test_jobs_live_on_and_are_adopted(self, heart: tuple[Beats, Path], home: Path) -> None:
        task, path = heart
        quick = Notes(str(home / "log"), "quick")
        with self.bench(task, quick) as before:
            before.submit()
            self._beating(path)
            before.outcome(before.jobs[1])
            before.close(detach=True)
            require(beats(path, self.patience), "D4", "a job ended with close(detach=True).")
            refs = before.refs(before.jobs)
        with self.bench(Value(1)) as after:
            never = after.adopt(refs)
            require(not never, "D2", f"adopt() takes jobs that ran for never taken: {[job.label for job in never]}.")
            path.with_name("beats.stop").touch()
            for job, _ in refs:
                outcome = after.outcome(job)
                require(outcome.kind == "ended", "D2", f"an adopted job that went well is reported as {outcome}.")
                require(after.has_result(job), "R5", f"{job.label} was adopted, and has no result.")
        ran = (home / "log").read_text().split()
        require(ran == ["quick"], "W2", f"a job that was adopted after its end ran {len(ran)} times.")

    @pytest.mark.usefixtures("durable")
    def test_adopted_job_can_be_cancelled(self, heart: tuple[Beats, Path]) -> None:
        task, path = heart
        with self.bench(task) as before:
            before.submit()
            self._beating(path)
            before.close(detach=True)
            refs = before.refs(before.jobs)
        with self.bench(Value(1)) as after:
            after.adopt(refs)
            after.cancel([job for job, _ in refs])
            after.outcome(refs[0][0])
            require(falls_silent(path, self.patience), "C2", "a job that was adopted and then cancelled runs on.")

    @pytest.mark.usefixtures("durable")
    def test_what_was_never_taken_is_told(self) -> None:
        with self.bench(Value(1)) as bench:
            (job,) = bench.jobs
            bench.staging.stage([[job]])
            never = bench.adopt(bench.refs([job]))
            require(list(never) == [job], "D3", f"of a job that was staged and never submitted, adopt() says {never}.")

    @pytest.mark.usefixtures("durable")
    def test_preview_submits_nothing(self, home: Path) -> None:
        with self.bench(Notes(str(home / "log"), "ran")) as bench:
            text = bench.call("preview", bench.jobs)
            require(isinstance(text, str) and text.strip(), "D5", f"preview() gave {text!r}.")
            time.sleep(2)
            said = bench.report.accepted_ids or bench.report.outcomes or (home / "log").exists()
            require(not said, "D5", "preview() submitted the jobs.")

    # --- helpers ---

    def _options(self) -> dict[str, Any]:
        return dict(self.options)

    def _needs_isolation(self) -> None:
        if not self.isolated:
            pytest.skip("tasks of this backend cannot be ended one by one")

    def _beating(self, path: Path) -> None:
        __tracebackhide__ = True
        in_time = f"in {self.patience:g} seconds"
        require(beats(path, self.patience), "R1", f"a job was submitted, and its task did not start {in_time}.")


def _lines(path: Path) -> set[str]:
    return set(path.read_text().split()) if path.exists() else set()


_REFUSAL = "this payload cannot be made"


def _refuse() -> bytes:
    raise TypeError(_REFUSAL)
