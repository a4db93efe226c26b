"""Identity: what makes two tasks the same, and what does not."""
from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import json
import math
import os
import pickle
import re
import subprocess
import sys
import types
import zoneinfo
from collections import OrderedDict, namedtuple
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskproc.base.errors import TaskDefinitionError
from taskproc.tasks.arguments import MAX_DEPTH, canonical, const_identity, identity, plain_writer
from taskproc.tasks.binding import Binder
from taskproc.tasks.readable import readable
from tests.interpreters import find_interpreter

PACKAGE = Path(__file__).parents[2] / "taskproc"


class Color(enum.Enum):
    RED = 1
    CRIMSON = 1  # noqa: PIE796
    BLUE = "blue"
    ODD = frozenset({1})


class Level(enum.IntEnum):
    LOW = 1


class Mode(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Point:
    x: Any
    y: Any


@dataclasses.dataclass(frozen=True)
class Other:
    x: Any
    y: Any


Pair = namedtuple("Pair", "x y")
Couple = namedtuple("Couple", "x y")


class Name(str):
    __slots__ = ()


class Upstream:
    def __init__(self, name: str) -> None:
        self.name = name

    def __taskproc_identity__(self) -> Any:
        return {"task": self.name, "digest": "00"}

    def __taskproc_readable__(self) -> Any:
        return {"task": self.name, "id": 7}


class Const:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __taskproc_identity__(self) -> Any:
        return const_identity(self.value)


def text_of(value: Any) -> str:
    return canonical({"x": value}, "Train")


def refusal(value: Any) -> str:
    with pytest.raises(TaskDefinitionError) as caught:
        canonical({"config": value}, "Train")
    return str(caught.value)


LOOK_ALIKES: list[Any] = [
    None, True, False, 0, 1, 1.0, -0.0, 0.0, math.nan, math.inf, -math.inf, "1", "None", "", b"", b"1", 1j,
    complex(1, 0),
    complex(0.0, -0.0), complex(0.0, 0.0), [], (), {}, set(), frozenset(), [1], (1,), {1}, frozenset({1}),
    [[1]], [(1,)],
    ((1,),), {"1": 0}, {1: 0}, {1.0: 0}, {True: 0}, {None: 0}, {"None": 0}, {(1,): 0}, {"a": {"b": 1}},
    {"a": 1, "b": 1},
    [["a", 1]], {"$": 1}, {"$": ["tuple", 1]}, {"$": ["tuple"]}, {"$": ["dict", ["$", 1]]}, "$",
    {"x": {"$": ["bytes", "31"]}},
    Color.RED, Color.BLUE, Color.ODD, Level.LOW, Mode.READ, Mode.WRITE, Mode.READ | Mode.WRITE, "Color.RED",
    Path("1"), PurePosixPath("1"), PureWindowsPath("1"), Path("1/2"),
    dt.date(2024, 1, 1), dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, fold=1), "2024-01-01", dt.time(1),
    dt.time(1, fold=1),
    dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc), dt.datetime(2024, 1, 1,
    tzinfo=dt.timezone(dt.timedelta(0), "Z")),
    dt.datetime(2024, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")), dt.time(1, tzinfo=dt.timezone.utc),
    dt.timedelta(1), dt.timedelta(seconds=1), dt.timedelta(microseconds=1),
    Decimal(1), Decimal("1.0"), Decimal("1E+2"), Decimal(100), Decimal("NaN"), Decimal("-NaN"),
    Decimal("Infinity"), Decimal("-0"), Decimal(0),
    Fraction(1), Fraction(1, 2), UUID(int=1), UUID(int=2), UUID(int=1).hex, str(UUID(int=1)), range(1),
    range(0, 1, 2), range(1, 2), slice(1), slice(0, 1),
    Point(1, 2), Point(1.0, 2), Other(1, 2), Pair(1, 2), Couple(1, 2), (1, 2), {"x": 1, "y": 2},
    Point({"x": 1}, None), Point([1], ()),
    "\ud83d\ude00", "\U0001f600", "\\ud83d\\ude00", "\ud83d", "\udc80", {"\ud83d\ude00": 1},
    {"\U0001f600": 1}, "\0", "é", "e\u0301",
    1 << 1024, (1 << 1024) - 1, -(1 << 1024), 10**5000, hex(1 << 1024), 10**400, [10**400], "x" * 5000,
    Upstream("a"), Upstream("b"), {"task": "a", "digest": "00"}, Const(1), Const(1.0), Const((1,)),
    Const(Const(1)), {"const": 1},
]  # fmt: skip


