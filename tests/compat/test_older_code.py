"""What code written for taskproc 0.13 relies on."""
from __future__ import annotations

import importlib
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import taskproc
from taskproc import Const, Context, FailedTaskError, Requires, RequiresDict, TaskBase
from tests.compat.meeting import Meets
from tests.support import run_and_count

pytestmark = pytest.mark.usefixtures("cache")


class Choose(TaskBase):
    prev1: Requires[int]
    prev2: Requires[int]

    def __init__(self, n: int, k: int):
        if 0 < k < n:
            self.prev1 = Choose(n - 1, k - 1)
            self.prev2 = Choose(n - 1, k)
        else:
            self.prev1 = Const(0)
            self.prev2 = Const(1)

    def run_task(self) -> int:
        return self.prev1 + self.prev2


def test_clearing_one_task_runs_it_and_what_depends_on_it():
    assert run_and_count(Choose(6, 3), backend="thread") == (20, 15)
    assert run_and_count(Choose(6, 3), backend="thread") == (20, 0)
    Choose(3, 3).clear_task()
    assert run_and_count(Choose(6, 3), backend="thread") == (20, 4)
    Choose.clear_all_tasks()
    assert run_and_count(Choose(6, 3), backend="thread") == (20, 15)


def test_stats_count_what_ran_by_name():
    _, stats = Choose(6, 3).run_graph_with_stats(backend="thread")
    assert stats["stats"] == {Choose.task_name: 15}
    _, stats = Choose(6, 3).run_graph_with_stats(backend="thread")
    assert stats["stats"] == {}


def test_generations_list_what_is_left():
    _, stats = Choose(3, 1).run_graph_with_stats(backend="thread", dump_generations=True)
    assert {"n": 3, "k": 1} in stats["generations"][0][Choose.task_name]
    left = [sum(map(len, generation.values())) for generation in stats["generations"]]
    assert left == sorted(left, reverse=True)
    assert left[0] == 5


class TaskA(TaskBase, channel=["<mychan>", "<another_chan>"]):
    def __init__(self): ...

    def run_task(self) -> str:
        return "hello"


class TaskB(TaskBase, channel="<mychan>"):
    def run_task(self) -> str:
        return "world"


class TaskC(TaskBase, compress_level=-1):
    a: Requires[str]
    b: Requires[str]

    def __init__(self):
        self.a = TaskA()
        self.b = TaskB()

    def run_task(self) -> str:
        return f"{self.a}, {self.b}"


def test_channels_and_levels_are_where_they_were():
    assert TaskC().run_graph(rate_limits={"<mychan>": 1}, backend="thread") == "hello, world"
    assert TaskA._task_config.channels == (TaskA.task_name, "<mychan>", "<another_chan>")
    assert TaskB._task_config.channels == (TaskB._task_config.name, "<mychan>")
    assert TaskC._task_config.channels == (TaskC.task_name,)
    assert TaskC._task_config.db.compress_level == -1
    assert TaskA._task_config.db.compress_level == 9


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("taskproc", "Context Task TaskBase Req Requires RequiresList RequiresDict Const FailedTaskError"),
        ("taskproc.task", "Task TaskBase Req Requires RequiresList RequiresDict Const"),
        ("taskproc.graph", "FailedTaskError TaskGraph"),
        ("taskproc.types", "Context"),
        ("taskproc.app", "main"),
    ],
)
def test_names_are_imported_from_where_they_were(module: str, names: str):
    found = importlib.import_module(module)
    for name in names.split():
        assert hasattr(found, name)
        if hasattr(taskproc, name):
            assert getattr(found, name) is getattr(taskproc, name)


class Raises(TaskBase):
    def run_task(self) -> None:
        raise ValueError(42)


def test_failure_has_its_task_and_exception():
    with pytest.raises(FailedTaskError) as caught:
        Raises().run_graph(backend="thread")
    assert caught.value.task is Raises()
    assert caught.value.exception.args == (42,)


class CreateFile(TaskBase):
    def __init__(self, content: str):
        self.content = content

    def run_task(self) -> str:
        path = self.task_directory / "test.txt"
        path.write_text(self.content)
        return str(path)


