"""A run's directory, ledger and claims: who runs what, seen by other drivers and after a death."""
from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from taskproc.runs import claims, ledger
from taskproc.runs.claims import Claims
from taskproc.runs.ledger import Ledger, RunDirectory, driver_lives, process_start, read_ledger, workers_live
from tests.support import PACKAGES, wait_for

ONE, TWO = b"1" * 16, b"2" * 16


class TestLedger:
    def test_late_entry_goes_into_no_other_file(self, tmp_path: Path):
        book = Ledger(f"{tmp_path}/ledger.jsonl")
        book.write({"kind": "run"})
        book.close()
        with open(tmp_path / "mine.txt", "w") as mine:  # has the number that the ledger had
            book.write({"kind": "accepted"})
            mine.write("precious")
        assert (tmp_path / "mine.txt").read_text() == "precious"
        assert [entry["kind"] for entry in read_ledger(f"{tmp_path}/ledger.jsonl")] == ["run"]

    def test_written_entries_are_there_at_once(self, tmp_path: Path):
        book = Ledger(f"{tmp_path}/ledger.jsonl")
        book.note('{"kind": "noted"}')
        assert list(read_ledger(f"{tmp_path}/ledger.jsonl")) == []
        book.write({"kind": "written", "text": "a\nb"})
        assert [entry["kind"] for entry in read_ledger(f"{tmp_path}/ledger.jsonl")] == ["noted", "written"]
        book.close()

    def test_line_that_was_cut_short_is_passed_over(self, tmp_path: Path):
        path = tmp_path / "ledger.jsonl"
        path.write_bytes(b'{"kind": "a"}\n\xff\xfe\n[1]\n{"kind": "b"}\n{"kind": "c')
        assert [entry["kind"] for entry in read_ledger(str(path))] == ["a", "b"]

    def test_missing_ledger_is_empty(self, tmp_path: Path):
        assert list(read_ledger(str(tmp_path / "none"))) == []

    def test_threads_do_not_mix_their_lines(self, tmp_path: Path):
        book = Ledger(f"{tmp_path}/ledger.jsonl")

        def write(number: int) -> None:
            for _ in range(200):
                book.write({"number": number, "text": "x" * 100})

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        book.close()
        assert len(list(read_ledger(f"{tmp_path}/ledger.jsonl"))) == 800


