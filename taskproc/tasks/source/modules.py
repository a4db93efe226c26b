"""The user's own modules, found as an import would find them, without running anything."""
from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import CodeType, ModuleType

from .bindings import TopLevel, top_level
from .files import Parsed, is_installed, is_standard, read_file, remembered
from .names import Imported

OURS = ("taskproc", "taskproc_backends")
_SCRIPT = "__main__"
_MOST_BESIDE = 500  # modules that an import by a computed name is taken to mean


@dataclass(frozen=True, eq=False)
class Module:
    """A module of the user's, as its files say.

    Args:
        name: Its name.
        package: What its relative imports start from.
        files: Its file; for a notebook, its cells in the order in which they ran; none for a folder without
            `__init__.py`.
        is_script: Whether it is what Python was started with.
    """

    name: str
    package: str
    files: tuple[str, ...]
    is_script: bool = False

    def statements(self, name: str) -> list[ast.stmt]:
        """Give the statements that bind a name: all of a file, or those of the cell that did it last."""
        found = [bound for top in self.tops if (bound := top.bound.get(name))]
        if len(found) > 1 and (file := self._file_of(name)) is not None:
            return self.tops[self.files.index(file)].bound.get(name, [])
        return found[-1] if found else []

    def imported(self, name: str) -> list[Imported]:
        """Give what is imported by a name: all alternatives of a file, or those of the cell that did it last."""
        found = [imported for top in self.tops if (imported := top.imported.get(name))]
        return found[-1] if found else []

    def binds(self, name: str) -> bool:
        """Whether it has that name of its own, or by an import."""
        return any(name in top.bound or name in top.imported for top in self.tops)

    def stars(self) -> list[Imported]:
        """Give the modules that all names were imported from."""
        return [star for top in self.tops for star in top.stars]

    def everything(self) -> list[str]:
        """Give every name that it binds."""
        return list(dict.fromkeys(name for top in self.tops for name in [*top.bound, *top.imported]))

    def running(self) -> list[ast.stmt]:
        """Give what runs when it is imported."""
        return [statement for top in self.tops for statement in top.statements]

    def trees(self) -> list[Parsed]:
        """Give its files, parsed."""
        return [read_file(file, sys.modules.get(self.name)) for file in self.files]

    def absolute(self, imported: Imported) -> str:
        """Give the whole name of a module that is imported here."""
        if not imported.level:
            return imported.module
        parts = self.package.split(".")
        base = parts[: len(parts) - imported.level + 1]
        return ".".join([*base, imported.module] if imported.module else base)

    def task_class(self, name: str, stop: type) -> type | None:
        """Give the task class of that name, if it is one."""
        found = self._living(name)
        is_class = issubclass(type(found), type)  # in Python 3.10, list[int] passes for an instance of `type`
        return found if is_class and issubclass(found, stop) else None  # type: ignore[arg-type, return-value]  # it is

    def loaded(self) -> ModuleType | None:
        """Give the living module, if it was imported."""
        return sys.modules.get(_SCRIPT if self.is_script else self.name)

    @cached_property
    def tops(self) -> list[TopLevel]:
        """The top level of each file, as it is when somebody asks first."""
        return list(map(self._top, self.files))

    def _top(self, file: str) -> TopLevel:
        parsed = read_file(file, self.loaded())
        if parsed.names is None:
            parsed.names = {}
        known: dict[bool, TopLevel] = parsed.names
        if self.is_script not in known:
            known[self.is_script] = top_level(parsed.tree, as_script=self.is_script)
        return known[self.is_script]

    def _file_of(self, name: str) -> str | None:
        code = getattr(self._living(name), "__code__", None)
        return code.co_filename if isinstance(code, CodeType) and code.co_filename in self.files else None

    def _living(self, name: str) -> object:
        module = self.loaded()
        return vars(module).get(name) if module is not None else None  # a module's own `__getattr__` is not called


