"""Small projects made at random, each with places where one thing may be edited.

A place is written `⟦before|after⟧` in the text of a file. A seed always gives the same project, so that a failure is
told by its seed and the number of the edit.
"""
from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

_PLACE = re.compile("⟦([^|⟧]*)\\|([^⟧]*)⟧")


@dataclass
class _Module:
    """A module under construction: `entities` are expressions that give a number, by the name that they use."""

    name: str
    path: str
    package: str
    entities: list[tuple[str, str]] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(["import dataclasses, enum, functools", *dict.fromkeys(self.imports), *self.body, ""])


class Project:
    """A project whose entry is the class `T` of the module `tasks`.

    Args:
        seed: What it is made from.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._count = 0
        self.modules: list[_Module] = []
        self._make()
        self._files = {module.path: module.text for module in self.modules}
        for module in self.modules:
            if module.package and not module.package.startswith("folder"):
                self._files.setdefault(f"{module.package}/__init__.py", "")
        self.edits = sum(len(_PLACE.findall(text)) for text in self._files.values())

    def files(self, edit: int | None = None) -> dict[str, str]:
        """Give the text of each file, with one place edited."""
        number = -1

        def chosen(match: re.Match[str]) -> str:
            nonlocal number
            number += 1
            return match[2] if number == edit else match[1]

        return {path: _PLACE.sub(chosen, text) for path, text in sorted(self._files.items())}

    def edit(self, number: int) -> str:
        """Show what an edit changes."""
        before, after = self.files(), self.files(number)
        (path,) = [path for path in before if before[path] != after[path]]
        lines = zip(before[path].splitlines(), after[path].splitlines(), strict=False)
        return f"{path}: " + next((f"{old!r} -> {new!r}" for old, new in lines if old != new), "?")

    # --- making ---

    def _make(self) -> None:
        places = [
            ("", "helpers"), ("", "statistics"), ("pack", "inner"), ("pack", "other"), ("folder", "plain"),
            ("folder", "deep"), ("", "more"),
        ]  # fmt: skip
        chosen = self._random.sample(places, self._random.randint(2, 4))
        for package, name in chosen:  # each may import those that were made before
            whole = f"{package}.{name}" if package else name
            module = _Module(whole, whole.replace(".", "/") + ".py", package)
            self.modules.append(module)
            for _ in range(self._random.randint(2, 4)):
                self._entity(module)
        tasks = _Module("tasks", "tasks.py", "")
        tasks.imports.append("from taskproc import Requires, TaskBase")
        self.modules.append(tasks)
        for _ in range(self._random.randint(0, 2)):
            self._entity(tasks)
        for module in self.modules[:-1]:
            if self._random.random() < 0.2:  # imported for what it registers and sets
                tasks.imports.append(f"import {module.name}")
        self._task(tasks)

    def _entity(self, module: _Module) -> None:
        name = self._name()
        text, expression = self._random.choice(_KINDS)(self, module, name)
        module.body.append(self._fuss() + textwrap.dedent(text).strip("\n"))
        module.entities.append((name, expression))

    def _task(self, module: _Module) -> None:
        own, method, base = self._name(), self._name(), ""
        if self._random.random() < 0.3:
            base = self._name()
            module.body.append(
                f"class {base}:\n    size = {self.number()}\n"
                f"    def shared(self): return self.size + {self.use(module)}"
            )
        other = self._name()
        module.body.append(
            f"class {other}(TaskBase):\n    LIMIT = {self.number()}\n    @staticmethod\n"
            f"    def tool(): return {self.number()} + {other}.LIMIT\n    def run_task(self): return {self.number()}"
        )
        used = [self.use(module) for _ in range(self._random.randint(1, 4))]
        used += [f"self.{own}", f"self.{method}()"]
        if base:
            used.append("self.shared()")
        used += self._random.sample([f"{other}.LIMIT", f"{other}.tool()"], self._random.randint(0, 2))
        values = self._random.choice(["", "", "value"])
        argument = self._value(module) if values else None
        if argument:
            used.append("self.value.amount()")
        module.body.append(textwrap.dedent(f"""
            class T({f"{base}, " if base else ""}TaskBase):
                {own}{self._hint()} = {self.number()}
                def __init__(self{", value" if argument else ""}):
                    {"self.value = value" if argument else "pass"}
                def {method}(self): return {self.use(module)}
                def run_task(self){self._result_hint()}:
                    {self._local_import(module)}
                    return [{", ".join(used)}]
            def make(): return T({argument or ""})
        """))
        if self._random.random() < 0.2:
            module.body.append(f"T.{own} = {self.number()}")

    def _value(self, module: _Module) -> str:
        """Make a class whose values are arguments, in a module of its own if there is one."""
        name, owner = self._name(), self._random.choice(self.modules)
        if self._random.random() < 0.5:
            owner.body.append(textwrap.dedent(f"""
                @dataclasses.dataclass(frozen=True)
                class {name}:
                    x: int
                    def amount(self): return self.x + {self.number()}
                    def unused(self): return {self.number()}
            """))
            expression = f"{name}(5)"
        else:
            owner.body.append(textwrap.dedent(f"""
                class {name}(enum.Enum):
                    A = "a"
                    B = ({self.number()}, 2)
                    def amount(self): return {self.number()} + self.B.value[0]
            """))
            expression = f"{name}.A"
        return self._imported(module, owner, name, expression) if owner is not module else expression

    def number(self) -> str:
        """Write a number that may be edited."""
        value = self._random.randint(1, 999)
        return f"⟦{value}|{value + 1000}⟧"

    def use(self, module: _Module) -> str:
        """Write an expression that uses something that was made before."""
        owner = self._random.choice([module, *self.modules[: self.modules.index(module)]])
        if not owner.entities:
            return self.number()
        name, expression = self._random.choice(owner.entities)
        return expression if owner is module else self._imported(module, owner, name, expression)

    def _imported(self, module: _Module, owner: _Module, name: str, expression: str) -> str:
        """Import a name, in one of many ways, and rewrite the expression for it."""
        spelt = f"as_{name}_{self._count}"
        self._count += 1
        last = owner.name.rpartition(".")[2]
        ways: list[tuple[str, str]] = [
            (f"from {owner.name} import {name}", name),
            (f"from {owner.name} import {name} as {spelt}", spelt),
            (f"import {owner.name}", f"{owner.name}.{name}"),
            (f"import {owner.name} as {spelt}", f"{spelt}.{name}"),
            (f"from {owner.name} import *", name),
            (f"try: from missing_here import {name}\nexcept ImportError: from {owner.name} import {name}", name),
            (f"if ⟦1|0⟧:\n    from {owner.name} import {name} as {spelt}\nelse:\n    {spelt} = None", spelt),
            (f"import importlib\n{spelt} = importlib.import_module('{owner.name}')", f"{spelt}.{name}"),
            (f"from {owner.name} import {name} as {spelt}_1\n{spelt} = {spelt}_1", spelt),
            (f"class {spelt}:\n    from {owner.name} import {name}", f"{spelt}.{name}"),
        ]
        if owner.package:
            ways.append((f"from {owner.package} import {last} as {spelt}", f"{spelt}.{name}"))
        if owner.package and owner.package == module.package:
            ways += [(f"from .{last} import {name}", name), (f"from . import {last} as {spelt}", f"{spelt}.{name}")]
        statement, path = self._random.choice(ways)
        module.imports.append(statement)
        return re.sub(rf"\b{name}\b", path, expression)

    def _local_import(self, module: _Module) -> str:
        owner = self._random.choice(self.modules[:-1])
        if not owner.entities or self._random.random() < 0.5:
            return "pass"
        name, expression = self._random.choice(owner.entities)
        return f"from {owner.name} import {name}; self.found = {expression}; assert self.found or True"

    def _name(self) -> str:
        self._count += 1
        return f"n{self._count}"

    def _fuss(self) -> str:
        return self._random.choice(["", "", "⟦|# said otherwise⟧\n"])

    def _hint(self) -> str:
        return self._random.choice(["", "⟦|: int⟧"])

    def _result_hint(self) -> str:
        return self._random.choice(["", "⟦| -> list⟧"])


_Kind = Callable[[Project, _Module, str], tuple[str, str]]


def _constant(p: Project, m: _Module, n: str) -> tuple[str, str]:
    return f"{n}{p._hint()} = {p.number()}", n


def _several(p: Project, m: _Module, n: str) -> tuple[str, str]:
    return p._random.choice([
        f"{n}, {n}_b = {p.number()}, {p.number()}",
        f"{n} = 0\n{n} += {p.number()}",
        f"({n} := {p.number()})",
        f"for {n} in range({p.number()}): pass",
        f"if ⟦True|False⟧: {n} = {p.number()}\nelse: {n} = {p.number()}",
        f"try: {n} = missing\nexcept NameError: {n} = {p.number()}",
        f"{n}_a = {p.number()}\n{n} = {n}_a\n{n}_a = 0",
        f"{n} = {p.number()}\n⟦{n}_c = {n}\n{n} = 7|{n} = 7\n{n}_c = {n}⟧\n{n} = {n}_c",
    ]), n  # fmt: skip


def _global(p: Project, m: _Module, n: str) -> tuple[str, str]:
    return f"{n} = 0\ndef set_{n}(v):\n    global {n}\n    {n} = v + {p.number()}\nset_{n}({p.number()})", n


def _table(p: Project, m: _Module, n: str) -> tuple[str, str]:
    return p._random.choice([
        f"{n} = {{'k': {p.number()}}}",
        f"{n} = {{}}\n{n}['k'] = {p.number()}",
        f"{n} = {{}}\nfor i in range(3): {n}['k'] = i + {p.number()}",
        f"def fill_{n}(t): t['k'] = {p.number()}\n{n} = {{}}\nfill_{n}({n})",
        f"def fill_{n}():\n    t = {n}\n    t['k'] = {p.number()}\n{n} = {{}}\nfill_{n}()",
        f"{n} = {{}}\n{n}_b = {n}\n{n}_b['k'] = {p.number()}",
        f"{n} = {{}}\n{n}_b = [{n}]\nfor t in {n}_b: t['k'] = {p.number()}",
        f"{n} = {{}}\n{n}.update(k={p.number()})",
        f"def get_{n}(): return {n}\n{n} = {{}}\nget_{n}()['k'] = {p.number()}",
        f"import operator\n{n} = {{}}\noperator.setitem({n}, 'k', {p.number()})",
        f"class Filler_{n}:\n    def __init__(self, t): t['k'] = {p.number()}\n{n} = {{}}\nFiller_{n}({n})",
        f"{n} = {{}}\nlist(map({n}.__setitem__, ['k'], [{p.number()}]))",
        f"def outer_{n}(t): inner_{n}(t)\ndef inner_{n}(t): t['k'] = {p.number()}\n{n} = {{}}\nouter_{n}({n})",
    ]), f"{n}['k']"  # fmt: skip


def _function(p: Project, m: _Module, n: str) -> tuple[str, str]:
    used = p.use(m)
    return p._random.choice([
        f"def {n}(a⟦|: int⟧, b={p.number()})⟦| -> int⟧:\n    ⟦|'Doc.'; ⟧assert a, 'me⟦|ssage⟧'\n"
        f"    return a + b + {used}",
        f"{n} = lambda a, b={p.number()}: a + b + {used}",
        f"def {n}_g(a, b): return a + b + {used}\n{n} = functools.partial({n}_g, b={p.number()})",
        f"def {n}_make(k):\n    def inner(a): return a + k + {used}\n    return inner\n"
        f"{n} = {n}_make({p.number()})",
        f"def {n}(a): return a + {n}.k + {used}\n{n}.k = {p.number()}",
        f"def {n}(a):\n    local⟦|: int⟧ = {p.number()}\n    return a + local + {used}",
        f"def {n}(a):\n    import math\n    return a + {used} + {p.number()}",
        f"@functools.lru_cache\ndef {n}(a): return a + {used} + {p.number()}",
        f"def {n}_deco(f):\n    @functools.wraps(f)\n    def wrapper(a): return f(a) + {p.number()}\n"
        f"    return wrapper\n⟦@{n}_deco\n|⟧def {n}(a): return a + {used}",
    ]), f"{n}(1)"  # fmt: skip


def _registry(p: Project, m: _Module, n: str) -> tuple[str, str]:
    used = p.use(m)
    return p._random.choice([
        f"{n} = {{}}\ndef {n}_reg(key):\n    def deco(f):\n        {n}[key] = f\n        return f\n    return deco\n"
        f"@{n}_reg('k')\ndef {n}_a(a): return a + {used} + {p.number()}",
        f"{n} = {{}}\ndef {n}_reg(f):\n    {n}['k'] = f\n"
        f"def {n}_a(a): return a + {used} + {p.number()}\n{n}_reg({n}_a)",
        f"class {n}_R(dict):\n    def add(self, f):\n        self['k'] = f\n        return f\n{n} = {n}_R()\n"
        f"@{n}.add\ndef {n}_a(a): return a + {used} + {p.number()}",
    ]), f"{n}['k'](1)"  # fmt: skip


def _dispatch(p: Project, m: _Module, n: str) -> tuple[str, str]:
    return (
        f"@functools.singledispatch\ndef {n}(a): return {p.number()}\n"
        f"@{n}.register\ndef _(a: int): return {p.number()}",
        f"{n}(1)",
    )


def _plain_class(p: Project, m: _Module, n: str) -> tuple[str, str]:
    used = p.use(m)
    expression = p._random.choice(
        [f"{n}(2).method()", f"{n}.static(2)", f"{n}(2).prop", f"getattr({n}(2), 'method')()", f"{n}.Inner.y",
         f"{n}(2).method.__func__({n}(1))", f"{n}(3)(4)"]
    )  # fmt: skip
    return f"""
