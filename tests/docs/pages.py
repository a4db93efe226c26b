"""Carries out Markdown pages: what their code blocks show is done, in the page's order, and must come true.

- `python`: part of the page's one script, which runs where its first block stands. A line `print(...)  # 20` must print
  what its comment says.
- `python` that starts with a comment `# name.py`, or `toml` with `# name.toml`: a file, written when it is reached. A
  second block of that name is the file's next version. One that starts with `# in name.py` changes that file: its
  classes take the place of those with the same names, or come after the others; its imports come first.
- `console`: commands after `$ `, each run by a shell. The lines below a command are of its output, in this order,
  with others between them or not; `...` stands for anything (so a line with `...` is never a command), and one
  duration for any other. A command ends with status 0, unless `$ echo $?` after it shows another.
- `text`: only to read; `sh`: of the checkout, tried by tests/e2e.

A page's script keeps the line numbers of the page, so that a traceback leads to the line to mend.
"""
from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import PACKAGES

STAND_INS = Path(__file__).with_name("bin")
ELSEWHERE = ("git", "jupyter", "pip", "rsync", "sacct", "ssh", "tmux")  # commands that only a reader can run

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[^\s`]*)[^`]*$")
_FILE_NAME = re.compile(r"^# (?P<change>in )?(?P<name>[\w./-]+\.(?:py|toml))\b")
_PRINTED = re.compile(r"^ *print\(.*\) {2,}# (?P<text>.+)$")
_VARYING = re.compile(r"\b\d+(?:\.\d+)? (?:ms|s|min)\b")


@dataclass(frozen=True)
class Block:
    """A fenced code block; `line` is the number of its first line of code, from 1."""

    language: str
    text: str
    line: int

    @property
    def file_name(self) -> str:
        """The file that it is, if it is one."""
        match = _FILE_NAME.match(self.text)
        return match["name"] if match and self.language in ("python", "toml") else ""

    @property
    def is_change(self) -> bool:
        """Whether it is a part of a file that is there already."""
        match = _FILE_NAME.match(self.text)
        return bool(match and match["change"])


@dataclass(frozen=True)
class File:
    """A file that a page shows, or a change to it."""

    name: str
    text: str
    is_change: bool = False


@dataclass(frozen=True)
class Command:
    """A command that a page shows, and lines of its output."""

    line: str
    output: Sequence[str] = ()
    status: int = 0


@dataclass(frozen=True)
class Script:
    """All Python of a page that is no file, and what it prints."""

    text: str
    printed: Sequence[str]


@dataclass(frozen=True)
class Place:
    """Where a page is carried out.

    Args:
        home: A directory for nothing else.
        environment: Variables to add, such as the way to a cluster.
    """

    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def carry_out(self, page: Path) -> None:
        """Do what a page shows, from its beginning to its end."""
        for step in read_steps(page.read_text(encoding="utf-8")):
            if isinstance(step, File):
                self._write(step)
            elif isinstance(step, Script):
                self._write(File("script.py", step.text))
                assert_in_order(step.printed, self._run([sys.executable, "script.py"], status=0))
            elif step.line.split()[0] not in ELSEWHERE:
                assert_in_order(step.output, self._run(["bash", "-c", step.line], step.status))

    def _write(self, file: File) -> None:
        path = self.home / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = changed(path.read_text(encoding="utf-8"), file.text) if file.is_change else file.text
        path.write_text(text, encoding="utf-8")

    def _run(self, command: list[str], status: int) -> str:
        """Run a command as a reader would, and give all that it writes."""
        ended = subprocess.run(
            command, cwd=self.home, env=self._variables(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert ended.returncode == status, f"{command[-1]} ended with status {ended.returncode}:\n{ended.stdout}"
        return ended.stdout

    def _variables(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TP_")}
        environment = {**inherited, **self.environment}
        programs = [str(STAND_INS), environment["PATH"]]
        packages = [*PACKAGES, environment.get("PYTHONPATH", "")]
        return {
            **environment,
            "PATH": os.pathsep.join(programs),
            "PYTHONPATH": os.pathsep.join(filter(None, packages)),
            "TASKPROC_PAGE_PYTHON": sys.executable,
        }


def read_steps(text: str) -> Iterator[File | Command | Script]:
    """Take a page apart into what is to be done, in this order."""
    blocks = list(find_blocks(text))
    script = make_script([block for block in blocks if block.language == "python" and not block.file_name])
    for block in blocks:
        if block.file_name:
            yield File(block.file_name, block.text, block.is_change)
        elif block.language == "console":
            yield from find_commands(block.text)
        elif block.language == "python" and script is not None:
            yield script
            script = None


def make_script(blocks: Sequence[Block]) -> Script | None:
    """Make one script of Python blocks, each at the lines that it has on the page."""
    lines: list[str] = []
    for block in blocks:
        lines += [""] * (block.line - 1 - len(lines)) + block.text.splitlines()
    printed = [match["text"] for line in lines if (match := _PRINTED.match(line))]
    return Script("\n".join([*lines, ""]), printed) if lines else None


def changed(text: str, change: str) -> str:
    """Put classes and imports into a module, in place of those that it has."""
    for node in ast.parse(change).body:
        new = ast.get_source_segment(change, node) or ""
        if isinstance(node, ast.ClassDef):
            olds = [old for old in ast.parse(text).body if isinstance(old, ast.ClassDef) and old.name == node.name]
            old = ast.get_source_segment(text, olds[0]) if olds else None
            text = text.replace(old, new) if old else f"{text}\n\n{new}\n"
        else:
            text = f"{new}\n{text}"
    return text


def find_blocks(text: str) -> Iterator[Block]:
    """Find the fenced code blocks of a page."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        opening = _FENCE.match(lines[at])
        at += 1
        if opening is None:
            continue
        start = at
        while at < len(lines) and lines[at].strip() != "```":
            at += 1
        indent = len(opening["indent"])
        code = "".join(f"{line[indent:]}\n" for line in lines[start:at])
        yield Block(opening["language"], code, start + 1)
        at += 1


def find_commands(text: str) -> Iterator[Command]:
    """Find the commands of a console block, with what each writes."""
    shown: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ ") and "..." not in line:
            shown.append((line.removeprefix("$ "), []))
        elif line.strip() and shown:
            shown[-1][1].append(line)
    for (line, output), (following, answer) in zip(shown, [*shown[1:], ("", [])], strict=True):
        if line != "echo $?":
            yield Command(line, output, int(answer[0]) if following == "echo $?" else 0)


def assert_in_order(expected: Sequence[str], output: str) -> None:
    """Check that lines are among the output, in this order."""
    lines = iter(output.splitlines())
    for line in expected:
        pattern = ".*".join(map(re.escape, re.split(r" ?\.\.\. ?", _settled(line))))
        found = any(re.fullmatch(pattern, _settled(written)) for written in lines)
        assert found, f"{line!r} was not written, or not in its place:\n{output}"


def _settled(line: str) -> str:
    """Give a line without what differs from run to run, and from one terminal to another."""
    return " ".join(_VARYING.sub("0 s", line).split())