def shown_id(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer too long for base 10
        text = type(value).__name__
    text = re.sub(r" at 0x\w+", "", text)  # an address differs from process to process, which pytest-xdist refuses
    return text[:40].encode("ascii", "replace").decode()


def test_look_alikes_have_different_identities():
    texts = [text_of(value) for value in LOOK_ALIKES]
    clashes = [value for value, text in zip(LOOK_ALIKES, texts, strict=True) if texts.count(text) > 1]
    assert not clashes


@pytest.mark.parametrize("value", LOOK_ALIKES, ids=shown_id)
def test_the_decoded_text_of_a_value_is_another_value_unless_it_is_plain(value):
    text = text_of(value)
    decoded = json.loads(text)["x"]
    if text_of(decoded) == text:
        assert shape(decoded) == shape(value)


@pytest.mark.parametrize("value", LOOK_ALIKES, ids=shown_id)
def test_text_is_ascii_on_one_line_and_stable(value):
    assert text_of(value).isascii()
    assert "\n" not in text_of(value)
    assert text_of(value) == text_of(value)


def test_plain_arguments_are_plain_json():
    assert canonical({"k": 3, "a": "é", "c": {"b": True, "z": [1, None]}}, "T") == (
        '{"a":"\\u00e9","c":{"b":true,"z":[1,null]},"k":3}'
    )


@pytest.mark.parametrize("value", LOOK_ALIKES, ids=shown_id)
def test_fast_way_of_plain_arguments_writes_the_same_text(value):
    bound = {"z": value, "a": 1, "é": "text"}
    assert plain_writer(bound)(bound) in ("", canonical(bound, "Train"))


def test_plain_arguments_take_the_fast_way():
    bound = {"z": -1, "a": None, "m": "é", "f": 1e300, "t": True, "nan": math.nan, "inf": -math.inf}
    assert plain_writer(bound)(bound) == canonical(bound, "Train")
    assert plain_writer(())({}) == canonical({}, "Train") == "{}"


def test_order_of_a_dict_counts_as_a_task_can_see_it():
    assert text_of({"scale": 1, "pca": 2}) != text_of({"pca": 2, "scale": 1})
    assert text_of({1: 1, (3,): 3}) != text_of({(3,): 3, 1: 1})
    assert text_of({"point": Point(x=1, y=2)}) == text_of({"point": Point(y=2, x=1)})


def test_order_of_sets_does_not_matter():
    assert text_of({"b", "a", 1, None, (2,)}) == text_of({(2,), None, 1, "a", "b"})


def test_an_alias_of_an_enum_member_is_the_member():
    assert text_of(Color.CRIMSON) == text_of(Color.RED)


def test_a_changed_enum_value_is_another_identity():
    def sized(value: int) -> Any:
        return enum.Enum("Size", {"SMALL": value}, module="m", qualname="Size").SMALL

    assert text_of(sized(1)) != text_of(sized(2))
    assert text_of(sized(1)) == text_of(sized(1))


def test_limit_of_integer_digits_changes_nothing():
    value = 10**5000
    before = text_of(value)
    if not hasattr(sys, "set_int_max_str_digits"):
        pytest.skip("this Python has no limit")
    limit = sys.get_int_max_str_digits()
    try:
        sys.set_int_max_str_digits(0)
        assert text_of(value) == before
    finally:
        sys.set_int_max_str_digits(limit)


def test_decimal_context_changes_nothing():
    import decimal

    before = text_of(Decimal("1E+100"))
    with decimal.localcontext() as context:
        context.capitals = 0
        assert text_of(Decimal("1E+100")) == before


def test_hook_is_called_once_and_its_value_is_taken_as_it_is():
    assert text_of([Upstream("pkg.T")]) == '{"x":[{"$":["task",{"digest":"00","task":"pkg.T"}]}]}'


class TestNumpyScalars:
    @pytest.fixture
    def np(self):
        return pytest.importorskip("numpy")

    def test_each_differs_from_the_others_and_from_python_values(self, np):
        values = [
            np.float64(1), np.float32(1), np.float16(1), np.longdouble(1), np.int64(1), np.int8(1),
            np.uint8(1),
            np.bool_(True), np.str_("1"), np.bytes_(b"1"), np.complex128(1), np.clongdouble(1),
            np.datetime64("2024-01-01"), np.datetime64("2024-01-01", "ns"), np.datetime64("NaT"),
            np.timedelta64(1, "D"), np.timedelta64(1, "s"), np.float64("nan"), np.float64("-0.0"),
            np.float64(0),
        ]
        texts = [text_of(value) for value in [*LOOK_ALIKES, *values]]
        assert len(set(texts)) == len(texts)

    def test_arrays_and_records_are_refused_with_advice(self, np):
        assert refusal({"w": np.zeros(3)}) == (
            "Train: argument config['w'] is a ndarray, which has no identity across processes; "
            "pass a task that makes it, or the path of a file that holds it"
        )
        assert "has no identity" in refusal(np.zeros(1, dtype="i4,i4")[0])

    def test_readable_as_numbers(self, np):
        assert readable({"a": np.float32(0.5), "b": np.datetime64("2024-01-01")}) == {"a": 0.5,
        "b": "2024-01-01"}


class Changeable(enum.Enum):
    LAYERS = [1]
    TABLE = {"a": 1}
    DEEP = (1, [2])
    OBJECT = object()


class Planet(enum.Enum):
    EARTH = (5.97, 6.37)

    def __init__(self, mass: float, radius: float) -> None:
        self.mass = mass


class Operation(enum.Enum):
    LENGTH = getattr(enum, "member", lambda value: value)(functools.partial(len))  # 3.13 takes it for a method
    LARGEST = ("largest", max, 2)


class TestEnums:
    @pytest.mark.parametrize("member", [Changeable.LAYERS, Changeable.TABLE, Changeable.DEEP, Changeable.OBJECT])
    def test_member_that_can_be_changed_is_refused_by_name(self, member):
        places = f"Train: argument config is {member}, whose value", "Train: argument config.value"
        assert refusal(member).startswith(places)

    def test_attributes_of_a_member_count(self):
        before = text_of(Planet.EARTH)
        Planet.EARTH.moons = 1  # type: ignore[attr-defined]
        try:
            assert text_of(Planet.EARTH) != before
            Planet.EARTH.moons = [1]  # type: ignore[attr-defined]
            assert "is Planet.EARTH, whose moons is a list that can be changed unseen" in refusal(Planet.EARTH)
        finally:
            del Planet.EARTH.moons  # type: ignore[attr-defined]
        assert text_of(Planet.EARTH) == before

    def test_functions_go_by_the_members_name(self):
        assert text_of(Operation.LENGTH).endswith('.Operation","LENGTH"]}}')
        assert text_of(Operation.LARGEST).endswith('.Operation","LARGEST",["largest",null,2]]}}')


class Zone(dt.tzinfo):
    def utcoffset(self, when: Any) -> dt.timedelta:
        return dt.timedelta(hours=1)

    def tzname(self, when: Any) -> str:
        return "CET"

    def dst(self, when: Any) -> None:
        return None


class Adam:
    pass


class TestRefusals:
    def test_names_owner_argument_and_path(self):
        assert refusal({"optimizer": [0, Point(1, (Adam(),))]}) == (
            "Train: argument config['optimizer'][1].y[0] is an Adam, which has no identity across processes; "
            "pass numbers, strings, lists, dicts, dataclasses, enums, paths, dates or tasks"
        )

    def test_is_a_type_error(self):
        with pytest.raises(TypeError):
            canonical({"x": object()}, "T")

    @pytest.mark.parametrize(
        ("value", "fragment"),
        [
            (lambda: 1, "is a function, which has no identity across processes; pass its name"),
            (Adam, "is a class,"),
            (Name("a"), "pass a plain str"),
            (OrderedDict(a=1), "pass a plain dict"),
            ({1, Name("a")}, "config{...} is a Name"),
            ({Name("a"): 1}, "config['a'] is a Name"),
            ({"a": {Adam: 1}}, "config['a'][<class"),
            (Pair(1, object()), "config.y is an object"),
            (slice(object()), "config is"),
            (Const([object()]), "config.value[0] is an object"),
            (bytearray(b"1").__iter__(), "is a bytearray_iterator"),
            (iter([]), "is a list_iterator, which has no identity across processes; pass a plain list"),
            ((n for n in ()), "is a generator, which has no identity across processes; pass a plain list"),
            ({}.keys(), "pass a plain list"),
            (types.MappingProxyType({}), "pass a plain dict"),
            (types.SimpleNamespace(a=1), "pass vars(...) of it"),
            (dt.datetime(2024, 1, 1, tzinfo=Zone()), "is a datetime with a Zone as its time zone"),
        ],
        ids=lambda value: value if isinstance(value, str) else type(value).__name__,
    )
    def test_unfit_values(self, value, fragment):
        assert fragment in refusal(value)

    def test_open_file(self):
        with open(__file__) as file:
            assert "pass the path of the file" in refusal(file)

    def test_cycles_are_named(self):
        items: list[Any] = []
        items.append({"again": items})
        assert "argument config contains itself" in refusal([items])

    @pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 10_000])
    def test_deep_nesting(self, levels):
        value: Any = 0
        for _ in range(levels):
            value = [value]
        assert f"is nested more than {MAX_DEPTH} levels deep" in refusal(value)

    def test_allowed_nesting_works_in_every_form(self):
        wraps = [
            lambda v: [v],
            lambda v: (v,),
            lambda v: {1: v},
            lambda v: {"a": v},
            lambda v: Point(v, 1),
            lambda v: frozenset([v]),
        ]
        for wrap in wraps:
            value: Any = 0
            for _ in range(MAX_DEPTH):
                value = wrap(value)
            text_of(value)

    def test_error_outside_a_call_survives_pickling(self):
        with pytest.raises(TaskDefinitionError) as caught:
            identity({"k": object()})
        again = pickle.loads(pickle.dumps(caught.value))
        assert isinstance(again, TaskDefinitionError)
        assert "value['k'] is an object" in str(again)


