"""The driver, told all kinds of things by a backend that does as the test says."""
from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from taskproc import FailedTaskError, Requires, RequiresList, TaskBase
from taskproc.contract.plugins import Plugins
from taskproc.plugin import (
    BackendContext,
    BackendError,
    BackendPlugin,
    BackendUnavailable,
    Capabilities,
    Job,
    NoOptions,
    OptionError,
    Outcome,
    Portable,
    SubmitUnknown,
    execute,
)
from taskproc.tasks.failed import FailedTasksError
from tests.support import run_and_count

Submit = Callable[["Puppet", Sequence[Job]], None]


class Step(TaskBase):
    def __init__(self, n: int = 0):
        self.n = n

    def run_task(self) -> int:
        return self.n


class All(TaskBase):
    parts: RequiresList[int]

    def __init__(self, count: int):
        self.parts = [Step(n) for n in range(count)]

    def run_task(self) -> int:
        return sum(self.parts)


class Puppet:
    """A backend whose submit() is the test's.

    Attributes:
        seen: The jobs of each call of submit.
    """

    def __init__(self, context: BackendContext, submit: Submit, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self.report = context.report
        self.staging = context.staging
        self.seen: list[list[Job]] = []
        self.cancelled: list[Job] = []
        self.closed: list[bool] = []
        self._submit = submit

    def submit(self, jobs: Sequence[Job]) -> None:
        self.seen.append(list(jobs))
        self._submit(self, jobs)

    def accept(self, jobs: Sequence[Job]) -> None:
        """Take jobs, whose ends come later."""
        for job in jobs:
            self.report.accepted(job, job.nonce)

    def cancel(self, jobs: Sequence[Job]) -> None:
        self.cancelled += jobs
        for job in jobs:
            self.report.finished(job, Outcome("cancelled"))

    def close(self, detach: bool) -> None:
        self.closed.append(detach)

    def run(self, jobs: Sequence[Job]) -> None:
        """Run jobs here and now."""
        for job in jobs:
            self.report.accepted(job, job.nonce)
            self.report.started(job)
            self.report.finished(job, execute(job.payload(), "thread"))


@pytest.fixture
def puppet(cache: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Puppet]]]:
    """Put a backend named `puppet` in place; its instances are collected."""
    before = threading.active_count()

    def place(submit: Submit, options: type[Any] = NoOptions, **capabilities: Any) -> list[Puppet]:
        made: list[Puppet] = []

        def make(context: BackendContext) -> Puppet:
            made.append(Puppet(context, submit, Capabilities(**capabilities)))
            return made[-1]

        plugin = BackendPlugin("puppet", "Does as it is told.", options, make)
        monkeypatch.setattr(Plugins, "backend", lambda self, name: plugin)
        return made

    yield place
    assert threading.active_count() <= before + 1


def run(task: TaskBase[Any], **how: Any) -> tuple[Any, int]:
    return run_and_count(task, backend="puppet", **how)


def test_window_bounds_what_is_handed_over(puppet):
    held: list[Job] = []
    most = []

    def finish_one(backend: Puppet) -> None:
        job = held.pop()
        backend.run([job])

    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        backend.accept(jobs)
        held.extend(jobs)
        most.append(len(held))
        for _ in jobs:
            threading.Timer(0.05, finish_one, [backend]).start()

    puppet(submit, window=3)
    assert run(All(10)) == (45, 11)
    assert max(most) == 3


class Each(TaskBase, backend="puppet"):
    parts: RequiresList[int]

    def __init__(self, count: int):
        self.parts = [Second(n) for n in range(count)]

    def run_task(self) -> int:
        return sum(self.parts)


class Second(TaskBase, backend="puppet"):
    first: Requires[int]

    def __init__(self, n: int):
        self.first = Step(n)

    def run_task(self) -> int:
        return self.first


def test_jobs_are_gathered_while_more_may_come(puppet):
    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        backend.accept(jobs)
        for at, job in enumerate(jobs):
            threading.Timer(0.02 * at, backend.run, [[job]]).start()

    made = puppet(submit, gather=30)  # but nobody waits for that long once nothing is under way
    assert run(Each(8)) == (28, 17)
    assert [len(jobs) for jobs in made[0].seen] == [8, 8, 1]


def test_repeated_late_and_unknown_reports_are_dropped(puppet):
    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        backend.run(jobs)
        backend.run([])
        for job in jobs:
            backend.report.finished(job, Outcome("lost", "an outdated report"))
            backend.report.started(job)
            backend.report.waiting(job, "for nothing")

    puppet(submit)
    assert run(All(5)) == (10, 6)