class GreetWithFile(TaskBase):
    filepath: Requires[str]

    def __init__(self, name: str):
        self.filepath = CreateFile(f"Hello, {name}!")

    def run_task(self) -> str:
        return Path(self.filepath).read_text()


def greet(name: str) -> str:
    return GreetWithFile(name).run_graph(backend="thread")


def test_directories_are_there_before_a_run_and_persist_until_cleared(either_store: str):
    world, me = CreateFile("Hello, world!").task_directory, CreateFile("Hello, me!").task_directory
    assert not list(world.iterdir())
    assert greet("world") == "Hello, world!"
    assert greet("me") == "Hello, me!"
    assert list(world.iterdir())
    GreetWithFile.clear_all_tasks()
    assert greet("world") == "Hello, world!"
    CreateFile("Hello, world!").clear_task()
    assert not list(world.iterdir())
    assert list(me.iterdir())
    assert greet("world") == "Hello, world!"
    CreateFile.clear_all_tasks()
    assert not world.exists()
    assert not me.exists()
    assert greet("world") == "Hello, world!"


class CountElem(TaskBase):
    def __init__(self, x: list | dict):
        self.x = x

    def run_task(self) -> int:
        return len(self.x)


class SummarizeParam(TaskBase):
    d_counts: RequiresDict[str, int]

    def __init__(self, **params: Any):
        self.a_params = params
        self.keys = [key for key in params if isinstance(params[key], (list, dict))]
        self.d_counts = {key: CountElem(params[key]) for key in self.keys}

    def run_task(self) -> dict[str, int | None]:
        return {**self.d_counts, **{key: None for key in self.a_params if key not in self.keys}}


def test_arguments_like_json():
    task = SummarizeParam(x=[1, 2], y=dict(zip(range(3), "abc", strict=True)), z=42)
    assert task.run_graph(backend="thread") == {"x": 2, "y": 3, "z": None}


class MultiResultTask(TaskBase):
    def run_task(self) -> dict[str, list[str]]:
        return {"hello": ["world", "42"]}


class DownstreamTask(TaskBase):
    up: Requires[str]

    def __init__(self) -> None:
        self.up = MultiResultTask()["hello"][1]

    def run_task(self) -> str:
        return self.up


def test_parts_of_a_result():
    assert DownstreamTask().run_graph(backend="thread") == "42"


class PrefixedJob(TaskBase, prefix_command="sh -c 'echo hello; exec \"$@\"' sh"):
    def run_task(self) -> None:
        print("world")


def test_prefix_command_in_a_pool_of_one_thread(capfd):
    with ThreadPoolExecutor(max_workers=1) as pool:
        PrefixedJob().run_graph(executor=pool)
    assert capfd.readouterr() == ("", "")
    assert PrefixedJob().task_stdout.read_text() == "=== caller log ===\nhello\n=== callee log ===\nworld\n"
    assert PrefixedJob().task_stderr.read_text() == "=== caller log ===\n=== callee log ===\n"


def test_forced_interactive_prints_to_the_terminal(capsys):
    class Job(TaskBase):
        def run_task(self) -> None:
            print("world")

    with ThreadPoolExecutor(max_workers=1) as pool:
        Job().run_graph(executor=pool, force_interactive=True)
    assert capsys.readouterr() == ("world\n", "")
    assert not Job().task_stdout.exists()
    assert not Job().task_stderr.exists()


def test_tasks_that_need_not_wait_for_one_another_run_at_the_same_time(tmp_path: Path):
    first = Meets(tmp_path, "first")
    left, right = Meets(tmp_path, "left", first, meets="right"), Meets(tmp_path, "right", first, meets="left")
    last = Meets(tmp_path, "last", left, right)
    assert last.run_graph(max_workers=2) == ["first", "left", "first", "right", "last"]


def test_context_is_set_by_assignment(cache: Path, tmp_path: Path):
    Context.cache_dir = tmp_path / "elsewhere"
    Choose(2, 1).run_graph(backend="thread")
    assert (tmp_path / "elsewhere" / "taskproc" / Choose.task_name).is_dir()
    assert not cache.exists()


def test_pools_of_the_context(cache: Path):
    with Context.get_executor("thread", 1) as threads, Context.get_executor("process", 1) as processes:
        assert isinstance(threads, ThreadPoolExecutor)
        assert isinstance(processes, ProcessPoolExecutor)