class Modules:
    """The user's modules, each looked for and read once."""

    def __init__(self) -> None:
        self._by_name: dict[str, Module | None] = {}
        self._by_file: dict[tuple[str, tuple[str, ...]], Module] = {}

    def find(self, name: str) -> Module | None:
        """Find a module, imported already or not; None if it is installed, standard, or not there."""
        if name not in self._by_name:
            self._by_name[name] = self._look_for(name)
        return self._by_name[name]

    def of_file(self, name: str, file: str) -> Module | None:
        """Give the module of that name and file, if it is the user's."""
        if name.partition(".")[0] in OURS or is_installed(file) or is_standard(file):
            return None
        started = sys.modules.get(_SCRIPT)
        if not os.path.exists(file):
            typed = name == _SCRIPT or not _is_in_archive(file)
            return self._made(name, "", (tuple(remembered()) or (file,)) if typed else (file,), name == _SCRIPT)
        if _same(getattr(started, "__file__", None), file):
            return self._made(_SCRIPT, getattr(started, "__package__", None) or "", (file,), True)
        is_package = os.path.basename(file).startswith("__init__.")
        return self._made(name, name if is_package else name.rpartition(".")[0], (file,))

    def script(self) -> Module | None:
        """Give what Python was started with, if that is the user's."""
        file = getattr(sys.modules.get(_SCRIPT), "__file__", None)
        if not isinstance(file, str) or os.path.dirname(os.path.abspath(file)) == os.path.dirname(sys.executable):
            return None
        return self.of_file(_SCRIPT, file)

    def beside(self, module: Module, start: str) -> list[Module]:
        """Give the modules that `module` may import by a name that begins with `start`, and that only running tells."""
        package = self._absolute_start(module, start)
        if package:
            spec = _search(package, tuple(sys.path), tuple(map(id, sys.meta_path)))
            folders: Iterable[str] = spec[1]
        else:
            folders = [os.path.dirname(os.path.abspath(file)) for file in module.files]
        names = sorted({name for folder in folders for name in _module_names(folder)})
        found = [self.find(f"{package}.{name}" if package else name) for name in names[:_MOST_BESIDE]]
        return [inner for inner in found if inner is not None]

    def _absolute_start(self, module: Module, start: str) -> str:
        dots = len(start) - len(start.lstrip("."))
        whole = module.absolute(Imported(start[dots:].rpartition(".")[0], None, dots)) if start else module.package
        return whole.strip(".")

    def _look_for(self, name: str) -> Module | None:
        if name == _SCRIPT:
            return self.script()
        loaded = sys.modules.get(name)
        if loaded is None:
            file, places = _search(name, tuple(sys.path), tuple(map(id, sys.meta_path)))
        else:
            file, places = vars(loaded).get("__file__"), tuple(_folders(vars(loaded).get("__path__")))
        if isinstance(file, str):
            return self.of_file(name, file)
        if places and not all(is_installed(place + os.sep) or is_standard(place + os.sep) for place in places):
            return self._made(name, name, ())
        return None

    def _made(self, name: str, package: str, files: tuple[str, ...], is_script: bool = False) -> Module:
        key = name, files
        if key not in self._by_file:
            self._by_file[key] = Module(name, package, files, is_script)
        return self._by_file[key]


@lru_cache(maxsize=4096)
def _search(name: str, path: tuple[str, ...], finders: tuple[int, ...]) -> tuple[str | None, tuple[str, ...]]:
    """Look for a module as an import would, import hooks included, but run nothing; give its file and its folders."""
    places: Sequence[str] | None = None
    file = None
    for end in [index for index, letter in enumerate(f"{name}.") if letter == "."]:
        found = _found(name[:end], places)
        if found is None:
            return None, ()
        file, places = found
    return file, tuple(places or ())


def _found(name: str, places: Sequence[str] | None) -> tuple[str | None, Sequence[str]] | None:
    for finder in list(sys.meta_path):
        try:
            spec = finder.find_spec(name, places, None)
        except Exception:  # an import hook of somebody's
            continue
        if spec is not None:
            file = spec.origin if spec.has_location else None
            return file, _folders(spec.submodule_search_locations)
    return None


def _folders(places: Iterable[str] | None) -> list[str]:
    try:
        return [os.path.abspath(place) for place in places or ()]
    except Exception:  # those of a namespace are computed, by whoever made it
        return []


def _module_names(folder: str) -> list[str]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return []
    return [
        entry.name.removesuffix(".py") for entry in entries
        if (entry.name.endswith(".py") or os.path.exists(os.path.join(entry.path, "__init__.py")))
        and entry.name.removesuffix(".py").isidentifier()
    ]  # fmt: skip


def _same(first: str | None, second: str) -> bool:
    return first is not None and (first == second or os.path.abspath(first) == os.path.abspath(second))


def _is_in_archive(file: str) -> bool:
    return ".zip" + os.sep in file or ".whl" + os.sep in file or ".pyz" + os.sep in file
