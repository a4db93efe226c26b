"""Results that name files of the cache: where the cache is now, checked for being there, a part of what is the same."""
from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import Ended, ScriptRunner

STEPS = """
from pathlib import Path
from taskproc import Requires, TaskBase

def note(name):
    with open("ran.txt", "a") as file:
        print(name, file=file)

class Table(TaskBase):
    def run_task(self):
        note("Table")
        path = self.task_directory / "table.txt"
        path.write_text("1 2 3")
        return {"path": path}

class Named(TaskBase):
    table: Requires[dict]
    def __init__(self):
        self.table = Table()
    def run_task(self):
        note("Named")
        return [str(self.table["path"])]

class Sum(TaskBase):
    named: Requires[list]
    def __init__(self, factor: int = 1):
        self.factor, self.named = factor, Named()
    def run_task(self):
        note("Sum")
        numbers = map(int, Path(self.named[0]).read_text().split())
        return self.factor * sum(numbers)
"""


class Project:
    """A script of steps with its own cache beside it, which is edited and moved between its runs."""

    def __init__(self, run_script: ScriptRunner, store: str) -> None:
        self._run_script = run_script
        self._store = store
        self.home = run_script.home / "project"
        self.home.mkdir()
        self.text = STEPS
        self.cache = ".cache"

    def edit(self, before: str, after: str) -> None:
        assert self.text.count(before) == 1
        self.text = self.text.replace(before, after)

    def do(self, statement: str, check: bool = True) -> tuple[str, list[str]]:
        """Do something with the steps in a process of its own; give what it said, and what ran, sorted."""
        ended = self._run([sys.executable, "-c", f"from steps import *; {statement}"], check)
        return (ended.out + ended.err).strip(), self._ran()

    def command(self, *words: str, code: int = 0) -> str:
        """Give the output of a command."""
        ended = self._run([sys.executable, "-m", "taskproc", *words], False)
        assert ended.code == code, ended
        return ended.out + ended.err

    def sum(self, factor: int = 1) -> tuple[str, list[str]]:
        return self.do(f"print(Sum({factor}).run_graph())")

    def data(self, name: str) -> Path:
        """Give the file that a task's data directory holds."""
        (found,) = (self.home / ".cache/taskproc" / f"steps.{name}").glob("results/*/data/*")
        return found

    def move(self, name: str) -> Path:
        """Move the project, and give where it was."""
        before = self.home
        self.home = before.with_name(name)
        os.rename(before, self.home)
        return before

    def _run(self, command: list[str], check: bool) -> Ended:
        (self.home / "steps.py").write_text(self.text)
        (self.home / "ran.txt").write_text("")
        environment: Mapping[str, str] = {"TP_STORE": self._store, "TP_CACHE_DIR": self.cache}
        within = ScriptRunner(self.home, self.home / ".cache")
        return within.run(command, env=environment, check=check)

    def _ran(self) -> list[str]:
        return sorted((self.home / "ran.txt").read_text().split())


@pytest.fixture(params=["tree", "packed"])
def project(request: pytest.FixtureRequest, run_script: ScriptRunner) -> Project:
    made = Project(run_script, request.param)
    assert made.sum() == ("6", ["Named", "Sum", "Table"])
    return made


def test_moved_cache_finds_its_own_files(project: Project):
    project.move("elsewhere")
    assert project.sum(2) == ("12", ["Sum"])


def test_copied_cache_reads_its_own_files(project: Project):
    original = project.home
    shutil.copytree(original, original.with_name("copy"), symlinks=True)
    project.data("Table").write_text("7 7 7")
    project.home = original.with_name("copy")
    assert project.sum(2) == ("12", ["Sum"])


def test_result_is_read_from_another_directory_by_another_process(project: Project, tmp_path: Path):
    statement = "import os; os.environ.pop('TP_CACHE_DIR'); from taskproc import Context; "
    statement += f"Context.cache_dir = {str(project.home / '.cache')!r}; os.chdir('/'); "
    statement += "print(Named().get_task_result()[0], Table().get_task_result()['path'].read_text())"
    assert project.do(statement) == (f"{project.data('Table')} 1 2 3", [])


