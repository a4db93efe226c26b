"""What a script or a notebook defines itself is on its workers, and in its results, what it is in the script.

Each kind below is held by a task, used by it, and returned by it; a second process gets it from the cache.
"""
from __future__ import annotations

import sys

import pytest

from tests.support import ScriptRunner

KINDS = {
    "dataclass": ("@dataclass\nclass It:\n    n: int\n    more: list = field(default_factory=list)", "It(3)"),
    "frozen dataclass as a key": ("@dataclass(frozen=True)\nclass It:\n    n: int", "{It(3): 1}"),
    "enum": ("class It(enum.Enum):\n    RED = 1", "It.RED"),
    "enum as a key": ("class It(enum.Enum):\n    RED = 1", "{It.RED: 1}"),
    "flags": ("class It(enum.Flag):\n    A = 1\n    B = 2", "It.A | It.B"),
    "typed named tuple": ("class It(NamedTuple):\n    n: int", "It(3)"),
    "named tuple": ("It = namedtuple('It', 'n')", "It(3)"),
    "generic": ("T = TypeVar('T')\nclass It(Generic[T]):\n    def __init__(self, n): self.n = n", "It[int](3)"),
    "nested class": ("class Outer:\n    @dataclass\n    class It:\n        n: int", "Outer.It(3)"),
    "abstract base": (
        "class Base(abc.ABC):\n    @abc.abstractmethod\n    def f(self): ...\n"
        "class It(Base):\n    def f(self): return 3",
        "It()",
    ),
    "exception": (
        "class It(Exception):\n"
        "    def __init__(self, a, b): super().__init__(a, b); self.a = a\n"
        "    def __reduce__(self): return It, (self.a, 2)",
        "It(1, 2)",
    ),
    "key with a hash of its own": (
        "def norm(s): return s.lower()\n"
        "class It:\n"
        "    def __init__(self, s): self.s = s\n"
        "    def __hash__(self): return hash(norm(self.s))\n"
        "    def __eq__(self, other): return norm(self.s) == norm(other.s)",
        "{It('A'): 1}",
    ),
    "function": ("def it(n): return n", "it"),
    "cached function": ("@functools.lru_cache\ndef it(n): return n", "it"),
    "class": ("class It: pass", "It"),
    "new type": ("It = NewType('It', int)", "It"),
    "the only one of its kind": ("class It:\n    def __reduce__(self): return 'ONE'\nONE = It()", "ONE"),
    "class with slots": ("class It:\n    __slots__ = ('n',)\n    def __init__(self, n): self.n = n", "It(3)"),
    "dataclass with slots": (
        "@dataclass(slots=True)\nclass Base:\n    n: int\n@dataclass(slots=True)\nclass It(Base):\n    m: int = 3",
        "It(3)",
    ),
    "slot of its own": (
        "class It:\n    __slots__ = ('__n',)\n"
        "    def __init__(self, n): self.__n = n\n    def f(self): return self.__n",
        "It(3)",
    ),
    "beside a lambda": ("class It(enum.Enum):\n    RED = 1", "[It.RED, (lambda: 1)][:1] + [lambda: 1]"),
    "told of its subclasses": (
        "HEARD = []\nclass Base:\n    def __init_subclass__(cls, *, kind): HEARD.append(cls)\n"
        "class It(Base, kind='a'): pass",
        "[It, *HEARD]",
    ),
}
SCRIPT = """
import abc, enum, functools, sys
from collections import namedtuple
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, NewType, TypeVar
from taskproc import Requires, TaskBase

{definitions}

def shape(value):
    if isinstance(value, dict):
        return [(key, value[key]) for key in value]
    return value

def same(a, b):
    a, b = shape(a), shape(b)
    if isinstance(a, (list, tuple)) and type(a) is type(b):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, type) or callable(a):
        return a is b or getattr(a, "__name__", "") == "<lambda>" == b.__name__
    return type(a) is type(b) and (a is b or not isinstance(a, enum.Enum))

class Holds(TaskBase):
    def __init__(self, n: int):
        self.it = {value}
    def run_task(self):
        assert same(self.it, {value}), self.it
        return self.it

class Gets(TaskBase):
    up: Requires
    def __init__(self, n: int):
        self.up = Holds(1)
    def run_task(self):
        return same(self.up, {value})

if __name__ == "__main__":
    n = int(sys.argv[1])
    assert Gets(n).run_graph({how}) is True
    assert same(Holds(1).get_task_result(), {value})
    print("same")
"""
POOL = "executor=__import__('concurrent.futures').futures.ProcessPoolExecutor(1)"
THREADS = POOL.replace("Process", "Thread")
HOW = {
    "process": "backend='process'",
    "one worker": "backend='process', max_workers=1",
    "prefix": "backend='prefix'",
    "thread": "backend='thread'",
    "processes of one's own": POOL,
    "threads of one's own": THREADS,
}


