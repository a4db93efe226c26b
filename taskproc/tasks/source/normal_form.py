"""The normal form of source: what `ast.unparse` writes, the same for every supported Python."""
from __future__ import annotations

import ast
from typing import Any

from ...base.lean import blake2b

MARK = "# What it reaches:"
_SEAM = f"\n\n{MARK}"


def source_digest(text: str) -> bytes:
    """Hash a normalised source to 16 bytes.

    >>> len(source_digest("class A: pass"))
    16
    """
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def same_source(stored: str, current: str) -> bool:
    """Tell whether two normalised sources say the same, even if different versions of Python wrote them.

    If one of them was written without its helpers, only the rest counts.

    >>> same_source("class A:\\n    x = (1, 2)", "class A:\\n\\n    x = 1, 2  # two")
    True
    >>> same_source("class A:\\n    x = 1", "class A:\\n    x = 2")
    False
    """
    if stored == current:
        return True
    (stored, mark, _), (current, other_mark, _) = both = stored.partition(_SEAM), current.partition(_SEAM)
    if mark and other_mark:
        stored, current = "".join(both[0]), "".join(both[1])
    try:
        return written(ast.parse(stored)) == written(ast.parse(current))
    except (SyntaxError, ValueError, RecursionError):
        return stored.strip() == current.strip()


def source_diff(stored: str, current: str) -> list[str]:
    """Show what changed from one normalised source to another, in the unified format, a line each.

    If one of them was written without its helpers, only the rest counts, as in `same_source`.

    >>> print(*source_diff("def f():\\n    return 1", "def f():\\n    return 2"), sep="\\n")
    @@ -1,2 +1,2 @@
     def f():
    -    return 1
    +    return 2
    """
    from difflib import unified_diff

    if not (_SEAM in stored and _SEAM in current):
        stored, current = stored.partition(_SEAM)[0], current.partition(_SEAM)[0]
    before, after = (_rewritten(text).splitlines() for text in (stored, current))
    return list(unified_diff(before, after, lineterm=""))[2:]


def what_changed(stored: str, current: str) -> list[str]:
    """Name what differs between two normalised sources: functions, methods, classes, constants, imports.

    >>> what_changed("class A:\\n    def f(self): pass\\nK = 1", "class A:\\n    def f(self): return 1\\nK = 2")
    ['A.f', 'K']
    """
    if not (_SEAM in stored and _SEAM in current):
        stored, current = stored.partition(_SEAM)[0], current.partition(_SEAM)[0]
    try:
        before, after = (_labelled(ast.parse(text).body) for text in (stored, current))
    except (SyntaxError, ValueError, RecursionError):
        return []
    return list(dict.fromkeys(
        label for label in [*before, *after] if before.get(label) != after.get(label) and label != "__order__"
    ))  # fmt: skip


def _labelled(body: list[ast.stmt], prefix: str = "") -> dict[str, list[str]]:
    """Give what statements say by the name that they are about."""
    found: dict[str, list[str]] = {}
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            for label, texts in _labelled(statement.body, f"{prefix}{statement.name}.").items():
                found.setdefault(label, []).extend(texts)
            header = [*statement.decorator_list, *statement.bases, *statement.keywords]
            found.setdefault(f"{prefix}{statement.name}", []).append(" ".join(map(ast.dump, header)))
        else:
            found.setdefault(prefix + _label(statement), []).append(ast.unparse(statement))
    return found


def _label(statement: ast.stmt) -> str:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return statement.name
    if isinstance(statement, ast.Assign):
        return ast.unparse(statement.targets[0])
    if isinstance(statement, (ast.AugAssign, ast.AnnAssign)):
        return ast.unparse(statement.target)
    if isinstance(statement, ast.Import):
        return statement.names[0].asname or statement.names[0].name
    text = ast.unparse(statement).partition("\n")[0]
    return "__order__" if text.startswith("__order__") else text[:60]


def _rewritten(text: str) -> str:
    """Write each part as this Python does."""
    parts = []
    for part in text.split(_SEAM):
        try:
            parts.append(written(ast.parse(part)))
        except (SyntaxError, ValueError, RecursionError):
            parts.append(part.strip())
    return f"{_SEAM}\n\n".join(parts)


def written(node: ast.AST) -> str:
    """Unparse without strings that do nothing; the nodes are changed in place, once and for all."""
    formats = False
    for inner in ast.walk(node):
        body = getattr(inner, "body", None)
        if isinstance(body, list) and any(map(_is_text, body)):
            kept = [statement for statement in body if not _is_text(statement)]
            inner.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
        formats = formats or isinstance(inner, ast.JoinedStr)
    return ast.unparse(_PortableStrings().visit(node) if formats else node)


class _PortableStrings(ast.NodeTransformer):
    """Writes an f-string that has strings in its expressions as a call.

    From Python 3.12, `ast.unparse` reuses quotes inside an f-string, which an older Python cannot parse.
    """

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        if not any(_holds_text(part) for part in node.values):
            return node
        self.generic_visit(node)
        parts = [
            self._part(part) if isinstance(part, ast.FormattedValue) else part
            for part in node.values
            if not (isinstance(part, ast.Constant) and part.value == "")  # Python 3.12 adds some
        ]
        return ast.Call(func=ast.Name("__f_string__", ast.Load()), args=parts, keywords=[])

    def _part(self, part: ast.FormattedValue) -> ast.expr:
        specification = part.format_spec or ast.Constant(None)
        return ast.Tuple([part.value, ast.Constant(part.conversion), specification], ast.Load())


def _holds_text(part: ast.expr) -> bool:
    if not isinstance(part, ast.FormattedValue):
        return False
    if isinstance(part.format_spec, ast.JoinedStr) and any(map(_holds_text, part.format_spec.values)):
        return True
    return any(
        isinstance(inner, ast.JoinedStr)
        or (isinstance(inner, ast.Constant) and isinstance(inner.value, (str, bytes)))
        for inner in ast.walk(part.value)
    )


def _is_text(statement: Any) -> bool:
    """Recognise a docstring, or any other string that is a statement and so does nothing."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
