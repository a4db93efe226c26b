"""Starts drivers quickly: a process that has imported everything forks one for each request.

As a program it reads a request a line from its standard input, and answers each when its driver has ended. Whatever
a dead driver leaves behind becomes this process's child, so that nothing can hide.
"""
from __future__ import annotations

import ctypes
import faulthandler
import importlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Driven:
    """How a driver ended.

    Attributes:
        status: Its exit status, or minus the signal.
        answer: What the run gave.
        error: The class of the error that it raised, and its bases.
        message: The error's message.
        output: All that it printed.
        call: The last call that the shim counted.
        calls: How many it counted.
    """

    status: int
    answer: Any
    error: tuple[str, ...]
    message: str
    output: str
    call: str
    calls: int


class Nursery:
    """The other side: asks for drivers.

    Args:
        home: A directory for notes.
        shim: The library that breaks the disk.
    """

    def __init__(self, home: Path, shim: Path | None) -> None:
        self.home = home
        self.shim = shim
        preload = {"LD_PRELOAD": str(shim)} if shim else {}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TP_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery", str(shim or "")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**environment, **preload},
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        self._number = 0

    def drive(
        self,
        what: str,
        cache: Path,
        *args: Any,
        env: Mapping[str, str] | None = None,
        at: int = 0,
        error: int = 0,
        armed: bool = False,
        module: str = "tests.faults.graph",
        timeout: float = 90,
    ) -> Driven:
        """Fork a driver, and wait for its end.

        Args:
            what: A name in the module's `WHAT`.
            cache: The cache's directory.
            args: Arguments for that.
            env: Further environment.
            at: The call at which it is killed, or from which on the disk fails.
            error: The error of the disk; 0 kills.
            armed: Whether calls are counted.
            module: Where `what` is.
            timeout: Seconds until it counts as hanging, and is ended.
        """
        self._number += 1
        note = self.home / f"driver-{self._number}"
        request = {
            "do": "drive", "what": what, "module": module, "args": args, "note": str(note), "root": str(cache),
            "env": {"TP_CACHE_DIR": str(cache), "TP_FAULT_COUNT": f"{cache}.count", **(env or {})},
            "at": at, "error": error, "armed": armed or bool(at), "timeout": timeout,
        }  # fmt: skip
        status = self._ask(request)
        answer = json.loads(_read(f"{note}.answer") or "{}")
        calls = _read(f"{note}.calls").splitlines()
        output = _read(f"{note}.out")
        if env and "TP_FAULT_KEEP" in env:
            Path(env["TP_FAULT_KEEP"]).write_text("\n".join(calls))
        for suffix in ("answer", "calls", "out"):
            Path(f"{note}.{suffix}").unlink(missing_ok=True)
        return Driven(
            status, answer.get("answer"), tuple(answer.get("error", ())), answer.get("message", ""), output,
            calls[-1] if calls else "", len(calls),
        )  # fmt: skip

    def strays(self, seconds: float = 0.0) -> list[str]:
        """List what is left of former drivers, after waiting for its end for a while."""
        found: list[str] = self._ask({"do": "strays", "seconds": seconds})
        return found

    def end_strays(self) -> None:
        """End what is left of former drivers."""
        self._ask({"do": "end strays"})

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _ask(self, request: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


# --- the process itself ---


def main(shim: str) -> None:
    """Serve requests until the standard input ends."""
    for name in ("diskcache", "taskproc.session", "tests.faults.graph"):
        importlib.import_module(name)
    for name in ("prefix", "process", "thread"):
        importlib.import_module(f"taskproc_backends.{name}")
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    for line in sys.stdin:
        request = json.loads(line)
        answer: Any = None
        if request["do"] == "drive":
            answer = _drive(request, shim)
        elif request["do"] == "strays":
            answer = _strays(request["seconds"])
        else:
            for process in _descendants():
                process.kill()
            _strays(5.0)
        print(json.dumps(answer), flush=True)


def _drive(request: dict[str, Any], shim: str) -> int:
    pid = os.fork()
    if pid == 0:
        _be_driver(request, shim)
    deadline = time.monotonic() + request["timeout"]
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGABRT)  # faulthandler tells where it hung
    os.waitpid(pid, 0)
    return 124


def _be_driver(request: dict[str, Any], shim: str) -> None:
    note = request["note"]
    out = os.open(f"{note}.out", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    faulthandler.enable()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    os.environ.update(request["env"])
    what = importlib.import_module(request["module"]).WHAT[request["what"]]
    answer: dict[str, Any]
    status = 0
    try:
        if request["armed"]:
            log = f"{note}.calls".encode()
            ctypes.CDLL(shim).fault_arm(
                request["root"].encode(), ctypes.c_long(request["at"]), request["error"], log, None
            )
        answer = {"answer": what(*request["args"])}
    except BaseException as error:
        traceback.print_exc()
        answer = {"error": [base.__name__ for base in type(error).__mro__], "message": str(error)}
        status = 1
    if request["armed"]:
        ctypes.CDLL(shim).fault_arm(b"//", ctypes.c_long(0), 0, None, None)
    Path(f"{note}.answer").write_text(json.dumps(answer))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _descendants() -> list[psutil.Process]:
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                break
        except ChildProcessError:
            return []
    return psutil.Process().children(recursive=True)


def _strays(seconds: float) -> list[str]:
    deadline = time.monotonic() + seconds
    while (left := _descendants()) and time.monotonic() < deadline:
        time.sleep(0.01)
    found = []
    for process in left:
        try:
            found.append(f"{process.pid} {' '.join(process.cmdline())}")
        except psutil.Error:
            continue
    return found


if __name__ == "__main__":
    main(sys.argv[1])
