"""Bad input and bad circumstances get one clear sentence, on the last line of what a script prints."""
from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ScriptRunner

SETUP = "from taskproc import *\n"


def last_line(run_script: ScriptRunner, text: str, **others: object) -> str:
    """Run a script that fails, and give the end of what it says."""
    ended = run_script(SETUP + text, check=False, **others)  # type: ignore[arg-type]
    assert ended.code == 1, ended
    return ended.err.rstrip().rpartition("\n")[2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            """
class Merge(TaskBase):
    counts: RequiresList[int]
Merge()
""",
            "taskproc.TaskDefinitionError: script.py: Merge.counts is not set. Assign a task to self.counts in "
            "Merge.__init__, or Const(value) for a fixed value.",
        ),
        (
            """
class Merge(TaskBase):
    counts: RequiresList[int]
    def __init__(self):
        self.counts = [Const(1), 2]
Merge()
""",
            "taskproc.TaskDefinitionError: script.py: Merge.counts[1] is 2 (of type int), which is not a task; "
            "wrap a fixed value as Const(value).",
        ),
        (
            """
class Up(TaskBase): ...
class Merge(TaskBase):
    up: Requires[int]
    def __init__(self):
        self.up = Up
Merge()
""",
            "taskproc.TaskDefinitionError: script.py: Merge.up is <class '__main__.Up'> (of type TaskMeta), "
            "which is not a task; call it to make a task.",
        ),
        (
            """
class Ping(TaskBase):
    other: Requires[int]
    def __init__(self, n: int):
        self.other = Pong(n)
class Pong(TaskBase):
    other: Requires[int]
    def __init__(self, n: int):
        self.other = Ping(n)
Ping(1)
""",
            "taskproc.CycleError: a task needs itself: Ping(n=1) -> Pong(n=1) -> Ping(n=1)",
        ),
        (
            """
class Careless(TaskBase):
    def __init_subclass__(cls, **kwargs): ...
class Step(Careless): ...
Step()
""",
            "taskproc.TaskDefinitionError: script.py: Step was not set up as a task: "
            "Careless.__init_subclass__ must call super().__init_subclass__(**kwargs).",
        ),
        (
            "class Step(TaskBase, chanel='x'): ...",
            "taskproc.TaskDefinitionError: script.py: Step: unknown class keyword chanel "
            "(Step.__init_subclass__() takes no keyword arguments).",
        ),
        (
            """
class Step(TaskBase):
    def __init__(self, data): ...
Step(object())
""",
            None,
        ),
        ("TaskBase()", "taskproc.TaskDefinitionError: TaskBase is no task itself; derive a class from it and "
                       "define run_task."),
        (
            """
class Step(TaskBase): ...
Step().run_graph(on_error='ignore')
""",
            "taskproc.SettingsError: on_error='ignore' is neither 'stop' nor 'continue'",
        ),
        (
            """
class Step(TaskBase): ...
Step().run_graph(max_workers=0)
""",
            "taskproc.SettingsError: max_workers=0 is not a whole number from 1",
        ),
        (
            """
class Step(TaskBase): ...
Step().run_graph(rate_limits={'x': 0})
""",
            "taskproc.SettingsError: the rate limit of 'x' is 0; it must be a whole number from 1",
        ),
        (
            """
class Step(TaskBase): ...
Step().get_task_result()
""",
            None,
        ),
    ],
    ids=[
        "unset requirement", "requirement that is no task", "class instead of a task", "cycle",
        "missing super().__init_subclass__", "unknown class keyword", "argument without identity", "TaskBase itself",
        "on_error", "max_workers", "rate limit", "no result",
    ],
)
def test_mistake_is_told_in_one_sentence(run_script: ScriptRunner, text: str, said: str | None):
    line = last_line(run_script, text)
    if said is not None:
        assert line == said
    elif "object()" in text:
        assert line.startswith("taskproc.TaskDefinitionError: ")
        assert "data" in line
    else:
        assert line.startswith("taskproc.ResultNotFoundError: Step() has no result in ")


@pytest.mark.parametrize(
    ("keyword", "said"),
    [
        ("compress_level=10", "compress_level=10 is not one of -1 and 0 to 9."),
        ("retries=-1", "retries=-1 is not a whole number from 0."),
        ("timeout=0", "timeout=0 is not a number of seconds above 0."),
        ("store='zip'", "store='zip' is neither 'tree' nor 'packed'."),
        ("channel=3", "channel=3 is not a label or several labels (text)."),
    ],
)
def test_class_keyword_that_is_not_right(run_script: ScriptRunner, keyword: str, said: str):
    line = last_line(run_script, f"class Step(TaskBase, {keyword}): ...")
    assert line == f"taskproc.TaskDefinitionError: script.py: Step: {said}"


def test_endless_nesting_is_an_error_with_the_last_constructor(run_script: ScriptRunner):
    text = """
from taskproc.tasks import construction
construction.MAX_LEVELS = 1000
class Endless(TaskBase):
    up: Requires[int]
    def __init__(self, n: int):
        self.up = Endless(n + 1)
Endless(0)
"""
    line = last_line(run_script, text)
    assert "constructors nest more than 1,000 levels deep, the last one Endless(n=1000)" in line


STEP = """
class Step(TaskBase):
    def __init__(self, n: int):
        self.n = n
    def run_task(self):
        return "x" * self.n
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def make_read_only(disk: Path) -> None:
    """Let nobody write to a disk any more, not even the superuser."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def test_read_only_cache_is_named(run_script: ScriptRunner, small_disk: Path):
    make_read_only(small_disk)
    line = last_line(run_script, STEP + "Step(1).run_graph()", env={"TP_CACHE_DIR": str(small_disk / "cache")})
    place = small_disk / "cache" / "taskproc"
    assert line == f"taskproc.CacheError: the cache {place} cannot be written to: Read-only file system"


@pytest.mark.parametrize("store", ["tree", "packed"])
def test_cached_results_are_read_from_a_read_only_cache(run_script: ScriptRunner, small_disk: Path, store: str):
    text = SETUP + STEP + "print(len(Step(1).run_graph()))"
    env = {"TP_CACHE_DIR": str(small_disk / "cache"), "TP_STORE": store}
    run_script(text, env=env)
    make_read_only(small_disk)
    ended = run_script(text, env=env)
    assert (ended.out, ended.err) == ("1\n", "")


@pytest.mark.parametrize("backend", ["process", "thread", "prefix"])
def test_full_disk_fails_the_task_and_leaves_nothing(run_script: ScriptRunner, small_disk: Path, backend: str):
    text = SETUP + STEP.replace('"x" * self.n', "__import__('os').urandom(self.n)")
    text += f"""
import sys
try:
    Step(1 << 21).run_graph(backend={backend!r})
except FailedTaskError as error:
    print(str(error).partition(chr(10))[0])
print(len(Step(10).run_graph(backend={backend!r})))
"""
    ended = run_script(text, env={"TP_CACHE_DIR": str(small_disk / "cache")})
    assert ended.out.startswith("Step(n=2097152) failed: ")
    assert "No space left on device" in ended.out
    assert ended.out.endswith("\n10\n")


def test_disk_that_is_full_from_the_start(run_script: ScriptRunner, small_disk: Path):
    (small_disk / "filler").write_bytes(b"x" * (1 << 20))
    line = last_line(run_script, STEP + "Step(1).run_graph()", env={"TP_CACHE_DIR": str(small_disk / "cache")})
    assert "No space left on device" in line
