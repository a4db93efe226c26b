"""What a task reads from outside makes it run again when it changes, and only then; scripts, commands, files."""
from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from tests.support import Ended, ScriptRunner, wait_for

STEPS = """
import json, os
from pathlib import Path
from taskproc import EnvVar, InputDir, InputFile, Package, Requires, TaskBase

class Count(TaskBase):
    def __init__(self, table: InputFile):
        self.table = table
    def run_task(self):
        return len(self.table.read_text().split())

class Rate(TaskBase):
    rate: Requires[float]
    def __init__(self):
        self.rate = InputFile("params.toml", key="train.rate")
    def run_task(self):
        return self.rate

class Mode(TaskBase, depends_on=EnvVar("MODE", default=None)):
    def run_task(self):
        return os.environ.get("MODE")

class Listing(TaskBase):
    def __init__(self, data: InputDir = "data"):
        self.data = data
    def run_task(self):
        return sorted(p.name for p in self.data.iterdir())

class Main(TaskBase):
    count: Requires[int]
    rate: Requires[float]
    mode: Requires[str]
    listing: Requires[list]
    def __init__(self, table: str = "in.csv"):
        self.count, self.rate, self.mode, self.listing = Count(table), Rate(), Mode(), Listing()
    def run_task(self):
        print(self.count, self.rate, self.mode, *self.listing)
"""


class Project:
    """A script of steps, with what they read."""

    def __init__(self, runner: ScriptRunner, store: str) -> None:
        self.home = runner.home
        self.environment = {"TP_STORE": store}
        self._runner = runner
        runner.write(STEPS, "steps.py")
        self.write("in.csv", "one two")
        self.write("params.toml", "seed = 1\n[train]\nrate = 0.5\n")
        self.write("data/a.txt", "a")

    def write(self, name: str, text: str) -> None:
        (self.home / name).parent.mkdir(exist_ok=True)
        (self.home / name).write_text(text)

    def command(self, *arguments: str, check: bool = True) -> Ended:
        command = [sys.executable, "-m", "taskproc", *(arguments or ("steps.py",))]
        return self._runner.run(command, env=self.environment, check=check)

    def run(self, *options: str) -> tuple[str, list[str]]:
        """Run the steps; give what they print, and the names of those that ran."""
        ended = self.command("steps.py", "--no-progress", *options)
        ran = [line.split()[0].removeprefix("steps.") for line in ended.out.splitlines() if line.endswith(" ran")]
        return ended.out, sorted(ran)

    def why(self, *arguments: str) -> str:
        return self.command("why", "steps.py", *arguments).out


@pytest.fixture(params=["tree", "packed"])
def project(request: pytest.FixtureRequest, run_script: ScriptRunner) -> Project:
    made = Project(run_script, request.param)
    assert made.run()[1] == ["Count", "Listing", "Main", "Mode", "Rate"]
    assert made.run()[1] == []
    return made


def test_what_read_a_changed_file_runs_again(project: Project):
    project.write("in.csv", "one two three")
    assert "in.csv changed (7 bytes -> 13 bytes)" in project.why()
    assert "Count(table='in.csv'): its inputs: in.csv changed (7 bytes -> 13 bytes)" in project.run("--dry-run")[0]
    out, ran = project.run()
    assert ran == ["Count", "Main"]
    assert "\n3 0.5 None a.txt\n" in out
    assert project.run()[1] == []


def test_who_only_looks_writes_nothing(project: Project):
    table = project._runner.cache / "taskproc/.inputs.sqlite3"
    table.unlink(missing_ok=True)
    for name in ("in.csv", "data/a.txt"):
        wait_for(lambda name=name: (project.home / name).stat().st_ctime < time.time() - 2.1, "time to pass")
    project.why()
    project.run("--dry-run")
    assert not table.exists()
    project.run()
    assert table.exists()


def test_touched_file_with_the_same_content_is_no_reason(project: Project):
    (project.home / "in.csv").touch()
    project.write("data/a.txt", "a")
    assert project.run()[1] == []


