"""A stand-in scheduler for the batch base's tests: its commands really run jobs, and break on demand.

As a module it is the `Scheduler`; as a program it is that scheduler's client. All state is files in one directory:
`jobs/<id>/<element>` holds an element's state in one line, `faults/<name>` breaks something while it is there.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskproc_backends.batch import (
    Answer,
    Command,
    JobState,
    Lookup,
    NoRoom,
    Refused,
    SetRef,
    Submission,
    Target,
)

from taskproc.plugin import BackendUnavailable, SubmitUnknown


@dataclass(frozen=True)
class StandIn:
    """The scheduler; `site` is its state directory."""

    site: Path
    name: str = "standin"
    client: str = sys.executable
    variable: str = "STANDIN_INDEX"
    first: int = 0
    max_array: int = 1000

    def cleans(self, variable: str) -> bool:
        return variable.startswith("STANDIN_")

    def probe(self) -> Command | None:
        return None

    def learn(self, answer: Answer) -> StandIn:
        return self

    def submit(self, submission: Submission) -> Command:
        s = submission
        return self._command("submit", s.name, str(s.size), str(s.script), str(s.logs), *s.avoid, *s.options.extra)

    def submitted(self, answer: Answer) -> str:
        errors = {10: BackendUnavailable, 11: NoRoom, 12: Refused, 13: SubmitUnknown}
        if answer.code:
            raise errors[answer.code](answer.words)
        return answer.out.strip()

    def job_id(self, id: str, element: int) -> str:
        return f"{id}.{element}"

    def queue(self, sets: Sequence[SetRef]) -> list[Lookup]:
        return [Lookup(self._command("queue"), _read)]

    def account(self, sets: Sequence[SetRef]) -> list[Lookup]:
        return [Lookup(self._command("account", *[one.id or one.name for one in sets]), _read)]

    def cancel(self, targets: Sequence[Target]) -> list[Command]:
        words = [json.dumps([t.name, t.id, t.elements]) for t in targets]
        return [self._command("cancel", *words)]

    def cancelled(self, answer: Answer) -> bool:
        return answer.code == 0

    def _command(self, *words: str) -> Command:
        return Command((sys.executable, __file__, str(self.site), *words))

    # What a test does to it, and asks of it.

    def fault(self, name: str, content: str = "") -> None:
        (self.site / "faults").mkdir(parents=True, exist_ok=True)
        (self.site / "faults" / name).write_text(content)

    def mend(self, name: str) -> None:
        (self.site / "faults" / name).unlink()

    def calls(self, verb: str) -> list[list[str]]:
        with contextlib.suppress(FileNotFoundError):
            lines = (self.site / "calls").read_text().splitlines()
            return [call[1:] for call in map(json.loads, lines) if call[0] == verb]
        return []

    def say(self, id: str, element: int, **state: object) -> None:
        """Change what the scheduler says of an element."""
        path = self.site / "jobs" / id / str(element)
        _write(path, {**json.loads(path.read_text()), **state})


def _read(answer: Answer) -> list[JobState]:
    if answer.code:
        raise BackendUnavailable(answer.words)
    return [JobState(**json.loads(line)) for line in answer.out.splitlines()]


def _write(path: Path, state: object) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(state))
    temporary.replace(path)


class _Site:
    """The client's side."""

    def __init__(self, site: Path) -> None:
        self.site = site

    def fault(self, name: str) -> str | None:
        try:
            return (self.site / "faults" / name).read_text()
        except FileNotFoundError:
            return None

    def jobs(self) -> Iterator[tuple[Path, dict[str, object]]]:
        for path in sorted((self.site / "jobs").glob("*/[0-9]*")):
            yield path, json.loads(path.read_text())

    def submit(self, name: str, size: str, script: str, logs: str, *_: str) -> None:
        if self.fault("down") is not None:
            self._leave(10, "cannot reach the daemon")
        if (bad := self.fault("refuse")) is not None:
            self._leave(12, bad)
        live = sum(state["phase"] != "ended" for _, state in self.jobs())
        if (limit := self.fault("limit")) is not None and live + int(size) > int(limit):
            self._leave(11, "TooManyJobs")
        directory = self._new_job()
        for index in range(int(size)):
            state = {"id": directory.name, "element": index, "name": name, "submitted": time.time()}
            _write(directory / str(index), {**state, "phase": "waiting", "reason": "Resources"})
        if self.fault("hold") is None:
            for index in range(int(size)):
                run = [sys.executable, __file__, str(self.site), "run", directory.name, str(index), script, logs]
                subprocess.Popen(run, start_new_session=True, stdin=-3, stdout=-3, stderr=-3)
        if self.fault("lose-answer") is not None:
            time.sleep(3600)
        print(directory.name)

    def run(self, id: str, index: str, script: str, logs: str) -> None:
        path = self.site / "jobs" / id / index
        state = json.loads(path.read_text())
        if state["phase"] == "ended":
            return
        with open(f"{logs}/{index}.txt", "wb") as log:
            env = {**os.environ, "STANDIN_INDEX": index}
            process = subprocess.Popen(["bash", script], stdout=log, stderr=log, env=env, start_new_session=True)
            state.update(phase="running", reason="", host="h1")
            (path.parent / f"pid-{index}").write_text(str(process.pid))
            _write(path, state)
            code = process.wait()
        state = json.loads(path.read_text())
        if state["phase"] != "ended":
            end = {"signal": -code} if code < 0 else {"exit_code": code}
            _write(path, {**state, "phase": "ended", "word": "DONE", **end})

    def queue(self) -> None:
        self._ask()
        if self.fault("hide") is None:
            for _, state in self.jobs():
                if state["phase"] != "ended":
                    print(json.dumps(state))

    def account(self, *known: str) -> None:
        self._ask()
        if self.fault("forget") is None:
            for _, state in self.jobs():
                if {state["id"], state["name"]} & set(known):
                    print(json.dumps(state))

    def cancel(self, *targets: str) -> None:
        self._ask()
        for name, id, elements in map(json.loads, targets):
            for path, state in self.jobs():
                if (state["id"] == id or (not id and state["name"] == name)) and (
                    elements is None or state["element"] in elements
                ):
                    _write(path, {**state, "phase": "ended", "cause": "cancelled"})
                    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                        pid = int((path.parent / f"pid-{state['element']}").read_text())
                        os.killpg(pid, signal.SIGKILL)

    def _ask(self) -> None:
        if self.fault("hang") is not None:
            time.sleep(3600)
        if self.fault("down") is not None:
            self._leave(1, "cannot reach the daemon")

    def _new_job(self) -> Path:
        number = 1
        while True:
            try:
                (self.site / "jobs" / str(number)).mkdir(parents=True)
            except FileExistsError:
                number += 1
            else:
                return self.site / "jobs" / str(number)

    def _leave(self, code: int, words: str) -> None:
        print(words, file=sys.stderr)
        sys.exit(code)


def _main(site: str, verb: str, *words: str) -> None:
    if verb != "run":
        with open(f"{site}/calls", "a") as calls:
            calls.write(json.dumps([verb, *words]) + "\n")
    getattr(_Site(Path(site)), verb)(*words)


if __name__ == "__main__":
    _main(*sys.argv[1:])
