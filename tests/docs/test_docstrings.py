"""What docstrings show is true, and whatever is public has one that says what is needed."""
from __future__ import annotations

import doctest
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import pytest
import taskproc_backends

import taskproc

PUBLIC = [
    "taskproc",
    "taskproc.plugin",
    "taskproc.testing",
    "taskproc_backends.batch",
]
WITH_EXAMPLES = sorted(
    module.name
    for package in (taskproc, taskproc_backends)
    for module in walk_packages(package.__path__, f"{package.__name__}.")
    if ">>>" in Path(getattr(module.module_finder.find_spec(module.name), "origin", "")).read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_docstrings_are_true(name: str, cache: Path) -> None:
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

    assert doctest.testmod(import_module(name), optionflags=options).failed == 0


def public_functions() -> Iterator[tuple[str, Any]]:
    """List the public functions, and the public methods of public classes, that take arguments or return something."""
    for module_name in PUBLIC:
        module = import_module(module_name)
        for name in getattr(module, "__all__", None) or [name for name in vars(module) if name[0].isupper()]:
            found = getattr(module, name)
            if inspect.isfunction(found):
                yield f"{module_name}.{name}", found
            elif inspect.isclass(found) and found.__module__.startswith("taskproc"):
                for method, function in inspect.getmembers(found, inspect.isroutine):
                    own = getattr(function, "__module__", "") or ""
                    if not method.startswith("_") and own.startswith("taskproc") and not method.startswith("test_"):
                        yield f"{module_name}.{name}.{method}", function


FUNCTIONS = {name: (function, inspect.getdoc(function) or "") for name, function in public_functions()}


def test_public_functions_say_what_they_do() -> None:
    assert [name for name, (_, text) in FUNCTIONS.items() if not re.match(r"[A-Z`].*[.:]($|\n)", text)] == []


def test_public_functions_explain_all_of_their_arguments_or_none() -> None:
    missing = []
    for name, (function, text) in FUNCTIONS.items():
        if "Args:" in text and "with its arguments" not in text:
            arguments = [argument for argument in inspect.signature(function).parameters if argument != "self"]
            explained = re.findall(r"^    (\w+):", text.partition("Args:")[2].partition("\n\n")[0], re.MULTILINE)
            missing += [f"{name}: {argument}" for argument in arguments if argument not in explained]

    assert missing == []


def test_public_classes_say_what_they_are() -> None:
    missing = []
    for module_name in PUBLIC:
        module = import_module(module_name)
        for name in getattr(module, "__all__", []):
            found = getattr(module, name)
            if inspect.isclass(found) and not (found.__doc__ or "").strip():
                missing.append(f"{module_name}.{name}")

    assert missing == []