def test_other_content_of_the_same_size_is_seen(project: Project):
    project.write("in.csv", "one 2wo")
    assert "in.csv changed (still 7 bytes)" in project.why()
    assert project.run()[1] == ["Count"]  # its result is the same, which spares the others


def test_table_beside_the_one_that_is_read_is_no_reason(project: Project):
    project.write("params.toml", "seed = 2\n[train]\nrate = 0.5\n")
    assert project.run()[1] == []
    project.write("params.toml", "seed = 2\n[train]\nrate = 0.25\n")
    assert "params.toml[train.rate] changed from 0.5 to 0.25" in project.why()
    assert project.run()[1] == ["Main", "Rate"]


def test_variable_counts_by_its_text(project: Project):
    project.environment["MODE"] = "fast"
    assert "EnvVar MODE changed from None to 'fast'" in project.why()
    out, ran = project.run()
    assert (ran, "\n2 0.5 fast a.txt\n" in out) == (["Main", "Mode"], True)


def test_file_that_is_added_to_a_directory_counts(project: Project):
    project.write("data/b.txt", "")
    assert "data changed (1 file, 1 byte -> 2 files, 1 byte: b.txt is new)" in project.why()
    assert project.run()[1] == ["Listing", "Main"]
    project.write("data/a.txt", "A")
    (project.home / "data/b.txt").unlink()
    assert "data changed (2 files, 1 byte -> 1 file, 1 byte: a.txt changed, b.txt is gone)" in project.why()


def test_missing_file_is_an_error_before_anything_runs(project: Project):
    (project.home / "in.csv").unlink()
    project.write("params.toml", "[train]\nrate = 1.0\n")
    ended = project.command("steps.py", "--no-progress", check=False)
    where = project.home / "in.csv"
    assert ended.code != 0
    assert f"Error: Count(table='in.csv'): its file in.csv is not there (looked for at {where})." in ended.err
    assert "If another task of this graph makes it, require that task, and let it return the path." in ended.err
    assert "Traceback" not in ended.err
    assert "Rate(): its inputs: params.toml[train.rate] changed" in (dry := project.run("--dry-run")[0])
    assert "A run would be refused. Count(table='in.csv'): its file in.csv is not there" in dry
    project.write("in.csv", "one two")
    assert project.run()[1] == ["Main", "Rate"]


