"""The command runs a task file, keeps what it computed, and says what it did."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.command import Command
from tests.support import Ended

PIPELINE = """
    import os
    from taskproc import Requires, RequiresList, TaskBase

    def note(text):
        with open(os.path.join(os.path.dirname(__file__), "ran.txt"), "a") as file:
            file.write(text + "\\n")

    class Square(TaskBase, channel="small"):
        def __init__(self, n: int):
            self.n = n
        def run_task(self) -> int:
            note(f"Square {self.n}")
            return self.n ** 2

    class Main(TaskBase):
        squares: RequiresList[int]
        def __init__(self, n: int = 4):
            self.squares = [Square(i) for i in range(n)]
        def run_task(self) -> int:
            note("Main")
            print("the sum is", sum(self.squares))
            return sum(self.squares)

    class Other(TaskBase):
        def run_task(self) -> None:
            print("the other one")
"""


@pytest.fixture
def pipeline(taskproc: Command) -> Path:
    return taskproc.file(PIPELINE)


def ran(pipeline: Path) -> list[str]:
    """Say what has run since this was last asked."""
    log = pipeline.parent / "ran.txt"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return sorted(lines)


ALL = ["Main", "Square 0", "Square 1", "Square 2", "Square 3"]


def good(ended: Ended) -> str:
    assert ended.code == 0, ended.err
    return ended.out


@pytest.mark.parametrize("words", [[], ["run"]], ids=["short", "by-name"])
def test_first_run_executes_and_second_nothing(taskproc: Command, pipeline: Path, words: list[str]) -> None:
    first = good(taskproc(*words, pipeline))
    assert ran(pipeline) == ALL
    assert "5 tasks ran, 0 cached" in first
    assert "==== ENTRYPOINT STDOUT (DETACHED) ====\nthe sum is 14\n" in first

    second = good(taskproc(*words, pipeline))
    assert ran(pipeline) == []
    assert "nothing ran, 5 tasks cached" in second
    assert "the sum is 14\n==== NO ENTRYPOINT STDERR (DETACHED) ====\n" in second


def test_the_cache_lies_beside_the_file(taskproc: Command) -> None:
    taskproc.file(PIPELINE, "project/tasks.py")
    good(taskproc("project/tasks.py"))
    assert (taskproc.home / "project/.cache/taskproc/tasks.Main/results").is_dir()
    assert not (taskproc.home / ".cache").exists()


def test_force_runs_the_entry_point_alone(taskproc: Command, pipeline: Path) -> None:
    good(taskproc(pipeline))
    ran(pipeline)
    out = good(taskproc(pipeline, "--force"))
    assert ran(pipeline) == ["Main"]
    assert "1 task ran, 4 cached" in out


def test_options_stand_before_or_after_the_file(taskproc: Command, pipeline: Path) -> None:
    good(taskproc("--backend", "thread", "-w", "1", pipeline, "-s", "n=2"))
    assert ran(pipeline) == ["Main", "Square 0", "Square 1"]


def test_another_entry_point(taskproc: Command, pipeline: Path) -> None:
    assert "the other one" in good(taskproc(pipeline, "-e", "Other"))


@pytest.mark.parametrize("backend", ["local", "process", "thread"])
def test_backends_by_name(taskproc: Command, pipeline: Path, backend: str) -> None:
    assert "the sum is 14" in good(taskproc(pipeline, "-b", backend))


@pytest.mark.parametrize("label", ["Square", "tasks.Square", "small"])
def test_a_backend_for_one_class_or_channel(taskproc: Command, pipeline: Path, label: str) -> None:
    out = good(taskproc(pipeline, "-b", f"{label}=thread", "--dry-run"))
    assert "tasks.Square: 4 on thread" in out
    assert "tasks.Main: 1 on process" in out


def test_backend_options_reach_the_backend(taskproc: Command, pipeline: Path) -> None:
    out = good(taskproc(pipeline, "-b", "process", "-o", "cpus=2", "-o", "mem=1G", "--dry-run"))
    assert "on process (cpus=2, mem=1G)" in out


def test_limits_by_channel_and_class(taskproc: Command) -> None:
    file = taskproc.file(
        """
        import os, time
        from taskproc import RequiresList, TaskBase
        class Slow(TaskBase, channel="net"):
            def __init__(self, n): self.n = n
            def run_task(self):
                begin = time.time(); time.sleep(0.2); return begin, time.time()
        class Main(TaskBase):
            slow: RequiresList[tuple]
            def __init__(self): self.slow = [Slow(n) for n in range(3)]
            def run_task(self):
                spans = sorted(self.slow)
                print("overlap" if any(a[1] > b[0] for a, b in zip(spans, spans[1:])) else "apart")
        """
    )
    for label in ("net=1", "tasks.Slow=1", "Slow=1"):
        out = good(taskproc(file, "-w", "3", "--limit", label, "--cache-dir", label))
        assert "apart" in out


def test_cache_dir_from_the_option_the_environment_and_dotenv(taskproc: Command, pipeline: Path) -> None:
    home = taskproc.home
    good(taskproc(pipeline, "--cache-dir", "by option", TP_CACHE_DIR="by environment"))
    assert (home / "by option/taskproc/tasks.Main").is_dir()
    good(taskproc(pipeline, TP_CACHE_DIR="by environment"))
    assert (home / "by environment/taskproc/tasks.Main").is_dir()
    (home / ".env").write_text("TP_CACHE_DIR=by-dotenv\n")
    good(taskproc(pipeline))
    assert (home / "by-dotenv/taskproc/tasks.Main").is_dir()
    assert not (home / ".cache").exists()


def test_the_environment_names_the_very_default(taskproc: Command) -> None:
    taskproc.file(PIPELINE, "project/tasks.py")
    good(taskproc("project/tasks.py", TP_CACHE_DIR=".cache"))
    assert (taskproc.home / ".cache/taskproc/tasks.Main").is_dir()


def test_settings_near_the_file_count(taskproc: Command) -> None:
    taskproc.file(PIPELINE, "project/tasks.py")
    taskproc.file('cache_dir = "kept"\n[profile.quick]\nbackend = "thread"\ncpus = 1\n', "project/taskproc.toml")
    out = good(taskproc("project/tasks.py", "-b", "quick", "--dry-run"))
    assert "on thread (cpus=1)" in out
    good(taskproc("project/tasks.py"))
    assert (taskproc.home / "project/kept/taskproc/tasks.Main").is_dir()


def test_source_changes_are_seen_unless_disabled(taskproc: Command, pipeline: Path) -> None:
    good(taskproc(pipeline))
    ran(pipeline)
    text = pipeline.read_text()
    pipeline.write_text(text.replace("self.n ** 2", "self.n ** 3"))
    good(taskproc(pipeline, "-D"))
    assert ran(pipeline) == []
    assert "the sum is 36" in good(taskproc(pipeline))
    assert ran(pipeline) == ALL


def test_a_plugin_file_brings_a_backend(taskproc: Command, pipeline: Path) -> None:
    taskproc.file(
        """
        from dataclasses import replace
        from taskproc_backends.thread import plugin as thread
        plugin = replace(thread, name="mysite", summary="Ours.")
        """,
        "mysite.py",
    )
    assert "tasks.Main: 1 on mysite" in good(taskproc(pipeline, "-p", "mysite.py", "-b", "mysite", "--dry-run"))
    assert "the sum is 14" in good(taskproc(pipeline, "-p", "./mysite.py", "-b", "mysite"))


def test_logs_at_the_asked_level(taskproc: Command) -> None:
    file = taskproc.file(
        """
        import logging
        from taskproc import TaskBase
        logging.getLogger("mine").info("said while loading")
        class Main(TaskBase):
            pass
        """
    )
    assert "said while loading" not in taskproc(file).err
    assert "INFO:mine:said while loading" in taskproc(file, "-l", "info").err


def test_dry_run_says_what_why_and_where_and_writes_nothing(taskproc: Command, pipeline: Path) -> None:
    out = good(taskproc(pipeline, "--dry-run"))
    assert "5 of 5 tasks would run" in out
    assert "Square(n=3): no result" in out
    assert ran(pipeline) == []
    assert not (taskproc.home / ".cache").exists()

    good(taskproc(pipeline))
    pipeline.write_text(pipeline.read_text().replace("self.n ** 2", "self.n + 2"))
    out = good(taskproc(pipeline, "--dry-run"))
    assert "Square(n=3): its source changed" in out
    assert "Main(n=4): may run, its upstream Square(n=0) runs" in out
    out = good(taskproc(pipeline, "--dry-run", "-D"))
    assert out == "Nothing would run: Main(n=4) and all that it needs is cached.\n"
    out = good(taskproc(pipeline, "--dry-run", "-D", "--force"))
    assert "Main(n=4): asked for by force" in out


def test_dry_run_shows_what_a_scheduler_would_be_told(taskproc: Command, pipeline: Path) -> None:
    taskproc.file(
        """
        from taskproc.plugin import BackendPlugin, Capabilities, Portable
        class Queue:
            capabilities = Capabilities(durable=True)
            def __init__(self, context): self.context = context
            def preview(self, jobs):
                argv = self.context.staging.command(self.context.directory)
                return f"submit {len(jobs)} x {jobs[0].label} mem={jobs[0].options.mem} {argv[2]}"
            def close(self, detach): pass
        plugin = BackendPlugin("queue", "A queue.", Portable, Queue)
        """,
        "queue_plugin.py",
    )
    out = good(taskproc(pipeline, "-p", "queue_plugin.py", "-b", "queue", "-o", "mem=2G", "--dry-run"))
    first, second = out.index("submit 4 x Square-new mem=2G staged"), out.index("submit 1 x Main-new mem=2G staged")
    assert first < second
    assert "once the tasks before them have run" in out[first:second]
    assert not (taskproc.home / ".cache").exists()


def test_entry_points_stderr_is_shown_and_long_output_cut_in_the_middle(taskproc: Command) -> None:
    file = taskproc.file(
        """
        import sys
        from taskproc import TaskBase
        class Main(TaskBase):
            def run_task(self):
                print("a complaint", file=sys.stderr)
                for number in range(100_000):
                    print("line", number)
        """
    )
    out = good(taskproc(file))
    assert "==== ENTRYPOINT STDERR (DETACHED) ====\na complaint\n" in out
    assert "line 0\n" in out
    assert "line 99999\n" in out
    assert "left out here; all of it is in" in out
    assert len(out) < 40_000


class TestTheSeedsSpellings:
    def test_kwargs_limits_exec_type_and_flags(self, taskproc: Command, pipeline: Path) -> None:
        good(
            taskproc(
                pipeline, "-t", "thread", "--kwargs", json.dumps({"n": 2}), "--rate-limits", json.dumps({"small": 1}),
                "--dont-force-entrypoint", "--dont-show-progress",
            )
        )
        assert ran(pipeline) == ["Main", "Square 0", "Square 1"]

    def test_exec_type_names_the_backend(self, taskproc: Command, pipeline: Path) -> None:
        assert "tasks.Main: 1 on thread" in good(taskproc(pipeline, "--exec-type", "thread", "--dry-run"))

    def test_interactive_runs_all_in_this_process(self, taskproc: Command, pipeline: Path) -> None:
        assert "tasks.Main: 1 on this terminal" in good(taskproc(pipeline, "-i", "--dry-run"))
        assert "the sum is 14" in good(taskproc(pipeline, "-i"))

    def test_they_are_hidden(self, taskproc: Command) -> None:
        for text in (good(taskproc("--help")), good(taskproc("run", "--help"))):
            assert "--force" in text
            for spelling in ("--exec-type", "--kwargs", "--rate-limits", "--dont-", "--interactive"):
                assert spelling not in text


def test_version(taskproc: Command) -> None:
    import taskproc as package

    assert good(taskproc("--version")) == f"taskproc {package.__version__}\n"


def test_python_m_app_of_0_13(taskproc: Command, pipeline: Path) -> None:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "taskproc.app", str(pipeline)], env=taskproc.environment({}), capture_output=True,
        text=True, check=True,
    )
    assert "the sum is 14" in done.stdout