def run(run_script: ScriptRunner, path: str, n: int) -> str:
    return run_script.run([sys.executable, path, str(n)]).out


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_what_it_is_in_the_script(run_script: ScriptRunner, kind: str):
    definitions, value = KINDS[kind]
    path = str(run_script.write(SCRIPT.format(definitions=definitions, value=value, how=""), "script.py"))
    assert run(run_script, path, 1) == "same\n"
    assert run(run_script, path, 2) == "same\n"


@pytest.mark.parametrize("kind", ["enum as a key", "nested class", "beside a lambda"])
@pytest.mark.parametrize("how", HOW)
def test_it_is_so_wherever_tasks_run(run_script: ScriptRunner, kind: str, how: str):
    definitions, value = KINDS[kind]
    path = str(run_script.write(SCRIPT.format(definitions=definitions, value=value, how=HOW[how]), "script.py"))
    assert run(run_script, path, 1) == "same\n"
    assert run(run_script, path, 2) == "same\n"


def test_a_class_knows_its_subclasses_that_nobody_names(run_script: ScriptRunner):
    script = """
from taskproc import TaskBase
class Base: pass
class Second(Base): pass
class First(Base): pass
class T(TaskBase):
    def run_task(self): return [cls.__name__ for cls in Base.__subclasses__()]
print(T().run_graph(backend="process"))
"""
    assert run_script(script).out == "['Second', 'First']\n"


def test_it_is_so_for_a_module_that_runs_as_the_program(run_script: ScriptRunner):
    definitions, value = KINDS["enum as a key"]
    definitions += "\ndef near():\n    from .near import NUMBER\n    return NUMBER"
    text = SCRIPT.format(definitions=definitions, value=value, how="")
    text = text.replace("return self.it", "assert near() == 3\n        return self.it")
    run_script.write("", "pack/__init__.py")
    run_script.write("NUMBER = 3", "pack/near.py")
    run_script.write(text, "pack/main.py")
    for n in ("1", "2"):
        assert run_script.run([sys.executable, "-m", "pack.main", n]).out == "same\n"


def test_it_is_so_in_a_notebook_whose_cells_run_again(run_script: ScriptRunner):
    pytest.importorskip("IPython")
    cell = """
import enum
from taskproc import TaskBase
class Color(enum.Enum):
    RED = {red}
class Paint(TaskBase):
    def __init__(self, n: int):
        self.colors = {{Color.RED: n}}
    def run_task(self):
        assert self.colors[Color.RED]
        return self.colors
"""
    use = "assert Paint({n}).run_graph({how})[Color.RED] == {n}\nprint(Color.RED.value)\n"
    cells = ["from concurrent.futures import ProcessPoolExecutor\npool = ProcessPoolExecutor(1)"]
    for red in (1, 2):
        cells += [cell.format(red=red), use.format(n=10 + red, how=""), use.format(n=20 + red, how="executor=pool")]
    ended = run_script.cells(cells)
    assert ended.out == "1\n1\n2\n2\n"


def test_a_task_class_of_a_module_holds_what_the_script_defines(run_script: ScriptRunner):
    run_script.write(
        "from taskproc import TaskBase\n"
        "class Call(TaskBase):\n"
        "    def __init__(self, n: int, of=None):\n        self.n, self.of = n, MAKE(n)\n"
        "    def run_task(self):\n        return self.of.twice()\n",
        "steps.py",
    )
    text = """
    import steps
    FACTOR = [2]
    class Held:
        def __init__(self, n):
            self.n = n
        def twice(self):
            return FACTOR[0] * self.n
    steps.MAKE = Held
    print(steps.Call(21).run_graph(max_workers=1))
    """
    assert run_script(text).out == "42\n"