@pytest.mark.parametrize("backend", ["thread", "process", "prefix"])
def test_file_that_is_gone_is_made_again_and_nothing_else_runs(project: Project, backend: str):
    project.data("Table").unlink()
    out, ran = project.do(f"print(Sum().run_graph(backend={backend!r}), Table().run_graph()['path'].read_text())")
    assert (out, ran) == ("6 1 2 3", ["Table"])
    assert project.sum() == ("6", [])


def test_reason_says_which_file_and_what_has_become_of_it(project: Project):
    table = project.data("Table")
    table.write_text("1 2 3 4")
    why = project.command("why", "steps.py", "-e", "Sum")
    assert "Table()\n  its file data/table.txt has 7 bytes instead of 5" in why
    assert "Table(): its file data/table.txt has 7 bytes" in project.command("steps.py", "-e", "Sum", "--dry-run")
    table.unlink()
    assert "its file data/table.txt is gone" in project.command("why", "steps.py", "Table", "-e", "Sum")
    table.mkdir()
    assert "its file data/table.txt is a directory now" in project.command("why", "steps.py", "Table", "-e", "Sum")


def test_file_that_only_a_later_result_names_makes_its_own_task_run(project: Project):
    project.edit('return {"path": path}', "return None")
    project.edit('str(self.table["path"])', 'str(Table().task_directory / "table.txt")')
    assert project.sum() == ("6", ["Named", "Sum", "Table"])
    project.data("Table").unlink()
    text = "its file data/table.txt is gone, which is in the result of Named()"
    assert text in project.command("why", "steps.py", "Table", "-e", "Sum")
    assert project.sum() == ("6", ["Table"])


def test_result_with_the_same_files_spares_what_follows_and_with_others_does_not(project: Project):
    project.edit('path.write_text("1 2 3")', 'path.write_text(" ".join("123"))')
    assert project.sum() == ("6", ["Table"])
    project.edit('path.write_text(" ".join("123"))', 'path.write_text("1 2 4")')
    assert project.sum() == ("7", ["Named", "Sum", "Table"])  # though the result of Named() is the same path
    assert project.sum()[1] == []


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("'in=' + str(self.table['path'])", "self.named[0][3:]"),
        ("bytes(self.table['path'])", "self.named[0].decode()"),
        ("__import__('os').path.relpath(self.table['path'])", "self.named[0]"),
        ("Table()", "self.named[0].get_task_result()['path']"),
    ],
    ids=["in longer text", "bytes", "relative", "a task"],
)
def test_path_that_is_passed_on_spares_nothing_if_what_it_leads_to_has_changed(project: Project, given: str, read: str):
    project.edit('str(self.table["path"])', given)
    project.edit("Path(self.named[0])", f"Path({read})")
    project.sum()
    project.edit('path.write_text("1 2 3")', 'path.write_text("1 2 4")')
    assert project.sum() == ("7", ["Named", "Sum", "Table"])
    assert project.sum()[1] == []


def test_path_that_is_passed_on_spares_what_follows_if_all_is_as_before(project: Project):
    project.edit('str(self.table["path"])', 'str(dict(self.table)["path"])')
    assert project.sum() == ("6", ["Named"])


@pytest.mark.parametrize(
    ("kind", "written", "runs"),
    [
        ("exists", "longer than before", False),
        ("size", "3 2 1", False),
        ("size", "longer than before", True),
        ("content", "3 2 1", True),
        ("content", "1 2 3", False),
    ],
)
def test_class_says_what_counts_of_its_files(project: Project, kind: str, written: str, runs: bool):
    project.edit("class Table(TaskBase)", f"class Table(TaskBase, files={kind!r})")
    assert project.sum()[1] == []  # the keyword is no part of the source
    project.do("Table().clear_task(); Table().run_graph()")
    project.data("Table").write_text(written)
    assert project.do("Table().run_graph()")[1] == (["Table"] if runs else [])