def test_success_without_a_result_is_a_failure(puppet):
    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        for job in jobs:
            backend.report.finished(job, Outcome("ended", exit_code=0))

    puppet(submit)
    with pytest.raises(FailedTaskError, match="exit status 0 and without a result"):
        run(Step())


def test_older_result_is_no_success(puppet):
    lazy = False

    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if lazy and job.task.endswith(".All"):
                backend.report.accepted(job, "1")
                backend.report.finished(job, Outcome("ended", exit_code=0))
            else:
                backend.run([job])

    puppet(submit)
    assert run(All(2)) == (1, 3)
    Step(1).clear_task()
    lazy = True
    with pytest.raises(FailedTaskError, match="without a result"):
        run(All(2))


def test_result_counts_whatever_the_outcome_says(puppet, caplog: pytest.LogCaptureFixture):
    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        for job in jobs:
            execute(job.payload(), "thread")
            backend.report.finished(job, Outcome("lost", "node down"))

    puppet(submit)
    assert run(Step()) == (0, 1)
    assert "kept its result, but node down" in caplog.text


def test_lost_jobs_are_tried_again_within_a_bound(puppet):
    left = [2]

    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        if left[0]:
            left[0] -= 1
            backend.report.finished(jobs[0], Outcome("lost", "node down"))
        else:
            backend.run(jobs)

    made = puppet(submit)
    assert run(Step()) == (0, 1)
    assert len({job.nonce for jobs in made[0].seen for job in jobs}) == 3
    left[0] = 99
    with pytest.raises(FailedTaskError, match="node down"):
        run(Step(1))
    assert left[0] > 90


def test_rejected_job_fails_with_the_systems_words_and_is_not_tried_again(puppet):
    class Retried(TaskBase, retries=5): ...

    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        for job in jobs:
            backend.report.finished(job, Outcome("rejected", "no such partition"))

    made = puppet(submit)
    with pytest.raises(FailedTaskError, match="no such partition"):
        run(Retried())
    assert len(made[0].seen) == 1


