"""Inputs from outside, as tasks name them: what may be given, what becomes an input, and what is refused."""
from __future__ import annotations

import copy
import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import pytest

from taskproc import Const, EnvVar, InputDir, InputFile, Package, Requires, RequiresDict, RequiresList, TaskBase
from taskproc import InputFile as File
from taskproc.base.errors import TaskDefinitionError
from taskproc.tasks.valued import spec_of

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]  # as only a type checker would look for it

pytestmark = pytest.mark.usefixtures("cache")


class Count(TaskBase):
    def __init__(self, table: InputFile):
        self.table = table

    def run_task(self) -> int:
        return len(self.table.read_text().split())


def inputs_of(task: TaskBase[Any]) -> set[Any]:
    return set(task._task.inputs)  # type: ignore[union-attr]


def test_file_is_a_path_before_it_is_read():
    table = InputFile("data/in.csv")
    assert os.fspath(table) == str(table) == "data/in.csv"
    assert (table.name, table.parent) == ("in.csv", Path("data"))
    assert table / "x" == Path("data/in.csv/x")
    assert Path(table) == Path("data/in.csv")
    assert f"{table:>12}" == " data/in.csv"
    assert bool(table)


def test_inputs_are_values():
    variables = [EnvVar("a"), EnvVar("a", default="")]
    one: list[Any] = [InputFile("a"), InputDir("a"), InputFile("a.json", key="k"), *variables, Package("a")]
    again = [InputFile(Path("a")), InputDir("a"), *copy.deepcopy(one[2:])]
    assert one == again == pickle.loads(pickle.dumps(one))
    assert len({*one, *again}) == len(one)
    assert [repr(x) for x in one[2:5]] == ["InputFile('a.json', key='k')", "EnvVar('a')", "EnvVar('a', default='')"]
    with pytest.raises(AttributeError, match="cannot be changed"):
        one[0].name = "b"


def test_argument_becomes_an_input_by_its_annotation():
    task = Count("in.csv")  # type: ignore[arg-type]
    assert task is Count(Path("in.csv")) is Count(table=InputFile("in.csv"))  # type: ignore[arg-type]
    assert task.task_args == {"table": "in.csv"}
    assert repr(task) == "Count(table='in.csv')"
    assert inputs_of(task) == {InputFile("in.csv")}


def test_input_is_another_argument_than_its_path():
    class Plain(TaskBase):
        def __init__(self, table: Any):
            self.table = table

        def run_task(self) -> None:
            pass

    assert len({Plain("a"), Plain(Path("a")), Plain(InputFile("a")), Plain(InputDir("a")), Plain(EnvVar("a"))}) == 5


Files = list[InputFile]


class Many(TaskBase):
    def __init__(
        self,
        aliased: File,
        some: InputFile | None = None,
        listed: list[InputFile] = [],  # noqa: B006 (it is copied)
        named: dict[str, InputFile] = {},  # noqa: B006
        maybe: Optional["InputDir"] = None,  # noqa: UP037, UP045
        pair: tuple[str, InputFile] = ("p", "q"),  # type: ignore[assignment]
        quoted: "list[InputFile] | Unknown[int]" = (),  # noqa: UP037
        either: InputFile | int = 3,
        alias: Files = (),  # type: ignore[assignment]
        *rest: InputFile,
        table: InputFile[Any] = "p.toml",  # type: ignore[assignment]
        **variables: EnvVar,
    ):
        self.all = [aliased, some, listed, named, maybe, pair, quoted, either, alias, rest, table, variables]

    def run_task(self) -> None:
        pass


def test_annotations_of_many_kinds_are_understood():
    make: Any = Many
    task = make("a", Path("b"), ["c"], {"k": "d"}, "e", ("p", "q"), ["r"], "s", ["l"], "t", v="V")
    bound = task._task.bound
    f = InputFile
    assert list(bound.values()) == [
        f("a"), f("b"), [f("c")], {"k": f("d")}, InputDir("e"), ("p", f("q")), [f("r")], f("s"), [f("l")], (f("t"),),
        f("p.toml"), {"v": EnvVar("V")},
    ]  # fmt: skip
    assert make("a")._task.bound["some"] is None
    assert make("a")._task.bound["either"] == 3


@dataclass
class Settings:
    name: str
    table: InputFile
    tables: list[InputFile] = field(default_factory=list)