def test_files_of_which_only_the_presence_counts_may_be_others_each_time(project: Project):
    project.edit("class Table(TaskBase)", "class Table(TaskBase, files='exists')")
    project.edit('path.write_text("1 2 3")', 'path.write_text("1 2 3" + "")')
    assert "Named" in project.sum()[1]
    project.edit('"1 2 3" + ""', '"1 2 3" + "" + ""')
    assert "Named" in project.sum()[1]


def test_directory_is_looked_through_as_far_as_the_class_says(project: Project):
    project.edit('return {"path": path}', 'return {"path": path, "all": self.task_directory}')
    project.sum()
    inside = project.data("Table").parent / "added.txt"
    inside.write_text("by somebody")
    assert project.sum()[1] == []
    project.edit("class Table(TaskBase)", "class Table(TaskBase, files='content')")
    assert "its file data/added.txt was not there before" in project.command("why", "steps.py", "Table", "-e", "Sum")
    inside.unlink()
    assert project.sum()[1] == []
    project.data("Table").write_text("2 2 2")
    assert project.sum() == ("6", ["Table"])


def test_path_that_cannot_be_made_relative_is_not_followed_to_another_cache(project: Project):
    project.edit("return [str(self.table", "return [b'' + bytes(self.table")
    project.edit("Path(self.named[0])", "Path(self.named[0].decode())")
    assert project.sum()[1] == ["Named", "Sum"]
    assert project.sum()[1] == []
    project.move("elsewhere")
    assert "the cache was moved" in project.command("why", "steps.py", "Named", "-e", "Sum")
    assert project.sum(2) == ("12", ["Named", "Sum"])


def test_name_of_a_file_that_is_yet_to_be_written_is_only_a_name(project: Project):
    project.edit('return {"path": path}', 'return {"path": path, "later": path.with_name("later.txt")}')
    project.sum()
    assert project.sum()[1] == []


def test_task_with_a_file_is_cleared_with_it_and_the_next_run_makes_it_again(project: Project):
    project.do("Table().clear_task()")
    assert project.sum()[1] == ["Named", "Sum", "Table"]
    project.command("clear", "steps.py", "Table", "-y")
    assert project.sum(2) == ("12", ["Named", "Sum", "Table"])


def test_keyword_that_is_none_is_refused_with_a_sentence(project: Project):
    project.edit("class Table(TaskBase)", "class Table(TaskBase, files='all')")
    out, _ = project.do("pass", check=False)
    assert "steps.py: Table: files='all' is neither 'exists' nor 'size' nor 'content'." in out


def test_what_counts_is_said_by_the_class_whose_file_it_is(project: Project):
    project.edit("class Table(TaskBase)", "class Table(TaskBase, files='exists')")
    project.data("Table").write_text("1 2 3 4")  # which the result of Named() names, too
    project.do("Table().clear_task()")
    project.sum()
    project.data("Table").write_text("1 2 3 4 5")
    assert project.sum()[1] == []
    project.data("Table").unlink()
    assert project.sum()[1] == ["Named", "Sum", "Table"]


def test_file_of_a_task_outside_of_the_graph_makes_the_one_that_names_it_run(project: Project):
    project.edit("    def __init__(self):\n        self.table = Table()\n", "")
    project.edit("    table: Requires[dict]\n", "")
    project.edit('self.table["path"]', 'Table().run_graph(backend="thread")["path"]')
    project.sum()
    project.data("Table").unlink()
    assert "another task's file data/table.txt is gone" in project.command("why", "steps.py", "Named", "-e", "Sum")
    assert project.sum() == ("6", ["Named", "Table"])
    assert project.sum()[1] == []