# ------------------------------------------------------------------------------------------------------- fuzz

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.binary(max_size=4)
    | st.decimals().filter(lambda d: not d.is_snan()) | st.fractions() | st.timedeltas() | st.uuids()
    | st.text(st.characters(codec=None, exclude_categories=()), max_size=4)
    | st.sampled_from(["$", "tuple", "dict", "task"])
    | st.dates() | st.datetimes(allow_imaginary=True, timezones=st.none() | st.timezones()) | st.times()
    | st.sampled_from([*Color, *Level, *Mode]) | st.builds(Path, st.text("ab/.", max_size=4))
    | st.builds(range, st.integers(0, 3), st.integers(0, 3))
)  # fmt: skip
hashables = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3) | st.builds(Pair, inner,
        inner)
    ),
    max_leaves=5,
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.sets(hashables, max_size=3)
        | st.frozensets(hashables, max_size=3)
        | st.dictionaries(st.sampled_from(["$", "a", "x", "\ud800"]) | st.text(max_size=2), inner, max_size=3)
        | st.dictionaries(hashables, inner, max_size=3)
        | st.builds(Point, inner, inner)
        | st.builds(Pair, inner, inner)
        | st.builds(Upstream, st.sampled_from("ab"))
    ),
    max_leaves=8,
)