def test_unavailable_backend_is_asked_again(puppet, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    from taskproc.run import caller

    monkeypatch.setattr(caller, "_FIRST_PAUSE", 0.05)
    down = [True]

    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        if down.pop() if down else False:
            msg = "the controller does not answer"
            raise BackendUnavailable(msg)
        backend.run(jobs)

    puppet(submit)
    assert run(All(3)) == (3, 4)
    assert "the controller does not answer" in caplog.text


def test_unknown_submit_of_a_backend_that_cannot_look_is_a_loss(puppet):
    unsure = [True]

    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        if unsure.pop() if unsure else False:
            msg = "no answer"
            raise SubmitUnknown(msg)
        backend.run(jobs)

    puppet(submit)
    assert run(Step()) == (0, 1)


@pytest.mark.parametrize("error", [BackendError("out of order"), ZeroDivisionError("out of order")])
def test_broken_backend_fails_its_jobs_and_is_told(puppet, error: Exception, caplog: pytest.LogCaptureFixture):
    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        raise error

    puppet(submit)
    with caplog.at_level(logging.ERROR):
        with pytest.raises(FailedTaskError, match=r"the backend puppet broke: .*out of order"):
            run(Step())
    assert "Traceback" in caplog.text


def test_backend_that_breaks_in_its_factory_is_told(puppet, monkeypatch: pytest.MonkeyPatch):
    def make(context: BackendContext) -> Any:
        msg = "partition and queue cannot go together"
        raise OptionError(msg)

    plugin = BackendPlugin("puppet", "", NoOptions, make)
    monkeypatch.setattr(Plugins, "backend", lambda self, name: plugin)
    with pytest.raises(FailedTaskError, match="partition and queue"):
        run(Step())


def test_stop_leaves_alone_what_runs_though_nobody_has_told_of_its_start(puppet):
    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        backend.staging.stage([[job] for job in jobs])
        backend.accept(jobs)
        queued = jobs[0].directory / f"attempt.queued.{jobs[0].nonce}"
        queued.rename(queued.with_name(f"attempt.running.{jobs[0].nonce}"))
        backend.report.finished(jobs[1], Outcome("ended", exit_code=1))

    def cancel(backend: Puppet, jobs: Sequence[Job]) -> None:
        original(backend, jobs)
        backend.report.finished(backend.seen[0][0], Outcome("ended", exit_code=2))

    original = Puppet.cancel
    backends = puppet(submit, gather=0.3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Puppet, "cancel", cancel)
        with pytest.raises(FailedTasksError) as caught:
            run(All(4))
    assert {failure.task.n for failure in caught.value.failures} == {0, 1}
    assert backends[0].cancelled == backends[0].seen[0][2:]


def test_options_may_grow_with_the_attempt(puppet):
    class Hungry(
        TaskBase, retries=2, backend="puppet",
        backend_options=lambda task, attempt: {"mem": f"{2 ** attempt}G", "cpus": task.n},
    ):
        def __init__(self, n: int):
            self.n = n

    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        for job in jobs:
            backend.report.finished(job, Outcome("ended", "killed", signal=9))

    made = puppet(submit, options=Portable)
    with pytest.raises(FailedTaskError):
        Hungry(3).run_graph()
    assert [jobs[0].options.mem for jobs in made[0].seen] == ["1G", "2G", "4G"]
    assert made[0].seen[0][0].options.cpus == 3


def test_jobs_of_one_call_share_their_options(puppet):
    class Sized(TaskBase, backend="puppet", backend_options=lambda task, attempt: {"cpus": task.n % 2 + 1}):
        def __init__(self, n: int):
            self.n = n

    class Many(TaskBase):
        parts: RequiresList[Any]

        def __init__(self) -> None:
            self.parts = [Sized(n) for n in range(10)]

    made = puppet(Puppet.run, options=Portable)
    Many().run_graph(backend="puppet")
    assert all(len({job.options for job in jobs}) == 1 for jobs in made[0].seen)
    assert sorted(len(jobs) for jobs in made[0].seen) == [1, 5, 5]


def test_job_tells_what_a_backend_needs(puppet):
    class Told(TaskBase, prefix_command="env", timeout=7): ...

    made = puppet(Puppet.run)
    run(Told())
    (job,) = made[0].seen[0]
    assert (job.task, job.prefix, job.timeout) == (Told.task_name, "env", 7)
    assert job.label.rpartition("-")[2].isdigit()
    assert job.label.replace("-", "").replace("_", "").isalnum()
    assert job.directory.name == str(Told().task_id)
    assert made[0].closed == [False]


# --- what ends, or raises, where nobody expects it ---


class Good(TaskBase, backend="thread"):
    def run_task(self) -> int:
        return 1


class Both(TaskBase, backend="thread"):
    parts: RequiresList[int]

    def __init__(self, part: TaskBase[Any]):
        self.parts = [Good(), part]

    def run_task(self) -> int:
        return sum(self.parts)


@pytest.fixture
def beside_thread(puppet, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[BackendContext], Any]], None]:
    """Put a backend named `puppet` in place that leaves the others where they are."""

    def place(make: Callable[[BackendContext], Any]) -> None:
        plugin = BackendPlugin("puppet", "Breaks.", Portable, make)
        real = Plugins.backend
        monkeypatch.setattr(
            Plugins, "backend", lambda self, name: plugin if name == "puppet" else real(self, name)
        )

    return place


def assert_that_only_its_own_task_fails(part: TaskBase[Any], match: str) -> None:
    with pytest.raises(FailedTaskError, match=match) as caught:
        Both(part).run_graph(on_error="continue")
    assert caught.value.task is part
    assert Good().get_task_result() == 1


class OnPuppet(TaskBase, backend="puppet"):
    def run_task(self) -> int:
        return 1


class Choosy(TaskBase, backend="thread", backend_options=lambda task, attempt: {}[attempt]):
    def run_task(self) -> int:
        return 1


def test_options_that_cannot_be_computed_fail_their_own_task(cache: Any):
    assert_that_only_its_own_task_fails(Choosy(), r"backend_options raised KeyError for Choosy\(\), attempt 0: 0")


def raise_from_factory(context: BackendContext) -> Any:
    raise ZeroDivisionError("division by zero")


def exit_from_factory(context: BackendContext) -> Any:
    raise SystemExit("bad arguments")


def make_one_that_says_nothing(context: BackendContext) -> Any:
    return object()


def make_one_without_room(context: BackendContext) -> Any:
    return Puppet(context, Puppet.run, Capabilities(window=0))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        pytest.param(raise_from_factory, "puppet cannot be made: ZeroDivisionError: division by zero", id="raises"),
        pytest.param(exit_from_factory, "puppet cannot be made: SystemExit: bad arguments", id="exits"),
        pytest.param(make_one_that_says_nothing, "puppet cannot be made: AttributeError", id="no capabilities"),
        pytest.param(make_one_without_room, "window=0.* so that no job could run", id="no room"),
    ],
)
def test_backend_that_cannot_be_made_fails_its_own_tasks(beside_thread, make: Callable[..., Any], match: str):
    beside_thread(make)
    assert_that_only_its_own_task_fails(OnPuppet(), match)