def test_what_is_one_object_in_the_script_is_one_on_a_worker(run_script: ScriptRunner):
    text = """
    from taskproc import TaskBase
    MISSING = object()
    class Node:
        def __init__(self, parent=None):
            self.parent, self.children = parent, []
    ROOT = Node()
    CHILD = Node(ROOT)
    ROOT.children.append(CHILD)
    PLUGINS = []
    def plugin(function):
        PLUGINS.append(function)
        return function
    @plugin
    def first(x=MISSING):
        return x is MISSING
    calls = 0
    def count():
        global calls
        calls += 1
    class Look(TaskBase):
        def run_task(self):
            count()
            return [first(), PLUGINS[0] is first, ROOT.children[0] is CHILD, CHILD.parent is ROOT, calls]
    print(Look().run_graph())
    """
    assert run_script(text).out == "[True, True, True, True, 1]\n"


def test_a_dataclass_can_be_built_upon_on_a_worker(run_script: ScriptRunner):
    text = """
    from dataclasses import dataclass, fields, replace
    from taskproc import TaskBase
    @dataclass
    class Config:
        lr: float
    class Build(TaskBase):
        def run_task(self):
            @dataclass
            class More(Config):
                steps: int = 3
            try:
                More()
            except TypeError:
                return [field.name for field in fields(More)], replace(Config(1.0), lr=2.0).lr
    print(Build().run_graph())
    """
    assert run_script(text).out == "(['lr', 'steps'], 2.0)\n"


def test_a_name_that_no_code_shows_is_told_as_missing(run_script: ScriptRunner):
    text = """
    import sys
    from taskproc import FailedTaskError, TaskBase
    NUMBERS = [1, 2]
    class Asks(TaskBase):
        def run_task(self):
            return getattr(sys.modules["__main__"], "NUM" + "BERS".upper())
    try: Asks().run_graph()
    except FailedTaskError as error: print(error)
    print(Asks().run_graph(backend="thread"))
    """
    out = run_script(text).out
    assert "the script's NUMBERS is not on the worker: nothing that a task class names leads to it" in out
    assert out.endswith("[1, 2]\n")


def test_what_code_evaluates_is_there(run_script: ScriptRunner):
    text = """
    from taskproc import TaskBase
    X_a, X_b = [1], [2]
    class C:
        def go(self): return X_b
    class Asks(TaskBase):
        def __init__(self, name: str): self.name = name
        def run_task(self):
            return globals()["X_" + self.name], eval("C().g" + "o")()
    print(Asks("a").run_graph())
    """
    assert run_script(text).out == "([1], [2])\n"


def test_a_graph_within_a_task_has_what_the_script_defines(run_script: ScriptRunner):
    text = """
    import enum
    from taskproc import TaskBase
    class Color(enum.Enum):
        RED = 1
    class Inner(TaskBase):
        def __init__(self, how: str, color: Color):
            self.color = color
        def run_task(self):
            return self.color
    class Outer(TaskBase):
        def __init__(self, how: str):
            self.how = how
        def run_task(self):
            return Inner(self.how, Color.RED).run_graph(backend=self.how) is Color.RED
    print([Outer(how).run_graph() for how in ("process", "thread", "prefix")])
    """
    assert run_script(text).out == "[True, True, True]\n"


OWN_POOLS = {
    "a pool": "from multiprocessing import Pool\nwith Pool(1) as pool:\n    return pool.map(work, [3])",
    "a pool of spawned processes": "from multiprocessing import get_context\n"
    "with get_context('spawn').Pool(1) as pool:\n    return pool.map(work, [3])",
    "an executor": "from concurrent.futures import ProcessPoolExecutor\n"
    "with ProcessPoolExecutor(1) as pool:\n    return list(pool.map(work, [3]))",
    "a pickle": "import pickle\nreturn [pickle.loads(pickle.dumps(work))(3)]",
    "a pickle of what nothing names": "import pickle\n"
    "return [pickle.loads(b'c__main__' + bytes([10]) + b'unnamed' + bytes([10]) + b'.')()]",
    "a look-up": "import __main__\nreturn [__main__.unnamed()]",
}


@pytest.mark.parametrize("how", ["process", "thread"])
@pytest.mark.parametrize("use", OWN_POOLS)
def test_tasks_use_the_functions_of_their_script_in(run_script: ScriptRunner, use: str, how: str):
    body = OWN_POOLS[use].replace("\n", "\n        ")
    text = f"""
from taskproc import TaskBase
def work(x):
    return x * x
def unnamed():
    return 9
class Use(TaskBase):
    def run_task(self):
        {body}
if __name__ == "__main__":
    print(Use().run_graph(backend={how!r}))
"""
    assert run_script(text).out == "[9]\n"