def shape(value: Any) -> Any:
    """Describe a value in full, independently of the code under test, as a hashable."""
    kind = type(value).__qualname__
    if isinstance(value, enum.Enum):
        return kind, str(value)
    if isinstance(value, float):
        return kind, "nan" if math.isnan(value) else value.hex()
    if isinstance(value, complex):
        return kind, shape(value.real), shape(value.imag)
    if isinstance(value, (list, tuple)):
        return kind, tuple(shape(item) for item in value)
    if isinstance(value, (set, frozenset)):
        return kind, counted(shape(item) for item in value)
    if isinstance(value, dict):
        return kind, tuple((shape(k), shape(v)) for k, v in value.items())
    if isinstance(value, (Point, Upstream)):
        return kind, shape(vars(value))
    if isinstance(value, (dt.datetime, dt.time)):
        return kind, value.isoformat(), value.fold, repr(value.tzinfo)
    return kind, repr(value)


def counted(shapes: Any) -> frozenset[Any]:
    counts: dict[Any, int] = {}
    for item in shapes:
        counts[item] = counts.get(item, 0) + 1
    return frozenset(counts.items())


def copied(value: Any) -> Any:
    """Build the value again, with sets in another order."""
    if type(value) is list or type(value) is tuple:
        return type(value)(copied(item) for item in value)
    if isinstance(value, tuple):
        return type(value)(*(copied(item) for item in value))
    if isinstance(value, dict):
        return {copied(k): copied(v) for k, v in value.items()}
    if isinstance(value, (set, frozenset)):
        return type(value)(reversed([copied(item) for item in value]))
    return pickle.loads(pickle.dumps(value))