def test_dataclass_holds_inputs_or_is_refused():
    class Uses(TaskBase):
        def __init__(self, settings: Any):
            self.settings = settings

        def run_task(self) -> None:
            pass

    assert inputs_of(Uses(Settings("n", InputFile("a"), [InputFile("b")]))) == {InputFile("a"), InputFile("b")}
    with pytest.raises(TaskDefinitionError, match=r"Settings.table, .* is 'a', .*; make it InputFile\('a'\)"):
        Uses(Settings("n", "a"))  # type: ignore[arg-type]
    with pytest.raises(TaskDefinitionError, match=r"Settings.tables, .* is \['b'\], so nobody"):
        Uses([Settings("n", InputFile("a"), ["b"])])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, r"Count: argument table is 3 \(of type int\); pass the path of a file, such as 'data/in.csv'"),
        (b"in.csv", r"Count: argument table is b'in.csv' \(of type bytes\); pass the path"),
        (None, "Count: argument table is None"),
        ("", r"InputFile\(''\): that is no path"),
        ("a\0b", "that is no path"),
    ],
)
def test_what_is_no_path_is_refused(value: Any, words: str):
    with pytest.raises(TaskDefinitionError, match=words):
        Count(value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: InputFile("a.txt", key="k"), "a key is looked up in files named .json, .toml, .yaml, .yml only"),
        (lambda: InputFile("a.json", key=""), "key is no name"),
        (lambda: InputDir(3), r"InputDir\(3\): that is no path"),  # type: ignore[arg-type]
        (lambda: InputFile(InputDir("a")), "give the path itself"),
        (lambda: InputFile("https://example.org/a.csv"), "that is an address"),
        (lambda: InputFile(Path("s3://bucket/a.csv")), "that is an address"),
        (lambda: EnvVar("A=B"), "no name of a variable"),
        (lambda: EnvVar("A", default=3), "variables hold text"),  # type: ignore[arg-type]
        (lambda: Package(os), "no name of a package"),  # type: ignore[arg-type]
    ],
)
def test_wrong_inputs_are_refused(make: Any, words: str):
    with pytest.raises(TaskDefinitionError, match=words):
        make()


def test_value_is_not_known_in_the_constructor():
    for use in (
        lambda: EnvVar("MODE") == "fast",
        lambda: Path(InputFile("p.toml", key="train")),
        lambda: EnvVar("MODE").upper(),
        lambda: "fast" if EnvVar("DEBUG") else "slow",
        lambda: f"model-{Package('numpy')}",
        lambda: InputFile("p.toml", key="train").items(),  # type: ignore[attr-defined]
    ):
        with pytest.raises((TaskDefinitionError, AttributeError), match="reads as its value in run_task only"):
            use()


def test_inputs_are_found_in_attributes_and_requirements():
    class Reads(TaskBase):
        one: Requires[Path]
        many: RequiresList[Path]
        named: RequiresDict[str, Any]
        default: Requires[str] = EnvVar("D")

        def __init__(self, table: InputFile):
            self.one = InputFile("one")
            self.many = [InputFile("many"), Const(InputFile("const"))]
            self.named = {"k": InputFile("k.json", key="k")}
            self.held = {"deep": [InputDir("held")]}

        def run_task(self) -> None:
            pass

    names = {spec_of(one)[1] for one in inputs_of(Reads("argument"))}  # type: ignore[arg-type]
    assert names == {"argument", "one", "many", "const", "k.json", "held", "D"}


def test_class_keyword_counts_for_derived_classes():
    class Base(TaskBase, depends_on=InputFile("a.csv")):
        def run_task(self) -> None:
            pass

    class Derived(Base, depends_on=[EnvVar("X"), Package("numpy")]):
        pass

    assert Base._task_config.inputs == (("file", "a.csv"),)
    assert Derived._task_config.inputs == (("env", "X"), ("package", "numpy"), ("file", "a.csv"))


@pytest.mark.parametrize("wrong", ["a.csv", ["a.csv"], os, 3, [Path("a.csv")]])
def test_class_keyword_takes_inputs_only(wrong: Any):
    with pytest.raises(TaskDefinitionError, match=r"depends_on names .* which is no input; give an InputFile, "):

        class _(TaskBase, depends_on=wrong):
            def run_task(self) -> None:
                pass


def test_none_is_fine_where_it_is_the_default():
    class Optionally(TaskBase):
        def __init__(self, table: InputFile = None):  # type: ignore[assignment]
            self.table = table

        def run_task(self) -> None:
            pass

    assert Optionally().task_args == {"table": None}
    with pytest.raises(TaskDefinitionError, match="argument table is 3"):
        Optionally(3)  # type: ignore[arg-type]
    assert inputs_of(Optionally("a")) == {InputFile("a")}  # type: ignore[arg-type]


def test_names_that_only_type_checkers_see_are_those_that_the_file_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    text = """
from __future__ import annotations
from typing import TYPE_CHECKING
from taskproc import TaskBase
if TYPE_CHECKING:
    from taskproc import InputFile
    from elsewhere import Package
class Reads(TaskBase):
    def __init__(self, table: InputFile | None, package: Package, listed: list[Package]):
        self.table, self.package, self.listed = table, package, listed
    def run_task(self):
        pass
"""
    (tmp_path / "seen_by_checkers.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__("seen_by_checkers")
    assert list(module.Reads("a", "b", ["c"])._task.bound.values()) == [InputFile("a"), "b", ["c"]]
