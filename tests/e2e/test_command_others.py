"""`taskproc backends`, `taskproc clear`, shell completion."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command import Command

TASKS = """
    from taskproc import Requires, TaskBase

    class Load(TaskBase):
        def run_task(self) -> bytes:
            print("loading")
            return b"x" * 5000

    class Small(TaskBase, store="packed"):
        up: Requires[bytes]
        def __init__(self) -> None:
            self.up = Load()
        def run_task(self) -> int:
            return len(self.up)

    class Main(TaskBase):
        up: Requires[int]
        def __init__(self) -> None:
            self.up = Small()
        def run_task(self) -> None:
            print("length", self.up)
"""


def test_backends_are_listed_with_origin_types_defaults_and_help(taskproc: Command) -> None:
    out = taskproc("backends").out
    for name in ("local", "prefix", "process", "thread"):
        assert f"\n{name}  " in f"\n{out}"
    assert "(taskproc 1." in out
    assert "mem: str" in out
    assert "Memory for one task, such as 32G." in out
    only = taskproc("backends", "thread").out
    assert only.startswith("thread  Threads of the driver's process.")
    assert "process  " not in only


def test_a_broken_plugin_is_listed_as_broken_with_its_reason(taskproc: Command) -> None:
    taskproc.file("import nothing_of_that_name\n", "broken.py")
    taskproc.file("plugins = ['./broken.py']\n", "taskproc.toml")
    ended = taskproc("backends")
    assert ended.code == 0, ended.err
    assert "broken.py  broken\n" in ended.out
    assert "No module named 'nothing_of_that_name'" in ended.out
    assert "\nthread  " in ended.out


def test_a_broken_entry_point_is_listed_as_broken(taskproc: Command) -> None:
    info = taskproc.home / "site/other-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[taskproc]\nother = nowhere_at_all:plugin\n")
    environment = taskproc.environment({})
    ended = taskproc("backends", PYTHONPATH=f"{taskproc.home / 'site'}:{environment['PYTHONPATH']}")
    assert ended.code == 0, ended.err
    assert "other  broken  (other 1.0)" in ended.out
    assert "nowhere_at_all" in ended.out


def test_profiles_are_listed(taskproc: Command) -> None:
    taskproc.file('[profile.quick]\nbackend = "thread"\ncpus = 2\n', "taskproc.toml")
    assert "  quick: thread (cpus=2)\n" in taskproc("backends").out


def test_an_unknown_backend_gets_a_suggestion(taskproc: Command) -> None:
    ended = taskproc("backends", "thraed")
    assert ended.code == 2
    assert "did you mean 'thread'?" in ended.err


def planned(taskproc: Command, file: Path) -> str:
    return taskproc(file, "--dry-run").out


def test_clear_says_what_it_removes_and_asks(taskproc: Command) -> None:
    file = taskproc.file(TASKS)
    assert taskproc(file).code == 0
    refused = taskproc("clear", file, stdin="n\n")
    assert refused.code == 1
    assert "tasks.Load   1 task" in refused.out
    assert "tasks.Small  1 task" in refused.out
    assert "Nothing was removed" in refused.out
    assert "Nothing would run" in planned(taskproc, file)

    assert taskproc("clear", file, stdin="y\n").code == 0
    assert "3 of 3 tasks would run" in planned(taskproc, file)
    assert "Nothing to remove" in taskproc("clear", file).out


@pytest.mark.parametrize("name", ["Small", "tasks.Small"])
def test_clear_one_class(taskproc: Command, name: str) -> None:
    file = taskproc.file(TASKS)
    assert taskproc(file).code == 0
    ended = taskproc("clear", file, name, "--yes")
    assert ended.code == 0, ended.err
    assert "tasks.Load" not in ended.out
    assert "2 of 3 tasks would run" in planned(taskproc, file)


def test_clear_does_not_run_the_file_and_spares_others(taskproc: Command) -> None:
    file, other = taskproc.file(TASKS), taskproc.file(TASKS, "others.py")
    assert taskproc(file).code == taskproc(other).code == 0
    file.write_text("raise SystemExit('it ran')\n")
    assert taskproc("clear", file, "-y").code == 0
    assert "Nothing would run" in planned(taskproc, other)
    assert taskproc("clear", file, "--all", "-y").code == 0
    assert "3 of 3 tasks would run" in planned(taskproc, other)


def test_clear_an_unknown_class_gets_a_suggestion(taskproc: Command) -> None:
    file = taskproc.file(TASKS)
    assert taskproc(file).code == 0
    ended = taskproc("clear", file, "Smal")
    assert ended.code == 2
    assert "did you mean 'Small'?" in ended.err


def test_clear_refuses_while_a_run_goes_on(taskproc: Command) -> None:
    from tests.support import end_quietly, wait_for

    file = taskproc.file(
        """
        import time
        from pathlib import Path
        from taskproc import Requires, TaskBase
        class Quick(TaskBase):
            def run_task(self): return 1
        class Main(TaskBase):
            up: Requires[int]
            def __init__(self): self.up = Quick()
            def run_task(self):
                Path(__file__).with_name("started").touch()
                time.sleep(600)
        """
    )
    process = taskproc.start(file)
    try:
        wait_for(file.with_name("started").exists, "the task")
        ended = taskproc("clear", file, "-y")
        assert ended.code == 1
        assert "a run of this cache is going on" in ended.err
    finally:
        process.terminate()
        process.communicate(timeout=20)
        end_quietly(process)


def complete(taskproc: Command, *words: str) -> list[str]:
    """Ask for completions as bash does."""
    taskproc.file(TASKS)
    code = "from taskproc.cli import main; main(prog_name='taskproc')"
    typed = {"COMP_WORDS": " ".join(["taskproc", *words]), "COMP_CWORD": str(len(words))}
    env = {"_TASKPROC_COMPLETE": "bash_complete", **typed}
    done = subprocess.run(
        [sys.executable, "-c", code], env=taskproc.environment(env), cwd=taskproc.home, capture_output=True, text=True,
        check=False,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["back"], "plain,backends"),
        (["tas"], "file,tas"),
        (["--keep"], "plain,--keep-going"),
        (["tasks.py", "--on-int"], "plain,--on-interrupt"),
        (["tasks.py", "--on-interrupt", "de"], "plain,detach"),
        (["-b", "thr"], "plain,thread"),
        (["tasks.py", "-b", "Main=thr"], "plain,Main=thread"),
        (["tasks.py", "-e", "Sm"], "plain,Small"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_completion(taskproc: Command, words: list[str], expected: str) -> None:
    assert expected in complete(taskproc, *words)


def test_the_completion_script_is_clicks_own(taskproc: Command) -> None:
    ended = taskproc("--help", _TASKPROC_COMPLETE="bash_source")
    assert "_taskproc_completion" in ended.out