@given(values, values)
def test_two_values_share_an_identity_only_if_they_are_the_same(a, b):
    assert (text_of(a) == text_of(b)) == (shape(a) == shape(b))


@given(values)
def test_one_value_never_has_two_identities(value):
    assert text_of(copied(value)) == text_of(value)


@given(values)
def test_nothing_passes_for_a_tag(value):
    decoded = json.loads(text_of(value))["x"]
    assert (text_of(decoded) == text_of(value)) == (shape(decoded) == shape(value))


@given(values)
def test_every_value_reads_as_json(value):
    json.dumps(readable({"x": value}), allow_nan=True)


# -------------------------------------------------------------------------------------------------- processes

SCRIPT = f"""
import sys, types
package = types.ModuleType("taskproc")
package.__path__ = [{str(PACKAGE)!r}]
sys.modules["taskproc"] = package
from taskproc.tasks.arguments import canonical
import dataclasses, datetime, decimal, enum, fractions, pathlib, uuid
class Color(enum.Enum):
    RED = 1
class Level(enum.IntEnum):
    LOW = 1
class Mode(enum.Flag):
    READ = 1
    WRITE = 2
@dataclasses.dataclass
class Point:
    x: object
value = [
    {{"b", "a", "c", 1, None, (2, "z"), frozenset("xyz")}}, {{"k%d" % i for i in range(50)}}, {{1: "a",
    "1": "b", (1,): {{"q", "r"}}}},
    1.1, 1e300, 1e22, -0.0, float("nan"), 10**5000, "\\ud83d\\ude00 \\U0001f600 \\xe9", b"\\x00\\xff", 1j,
    Color.RED, Level.LOW, Mode.READ | Mode.WRITE,
    pathlib.Path("a/b"), datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc), datetime.timedelta(1),
    decimal.Decimal("1.50"),
    fractions.Fraction(1, 3), uuid.UUID(int=5), range(3), slice(1, None), Point((1,)),
]
print(canonical({{"x": value, "n": 1}}, "T"))
"""