def rewrite(run: RunDirectory, changes: dict[str, Any]) -> None:
    """Change what a run's file says of its driver."""
    file = Path(run.path, "run.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def start_driver(runs: Path, *prefix: str) -> tuple[subprocess.Popen[str], str]:
    """Start a driver that does nothing, and give its run's directory."""
    text = (
        "import sys, time; from taskproc.runs.ledger import RunDirectory\n"
        f"run = RunDirectory({str(runs)!r}, 'Main()'); print(run.path, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [*prefix, sys.executable, "-c", text], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(PACKAGES)},
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


class TestRunDirectory:
    def test_it_tells_of_its_driver(self, tmp_path: Path):
        run = RunDirectory(str(tmp_path), "Main()")
        info = json.loads(Path(run.path, "run.json").read_text())
        assert (info["root"], info["pid"], info["run"]) == ("Main()", os.getpid(), run.run)
        assert driver_lives(run.path)
        run.close(keep=False)
        assert not driver_lives(run.path)

    def test_who_may_only_read_sees_whether_the_driver_lives(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        run = RunDirectory(str(tmp_path), "Main()")
        open_file = os.open

        def read_only(path: str, flags: int, *mode: int) -> int:
            if flags & os.O_RDWR:
                raise PermissionError(path)
            return open_file(path, flags, *mode)

        monkeypatch.setattr(os, "open", read_only)
        assert driver_lives(run.path)
        run.close(keep=False)
        assert not driver_lives(run.path)

    def test_dead_driver_does_not_live(self, tmp_path: Path):
        process, path = start_driver(tmp_path)
        assert driver_lives(path)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        wait_for(lambda: not driver_lives(path), "end of the driver's lock")

    @pytest.mark.parametrize("change", [{"pid_started": 1}, {"pid": 2**22 + 1}], ids=["a new process", "no process"])
    def test_driver_whose_lock_a_child_holds_on_is_dead(self, tmp_path: Path, change: dict[str, int]):
        run = RunDirectory(str(tmp_path), "Main()")
        rewrite(run, change)
        assert not driver_lives(run.path)
        run.close(keep=False)

    @pytest.mark.parametrize("field", ["host", "boot", "pid_namespace"])
    def test_process_number_of_another_place_says_nothing(self, tmp_path: Path, field: str):
        run = RunDirectory(str(tmp_path), "Main()")
        rewrite(run, {"pid": 2**22 + 1, field: "another"})
        assert driver_lives(run.path)
        run.close(keep=False)
        assert not driver_lives(run.path)

    @pytest.mark.parametrize("damage", ["", "{", "[]", '{"host": 1}'])
    def test_driver_lives_in_doubt(self, tmp_path: Path, damage: str):
        run = RunDirectory(str(tmp_path), "Main()")
        Path(run.path, "run.json").write_text(damage)
        assert driver_lives(run.path)
        run.close(keep=False)
        assert not driver_lives(run.path)

    def test_lock_that_cannot_be_asked_for_leaves_it_to_the_process(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        run = RunDirectory(str(tmp_path), "Main()")

        def refuse(fd: int, kind: int) -> None:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(fcntl, "flock", refuse)
        assert driver_lives(run.path)
        rewrite(run, {"pid": 2**22 + 1})
        assert not driver_lives(run.path)
        rewrite(run, {"pid_namespace": "another"})
        assert driver_lives(run.path)
        run.close(keep=False)

    def test_process_that_may_not_be_looked_at_is_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        run = RunDirectory(str(tmp_path), "Main()")
        monkeypatch.setattr(ledger, "process_start", lambda pid: None)
        assert driver_lives(run.path)
        run.close(keep=False)

    @pytest.mark.skipif(os.getuid() != 0 or not shutil.which("unshare"), reason="needs unshare and root")
    def test_driver_in_another_container_of_this_host_lives(self, tmp_path: Path):
        process, path = start_driver(tmp_path, "unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
        assert driver_lives(path)
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        wait_for(lambda: not driver_lives(path), "end of the driver's lock")

    def test_start_of_a_process_tells_it_from_another(self):
        assert process_start(os.getpid()) == process_start(os.getpid()) > 0
        assert process_start(2**22 + 1) == 0

    def test_no_workers_live_where_none_were_started(self, tmp_path: Path):
        assert not workers_live(str(tmp_path))


class TestClaims:
    @pytest.fixture
    def drivers(self, tmp_path: Path):
        runs = [RunDirectory(str(tmp_path), f"Main({n})") for n in range(2)]
        made = [claims_of(tmp_path, run.run) for run in runs]
        yield made
        for one in made:
            one.close()
        for run in runs:
            run.close(keep=False)

    def test_only_one_driver_has_a_task(self, drivers: list[Claims]):
        first, second = drivers
        assert first.acquire([(ONE, "n1")]) == {}
        held = second.acquire([(ONE, "n2"), (TWO, "n3")])
        assert {digest: (claim.run, claim.nonce) for digest, claim in held.items()} == {ONE: (first.run, "n1")}
        assert first.acquire([(TWO, "n4")])[TWO].run == second.run

    def test_task_that_was_given_back_may_be_claimed(self, drivers: list[Claims]):
        first, second = drivers
        first.acquire([(ONE, "n1")])
        second.give_back([ONE])
        second.flush()
        assert ONE in second.acquire([(ONE, "n2")])
        first.give_back([ONE])
        assert ONE in second.acquire([(ONE, "n2")])
        first.flush()
        assert second.acquire([(ONE, "n2")]) == {}

    def test_claim_that_is_wanted_again_before_it_went_back_stays(self, drivers: list[Claims]):
        first, second = drivers
        first.acquire([(ONE, "n1")])
        first.give_back([ONE])
        first.acquire([(ONE, "n2")])
        first.flush()
        assert second.held([ONE])[ONE].nonce == "n2"

    def test_own_claim_may_be_renewed_for_another_attempt(self, drivers: list[Claims]):
        first, _ = drivers
        first.acquire([(ONE, "n1")])
        assert first.acquire([(ONE, "n2")]) == {}
        assert first.held([ONE])[ONE].nonce == "n2"

    def test_closed_run_leaves_no_claims(self, drivers: list[Claims], tmp_path: Path):
        first, second = drivers
        third = claims_of(tmp_path, "third")
        third.acquire([(ONE, "n")])
        third.close()
        assert second.acquire([(ONE, "n2")]) == {}
        assert first.run != second.run

    def test_living_driver_is_not_dead(self, drivers: list[Claims]):
        first, second = drivers
        assert not second.is_dead(first.run)
        assert second.is_dead("never-was")

    def test_one_run_alone_takes_the_place_of_a_dead_one(self, drivers: list[Claims], tmp_path: Path):
        first, second = drivers
        ghost = claims_of(tmp_path, "ghost")
        ghost.acquire([(ONE, "n"), (TWO, "m")])
        ghost._connection.close()
        assert second.is_dead("ghost")
        assert second.take_over({ONE: "n", TWO: "another attempt"}, "ghost") == {ONE}
        assert first.take_over({ONE: "n", TWO: "m"}, "ghost") == {TWO}
        assert first.held([ONE, TWO]) == {ONE: claims.Claim(second.run, "n"), TWO: claims.Claim(first.run, "m")}

    def test_claims_of_which_nothing_is_left_are_dropped(self, drivers: list[Claims], tmp_path: Path):
        first, second = drivers
        ghost = claims_of(tmp_path, "ghost")
        ghost.acquire([(ONE, "n")])
        ghost._connection.close()
        second.drop([ONE], first.run)
        assert ONE in second.acquire([(ONE, "n2")])
        second.drop([ONE], "ghost")
        assert second.acquire([(ONE, "n2")]) == {}

    def test_damaged_table_is_put_aside(self, tmp_path: Path):
        (tmp_path / claims.FILE).write_bytes(b"garbage" * 1000)
        one = claims_of(tmp_path, "run")
        assert one.acquire([(ONE, "n")]) == {}
        assert not one.alone
        one.close()


class TestAlone:
    """A run that is alone need not look at results a second time, so it must know of everybody who was ever there."""

    def test_nobody_else(self, tmp_path: Path):
        one = claims_of(tmp_path, "one")
        one.acquire([(ONE, "n")])
        assert one.alone
        one.close()

    def test_runs_that_had_ended_before_it_looked_do_not_matter(self, tmp_path: Path):
        claims_of(tmp_path, "earlier").close()
        one = claims_of(tmp_path, "one")
        one.acquire([(ONE, "n")])
        assert one.alone
        one.close()

    def test_run_that_goes_on_while_it_looks_and_ends_before_it_registers(self, tmp_path: Path):
        other = claims_of(tmp_path, "other")
        before = claims.standing(str(tmp_path))
        other.close()
        one = Claims(str(tmp_path), "one", before)
        assert not one.alone
        one.close()

    def test_run_that_comes_and_ends_before_it_registers(self, tmp_path: Path):
        before = claims.standing(str(tmp_path))
        claims_of(tmp_path, "other").close()
        one = Claims(str(tmp_path), "one", before)
        assert not one.alone
        one.close()

    def test_run_that_comes_and_ends_later(self, tmp_path: Path):
        one = claims_of(tmp_path, "one")
        claims_of(tmp_path, "other").close()
        one.acquire([(ONE, "n")])
        assert not one.alone
        one.close()

    def test_dead_run_may_have_jobs_elsewhere_that_end_later(self, tmp_path: Path):
        claims_of(tmp_path, "dead")._connection.close()
        one = claims_of(tmp_path, "one")
        assert not one.alone
        one.close()


def claims_of(runs: Path, run: str) -> Claims:
    """Register a run."""
    return Claims(str(runs), run, claims.standing(str(runs)))


def test_nothing_of_a_run_but_its_account_is_left(cache: Path):
    from taskproc import TaskBase

    class Step(TaskBase):
        def run_task(self) -> None:
            print("x")

    Step().run_graph(backend="process")
    (run,) = [path for path in (cache / "taskproc" / ".runs").iterdir() if path.is_dir()]
    names = {path.name for path in run.iterdir()}
    assert {"run.json", "ledger.jsonl"} <= names
    assert not [name for name in names if name.startswith(("classes-", "output", "apart"))]
    kinds = [entry["kind"] for entry in ledger.read_ledger(str(run / "ledger.jsonl"))]
    assert "done" in kinds
