"""Change detection beyond the class: what a task class reaches in the user's own modules, and what it does not."""
from __future__ import annotations

import importlib
import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskproc.tasks.source import SourceReader, mentioned, normalised_source, reach, same_source
from taskproc.tasks.source.normal_form import MARK

TASKS = """
    from __future__ import annotations
    import math as mathematics
    import helpers
    from helpers import scale as scaled, Model
    from package.deep import inner
    import package.other

    LIMIT = 10
    TABLE = {}
    TABLE["a"] = 1
    UNUSED = "unused"

    class Stop:
        def __init_subclass__(cls, **keywords): ...

    class Mixin:
        def share(self):
            return SHARED

    SHARED = "shared"

    class Other(Stop):
        def run_task(self): return "another task"
        @staticmethod
        def tool(): return "a tool of another task"

    class A(Mixin, Stop):
        def __init__(self):
            self.up = Other()
        def run_task(self):
            from helpers import late
            local = "unused"
            return [scaled(x, LIMIT) for x in TABLE], helpers.direct(), Model().fit(), inner(), late(), local
        def more(self):
            return package.other.further, Other.tool(), mathematics.pi, self.UNUSED
"""
FILES = {
    "helpers.py": """
        from package import FACTOR
        def scale(x, limit):
            return min(x * FACTOR, limit) + hidden()
        def hidden(): return "hidden"
        def direct(): return "direct"
        def late(): return "late"
        def unused(): return "unused"
        class Model:
            def fit(self): return "fit"
        """,
    "package/__init__.py": "from .constants import FACTOR\n",
    "package/constants.py": "FACTOR = 2 ** 5\nUNUSED = 'unused'\n",
    "package/deep.py": """
        from . import other
        from .stars import *
        def inner(): return other.sibling(), starred()
        """,
    "package/other.py": "further = 'further'\ndef sibling(): return 'sibling'\ndef unused(): return 'unused'\n",
    "package/stars.py": "def starred(): return 'starred'\n",
}
REACHED = [
    "LIMIT = 10", "TABLE = {}", "TABLE['a'] = 1", "SHARED = 'shared'", "min(x * FACTOR, limit)", "'hidden'", "'direct'",
    "'late'", "'fit'", "FACTOR = 2 ** 5", "'sibling'", "'starred'", "further = 'further'", "'a tool of another task'",
    "import math as mathematics",
]  # fmt: skip


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Write modules, and import the one with the tasks."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    ticks = iter(range(1, 1000))

    def write(files: dict[str, str], name: str = "reaching_tasks") -> Any:
        for file, text in files.items():
            path = tmp_path / file
            path.parent.mkdir(exist_ok=True)
            path.write_text(textwrap.dedent(text))
            tick = next(ticks)
            os.utime(path, ns=(tick, tick))
        for module in set(sys.modules) - before:
            del sys.modules[module]
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield write
    for module in set(sys.modules) - before:
        del sys.modules[module]


def text_of(module: Any, name: str = "A") -> str:
    text = normalised_source(getattr(module, name), module.Stop)
    assert text is not None
    return text


def reached(module: Any, name: str = "A") -> str:
    return text_of(module, name).partition(MARK)[2]


def tasks(body: str) -> dict[str, str]:
    """Write a small task file."""
    return {"reaching_tasks.py": f"class Stop: pass\n{textwrap.dedent(body)}"}


def test_what_is_reached_and_nothing_else(write):
    text = reached(write({"reaching_tasks.py": TASKS, **FILES}))
    for part in REACHED:
        assert text.count(part) == 1, part
    assert "unused" not in text
    assert "another task'" not in text.replace("tool of another task", "")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("helpers.py", '"hidden"', '"changed"'),
        ("helpers.py", '"late"', '"changed"'),
        ("package/constants.py", "2 ** 5", "2 ** 6"),
        ("package/stars.py", "'starred'", "'changed'"),
        ("package/other.py", "'sibling'", "'changed'"),
        ("package/__init__.py", "from .constants import FACTOR", "FACTOR = 3"),
    ],
)
def test_a_change_is_seen(write, file, old, new):
    files = {"reaching_tasks.py": TASKS, **FILES}
    before = text_of(write(files))
    after = text_of(write({**files, file: files[file].replace(old, new)}))
    assert not same_source(before, after)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("helpers.py", '"unused"', '"changed"'),
        ("helpers.py", "return min(", "# why\n            'Doc.'\n            return min("),
        ("package/constants.py", "FACTOR = 2", "\n\nFACTOR = (2)"),
        ("package/constants.py", "'unused'", "'changed'"),
    ],
)
def test_what_changes_nothing_is_not_seen(write, file, old, new):
    files = {"reaching_tasks.py": TASKS, **FILES}
    before = text_of(write(files))
    after = text_of(write({**files, file: files[file].replace(old, new)}))
    assert same_source(before, after)


