"""What people write: settings, options, words of the command, names of directories. Wrong ones get one sentence."""
from __future__ import annotations

import dataclasses
import enum
import json
import os
import random
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import click
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from taskproc_backends.batch import BatchOptions, Submission
from taskproc_backends.batch.script import script_text
from taskproc_backends.shell import Shell, ShellOptions
from taskproc_backends.templates import load

from taskproc import TaskBase
from taskproc.base.errors import SettingsError, TaskprocError
from taskproc.base.options import build_options
from taskproc.cli import main
from taskproc.cli.options import BackendName, Limit
from taskproc.cli.values import read_value
from taskproc.tasks.settings import load_settings
from tests.faults import graph
from tests.faults.nursery import Nursery
from tests.interpreters import SUPPORTED, find_interpreter
from tests.tasks import test_arguments as arguments

slurm = pytest.importorskip("taskproc_slurm.slurm")
lsf = pytest.importorskip("taskproc_lsf.lsf")
SlurmOptions = pytest.importorskip("taskproc_slurm.options").SlurmOptions
LsfOptions = pytest.importorskip("taskproc_lsf.options").LsfOptions

HOSTILE = [
    "$(touch pwned)", "`touch pwned`", "a'b\"c", "-rf", "--help", "semi;touch pwned", "& touch pwned &", "|touch pwned",
    "two words", "*", "[a-z]", "{1,2}", "~", "\\", "$HOME", "%s%2e", "#x?y", "ü\u202e", "> pwned", "!!", "{ids}",
]  # fmt: skip
EVERYTHING = "-x $(touch pwned) 'q\" ;`touch pwned`\n#?%2e&{id}"

