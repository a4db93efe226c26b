"""The top level of a file: which statements bind a name, what is imported by it, and what runs only in a script."""
from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from .names import Imported, binds, imports, same_scope

_AS_SCRIPT = {"__name__ == '__main__'", "'__main__' == __name__"}
_MAGICS = {"run_line_magic": 1, "run_cell_magic": 2}  # IPython's, with the position of the code
_RUN_CODE = ("capture", "prun", "time")
_OPTIONS = re.compile(r"^\s*(-\w+\s+)*")
_FOR_CHECKERS = ("TYPE_CHECKING", "typing.TYPE_CHECKING", "t.TYPE_CHECKING")


@dataclass
class TopLevel:
    """What the top level of a file binds.

    Attributes:
        statements: What runs when the file is imported, or run as a script, in its order.
        bound: Name -> the statements that bind it, in the order of the file. A plain import that alone binds a name is
            left out: what it leads to says more.
        imported: Name -> what is imported by it, all alternatives.
        stars: The modules that all names are imported from.
    """

    statements: list[ast.stmt] = field(default_factory=list)
    bound: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imported: dict[str, list[Imported]] = field(default_factory=dict)
    stars: list[Imported] = field(default_factory=list)


def top_level(tree: ast.Module, *, as_script: bool) -> TopLevel:
    """Read what a file binds.

    Args:
        tree: The file.
        as_script: Whether what stands below `if __name__ == "__main__"` runs.
    """
    found = TopLevel(statements=list(_running(tree.body, as_script)))
    for statement in found.statements:
        names = dict.fromkeys(name for node in same_scope(statement) for name in binds(node))
        for node in same_scope(statement):
            for name, imported in imports(node):
                if name == "*":
                    found.stars.append(imported)
                    continue
                found.imported.setdefault(name, []).append(imported)
                names[name] = None
        for name in names:
            found.bound.setdefault(name, []).append(statement)
    for name in found.imported:
        if len(found.bound[name]) == 1 and isinstance(found.bound[name][0], (ast.Import, ast.ImportFrom)):
            del found.bound[name]
    return found


def imports_anywhere(tree: ast.AST) -> list[Imported]:
    """Give all that is imported in a file, also inside functions."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [Imported(alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [imported for _, imported in imports(node)]
    return found


def _running(statements: list[ast.stmt], as_script: bool) -> Iterator[ast.stmt]:
    for statement in statements:
        yield from _behind_magic(statement)
        test = ast.unparse(statement.test) if isinstance(statement, ast.If) else ""
        if not isinstance(statement, ast.If):
            yield statement
        elif test in _AS_SCRIPT:
            yield from _running(statement.body if as_script else statement.orelse, as_script)
        elif test in _FOR_CHECKERS:
            yield from _running(statement.orelse, as_script)
        elif test.startswith("not ") and test[4:] in _FOR_CHECKERS:
            yield from _running(statement.body, as_script)
        else:
            yield statement


def _behind_magic(statement: ast.stmt) -> list[ast.stmt]:
    """Give what `%time` and its like run: the cell has it as a text."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr not in _MAGICS:
        return []
    texts = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    at = _MAGICS[call.func.attr]
    if len(texts) <= at or texts[0] not in _RUN_CODE:
        return []
    code = _OPTIONS.sub("", str(texts[at])) if at == 1 else str(texts[at])
    try:
        return ast.parse(code).body
    except SyntaxError:
        return []