def test_what_stands_behind_a_long_sum_is_seen_however_deep_the_caller_is(write):
    sum_of_many = " + ".join(f"x{n % 7}" for n in range(900))
    files = {
        "deep_helpers.py": "def late(): return 'late'",
        **tasks(f"""
            from deep_helpers import late
            class A(Stop):
                def run_task(self):
                    x0 = x1 = x2 = x3 = x4 = x5 = x6 = 1
                    total = {sum_of_many}
                    return late(), total
        """),
    }

    def at_depth(levels: int) -> str:
        return at_depth(levels - 1) if levels else text_of(write(files))

    assert "'late'" in at_depth(0)
    assert at_depth(0) == at_depth(sys.getrecursionlimit() // 2)


def test_an_import_by_a_call_at_the_top_level_is_an_import(write):
    files = {
        "deep_table.py": "LIMIT = 1",
        "deep_change.py": "import deep_table\ndeep_table.LIMIT = 'changed'",
        **tasks("""
            import importlib
            from deep_table import LIMIT
            import deep_table
            other = importlib.import_module("deep_change")
            class A(Stop):
                def run_task(self): return deep_table.LIMIT
        """),
    }
    assert "'changed'" in reached(write(files))


@pytest.mark.parametrize(
    ("imports", "beside"), [("import deep_table, deep_fill", []), ("import deep_table", ["deep_fill"])]
)
def test_what_changes_a_table_is_imported_besides_only_if_the_class_s_module_does_not(write, imports, beside):
    files = {
        "deep_table.py": "TABLE = {}",
        "deep_fill.py": "import deep_table\ndeep_table.TABLE['a'] = 1",
        "deep_tasks.py": f"{imports}\nfrom reaching_tasks import Stop\n"
        "class A(Stop):\n    def run_task(self): return deep_table.TABLE",
        "reaching_tasks.py": "class Stop: pass",
        "deep_start.py": "import deep_fill\nimport deep_tasks\nfrom deep_tasks import A",
    }
    started = write(files, "deep_start")
    reader = SourceReader(sys.modules["reaching_tasks"].Stop)
    reader._program.enter(reader._program.find("deep_start"))
    reader.text(started.A)
    assert list(reader.beside.modules) == beside


def test_a_function_may_call_itself_and_others_that_call_it(write):
    text = reached(write(tasks("""
        def even(n): return n == 0 or odd(n - 1)
        def odd(n): return n != 0 and even(n - 1)
        class A(Stop):
            def run_task(self): return even(4)
    """)))
    assert text.count("def even") == text.count("def odd") == 1


def test_modules_may_import_each_other(write):
    module = write({
        **tasks("import one\nclass A(Stop):\n    def run_task(self): return one.f()\n"),
        "one.py": "import two\ndef f(): return two.g()\n",
        "two.py": "import one\nfrom one import *\ndef g(): return one.f, missing\n",
    })  # fmt: skip
    text = reached(module)
    assert text.count("def f") == text.count("def g") == 1


def test_names_that_a_function_binds_itself_are_its_own(write):
    text = reached(write(tasks("""
        x = y = z = w = v = e = "outside"
        used = "used"
        class A(Stop):
            def run_task(self, x):
                for y in x: pass
                with open(x) as z: pass
                w = [v for v in y if used]
                try: pass
                except OSError as e: pass
                return lambda x: x, w, e
    """)))
    assert text.split("\n\n")[1:] == ["used = 'used'"]


def test_a_comprehension_hides_a_name_only_inside(write):
    text = reached(write(tasks("""
        item = "outside"
        class A(Stop):
            def run_task(self): return [item for item in self.all], item
    """)))
    assert "item = 'outside'" in text


def test_global_names_are_followed_though_assigned(write):
    text = reached(write(tasks("""
        count = 0
        class A(Stop):
            def run_task(self):
                global count
                count += 1
    """)))
    assert "count = 0" in text


def test_conditional_and_repeated_bindings_all_count(write):
    text = reached(write(tasks("""
        import os
        if os.name == "posix":
            SIZE = 1
        else:
            SIZE = 2
        try:
            import missing_library as fast
        except ImportError:
            fast = None
        ALL = []
        for n in range(3):
            ALL.append(n)
        if __name__ == "__main__":
            ALL = "only as a script"
        class A(Stop):
            def run_task(self): return SIZE, fast, ALL
    """)))
    for part in ["SIZE = 2", "fast = None", "import missing_library as fast", "ALL.append(n)"]:
        assert part in text
    assert "only as a script" not in text


def test_annotations_do_not_count(write):
    text = reached(write(tasks("""
        class Kind: pass
        class A(Stop):
            up: Kind
            def run_task(self, x: Kind) -> Kind: pass
    """)))
    assert "Kind" not in text


def test_installed_packages_and_the_standard_library_end_the_way(write):
    text = reached(write(tasks("""
        from networkx import DiGraph
        from json import loads as read
        class A(Stop):
            def run_task(self): return DiGraph(), read("1")
    """)))
    assert text.split("\n\n")[1:] == ["import networkx.DiGraph as DiGraph", "import json.loads as read"]


def test_a_module_passed_on_counts_whole(write):
    module = write({
        **tasks("import one\nclass A(Stop):\n    def run_task(self): return getattr(one, self.name)\n"),
        "one.py": "def f(): return 'f'\nx = 'x'\n",
    })  # fmt: skip
    text = reached(module)
    assert "'f'" in text
    assert "'x'" in text


def test_a_helper_class_brings_its_base_and_decorators(write):
    text = reached(write(tasks("""
        def decorate(cls): return cls
        class Base:
            size = 4
        @decorate
        class Model(Base): pass
        class A(Stop):
            def run_task(self): return Model()
    """)))
    for part in ["def decorate", "size = 4", "class Model"]:
        assert part in text


def test_there_is_a_limit(write, monkeypatch, caplog):
    monkeypatch.setattr(reach, "LIMIT", 20)
    functions = "\n".join(f"def f{n}(): return f{n + 1}()" for n in range(100))
    text = reached(write(tasks(f"{functions}\nclass A(Stop):\n    def run_task(self): return f0()\n")))
    assert 15 < text.count("def f") <= 21
    assert "reaching_tasks.A reaches more than 20 functions" in caplog.text


def test_without_helpers_only_the_class_counts(write):
    module = write({"reaching_tasks.py": TASKS, **FILES})
    without = normalised_source(module.A, module.Stop, helpers=False)
    assert without is not None
    assert "hidden" not in without
    assert same_source(without, text_of(module)), "a result made without looking at helpers stays good"
    assert same_source(text_of(module), without)


def test_it_costs_once_per_file_however_many_classes_share_it(write, monkeypatch):
    reads = []
    read = mentioned._read
    monkeypatch.setattr(mentioned, "_read", lambda node, *how: reads.append((id(node), how)) or read(node, *how))
    helpers = "\n".join(f"def f{n}(): return f{n + 1}()" for n in range(100))
    classes = "\n".join(f"class T{n}(Stop):\n    def run_task(self): return f0()" for n in range(50))
    module = write(tasks(f"{helpers}\n{classes}\n"))
    for n in range(50):
        text_of(module, f"T{n}")
    assert len(reads) == len(set(reads)) < 300


def test_notebook_cells(run_script):
    pytest.importorskip("IPython")
    cells = [
        "from taskproc.tasks.source import normalised_source",
        "def helper(): return 'first'",
        "K = 1",
        "class A:\n    def run_task(self): return helper(), K",
        "one = normalised_source(A, object)",
        "def helper(): return 'second'",
        "K = 2",
        "two = normalised_source(A, object)",
        "import json; print('>>' + json.dumps([one, two]))",
    ]
    first, second = eval(run_script.cells(cells).out.split(">>")[-1])
    assert "'first'" in first
    assert "K = 1" in first
    assert "'second'" in second
    assert "'first'" not in second
    assert "K = 2" in second