def test_file_that_lies_beside_the_script_is_told(project: Project, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    script = f"import os; os.chdir({str(elsewhere)!r})\nfrom steps import *\nCount('in.csv').run_graph()"
    ended = project._runner(script, check=False)
    remedy = f"run from {project.home}, or write Path(__file__).parent / 'in.csv'"
    assert f"There is one beside steps.py: {remedy}" in ended.err


def test_file_is_given_on_the_command_line(project: Project):
    project.write("other.csv", "one")
    assert "1 task ran" in project.run("-e", "Count", "-s", "table=other.csv")[0]
    assert "up to date" in project.run("-e", "Count", "-s", "table=in.csv")[0]
    ended = project.command("steps.py", "-e", "Count", "-s", "table=none.csv", check=False)
    assert "Count(table='none.csv'): its file none.csv is not there" in ended.err


def test_results_without_inputs_stay_when_the_class_gets_none(run_script: ScriptRunner):
    plain = """
        from taskproc import InputFile, TaskBase
        class A(TaskBase):
            def run_task(self):
                return 1
        if __name__ == "__main__":
            print(A().run_graph_with_stats()[1]["stats"])
    """
    with_input = plain.replace("(TaskBase)", "(TaskBase, depends_on=InputFile('in.csv'))")
    (run_script.home / "in.csv").write_text("1")
    counted = [run_script(text).out for text in (plain, plain, with_input, with_input, plain)]
    assert counted == ["{'script.A': 1}\n", "{}\n", "{'script.A': 1}\n", "{}\n", "{}\n"]


def test_input_that_changes_while_its_task_runs_makes_the_result_stale(run_script: ScriptRunner):
    text = """
        import time
        from pathlib import Path
        from taskproc import InputFile, TaskBase
        class Slow(TaskBase):
            def __init__(self, table: InputFile):
                self.table = table
            def run_task(self):
                text = self.table.read_text()
                Path("begun").touch()
                while Path("begun").exists():
                    time.sleep(0.01)
                return text
        if __name__ == "__main__":
            print(Slow("in.csv").run_graph())
    """
    table, begun = run_script.home / "in.csv", run_script.home / "begun"
    table.write_text("one")
    process = run_script.start([sys.executable, str(run_script.write(text, "slow.py"))])
    wait_for(begun.exists, "begin")
    table.write_text("two")
    begun.unlink()
    out, err = process.communicate(timeout=60)
    assert out == "one\n"
    assert "an input changed while the run went on (in.csv)" in err
    why = run_script.run([sys.executable, "-m", "taskproc", "why", "slow.py", "-e", "Slow", "-s", "table=in.csv"]).out
    assert "in.csv changed while it ran" in why
    process = run_script.start([sys.executable, "slow.py"])
    wait_for(begun.exists, "begin")
    begun.unlink()
    out, err = process.communicate(timeout=60)
    assert (out, err) == ("two\n", "")


EACH_WAY = """
import os, sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from taskproc import EnvVar, InputFile, Requires, TaskBase
class Reads(TaskBase, depends_on=EnvVar("MODE"), prefix_command=os.environ["PREFIX"]):
    mode: Requires[str]
    def __init__(self, table: InputFile):
        self.tables = {"one": [table]}
        self.mode = EnvVar("MODE")
    def run_task(self):
        table = self.tables["one"][0]
        return self.mode, os.environ["MODE"], isinstance(table, Path), table.read_text()
if __name__ == "__main__":
    ways = {"pool": {"executor": ProcessPoolExecutor(1)}, "interactive": {"force_interactive": True}}
    how = ways.get(sys.argv[1], {"backend": sys.argv[1]})
    for mode, text in ("a", "1"), ("a", "1"), ("b", "1"), ("b", "2"):
        os.environ["MODE"] = mode
        Path("in.csv").write_text(text)
        result, stats = Reads("in.csv").run_graph_with_stats(**how)
        print(*result, sum(stats["stats"].values()))
"""


@pytest.mark.parametrize("prefix", ["", "env"], ids=["bare", "behind a prefix"])
@pytest.mark.parametrize("way", ["process", "thread", "prefix", "pool", "interactive"])
def test_every_backend_reads_what_the_plan_saw(run_script: ScriptRunner, way: str, prefix: str):
    path = run_script.write(EACH_WAY, "each.py")
    out = run_script.run([sys.executable, str(path), way], env={"PREFIX": prefix}).out
    assert out.splitlines() == ["a a True 1 1", "a a True 1 0", "b b True 1 1", "b b True 2 1"]


def test_worker_that_does_not_see_the_file_says_so(run_script: ScriptRunner):
    text = """
        import os
        from pathlib import Path
        from taskproc import InputFile, TaskBase
        class Reads(TaskBase, prefix_command="rm -f in.csv;"):
            def __init__(self, table: InputFile):
                self.table = table
            def run_task(self):
                return 1
        if __name__ == "__main__":
            Path("in.csv").touch()
            Reads("in.csv").run_graph()
    """
    ended = run_script(text, check=False)
    where = run_script.home / "in.csv"
    assert f"its file in.csv is not there (looked for at {where}) on {os.uname().nodename}, where it runs" in ended.err


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return open(GLOBAL).read()", "run_task reads InputFile('in.csv'), which is no input of this task"),
        ("return open(self.held.inner).read()", "InputFile('in.csv') is inside of an object that taskproc does not"),
    ],
    ids=["global", "inside of an object"],
)
def test_input_that_nobody_would_look_at_is_refused(run_script: ScriptRunner, body: str, words: str):
    text = f"""
        from taskproc import InputFile, TaskBase
        GLOBAL = InputFile("in.csv")
        class Holder:
            pass
        class Reads(TaskBase):
            def __init__(self):
                if "held" in {body!r}:
                    self.held = Holder()
                    self.held.inner = GLOBAL
            def run_task(self):
                {body}
        if __name__ == "__main__":
            open("in.csv", "w").close()
            Reads().run_graph()
    """
    assert words in run_script(text, check=False).err


