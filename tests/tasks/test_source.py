"""Change detection: what counts as a change of a task class, and what does not."""
from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
import textwrap
import types
from pathlib import Path
from typing import Any

import pytest

from taskproc.tasks import source
from taskproc.tasks.source import SourceReader, files, normalised_source, same_source, source_digest
from tests.interpreters import find_interpreter

PACKAGE = Path(source.__file__).parents[2]

PREAMBLE = '''
"""A task file."""
import dataclasses, functools, typing, abc

class Stop:
    """Stands for TaskBase."""
    def __init_subclass__(cls, **keywords): ...

def plain(function):
    return lambda *args: function(*args)

def polite(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper

def same(cls):
    return cls
'''


@pytest.fixture
def load(tmp_path, request):
    """Import a task file with this text."""
    names: list[str] = []

    def load(text: str, name: str = "taskfile") -> Any:
        path = tmp_path / f"{name}.py"
        path.write_text(PREAMBLE + textwrap.dedent(text))
        os.utime(path, ns=(len(names), len(names)))  # versions written in one tick of the clock must differ
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec
        assert spec.loader
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        names.append(name)
        sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
        try:
            spec.loader.exec_module(module)
        finally:
            sys.dont_write_bytecode = before
        return module

    yield load
    for name in names:
        sys.modules.pop(name, None)


def text_of(module: Any, name: str = "A") -> str:
    text = normalised_source(getattr(module, name), module.Stop)
    assert text is not None
    return text


ORIGINAL = """
    class A(Stop):
        x = (1, 2)
        def run_task(self):
            return self.x
"""

SAME = {
    "comments": """
        # A comment
        class A(Stop):  # another
            x = (1, 2)
            # and one more
            def run_task(self):
                return self.x  # the end
    """,
    "blank lines": """


        class A(Stop):

            x = (1, 2)


            def run_task(self):

                return self.x
    """,
    "formatting": """
        class A( Stop ):
         x = 1,2
         def run_task(self): return (
             self.x)
    """,
    "docstrings": '''
        class A(Stop):
            """It has one now."""
            x = (1, 2)
            """And so has the attribute."""
            def run_task(self):
                """Here too."""
                return self.x
    ''',
    "where it stands": """
        import os
        def other(): ...
        class A(Stop):
            x = (1, 2)
            def run_task(self):
                return self.x
    """,
    "where and how it runs": """
        class A(Stop, backend="slurm", backend_options={"mem": "64G"}, channel="gpu", retries=3):
            x = (1, 2)
            def run_task(self):
                return self.x
    """,
}