def run_script(python: str, seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run([python, "-c", SCRIPT], env=environment, capture_output=True, text=True,
    check=True, timeout=60)
    return done.stdout.strip()


def test_identity_is_the_same_in_every_process():
    assert len({run_script(sys.executable, seed) for seed in ("0", "1", "4242")}) == 1


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_identity_is_the_same_on_every_python(version):
    python = find_interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    assert run_script(python, "7") == run_script(sys.executable, "0")


# --------------------------------------------------------------------------------------------------- readable


def test_plain_arguments_read_as_they_are():
    plain = {"a": [1, {"b": None}], "c": 1.5, "d": "x", "e": True}
    assert readable(plain) == plain


def test_other_values_read_well():
    shown = readable(
        {
            "task": Upstream("pkg.T"), "pair": Pair(1, (2,)), "point": Point(Color.RED, Path("a")),
            "raw": b"\xff", "mode": Mode.READ,
            "when": dt.datetime(2024, 1, 1), "long": dt.timedelta(days=1), "third": Fraction(1, 3),
            "seen": {3, 1, 2}, "keys": {1: "a", Color.RED: "b"},
            "clash": {1: "a", "1": "b"}, "price": Decimal("1.50"), "r": range(3),
        }
    )
    assert shown == {
        "task": {"task": "pkg.T", "id": 7}, "pair": {"x": 1, "y": [2]}, "point": {"x": "Color.RED",
        "y": "a"}, "raw": "b'\\xff'", "mode": "Mode.READ",
        "when": "2024-01-01T00:00:00", "long": "1 day, 0:00:00", "third": "1/3", "seen": [1, 2, 3],
        "keys": {"1": "a", "Color.RED": "b"},
        "clash": [[1, "a"], ["1", "b"]], "price": "1.50", "r": "range(0, 3)",
    }


# ---------------------------------------------------------------------------------------------------- binding


def bind(function: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    return Binder(function, "Choose").bind(args, kwargs)


class TestBinder:
    def test_spellings_of_one_call_bind_alike(self):
        def init(self, n, k=3, *, flag=False): ...

        expected = {"n": 1, "k": 3, "flag": False}
        for bound in (bind(init, 1), bind(init, n=1), bind(init, 1, 3), bind(init, k=3, n=1), bind(init, 1,
        flag=False)):
            assert bound == expected
            assert list(bound) == list(expected)

    def test_every_kind_of_parameter(self):
        def init(self, a, b=2, /, c=3, *rest, d, e=5, **more): ...

        assert bind(init, 1, d=4) == {"a": 1, "b": 2, "c": 3, "rest": (), "d": 4, "e": 5, "more": {}}
        assert bind(init, 1, 2, 3, 9, d=4, b=7) == {"a": 1, "b": 2, "c": 3, "rest": (9,), "d": 4, "e": 5,
        "more": {"b": 7}}

    def test_names_that_could_clash_with_ours(self):
        def init(self, bind, args, kwargs=None, *, function=1): ...

        assert bind(init, 1, kwargs=2, args=3) == {"bind": 1, "args": 3, "kwargs": 2, "function": 1}

    def test_default_is_the_object_itself(self):
        default: list[int] = []

        def init(self, n=default): ...

        assert bind(init)["n"] is default

    def test_no_parameters(self):
        class Empty:
            pass

        def only_self(self): ...

        def starred(*args, **kwargs): ...

        assert bind(Empty.__init__) == {}
        assert bind(only_self) == {}
        assert bind(starred, 1, k=2) == {"args": (1,), "kwargs": {"k": 2}}

    def test_wrapped_functions_show_their_own_signature(self):
        import functools

        def init(self, n, k=3): ...

        @functools.wraps(init)
        def wrapper(*args, **kwargs): ...

        assert bind(wrapper, 1) == {"n": 1, "k": 3}
        with pytest.raises(TypeError, match="missing the argument 'n'"):
            bind(wrapper)

    @pytest.mark.parametrize(
        ("args", "kwargs", "sentence"),
        [
            ((1,), {}, "Choose() is missing the argument 'k'"),
            ((), {}, "Choose() is missing the arguments 'n' and 'k'"),
            ((1, 2, 3, 4), {}, "Choose() takes 2 to 3 arguments by position, but 4 were given"),
            ((1, 2), {"n": 1}, "Choose() got the argument 'n' twice, by position and by name"),
            ((1, 2), {"flagg": 1}, "Choose() has no argument 'flagg'; did you mean 'flag'?"),
            ((1, 2), {"zzz": 1}, "Choose() has no argument 'zzz'; it has 'n', 'k', 'm' and 'flag'"),
        ],
        ids=["one missing", "two missing", "too many", "twice", "near miss", "unknown"],
    )
    def test_wrong_calls(self, args, kwargs, sentence):
        def init(self, n, k, m=1, *, flag=False): ...

        with pytest.raises(TypeError) as caught:
            bind(init, *args, **kwargs)
        assert str(caught.value) == sentence

    def test_wrong_calls_of_odd_signatures(self):
        def only_self(self): ...

        def positional(self, a, /): ...

        def keyword(self, *, a): ...

        for function, args, kwargs, sentence in [
            (only_self, (1,), {}, "Choose() takes no arguments, but 1 was given"),
            (only_self, (), {"a": 1}, "Choose() has no argument 'a'; it takes none by name"),
            (positional, (), {"a": 1}, "Choose() has no argument 'a'; it takes none by name"),
            (keyword, (1,), {}, "Choose() takes no arguments by position, but 1 was given"),
            (keyword, (), {}, "Choose() is missing the argument 'a'"),
        ]:
            with pytest.raises(TypeError) as caught:
                bind(function, *args, **kwargs)
            assert str(caught.value) == sentence


def test_identity_imports_nothing_for_values_that_nobody_uses():
    stub = SCRIPT.split("import dataclasses")[0]
    code = f"{stub}\nprint(*({{'decimal', 'fractions', 'uuid', 'inspect', 'numpy'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
