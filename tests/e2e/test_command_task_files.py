"""Task files of any name and in any place, and what is said of those that cannot be used."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import Command

TASK = """
    from taskproc import Requires, TaskBase

    class Up(TaskBase):
        def run_task(self) -> str:
            print("up")
            return "from up"

    class Main(TaskBase):
        up: Requires[str]
        def __init__(self) -> None:
            self.up = Up()
        def run_task(self) -> None:
            print("got it", self.up)
"""

ODD = [
    "with space", "quote's", 'double"quote', "new\nline", "dollar$HOME", "semi;colon", "back\\slash", "ümläut", "-dash"
]


@pytest.mark.parametrize("odd", ODD, ids=[ascii(name) for name in ODD])
def test_any_path_works_for_file_and_cache(taskproc: Command, odd: str) -> None:
    file = taskproc.file(TASK, f"{odd}/{odd}.py")
    cache = taskproc.home / f"{odd} cache"
    for expected in ("2 tasks ran", "nothing ran"):
        ended = taskproc(file, "--cache-dir", cache)
        assert ended.code == 0, ended.err
        assert expected in ended.out
        assert "got it from up" in ended.out
    assert (cache / "taskproc" / f"{odd}.Main").is_dir()


def test_a_name_that_is_no_identifier(taskproc: Command) -> None:
    taskproc.file(TASK, "2nd-try.py")
    assert "got it from up" in taskproc("2nd-try.py").out


def test_a_file_in_a_package_is_imported_as_its_module(taskproc: Command) -> None:
    taskproc.file("", "pkg/__init__.py")
    taskproc.file("", "pkg/sub/__init__.py")
    taskproc.file("WORD = 'relative'\n", "pkg/helper.py")
    taskproc.file("WORD = 'beside'\n", "pkg/sub/neighbour.py")
    taskproc.file(
        """
        from taskproc import TaskBase
        from ..helper import WORD
        import neighbour
        class Main(TaskBase):
            def run_task(self):
                print(__name__, WORD, neighbour.WORD)
        """,
        "pkg/sub/tasks.py",
    )
    ended = taskproc("pkg/sub/tasks.py")
    assert "pkg.sub.tasks relative beside" in ended.out, ended.err
    assert (taskproc.home / "pkg/sub/.cache/taskproc/pkg.sub.tasks.Main").is_dir()


def test_modules_beside_the_file_come_before_installed_ones(taskproc: Command) -> None:
    taskproc.file("VALUE = 'mine'\n", "pytest.py")
    taskproc.file(
        """
        from taskproc import TaskBase
        import pytest
        class Main(TaskBase):
            def run_task(self):
                print("value", pytest.VALUE)
        """
    )
    assert "value mine" in taskproc("tasks.py").out


def test_the_suffix_may_be_left_out(taskproc: Command) -> None:
    taskproc.file(TASK)
    assert taskproc("tasks").code == 0


def test_a_quick_edit_of_equal_length_is_seen(taskproc: Command) -> None:
    import os

    file = taskproc.file("from taskproc import TaskBase\nclass Main(TaskBase):\n    def run_task(self): print('one')\n")
    when = file.stat().st_mtime_ns + 100 * 10**9  # so that no bytecode is newer, however long the first run takes
    os.utime(file, ns=(when, when))
    assert "one" in taskproc(file).out
    file.write_text(file.read_text().replace("one", "two"))
    os.utime(file, ns=(when, when))
    assert "two" in taskproc(file).out


@pytest.mark.parametrize("name", ["random", "tqdm", "taskproc", "__main__"])
def test_a_name_that_is_taken_gets_one_sentence(taskproc: Command, name: str) -> None:
    ended = taskproc(taskproc.file(TASK, f"sub/{name}.py"))
    assert ended.code == 2
    assert "another name" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["taks.py"], "did you mean 'tasks.py'?"),
        (["backend"], "did you mean the command `taskproc backends`?"),
        (["nowhere/tasks.py"], "no directory"),
        (["."], "is a directory"),
        (["notes.txt"], "is no Python file"),
        (["a.b.py"], "Rename it, for example to 'a_b.py'"),
        (["tasks.py", "-e", "Mian"], "tasks.py has no Mian; did you mean 'Main'?"),
        (["tasks.py", "-e", "helper"], "helper is a function, not a task class"),
        (["tasks.py", "-e", "Plain"], "Plain is the class Plain, not a task class"),
        (["tasks.py", "--max-worker", "3"], "--max-workers"),
        (["tasks.py", "-w", "0"], "0"),
        (["tasks.py", "-s", "n"], "is not name=value"),
        (["tasks.py", "-s", "n=1"], "Main has no argument 'n'"),
        (["tasks.py", "-b", "proces"], "did you mean 'process'?"),
        (["tasks.py", "-b", "Mein=thread"], "did you mean 'Main'?"),
        (["tasks.py", "-b", "thread", "-b", "process"], "more than one backend"),
        (["tasks.py", "-b", "process", "-o", "cpu=3"], "did you mean 'cpus'?"),
        (["tasks.py", "-b", "process", "-o", "cpus=many"], "option cpus"),
        (["tasks.py", "--limit", "download"], "is not label=n"),
        (["tasks.py", "--limit", "tasks.Man=2"], "did you mean 'tasks.Main'?"),
        (["tasks.py", "-p", "nowhere.py"], "nowhere.py"),
        (["tasks.py", "--kwargs", "[1]"], "not a JSON object"),
        (["tasks.py", "more.py"], "more.py"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_usage_is_one_sentence_and_status_2(taskproc: Command, words: list[str], said: str) -> None:
    taskproc.file(TASK + "\n    class Plain: pass\n\n    def helper(): pass\n")
    taskproc.file("", "notes.txt")
    taskproc.file(TASK, "a.b.py")
    ended = taskproc(*words)
    assert ended.code == 2, ended.out + ended.err
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert not (taskproc.home / ".cache").exists()


def test_a_file_without_tasks(taskproc: Command) -> None:
    taskproc.file("x = 1\n")
    assert "tasks.py has no Main, and no other task class" in taskproc("tasks.py").err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("class Main(:\n", "SyntaxError"),
        ("import nowhere_to_be_found\n", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("def deep():\n    raise KeyError('mine')\ndeep()\n", "KeyError: 'mine'"),
        ("raise SystemExit(3)\n", "ended the program while it was loaded"),
        (
            "from taskproc import TaskBase\nclass Main(TaskBase):\n    def __init__(self):\n        1 / 0\n",
            "ZeroDivisionError",
        ),
    ],
    ids=["syntax", "import", "while-loading", "exit", "constructor"],
)
def test_an_error_in_the_file_shows_the_users_own_traceback(taskproc: Command, text: str, said: str) -> None:
    file = taskproc.file(text)
    ended = taskproc(file)
    assert ended.code == 1
    assert said in ended.err
    lines = ended.err.splitlines()
    files = [line.split('"')[1] for line in lines if line.strip().startswith("File ")]
    assert files
    assert set(files) == {str(file)}


def test_a_task_that_is_not_right_gets_a_sentence_with_its_place(taskproc: Command) -> None:
    taskproc.file(
        """
        from taskproc import Requires, TaskBase
        class Main(TaskBase):
            up: Requires[int]
            def __init__(self):
                pass
        """
    )
    ended = taskproc("tasks.py")
    assert ended.code == 1
    assert "Main.up is not set" in ended.err
    assert "Traceback" not in ended.err


def test_an_argument_without_identity_is_placed(taskproc: Command) -> None:
    taskproc.file(
        """
        from taskproc import Requires, TaskBase
        class Up(TaskBase):
            def __init__(self, thing):
                pass
        class Main(TaskBase):
            up: Requires[None]
            def __init__(self):
                self.up = Up(object())
        """
    )
    ended = taskproc("tasks.py")
    assert ended.code == 1
    assert "tasks.py, line 9, in __init__: self.up = Up(object())" in ended.err
    assert "Traceback" not in ended.err


def test_the_link_not_its_target_names_the_module(taskproc: Command, tmp_path: Path) -> None:
    taskproc.file(TASK, "real.py")
    (taskproc.home / "elsewhere").mkdir()
    (taskproc.home / "elsewhere/linked.py").symlink_to(taskproc.home / "real.py")
    assert taskproc("elsewhere/linked.py").code == 0
    assert (taskproc.home / "elsewhere/.cache/taskproc/linked.Main").is_dir()