fuzzed = settings(
    max_examples=40, derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip


def one_sentence(message: str) -> bool:
    """Whether a message is for people: no traceback, and no page of it."""
    return bool(message.strip()) and "Traceback" not in message and message.count("\n") <= 3


# --------------------------------------------------------------------------------------------- settings and options

SETTINGS = """
cache_dir = "there"
backend = "gpu"
max_workers = 4
detect_source_change = false
store = "packed"
plugins = ["mysite", "./one.py"]
[limits]
download = 2
[backends.slurm]
partition = "long"
[profile.gpu]
backend = "slurm"
mem = "32G"
"""
PIECES = ["=", "[", "]", "[[", '"', "'", "\0", "\n", "true", "1e999", "-1", "²", "[[[[[[", "{", "x.y", "\\u0000", "nan"]


def garbled(seed: int, text: str, pieces: list[str]) -> str:
    """Cut and splice a text."""
    chance = random.Random(seed)
    for _ in range(chance.randrange(1, 4)):
        start = chance.randrange(len(text) + 1)
        text = text[:start] + chance.choice(pieces) + text[start + chance.choice([0, 0, 1, 3, 20]) :]
    return text


def test_garbled_settings_are_read_or_refused_by_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "taskproc.toml"
    for seed in range(250):
        text = garbled(seed, SETTINGS, PIECES)
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            load_settings(tmp_path)
        except SettingsError as error:
            said = str(error)
            assert "taskproc.toml" in said, text
            assert one_sentence(said), (text, said)
        file.unlink()


def test_settings_nested_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taskproc.toml").write_text("plugins = " + "[" * 100_000)
    with pytest.raises(SettingsError, match=r"taskproc\.toml"):
        load_settings(tmp_path)


@pytest.mark.parametrize("variable", ["TP_MAX_WORKERS", "TP_STORE", "TP_DETECT_SOURCE_CHANGE", "TP_CACHE_DIR"])
@pytest.mark.parametrize("text", ["²", "9" * 5000, "-1", "1e3", "\u202e", " ", "0x10", "٣", "None", "$(touch pwned)"])
def test_odd_variables_are_read_or_refused_by_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, text)
    try:
        load_settings(tmp_path)
    except SettingsError as error:
        said = str(error)
        assert variable in said
        assert one_sentence(said)


VALUES = st.one_of(
    st.text(max_size=12),
    st.sampled_from([*HOSTILE, "²", "9" * 5000, "1e999", "nan", "-0", "0x10", "1_000", "1:2:3:4", "-", "٣G", "\n"]),
    st.integers(), st.floats(), st.none(), st.booleans(), st.lists(st.text(max_size=3), max_size=2),
)  # fmt: skip


@pytest.mark.parametrize("kind", [SlurmOptions, LsfOptions, ShellOptions, BatchOptions], ids=lambda kind: kind.__name__)
def test_odd_option_values_are_read_or_refused_by_their_name(kind: type[Any]):
    names = [declared.name for declared in dataclasses.fields(kind)]

    @fuzzed
    @given(st.sampled_from(names), VALUES)
    def check(name: str, value: Any) -> None:
        try:
            build_options(kind, {name: value}, "here")
        except TaskprocError as error:
            said = str(error)
            assert name in said or "here" in said

    check()


# --------------------------------------------------------------------------------------------------------- the command


class Colour(enum.Enum):
    RED = "r"


HINTS: list[Any] = [
    int, float, bool, str, Path, date, datetime, Colour, Literal["a", 1], int | None, list[int], dict[str, list[float]],
    tuple[int, ...], tuple[str, int], set[int], Any, complex, bytes, list[Any] | int,
]  # fmt: skip
TEXTS = st.text(max_size=12) | st.sampled_from(
    [*HOSTILE, "²", "٣", "9" * 5000, "1e999", "nan", "[" * 5000, "{}", "null", '{"a":', "[1, 2", "0001-01-01", "r", "a"]
)


@pytest.mark.parametrize("hint", HINTS, ids=str)
def test_odd_arguments_are_read_or_refused(hint: Any):
    @fuzzed
    @given(TEXTS)
    def check(text: str) -> None:
        try:
            read_value(text, hint)
        except ValueError as error:
            said = str(error)
            assert said.strip()

    check()


@pytest.mark.parametrize("kind", [Limit(), BackendName()], ids=lambda kind: kind.name)
def test_odd_values_of_options_are_bad_usage(kind: click.ParamType):
    @fuzzed
    @given(TEXTS | st.sampled_from(["=", "a=", "=a", "a=b=c", "a=²", "a=" + "9" * 5000, "a=0", "=1"]))
    def check(text: str) -> None:
        try:
            kind.convert(text, None, None)
        except click.UsageError as error:
            said = error.format_message()
            assert said.strip()

    check()


WORDS = [
    "run", "clear", "backends", "status", "runs", "why", "tasks.py", "nothere.py", "--", "-", "-b", "-o", "-s", "--set",
    "-t", "--limit", "--dry-run", "--cache-dir", "n=1", "thread", "Main", "--help", "=", "a=b", "x.mem=1G", *HOSTILE,
]  # fmt: skip


def test_odd_words_are_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TP_CACHE_DIR", str(tmp_path / "cache"))
    for seed in range(120):
        chance = random.Random(seed)
        words = [chance.choice(WORDS) for _ in range(chance.randrange(1, 6))]
        ended = CliRunner().invoke(main, [*words, "--dry-run"], prog_name="taskproc")
        assert ended.exception is None or isinstance(ended.exception, SystemExit), (words, ended.exc_info)
        assert "Traceback" not in ended.output, (words, ended.output)
    assert not (tmp_path / "pwned").exists()


# ------------------------------------------------------------------------------------------------- shells and options


def commands(options: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Build each scheduler's call for a set in a hostile directory."""
    staged = Path("/tmp") / EVERYTHING
    for scheduler, kind in [(slurm.Slurm(), SlurmOptions), (lsf.Lsf(), LsfOptions)]:
        given = {name: value for name, value in options.items() if name in {f.name for f in dataclasses.fields(kind)}}
        built = build_options(kind, given, "here")
        yield scheduler.submit(Submission("tp-1", staged / "job.sh", "", 2, staged / "log", built)).argv
    for name in ("sge", "pbs", "torque", "htcondor", "flux"):
        built = build_options(ShellOptions, {"queue": options["queue"]}, "here")
        shell = Shell(name, load(name))
        yield shell.submit(Submission("tp-1", staged / "job.sh", "", 2, staged / "log", built)).argv


@pytest.mark.parametrize("text", HOSTILE)
def test_option_stays_one_word_of_the_call(text: str):
    options = {"partition": text, "account": text, "comment": text, "queue": text, "project": text}
    for argv in commands(options):
        for word in argv:
            if "touch pwned" in text and "touch pwned" in word and "job.sh" not in word and "/log" not in word:
                assert text in word, argv  # whole, as one word of a call that no shell sees
            assert word != "pwned"
        if text.startswith("-"):
            at = [number for number, word in enumerate(argv) if word == text]
            assert all(argv[number - 1].startswith("-") for number in at), argv  # the value of an option


@pytest.mark.parametrize("text", [*HOSTILE, EVERYTHING])
def test_job_script_takes_no_path_for_a_command(tmp_path: Path, text: str):
    staged = tmp_path / text
    (staged / "ended").mkdir(parents=True)
    command = [sys.executable, "-c", "import sys; print(sys.argv[1:])", text]
    script = script_text(f"title {text}", staged, command, "INDEX", 0)
    (tmp_path / "job.sh").write_text(script)
    done = subprocess.run(
        ["sh", "job.sh"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=30,
        env={**os.environ, "INDEX": "$(touch pwned)"},
    )  # fmt: skip
    assert done.stdout == f"{[text]}\n"
    assert os.listdir(staged / "ended") == ["element-0-0"]
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("text", [*HOSTILE, EVERYTHING, "caf\udce9", "x" * 200], ids=ascii)
def test_cache_directory_may_have_any_name(tmp_path: Path, nursery: Nursery, text: str):
    cache = tmp_path / text / "c"
    cache.parent.mkdir()
    for store in ("tree", "packed"):
        count = {"TP_STORE": store, "TP_FAULT_COUNT": str(tmp_path / f"count-{store}")}
        driven = nursery.drive("first", cache / store, "thread", env=count)
        assert driven.answer == graph.ANSWER, driven.output
        assert nursery.drive("first", cache / store, "thread", env=count).answer == graph.ANSWER
        assert len((tmp_path / f"count-{store}").read_text().splitlines()) == 7
    assert not list(tmp_path.rglob("pwned"))
    assert not Path("pwned").exists()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["process", "prefix", "standin"])
def test_workers_cope_with_any_cache_directory(tmp_path: Path, nursery: Nursery, backend: str):
    cache = tmp_path / EVERYTHING
    (tmp_path / "site").mkdir()
    env = {"TP_FAULT_SITE": str(tmp_path / "site"), "TP_FAULT_COUNT": str(tmp_path / "count")}
    driven = nursery.drive("first", cache, backend, env=env)
    assert driven.answer == graph.ANSWER, driven.output
    assert not list(tmp_path.rglob("pwned"))


class Prefixed(TaskBase, prefix_command=f"env HOSTILE={shlex.quote(EVERYTHING)} nice -n 1"):
    def run_task(self) -> str:
        return os.environ["HOSTILE"]


class Shown(TaskBase):
    def __init__(self, text: str):
        self.text = text

    def run_task(self) -> str:
        return self.text


def test_prefix_is_split_into_words_and_no_shell_reads_it(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert Prefixed().run_graph(backend="process", max_workers=1) == EVERYTHING
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("text", [*HOSTILE, EVERYTHING, "\0", "\ud800", "\x1b[31m"], ids=ascii)
def test_argument_may_be_any_text(cache: Path, text: str):
    task = Shown(text)
    assert task.run_graph(backend="thread") == text
    assert json.loads((task.task_stdout.parent / "args.json").read_text())["text"] == text


# ---------------------------------------------------------------------------------------------------------- identities

IDENTITIES = """
import hashlib, sys, types
package = types.ModuleType("taskproc")
package.__path__ = [sys.argv[1]]
sys.modules["taskproc"] = package
from taskproc.tasks.arguments import canonical
import datetime, decimal, fractions, random, uuid
chance = random.Random(20240501)
def value(depth):
    kinds = LEAVES if depth == 0 else LEAVES + NODES
    return kinds[int(chance.random() * len(kinds))](depth)
def number():
    return int(chance.random() * 10 ** int(chance.random() * 40)) - 5
def text():
    return "".join(chr(int(chance.random() * (0x11000 if chance.random() < 0.1 else 300))) for _ in range(3))
def items(depth):
    return [value(depth - 1) for _ in range(int(chance.random() * 4))]
def hashables():
    return [LEAVES[int(chance.random() * len(LEAVES))](0) for _ in range(int(chance.random() * 4))]
LEAVES = [
    lambda d: None, lambda d: chance.random() < 0.5, lambda d: number(), lambda d: chance.random() * 10.0 ** int(
    chance.random() * 600 - 300), lambda d: -0.0, lambda d: complex(chance.random(), number()), lambda d: text(),
    lambda d: text().encode("utf-8", "surrogatepass"), lambda d: decimal.Decimal(number()).scaleb(-3),
    lambda d: fractions.Fraction(number(), 7), lambda d: uuid.UUID(int=abs(number()) % (1 << 128)),
    lambda d: datetime.date.fromordinal(1 + abs(number()) % 700000), lambda d: datetime.timedelta(0, number() % 10**9),
    lambda d: range(number() % 9), lambda d: datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc),
]
NODES = [
    items, lambda d: tuple(items(d)), lambda d: set(hashables()), lambda d: frozenset(hashables()),
    lambda d: {text(): item for item in items(d)}, lambda d: dict(zip(hashables(), items(d))),
]
digest = hashlib.sha256()
for _ in range(3000):
    digest.update(canonical({"x": value(3)}, "T").encode("ascii"))
print(digest.hexdigest())
"""


def interpreters() -> list[str]:
    """Find the Pythons that are supported, and here."""
    return [sys.executable, *filter(None, map(find_interpreter, SUPPORTED))]


def test_random_values_have_one_identity_on_every_python_and_for_every_hash_seed():
    found = set()
    for at, python in enumerate(interpreters()):
        for seed in (str(at), str(at + 100)):
            words = [python, "-c", IDENTITIES, str(arguments.PACKAGE)]
            environment = {**os.environ, "PYTHONHASHSEED": seed}
            done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=60)
            found.add(done.stdout)
    assert len(found) == 1


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "check",
    [
        arguments.test_two_values_share_an_identity_only_if_they_are_the_same,
        arguments.test_one_value_never_has_two_identities,
        arguments.test_nothing_passes_for_a_tag,
    ],
    ids=lambda check: check.__name__,
)
def test_very_many_values(check: Callable[[], None]):
    settings(max_examples=30_000, deadline=None, database=None)(check)()