CHANGED = {
    "body": ORIGINAL.replace("self.x", "self.x + (3,)"),
    "attribute": ORIGINAL.replace("(1, 2)", "(1, 3)"),
    "kind of literal": ORIGINAL.replace("(1, 2)", "[1, 2]"),
    "decorator of the class": ORIGINAL.replace("class", "@same\n    class"),
    "decorator of a method": ORIGINAL.replace("def", "@polite\n        def"),
    "other keyword": ORIGINAL.replace("Stop", "Stop, flavour=1"),
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_writing_it_differently_is_no_change(load, text):
    assert text_of(load(text)) == text_of(load(ORIGINAL))


@pytest.mark.parametrize("text", CHANGED.values(), ids=CHANGED)
def test_saying_something_else_is_a_change(load, text):
    assert text_of(load(text)) != text_of(load(ORIGINAL))


def test_only_a_docstring_leaves_an_empty_body(load):
    module = load('class A(Stop):\n    """Only this."""\nclass B(Stop):\n    pass\n')
    assert text_of(module, "A").replace("A", "B") == text_of(module, "B")


class TestBases:
    def test_a_changed_base_is_a_change(self, load):
        first = load("class Base(Stop):\n    n = 1\nclass A(Base): pass\n")
        before = text_of(first)
        assert before != text_of(load("class Base(Stop):\n    n = 2\nclass A(Base): pass\n"))
        assert "class Base(Stop):" in before
        assert "class Stop" not in before

    def test_mixins_behind_the_stop_count(self, load):
        text = text_of(load("class Mixin:\n    n = 1\nclass Base(Stop): ...\nclass A(Base, Mixin): pass\n"))
        assert "class Mixin:" in text

    def test_a_base_in_another_file(self, load):
        load("class Base:\n    n = 1\n", name="elsewhere")
        assert "n = 1" in text_of(load("import elsewhere\nclass A(elsewhere.Base, Stop): pass\n"))

    def test_the_standard_library_does_not_count(self, load):
        text = text_of(load("""
            import argparse
            class A(Stop, argparse.Namespace, typing.Generic[typing.TypeVar("T")], abc.ABC): pass
        """))
        assert text.count("class ") == 1

    def test_installed_tasks_count_and_installed_mixins_do_not(self, load, tmp_path, monkeypatch):
        module = load("class Base(Stop):\n    n = 1\nclass Mixin:\n    m = 2\n", name="installed")
        users = load("""
            from installed import Base, Mixin, Stop
            class A(Base, Mixin): pass
        """)
        monkeypatch.setattr(module, "__file__", str(tmp_path / "lib" / "python3.12" / "site-packages" / "installed.py"))
        assert "n = 1" in text_of(users)
        assert "m = 2" not in text_of(users)


class TestFinding:
    """Each class says which statement it was made by."""

    def test_local_classes(self, load):
        module = load("""
            def make(n):
                class A(Stop):
                    def run_task(self): return "local"
                return A
            def make_other():
                class A(Stop):
                    def run_task(self): return "other"
                return A
            A = make(1)
            B = make_other()
        """)
        assert "'local'" in text_of(module)
        assert "'other'" in text_of(module, "B")

    def test_nested_classes(self, load):
        module = load("""
            class Outer:
                class A(Stop):
                    x = "inner"
            class A(Stop):
                x = "outer"
            Inner = Outer.A
        """)
        assert "'inner'" in text_of(module, "Inner")
        assert "'outer'" in text_of(module)

    def test_a_name_defined_twice(self, load):
        module = load("""
            class A(Stop):
                def run_task(self): return "first"
            First = A
            class A(Stop):
                def run_task(self): return "second"
        """)
        assert "'first'" in text_of(module, "First")
        assert "'second'" in text_of(module)

    def test_branches(self, load):
        module = load("""
            try:
                if True:
                    class A(Stop):
                        def run_task(self): return "taken"
                else:
                    class A(Stop):
                        def run_task(self): return "not taken"
            except ValueError:
                class A(Stop):
                    def run_task(self): return "handler"
            match 1:
                case 1:
                    class B(Stop):
                        x = "matched"
        """)
        assert "'taken'" in text_of(module)
        assert "'matched'" in text_of(module, "B")

    def test_decorated_classes_and_methods(self, load):
        module = load("""
            class A(Stop):
                x = 0
                @plain
                def run_task(self): return "old"
            @same
            @same
            class A(Stop):
                @polite
                def run_task(self): return "new"
        """)
        assert text_of(module).startswith("@same\n@same\nclass A")
        assert "'new'" in text_of(module)

    def test_properties_and_static_methods_lead_to_the_file(self, load):
        module = load("""
            class A(Stop):
                @property
                def x(self): return "old"
            Old = A
            class A(Stop):
                @staticmethod
                def x(self): return "new"
            class B(Stop):
                @functools.cached_property
                def x(self): return "cached"
        """)
        assert "'old'" in text_of(module, "Old")
        assert "'new'" in text_of(module)
        assert "'cached'" in text_of(module, "B")

    def test_dataclasses(self, load):
        module = load("""
            @dataclasses.dataclass
            class A(Stop):
                x: int = 5
        """)
        assert "x: int = 5" in text_of(module)

    def test_functions_of_others_do_not_mislead(self, load):
        helpers = load("class A:\n    def run_task(self): return 'theirs'\n", name="helpers")
        module = load("import helpers\nclass A(Stop):\n    run_task = helpers.A.run_task\n    x = 'ours'\n")
        assert helpers
        assert "'ours'" in text_of(module)
        assert "'theirs'" not in normalised_source(module.A, module.Stop, helpers=False)

    def test_a_global_class_made_in_a_function(self, load):
        module = load("""
            def make():
                global A
                class A(Stop):
                    def run_task(self): return "global"
            make()
        """)
        assert "'global'" in text_of(module)

    def test_encodings(self, tmp_path, load):
        path = tmp_path / "latin.py"
        path.write_bytes("# coding: latin-1\nclass A:\n    x = 'é'\n".encode("latin-1"))
        spec = importlib.util.spec_from_file_location("latin", path)
        module = sys.modules["latin"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        try:
            assert "'é'" in normalised_source(module.A, object)
        finally:
            del sys.modules["latin"]

    def test_zip_files(self, tmp_path, monkeypatch):
        import zipfile

        with zipfile.ZipFile(tmp_path / "tasks.zip", "w") as archive:
            archive.writestr("zipped_tasks.py", "class A:\n    def run_task(self): return 'zipped'\n")
        monkeypatch.syspath_prepend(str(tmp_path / "tasks.zip"))
        import zipped_tasks  # type: ignore[import-not-found]

        assert "'zipped'" in normalised_source(zipped_tasks.A, object)


class TestWithoutSource:
    def test_made_by_exec(self):
        namespace: dict[str, Any] = {"__name__": __name__}
        exec("class TestFinding:\n    def run_task(self): return 1\nclass Empty: pass", namespace)
        assert normalised_source(namespace["TestFinding"], object) is None
        assert normalised_source(namespace["Empty"], object) is None

    def test_made_by_type(self):
        assert normalised_source(type("Made", (), {}), object) is None

    def test_built_in(self):
        assert normalised_source(int, object) is None

    def test_file_that_went_away_or_broke(self, load, tmp_path):
        module = load("class A(Stop):\n    x = 1\n")
        (tmp_path / "taskfile.py").write_text("class A(:")
        assert normalised_source(module.A, module.Stop) is None
        (tmp_path / "taskfile.py").unlink()
        assert normalised_source(module.A, module.Stop) is None

    def test_expression_too_deep_for_ast_is_taken_as_it_stands(self, load):
        deep = " + ".join(["x"] * 700)
        module = load(f"class A(Stop):\n    x = 1\n    y = lambda x: {deep}\n")
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(700)
        try:
            text = text_of(module)
        finally:
            sys.setrecursionlimit(limit)
        assert deep in text


class TestPrompts:
    PREPARE = f"""
import sys, types
package = types.ModuleType("taskproc")
package.__path__ = [{str(PACKAGE)!r}]
sys.modules["taskproc"] = package
from taskproc.tasks.source import normalised_source
"""

    @pytest.mark.skipif(sys.version_info >= (3, 13), reason="from Python 3.13 the prompt keeps its source")
    def test_prompt_without_source(self):
        assert self.typed(sys.executable) == "None"

    @pytest.mark.parametrize("version", ["3.13", "3.14"])
    def test_prompt_with_source(self, version):
        python = find_interpreter(version)
        if python is None:
            pytest.skip(f"there is no Python {version} here")
        expected = "class A:\n\n    def run_task(self):\n        return 1\n\n# What it reaches:"
        assert self.typed(python) == expected

    def typed(self, python: str) -> str:
        lines = [
            self.PREPARE,
            "class A:",
            "    # a comment",
            "    def run_task(self): return 1",
            "",
            "print('>>' + str(normalised_source(A, object)) + '<<')",
            "",
        ]
        done = subprocess.run([python, "-i"], input="\n".join(lines), capture_output=True, text=True)
        return done.stdout.split(">>")[-1].split("<<")[0]

    def test_notebook_cells(self, run_script):
        pytest.importorskip("IPython")
        cells = [
            self.PREPARE,
            "class Base:\n    n = 1",
            "# a cell\nclass A(Base):\n    def run_task(self): return 'first'",
            "texts = [normalised_source(A, object)]",
            "class A(Base):\n    def run_task(self): return 'second'",
            "texts.append(normalised_source(A, object))",
            "class Base:\n    n = 2",
            "class B(Base): pass",
            "texts.append(normalised_source(B, object))",
            "import json; print('>>' + json.dumps(texts))",
        ]
        first, second, third = json.loads(run_script.cells(cells).out.split(">>")[-1])
        assert "'first'" in first
        assert "n = 1" in first
        assert "'second'" in second
        assert third.startswith("class B(Base):\n    pass")
        assert "n = 2" in third


class TestSameSource:
    def test_text_of_another_python_is_read_again(self):
        older = "class A:\n\n    def f(self):\n        return (yield (1, 2)), x[(1, 2)], not (a), f'{x!r}'"
        newer = "class A:\n    def f(self):\n        return ((yield 1, 2), x[1, 2], not a, f\"{x!r}\")"
        assert same_source(older, newer)
        assert not same_source(older, newer.replace("1", "3"))

    def test_docstrings_kept_by_an_older_version_do_not_count(self):
        assert same_source("class A:\n    'Doc.'\n    x = 1", "class A:\n    x = 1")

    @pytest.mark.parametrize("stored", ["", "class A(:", "\0", "(" * 1000], ids=["empty", "broken", "null",
    "deep"])
    def test_unreadable_text_is_not_the_same(self, stored):
        assert not same_source(stored, "class A:\n    x = 1")

    @pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13", "3.14"])
    def test_sources_of_every_python_found_are_the_same(self, version, tmp_path):
        python = find_interpreter(version)
        if python is None:
            pytest.skip(f"there is no Python {version} here")
        (tmp_path / "tasks.py").write_text(TRICKY)
        script = f"{TestPrompts.PREPARE}\nimport tasks\nprint(ascii(normalised_source(tasks.A, object)))"
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([python, "-c", script], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        without_annotations = TRICKY.replace("*args: int", "*args").replace(' -> "A"', "")
        assert same_source(ast.literal_eval(done.stdout), without_annotations)


TRICKY = r'''
class A:
    """Doc."""
    def f(self, x, *args: int, y=(1, 2), **k) -> "A":
        a, *b = x
        del (a), b
        z = x[1:2, ..., (3,)], x[(1, 2)], -1 ** 2, (-1) ** 2, not (a and b) or c
        s = f"{x!r:>{y}} {'a' 'b'} {x['k']} {{}} \n\t é" "tail", rf'\d{x}', b"\x00'\"", """a
        b"""
        t = f"{x:{y['w']}}" f'it\'s "{x}"', f"{x=}", f"{f'{x}'}", f"""{x["a'b"]}""", f"{x:%Y-%m}"
        w = 1e1000, 1e-5, 1_000, 0x10, 1j, "\ud83d", '"' "'"
        async def g():
            async with a as b, c: await d
            return [i async for i in j if k if l]
        with (open("a") as f, open("b")): pass
        match x:
            case {"a": [1, *_], **rest}: pass
            case B(c=1) | [*_]: pass
            case -1 | None | "s": pass
        if (n := 10) > 5: return lambda *, a=(yield): (a, (yield 1, 2))
        return {**a, 'b': 1}, {*a, 1}, [*a], (*a,), a if b else c, *d
'''


def test_digest_is_16_bytes_of_the_text():
    assert source_digest("a") != source_digest("b")
    assert source_digest("a") == source_digest("a")
    assert len(source_digest("\udc80")) == 16


def test_a_file_is_parsed_once_for_all_its_classes(load, monkeypatch):
    classes = [f"class T{i}(Stop):\n    def run_task(self): return {i}\n" for i in range(300)]
    module = load("\n".join(classes))
    parsed = []
    parse = ast.parse

    def counting(text):
        parsed.append(text)
        return parse(text)

    monkeypatch.setattr(files, "ast", types.SimpleNamespace(**{**vars(ast), "parse": counting}))

    reader = SourceReader(module.Stop)
    texts = {reader.text(getattr(module, f"T{i}")) for i in range(300)}

    assert len(texts) == 300
    assert len(parsed) == 1