MADE_ANEW = {
    "lock": ("import threading\nlock = threading.Lock()", "with lock: return 9"),
    "lock within an object": (
        "import threading\nclass Safe:\n    def __init__(self): self.lock = threading.RLock()\nsafe = Safe()",
        "with safe.lock: return 9",
    ),
    "context variable": ("from contextvars import ContextVar\nv = ContextVar('v', default=9)", "return v.get()"),
    "cache of a method": (
        "from functools import cache\nclass C:\n    @cache\n    def f(self): return 9",
        "return C().f()",
    ),
    "function by type": (
        "from functools import singledispatch\n@singledispatch\ndef f(x): return 1\n"
        "@f.register\ndef _(x: int): return 9\nf(1)",
        "return f(3)",
    ),
    "weak table": ("import weakref\nclass C: pass\nc = C()\nw = weakref.WeakKeyDictionary({c: 9})", "return w[c]"),
    "decorator of another module": (
        "from helper import counted\n@counted\ndef f(): return 8",
        "import helper; return f() + helper.calls",
    ),
}


@pytest.mark.parametrize("how", ["process", "thread"])
@pytest.mark.parametrize("kind", MADE_ANEW)
def test_what_has_no_value_of_its_own_is_made_anew(run_script: ScriptRunner, kind: str, how: str):
    run_script.write(
        """
        import functools
        calls = 0
        def counted(function):
            @functools.wraps(function)
            def inner():
                global calls
                calls += 1
                return function()
            return inner
        """,
        "helper.py",
    )
    definitions, use = MADE_ANEW[kind]
    text = f"""
from taskproc import TaskBase
{definitions}
class Use(TaskBase):
    def run_task(self):
        {use}
print(Use().run_graph(backend={how!r}))
"""
    assert run_script(text).out == "9\n"


CANNOT_TRAVEL = """
import sqlite3
from taskproc import FailedTaskError, TaskBase
base = sqlite3.connect(":memory:", check_same_thread=False)
class Wraps:
    base = base
class Asks(TaskBase):
    def run_task(self):
        return base.execute("select 9").fetchone()[0]
class AsksItsClass(TaskBase):
    base = base
    def run_task(self):
        return self.base.execute("select 9").fetchone()[0]
class AsksAnother(TaskBase):
    def run_task(self):
        return Wraps.base.execute("select 9").fetchone()[0]
class Holds(TaskBase):
    def __init__(self):
        self.wraps = Wraps()
    def run_task(self):
        return self.wraps.base.execute("select 9").fetchone()[0]
class AsksNot(TaskBase):
    def run_task(self):
        return 9 if self else base
"""


@pytest.mark.parametrize(
    ("task", "named"),
    [("Asks", "the script's base, a Connection,"), ("AsksItsClass", "AsksItsClass of the script"),
     ("AsksAnother", "Wraps of the script"), ("Holds", "Wraps of the script")],
)
def test_what_cannot_travel_is_named_with_the_ways_out(run_script: ScriptRunner, task: str, named: str):
    text = CANNOT_TRAVEL + f"try: {task}().run_graph()\nexcept FailedTaskError as error: print(error)\n"
    out = run_script(text).out
    assert f"{named} cannot travel to a worker (TypeError: cannot pickle 'sqlite3.Connection' object)" in out
    assert "backend='thread'" in out


@pytest.mark.parametrize("task", ["Asks", "AsksItsClass", "AsksAnother", "Holds"])
def test_what_cannot_travel_is_no_obstacle_in_a_thread(run_script: ScriptRunner, task: str):
    assert run_script(CANNOT_TRAVEL + f"print({task}().run_graph(backend='thread'))\n").out == "9\n"


def test_what_cannot_travel_disturbs_nobody_who_does_not_use_it(run_script: ScriptRunner):
    assert run_script(CANNOT_TRAVEL + "print(AsksNot().run_graph())\n").out == "9\n"


def test_a_result_whose_class_is_not_there_is_never_read_as_a_stranger(run_script: ScriptRunner):
    text = """
    import enum
    from taskproc import TaskBase
    class Color(enum.Enum):
        RED = 1
    class Paint(TaskBase):
        def run_task(self):
            return [Color.RED, lambda: 1]
    """.rstrip()
    run_script(f"{text}\n    Paint().run_graph()\n")
    without = text.replace("class Color(enum.Enum):\n        RED = 1", "class Colour: pass")
    read = """
    from taskproc import ResultUnreadableError
    try: print(Paint().get_task_result())
    except ResultUnreadableError as error: print(error)
    """
    out = run_script(without + read).out
    assert "cannot be unpickled here" in out
    assert "'Color'" in out