def test_notes_that_cannot_be_read_are_no_reason_to_trust_a_result(project: Project):
    (path,) = (project.home / ".cache/taskproc").glob("steps.Table/results/*/result.pkl.gz")
    data = path.read_bytes()
    path.write_bytes(data.replace(b'{"files"', b'?"files"?'[:8]))
    assert path.read_bytes() != data
    why = project.command("why", "steps.py", "Table", "-e", "Sum")
    assert "what its result notes of its files cannot be read" in why
    assert "Table" in project.sum()[1]


@pytest.mark.parametrize("directory", ["link", "odd \udcff'$(x) é"])
@pytest.mark.parametrize("backend", ["thread", "process", "prefix"])
def test_cache_may_be_called_anything_and_be_reached_by_a_link(project: Project, directory: str, backend: str):
    project.cache = directory
    if directory == "link":
        (project.home / "real").mkdir()
        os.symlink("real", project.home / "link")
    project.edit('return {"path": path}', 'return {"path": path.resolve()}')
    statement = f"print(Sum().run_graph(backend={backend!r}))"
    assert project.do(statement) == ("6", ["Named", "Sum", "Table"])
    project.move("elsewhere")
    assert project.do(statement) == ("6", [])
    assert project.do("print(Sum(2).run_graph())") == ("12", ["Sum"])


class TestVerify:
    """`taskproc verify` reads everything, and changes nothing."""

    def test_all_is_right(self, project: Project):
        all_right = "All is as it was written: 3 results and 2 files that they name, "
        assert all_right in project.command("verify", "steps.py", "-e", "Sum")
        project.move("elsewhere")
        assert all_right in project.command("verify", ".cache")

    def test_content_that_no_run_would_read_is_found(self, project: Project):
        project.data("Table").write_text("3 2 1")
        out = project.command("verify", "steps.py", "-e", "Sum", code=1)
        assert f"Table()\n  the file {project.data('Table')} has another content" in out
        assert "1 task of 3 has something damaged" in out
        assert project.sum()[1] == []

    def test_missing_file_is_told_with_all_that_name_it(self, project: Project):
        project.data("Table").unlink()
        out = project.command("verify", ".cache", code=1)
        assert out.count("data/table.txt is gone") == 2
        assert "2 tasks of 3 have something damaged" in out

    def test_damaged_results_are_found_where_they_lie(self, project: Project):
        root = project.home / ".cache/taskproc"
        results = [*root.glob("*/results/*/result.pkl.gz")]
        for path in results:
            data = bytearray(path.read_bytes())
            data[-300 if path.parent.parent.parent.name == "steps.Table" else -6] ^= 0xFF
            path.write_bytes(data)
        for path in root.glob("*/packed.sqlite3"):
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute("UPDATE results SET value = CAST(x'00' || value AS BLOB)")
        before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        out = project.command("verify", "steps.py", "-e", "Sum", code=1)
        assert "Sum(factor=1)\n  its result" in out
        assert "tasks of 3 have something damaged" in out
        assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before

    def test_only_what_the_entry_point_needs_is_read(self, project: Project):
        project.sum(2)
        assert "4 results" in project.command("verify", ".cache")
        assert "1 result and 1 file" in project.command("verify", "steps.py", "-e", "Table")

    def test_packed_file_that_is_none_is_told_and_left_alone(self, project: Project):
        packed = [*(project.home / ".cache").rglob("packed.sqlite3")]
        for path in packed:
            path.write_bytes(b"no database" * 1000)
        project.command("verify", ".cache", code=1 if packed else 0)
        assert all(path.read_bytes() == b"no database" * 1000 for path in packed)

    def test_empty_cache_is_right(self, project: Project):
        project.command("clear", "steps.py", "-y")
        assert "0 results and 0 files" in project.command("verify", "steps.py", "-e", "Sum")

    def test_options_that_would_mean_nothing_are_refused(self, project: Project):
        assert "-e and -s say which tasks" in project.command("verify", ".cache", "-e", "Sum", code=2)
        assert "-e and -s say which tasks" in project.command("verify", "-s", "factor=2", code=2)
