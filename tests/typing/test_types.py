"""Type checkers see through tasks: what is right passes, and what is wrong is refused, in these words.

In a file of wrong uses, the lines below one say what the checkers say of it:

    Number("one")
    # mypy says: Argument 1 to "Number" has incompatible type "str"; expected "int"  [arg-type]
    # pyright says: Argument of type "Literal['one']" cannot be assigned to parameter "n"

Both are a part of one message about that line. Each checker runs once, over all files.
"""
from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FILES = ["right.py", *sorted(path.name for path in Path(__file__).parent.glob("wrong_*.py"))]
_EXPECTED = re.compile(r"\s*# (?P<checker>mypy|pyright) says: (?P<message>.+)")

Messages = Mapping[tuple[str, int], list[str]]  # by file and line


def test_mypy_sees_the_types_of_tasks(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="the type checkers are installed on one Python only")
    files = [f"tests/typing/{name}" for name in FILES]
    output = run("mypy", "--strict", "--output=json", f"--cache-dir={tmp_path}", *files)

    said: dict[tuple[str, int], list[str]] = defaultdict(list)
    for found in map(json.loads, output.splitlines()):
        if found["severity"] == "error":
            said[Path(found["file"]).name, found["line"]].append(f"{found['message']}  [{found['code']}]")
    assert differences(said, expected("mypy")) == []


def test_pyright_sees_the_types_of_tasks() -> None:
    pytest.importorskip("pyright", reason="the type checkers are installed on one Python only")
    output = run("pyright", "--outputjson", "--project", "tests/typing", "--pythonpath", sys.executable)

    said: dict[tuple[str, int], list[str]] = defaultdict(list)
    for found in json.loads(output)["generalDiagnostics"]:
        file, line = Path(found["file"]).name, found["range"]["start"]["line"] + 1
        if file == "right.py" or not found.get("rule", "").startswith("reportUnknown"):  # these follow from an error
            said[file, line].append(f"{' '.join(found['message'].split())} ({found.get('rule')})")
    assert differences(said, expected("pyright")) == []


def expected(checker: str) -> Messages:
    """Read what a checker is expected to say."""
    messages: dict[tuple[str, int], list[str]] = defaultdict(list)
    for name in FILES:
        at = 0
        for number, line in enumerate(Path(__file__).with_name(name).read_text().splitlines(), start=1):
            match = _EXPECTED.fullmatch(line)
            if match is None:
                at = number
            elif match["checker"] == checker:
                messages[name, at].append(match["message"])
    return messages


def differences(said: Messages, expected: Messages) -> list[str]:
    """List what was said and not expected, and what was expected and not said."""
    listed = []
    for place in sorted({*said, *expected}):
        missing = list(expected.get(place, []))
        for message in said.get(place, []):
            known = next((part for part in missing if part in message), None)
            if known is None:
                listed.append(f"{place[0]}:{place[1]}: not expected: {message}")
            else:
                missing.remove(known)
        listed += [f"{place[0]}:{place[1]}: not said: {part}" for part in missing]
    return listed


def run(checker: str, *arguments: str) -> str:
    """Run a type checker from the project's root, and give what it says."""
    command: list[Any] = [sys.executable, "-m", checker, *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode in (0, 1), ended.stdout + ended.stderr
    return ended.stdout