def test_backend_that_would_exit_fails_its_own_tasks(beside_thread, caplog: pytest.LogCaptureFixture):
    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        raise SystemExit("usage: client [OPTIONS]")

    beside_thread(lambda context: Puppet(context, submit, Capabilities()))
    assert_that_only_its_own_task_fails(OnPuppet(), "the backend puppet broke: SystemExit: usage: client")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [ValueError("no such field"), SystemExit(2)])
def test_backend_whose_own_thread_ends_fails_its_own_tasks(beside_thread, error: BaseException):
    def follow() -> None:
        raise error

    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        for job in jobs:
            backend.report.accepted(job, "1")
        threading.Thread(target=follow).start()

    beside_thread(lambda context: Puppet(context, submit, Capabilities()))
    assert_that_only_its_own_task_fails(OnPuppet(), f"a thread of it ended by {type(error).__name__}")


def test_backend_learns_that_the_run_is_to_end_while_a_call_waits(beside_thread):
    interrupted = threading.Event()

    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert contexts[0].closing.wait(60)
        interrupted.set()

    def make(context: BackendContext) -> Puppet:
        contexts.append(context)
        return Puppet(context, submit, Capabilities())

    contexts: list[BackendContext] = []
    beside_thread(make)
    with pytest.raises(KeyboardInterrupt):
        OnPuppet().run_graph()
    assert interrupted.wait(60)


def test_held_job_that_ended_meanwhile_is_not_submitted_again(puppet, monkeypatch: pytest.MonkeyPatch):
    from taskproc.run import caller

    monkeypatch.setattr(caller, "_FIRST_PAUSE", 0.05)

    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        if len(backend.seen) == 1:
            threading.Timer(0.01, backend.run, [jobs[:1]]).start()
            msg = "busy, but it took one"
            raise BackendUnavailable(msg)
        backend.run(jobs)

    made = puppet(submit)
    assert run(All(2)) == (1, 3)
    nonces = [job.nonce for jobs in made[0].seen[1:] for job in jobs]
    assert made[0].seen[0][0].nonce not in nonces


def test_jobs_that_wait_are_offered_again_though_new_ones_come(puppet, monkeypatch: pytest.MonkeyPatch):
    from taskproc.run import caller

    monkeypatch.setattr(caller, "_FIRST_PAUSE", 0.2)
    refused: list[str] = []

    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if job.task.endswith(".Step") and not refused:
                refused.append(job.nonce)
                msg = "busy"
                raise BackendUnavailable(msg)
        backend.run(jobs)

    made = puppet(submit, window=1)
    assert run(All(3)) == (3, 4)
    assert refused[0] in {job.nonce for jobs in made[0].seen[1:] for job in jobs}


def test_forced_task_is_not_done_by_what_it_replaces(puppet):
    from taskproc.run.request import RunRequest
    from taskproc.run.run import run as run_request

    puppet(Puppet.run)
    Step(3).run_graph(backend="puppet")
    with beside_another_run():
        _, stats = run_request(Step(3), RunRequest(backend="puppet", force=True))
        assert stats["stats"] == {Step.task_name: 1}


def test_forced_task_that_cannot_start_fails(puppet):
    from taskproc.run.request import RunRequest
    from taskproc.run.run import run as run_request

    able = [True]

    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        if able[0]:
            backend.run(jobs)
        else:
            for job in jobs:
                backend.report.finished(job, Outcome("ended", "no such image", exit_code=125))

    puppet(submit)
    Step(3).run_graph(backend="puppet")
    able[0] = False
    with pytest.raises(FailedTaskError, match="no such image"):
        run_request(Step(3), RunRequest(backend="puppet", force=True))


@contextmanager
def beside_another_run() -> Iterator[None]:
    """Be beside a run of the same cache that has nothing to do with ours."""
    from taskproc.runs.claims import Claims, standing
    from taskproc.runs.ledger import RunDirectory
    from taskproc.tasks.in_use import current_cache

    runs = current_cache().runs
    directory = RunDirectory(runs, "Another()")
    claims = Claims(runs, directory.run, standing(runs))
    try:
        yield
    finally:
        claims.close()
        directory.close(keep=False)


def test_stopped_run_ends_though_a_job_could_not_be_cancelled(puppet, monkeypatch: pytest.MonkeyPatch):
    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        backend.staging.stage([[job] for job in jobs])
        for job in jobs:
            backend.report.accepted(job, "1")
        backend.report.finished(jobs[0], Outcome("ended", "no", exit_code=1))

    def cancel(backend: Puppet, jobs: Sequence[Job]) -> None:
        for job in jobs:
            backend.report.finished(job, Outcome("cancelled", "the controller does not answer"))

    monkeypatch.setattr(Puppet, "cancel", cancel)
    monkeypatch.setattr(Puppet, "adopt", lambda backend, jobs: [], raising=False)
    puppet(submit, durable=True, gather=0.3)
    with pytest.raises(FailedTaskError):
        run(All(3))


