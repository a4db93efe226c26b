"""Starts drivers quickly: a process that has imported everything forks one for each request.

As a program it reads a request a line from its standard input, and answers each when its driver has ended. Whatever
a dead driver leaves behind becomes this process's child, so that nothing can hide.
"""
from __future__ import annotations

import ctypes
import faulthandler
import json
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class Started:
    """A driver that runs."""

    pid: int
    request: Mapping[str, Any]


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
        timeout: float = 180,
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
        request = self._request(what, cache, args, env, module)
        request.update(at=at, error=error, armed=armed or bool(at), timeout=timeout)
        return self._driven(self._ask({**request, "do": "drive"}), request)

    def start(
        self,
        what: str,
        cache: Path,
        *args: Any,
        env: Mapping[str, str] | None = None,
        module: str = "tests.faults.graph",
    ) -> Started:
        """Fork a driver, and let it run."""
        request = self._request(what, cache, args, env, module)
        return Started(self._ask({**request, "do": "start"}), request)

    def kill(self, started: Started) -> bool:
        """End a driver as `kill -9` does; whether it still ran."""
        killed: bool = self._ask({"do": "kill", "pid": started.pid})
        return killed

    def finish(self, started: Started, timeout: float = 180) -> Driven:
        """Wait for the end of a driver that was started."""
        status = self._ask({"do": "finish", "pid": started.pid, "timeout": timeout})
        return self._driven(status, started.request)

    def _request(
        self, what: str, cache: Path, args: Sequence[Any], env: Mapping[str, str] | None, module: str
    ) -> dict[str, Any]:
        self._number += 1
        return {
            "what": what, "module": module, "args": args, "note": str(self.home / f"driver-{self._number}"),
            "root": str(cache), "at": 0, "error": 0, "armed": False, "timeout": 0,
            "env": {"TP_CACHE_DIR": str(cache), "TP_FAULT_COUNT": f"{cache}.count", **(env or {})},
        }  # fmt: skip

    def _driven(self, status: int, request: Mapping[str, Any]) -> Driven:
        """Read what a driver left."""
        note, env = request["note"], request["env"]
        answer = json.loads(_read(f"{note}.answer") or "{}")
        calls = _read(f"{note}.calls").splitlines()
        output = _read(f"{note}.out")
        if "TP_FAULT_KEEP" in env:
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
    _import_all()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    for line in sys.stdin:
        request = json.loads(line)
        answer: Any = None
        if request["do"] == "drive":
            answer = _finish(_start(request, shim), request["timeout"])
        elif request["do"] == "start":
            answer = _start(request, shim)
        elif request["do"] == "kill":
            answer = _kill(request["pid"])
        elif request["do"] == "finish":
            answer = _finish(request["pid"], request["timeout"])
        elif request["do"] == "strays":
            answer = _strays(request["seconds"])
        else:
            for process in _descendants():
                process.kill()
            _strays(5.0)
        print(json.dumps(answer), flush=True)


def _import_all() -> None:
    """Import what drivers use, by names as written: a computed one would make the whole folder the graphs' source."""
    import diskcache  # noqa: F401
    import taskproc_backends.prefix
    import taskproc_backends.process
    import taskproc_backends.thread  # noqa: F401

    import taskproc.run.session  # noqa: F401
    import tests.faults.edited
    import tests.faults.graph
    import tests.faults.growing
    import tests.faults.tables  # noqa: F401


_ended: dict[int, int] = {}


def _start(request: dict[str, Any], shim: str) -> int:
    pid = os.fork()
    if pid == 0:
        _be_driver(request, shim)
    return pid


def _kill(pid: int) -> bool:
    _reap()
    if pid in _ended:
        return False
    os.kill(pid, signal.SIGKILL)
    return True


def _finish(pid: int, timeout: float) -> int:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        _reap()
        if pid in _ended:
            return _ended.pop(pid)
        time.sleep(0.002)
    os.kill(pid, signal.SIGABRT)  # faulthandler tells where it hung
    time.sleep(0.5)
    _reap()
    return 124


def _reap() -> None:
    """Take note of every child that has ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _ended[pid] = os.waitstatus_to_exitcode(status)


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
    what = sys.modules[request["module"]].WHAT[request["what"]]
    answer: dict[str, Any]
    status = 0
    try:
        if "TP_FAULT_HIDE" in request["env"]:
            ctypes.CDLL(shim).fault_hide(request["root"].encode(), ctypes.c_long(int(request["env"]["TP_FAULT_HIDE"])))
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
    _reap()
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
