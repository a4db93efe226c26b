"""No circle of modules: wherever an import stands, what it leads to never leads back."""
from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import networkx
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = [ROOT / "taskproc", ROOT / "backends" / "taskproc_backends", *ROOT.glob("contrib/*/taskproc_*")]
MOST_AT_THE_TOP = 10


def modules(package: Path) -> dict[str, Path]:
    """Name the modules of a package, its subpackages by their `__init__`."""
    found = {}
    for path in package.rglob("*.py"):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(name: str, path: Path, paths: dict[str, Path]) -> Iterator[str]:
    """Give the modules that one imports at any place: in functions, and for type checkers only, too."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{base}.{alias.name}" if f"{base}.{alias.name}" in paths else base


def circles(package: Path) -> list[list[str]]:
    """Give the sets of modules of a package that import one another, in whatever roundabout way."""
    paths = modules(package)
    graph = networkx.DiGraph(
        (name, target)
        for name, path in paths.items()
        for target in imported(name, path, paths)
        if target in paths and target != name
    )
    return [sorted(circle) for circle in networkx.strongly_connected_components(graph) if len(circle) > 1]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_no_circle_of_modules(package: Path) -> None:
    assert circles(package) == []


def test_a_circle_is_found_where_only_a_function_and_a_type_checker_close_it(tmp_path: Path) -> None:
    package = tmp_path / "ring"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "one.py").write_text("def late():\n    from .two import b\n")
    (package / "two.py").write_text("TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from . import three\n")
    (package / "three.py").write_text("import ring.one\n")

    assert circles(package) == [["ring.one", "ring.three", "ring.two"]]


def test_the_top_of_the_package_is_a_few_faces() -> None:
    assert len(list((ROOT / "taskproc").glob("*.py"))) <= MOST_AT_THE_TOP


def test_every_room_says_what_it_is_for() -> None:
    rooms = [path for path in (ROOT / "taskproc").iterdir() if (path / "__init__.py").exists()]
    silent = [room.name for room in rooms if not ast.get_docstring(ast.parse((room / "__init__.py").read_text()))]

    assert rooms
    assert silent == []