def test_hundreds_of_failures_in_a_row_are_failures(cache: Any):
    class Broken(TaskBase, backend_options=lambda task, attempt: {}[task.n]):
        def __init__(self, n: int):
            self.n = n

    class Many(TaskBase):
        parts: RequiresList[Any]

        def __init__(self) -> None:
            self.parts = [Broken(n) for n in range(600)]

    with pytest.raises(FailedTasksError) as caught:
        Many().run_graph(backend="thread", rate_limits={Broken.task_name: 1}, on_error="continue")
    assert len(caught.value.failures) == 600


class Stranger:
    """An error in a thread that is nobody's."""

    def raises(self) -> None:
        raise ValueError("of a thread of the user's own")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_error_in_a_thread_of_the_users_own_breaks_no_backend(cache: Any):
    class Careless(TaskBase):
        def run_task(self) -> int:
            thread = threading.Thread(target=Stranger().raises)
            thread.start()
            thread.join()
            return 1

    assert Careless().run_graph(backend="thread") == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_threads_are_watched_for_every_run_and_for_none_after_the_last():
    from taskproc.run.supervision import watching

    before, seen = threading.excepthook, []

    def end_a_thread() -> None:
        thread = threading.Thread(target=Stranger().raises)
        thread.start()
        thread.join()

    first, second = (watching(lambda file, reason, who=who: seen.append(who)) for who in ("first", "second"))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    end_a_thread()
    second.__exit__(None, None, None)
    end_a_thread()
    assert seen == ["second"]
    assert threading.excepthook is before


def say_nothing(backend: Puppet, jobs: Sequence[Job]) -> None:
    pass


def tell(report: str, *content: Any) -> Submit:
    """Make a submit() that reports what is no report, and after that an end without a result."""

    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        for job in jobs:
            getattr(backend.report, report)(job, *content)
            backend.report.finished(job, Outcome("ended", exit_code=3))

    return submit


@pytest.mark.parametrize(
    ("submit", "match"),
    [
        pytest.param(say_nothing, "the backend puppet said nothing of it", id="silence"),
        pytest.param(tell("finished", None), "ended as None, which is no Outcome", id="no outcome"),
        pytest.param(tell("finished", "done"), "ended as 'done', which is no Outcome", id="a word"),
        pytest.param(tell("finished", Outcome("ended", exit_code=0, value=b"x")), "without a result", id="odd value"),
        pytest.param(tell("started", b"node1", "17"), "exit status 3", id="bytes for a host"),
        pytest.param(tell("waiting", b"Priority"), "exit status 3", id="bytes for a reason"),
    ],
)
def test_odd_reports_concern_their_own_jobs(beside_thread, submit: Submit, match: str):
    beside_thread(lambda context: Puppet(context, submit, Capabilities()))
    assert_that_only_its_own_task_fails(OnPuppet(), match)


@pytest.mark.parametrize(
    "odd",
    [{"window": 2.5}, {"window": "many"}, {"window": float("nan")}, {"latency": "5"}, {"latency": float("inf")}],
    ids=str,
)
def test_odd_capabilities_concern_their_own_jobs(beside_thread, odd: dict[str, Any]):
    beside_thread(lambda context: Puppet(context, Puppet.run, Capabilities(**odd)))
    assert_that_only_its_own_task_fails(OnPuppet(), "so that no job could run")


@pytest.mark.parametrize("staged", [True, False])
def test_submission_that_is_never_answered_is_tried_with_pauses_and_can_be_ended(beside_thread, staged: bool):
    def submit(backend: Puppet, jobs: Sequence[Job]) -> None:
        if staged:
            backend.staging.stage([[job] for job in jobs])
        if len(backend.seen) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        msg = "the answer was lost"
        raise SubmitUnknown(msg)

    made: list[Puppet] = []

    def make(context: BackendContext) -> Puppet:
        made.append(Puppet(context, submit, Capabilities(durable=True)))
        made[0].adopt = lambda jobs: [job for job, _ in jobs]  # type: ignore[attr-defined]  # a test's own
        return made[0]

    beside_thread(make)
    with pytest.raises(KeyboardInterrupt):
        OnPuppet().run_graph()
    assert made[0].closed == [False]
    assert len(made[0].seen) <= 4