def test_nested_graph_reads_inputs_too(run_script: ScriptRunner):
    text = """
        from pathlib import Path
        from taskproc import InputFile, TaskBase
        TABLE = InputFile("in.csv")
        class Inner(TaskBase):
            def __init__(self, table: InputFile):
                self.stem, self.table = Path(table).stem, table
            def run_task(self):
                return self.stem, self.table.read_text()
        class Outer(TaskBase, depends_on=TABLE):
            def run_task(self):
                return Inner(TABLE).run_graph()
        if __name__ == "__main__":
            for text in "12":
                Path("in.csv").write_text(text)
                print(Outer().run_graph())
    """
    assert run_script(text).out == "('in', '1')\n('in', '2')\n"


def test_versions_of_tracked_packages_count(run_script: ScriptRunner):
    site = run_script.home / "site"

    def install(version: str) -> None:
        for name, text in {
            "toolbox/__init__.py": "def f(): return 1\n",
            "toolbox-0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: toolbox\nVersion: {version}\n",
            "toolbox-0.dist-info/top_level.txt": "toolbox\n",
        }.items():
            path = site / "lib/python3/site-packages" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    text = """
        import toolbox
        from taskproc import Requires, TaskBase
        class Uses(TaskBase):
            def run_task(self):
                return toolbox.f()
        class Main(TaskBase):
            uses: Requires[int]
            def __init__(self):
                self.uses = Uses()
            def run_task(self):
                return self.uses
        if __name__ == "__main__":
            print(sorted(Main().run_graph_with_stats()[1]["stats"]))
    """
    path = os.pathsep.join([run_script.environment()["PYTHONPATH"], f"{site}/lib/python3/site-packages"])
    environment = {"PYTHONPATH": path}
    both, one, none = "['steps.Main', 'steps.Uses']\n", "['steps.Uses']\n", "[]\n"
    install("1.0")
    assert run_script(text, "steps.py", env=environment).out == both
    tracking = {**environment, "TP_TRACK_PACKAGES": "toolbox"}
    assert run_script(text, "steps.py", env=tracking).out == one  # nobody knows which version it was
    assert run_script(text, "steps.py", env=tracking).out == none
    install("2.0")
    why = run_script.run([sys.executable, "-m", "taskproc", "why", "steps.py"], env=tracking).out
    assert "toolbox 1.0 -> 2.0" in why
    assert run_script(text, "steps.py", env=tracking).out == one
    assert run_script(text, "steps.py", env={**environment, "TP_TRACK_PACKAGES": "all"}).out == "['steps.Main']\n"
    assert run_script(text, "steps.py", env=environment).out == none
    wrong = run_script(text, "steps.py", env={**environment, "TP_TRACK_PACKAGES": "tolbox"}, check=False).err
    assert "track_packages names 'tolbox', which is not installed for this Python" in wrong


def test_file_that_a_task_of_the_graph_writes_is_told_and_the_result_is_true(run_script: ScriptRunner):
    text = """
        from pathlib import Path
        from taskproc import InputFile, Requires, TaskBase
        class Writes(TaskBase):
            def run_task(self):
                Path("made.csv").write_text("new and longer")
        class Reads(TaskBase):
            after: Requires[None]
            def __init__(self, table: InputFile):
                self.table, self.after = table, Writes()
            def run_task(self):
                return self.table.read_text()
        if __name__ == "__main__":
            print(*Reads("made.csv").run_graph_with_stats())
    """
    (run_script.home / "made.csv").write_text("old")
    first, second = run_script(text), run_script(text)
    assert "new and longer" in first.out
    assert "an input changed while the run went on (made.csv)" in first.err
    assert "if a task of this graph writes it, require that task instead" in first.err
    assert second.out == "new and longer {'stats': {}, 'generations': []}\n"
    assert second.err == ""
