"""The name that a script's classes count under: its module's own, not `__main__`, which every script has.

So two scripts in one directory do not share results, and `python file.py`, `python -m file` and `taskproc file.py` do.
"""
from __future__ import annotations

import os
import sys

MAIN = "__main__"
_NOTEBOOK = ("__vsc_ipynb_file__", "__session__")
_said = ""


def counts_as(name: str) -> None:
    """Say which module takes the script's place in this process: one that the command imported, or the driver's own."""
    global _said
    _said = name


def script_name() -> str:
    """Give the name of the script or notebook that runs; `__main__` if it has none, as at a prompt."""
    main = sys.modules.get(MAIN)
    return _said or _by_spec(main) or _by_file(main) or _by_notebook(main) or MAIN


def module_name(module: str) -> str:
    """Give the name that a module's classes count under."""
    return script_name() if module in (MAIN, "__mp_main__") else module


def place_of(module: str, name: str) -> str:
    """Give the module to find a script's class in, by the name that it had in the process that pickled it.

    It is `__main__`, or the module that was imported in its place; to import it now would run the script.
    """
    own = script_name()
    if module not in (MAIN, own):
        return module
    is_there = own in sys.modules and not hasattr(sys.modules.get(MAIN), name.partition(".")[0])
    return own if is_there else MAIN


def module_and_root(path: str) -> tuple[str, str]:
    """Give the name of a file's module, and the directory that its import starts from: the one above its packages."""
    directory, file = os.path.split(os.path.abspath(path))
    stem = os.path.splitext(file)[0]
    names = [] if file == "__init__.py" else [stem]
    while os.path.exists(f"{directory}/__init__.py") and os.path.basename(directory).isidentifier():
        directory, package = os.path.split(directory)
        names.append(package)
    return ".".join(reversed(names)) or stem, directory


def _by_spec(main: object) -> str:
    """Name what `python -m` runs; a tool of the standard library that runs a script has that script's file."""
    name: str = getattr(getattr(main, "__spec__", None), "name", "")
    return "" if name.partition(".")[0] in sys.stdlib_module_names or name == MAIN else name


def _by_file(main: object) -> str:
    file = getattr(main, "__file__", None)
    return module_and_root(file)[0] if file and not file.startswith("<") else ""  # `<stdin>` is no file


def _by_notebook(main: object) -> str:
    paths = [getattr(main, name, None) for name in _NOTEBOOK] + [os.environ.get("JPY_SESSION_NAME")]
    known = (path for path in paths if isinstance(path, str) and path.endswith(".ipynb"))
    return os.path.splitext(os.path.basename(next(known, "")))[0]
