"""What a script changes in modules that it imports is there on workers, too, which import them anew."""
from __future__ import annotations

import pytest

from tests.support import ScriptRunner

LIBRARY = """
import functools
X = 1
TABLE = {}
LIST = []
def get():
    return X
def configure(n):
    global X
    X = n
class Config:
    rate = 1
class Base:
    pass
@functools.singledispatch
def show(x):
    return "plain"
def register(function):
    TABLE[function.__name__] = function
    return function
"""
PATCH = "import library\nlibrary.X = 5\nlibrary.LIST.append('patched')\n"

CASES = [
    pytest.param("library.X = 5", "library.get()", "5", id="a constant"),
    pytest.param("library.configure(5)", "library.X", "5", id="a constant, by a function"),
    pytest.param("if __name__ == '__main__':\n    library.configure(5)", "library.X", "5", id="in the main block"),
    pytest.param("library.TABLE['a'] = 5", "library.TABLE", "{'a': 5}", id="a table"),
    pytest.param("library.Config.rate = 5", "library.Config.rate", "5", id="an attribute of a class"),
    pytest.param("@library.register\ndef own(): return 5", "library.TABLE['own']()", "5", id="a registered function"),
    pytest.param("@library.show.register\ndef _(x: int): return 'int'", "library.show(3)", "int", id="singledispatch"),
    pytest.param("class Own(library.Base): pass", "len(library.Base.__subclasses__())", "1", id="a subclass"),
    pytest.param("def mine(): return 5\nlibrary.get = mine", "library.get()", "5", id="a function put in its place"),
    pytest.param("import patch", "library.get(), library.LIST", "(5, ['patched'])", id="an import for its effect"),
]
TASKS = "import library\nfrom taskproc import TaskBase\nclass T(TaskBase):\n    def run_task(self): return {}\n"
END = "if __name__ == '__main__':\n    print(T().run_graph(backend='{}'))\n"


@pytest.mark.parametrize("backend", ["process", "prefix"])
@pytest.mark.parametrize(("change", "asked", "answer"), CASES)
def test_it_is_there_for_a_class_of_the_script_and_of_a_module(
    run_script: ScriptRunner, change: str, asked: str, answer: str, backend: str
):
    for name, text in {"library": LIBRARY, "patch": PATCH, "steps": TASKS.format(asked)}.items():
        run_script.write(text, f"{name}.py")
    own = f"import library\n{change}\n{TASKS.format(asked)}{END.format(backend)}"
    assert run_script(own, name="own.py").out.strip() == answer
    other = f"import library\n{change}\nfrom steps import T\n{END.format(backend)}"
    assert run_script(other, name="other.py").out.strip() == answer


def test_what_cannot_travel_is_told_with_the_way_out(run_script: ScriptRunner):
    run_script.write(LIBRARY, "library.py")
    script = """
        import sys, library
        from taskproc import FailedTaskError, TaskBase
        library.X = (n for n in [1, 2])
        class T(TaskBase):
            def __init__(self, n: int): self.n = n
            def run_task(self): return list(library.X)
        if __name__ == "__main__":
            print(T(1).run_graph(backend="thread"))
            try:
                T(2).run_graph(backend="process")
            except FailedTaskError as error:
                print(error.exception)
    """
    said = run_script(script).out.splitlines()
    assert said[0] == "[1, 2]"
    assert "library.X, a generator, cannot travel to a worker" in said[1]
    assert "backend='thread'" in said[1]