class {n}_Base:
    k = {p.number()}
    def low(self): return {p.number()}
    def __call__(self, a): return a + {p.number()}
class {n}_Second:
    k = {p.number()}
    def low(self): return {p.number()}
    def __call__(self, a): return a + {p.number()}
class {n}(⟦{n}_Base|{n}_Second⟧):
    class Inner:
        y = {p.number()}
    def __init__(self, a): self.a = a
    def method(self): return self.a + self.k + self.low() + {used}
    @property
    def prop(self): return self.a + {p.number()}
    @staticmethod
    def static(a): return a + {p.number()}
    def unused(self): return {p.number()}
""", expression


def _told_class(p: Project, m: _Module, n: str) -> tuple[str, str]:
    return p._random.choice([
        (f"class {n}:\n    known = {{}}\n    def __init_subclass__(cls, name): {n}.known[name] = cls\n"
         f"class {n}_A({n}, name='a'):\n    def go(self): return {p.number()}", f"{n}.known['a']().go()"),
        (f"class {n}:\n    known = []\n    def __init_subclass__(cls): cls.known.append(cls)\n"
         f"class {n}_A({n}):\n    def go(self): return {p.number()}", f"{n}.known[0]().go()"),
        (f"class {n}: pass\nclass {n}_A({n}):\n    def go(self): return {p.number()}",
         f"{n}.__subclasses__()[0]().go()"),
        (f"class {n}_M(type):\n    all = []\n    def __init__(cls, *a):\n        cls.extra = {p.number()}\n"
         f"        {n}_M.all.append(cls)\nclass {n}(metaclass={n}_M):\n    pass\n"
         f"class {n}_A({n}):\n    def go(self): return {p.number()}", f"{n}.extra + type({n}).all[1]().go()"),
        (f"def {n}_add(cls):\n    cls.extra = {p.number()}\n    return cls\n@{n}_add\nclass {n}: pass", f"{n}.extra"),
        (f"class {n}: k = 0\n{n}.k = {p.number()}", f"{n}.k"),
        (f"class {n}: k = 0\nsetattr({n}, 'k', {p.number()})", f"{n}.k"),
        (f"class {n}: k = 0\nfor {n}_name in ['k']: setattr({n}, {n}_name, {p.number()})", f"{n}.k"),
        (f"class {n}: pass\ndef {n}_f(self): return {p.number()}\n{n}.late = {n}_f", f"{n}().late()"),
    ])  # fmt: skip


def _enum(p: Project, m: _Module, n: str) -> tuple[str, str]:
    return (
        f"class {n}(enum.Enum):\n    A = {p.number()}\n    def v(self): return self.value + {p.number()}",
        p._random.choice([f"{n}.A.v()", f"{n}['A'].value", f"list({n})[0].value"]),
    )


def _dataclass(p: Project, m: _Module, n: str) -> tuple[str, str]:
    return (
        f"@dataclasses.dataclass(frozen=True)\nclass {n}:\n    x: int = {p.number()}\n"
        f"    def m(self): return self.x + {p.number()}",
        p._random.choice([f"{n}().m()", f"{n}().x", f"dataclasses.asdict({n}())['x']"]),
    )


def _patched(p: Project, m: _Module, n: str) -> tuple[str, str]:
    """Set an attribute of a module from another one, or call what it has."""
    earlier = [owner for owner in p.modules[: p.modules.index(m)] if owner.body]
    if not earlier:
        return _constant(p, m, n)
    owner = p._random.choice(earlier)
    owner.body.append(f"{n}_x = 0\n{n}_t = {{'k': 0}}\ndef {n}_get(): return {n}_x + {n}_t['k']")
    m.imports.append(f"import {owner.name}\nfrom {owner.name} import {n}_get, {n}_t")
    change = p._random.choice([
        f"{owner.name}.{n}_x = {p.number()}",
        f"{owner.name}.{n}_t['k'] = {p.number()}",
        f"setattr({owner.name}, '{n}_x', {p.number()})",
        f"{n}_t['k'] = {p.number()}",
        f"def {n}_change():\n    {owner.name}.{n}_x = {p.number()}\n{n}_change()",
        f"def {n}_change():\n    import {owner.name} as o\n    o.{n}_t['k'] = {p.number()}\n{n}_change()",
    ])  # fmt: skip
    return f"{change}\ndef {n}(a): return a + {n}_get()", f"{n}(1)"


_KINDS: list[_Kind] = [
    _constant, _several, _several, _global, _table, _table, _function, _function, _function, _registry, _registry,
    _dispatch, _plain_class, _plain_class, _told_class, _told_class, _enum, _dataclass, _patched, _patched,
]  # fmt: skip
