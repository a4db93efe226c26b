"""mbatchd and sbatchd in one: start jobs when slots are free, watch them, record how they ended.

Jobs run in sessions of their own and are this process's children. It wakes when a command rings, when a child
ends, and a few times a second while jobs are unfinished.
"""

from __future__ import annotations

import fcntl
import os
import select
import shlex
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import IO, Any

from .report import fill_in, job_report
from .state import FINISHED, HOST, STARTED, SUBMIT_HOST, State, label, matches, setting
from .text import reason

_TICK = 0.2
# Signals that others send; a crash has a signal too, and no termination reason.
_SENT = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


def serve(directory: Path) -> None:
    """Run until there has been nothing to do for a while; return at once when another daemon is alive."""
    with (directory / "daemon.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        (directory / "daemon.pid").write_text(str(os.getpid()))
        Daemon(State(directory)).run(lock)


class Daemon:
    """The one writer of what happens to jobs after their submission."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.children: dict[int, subprocess.Popen[bytes]] = {}
        self.slots = int(setting("FAKE_LSF_SLOTS", 4))
        self.minute = setting("FAKE_LSF_MINUTE", 60)
        self.interval = setting("FAKE_LSF_TERMINATE_INTERVAL", 10)
        self.patience = setting("FAKE_LSF_IDLE", 2)
        self.bell, self.ended = _bell(state.directory), _child_bell()

    def run(self, lock: IO[str]) -> None:
        """Work, and end when idle."""
        idle_since = time.time()
        while True:
            with self.state.transaction():
                self._turn()
                busy = self.state.db.execute(
                    f"SELECT 1 FROM jobs WHERE stat NOT IN {FINISHED} LIMIT 1"
                ).fetchone()
                if busy:
                    idle_since = time.time()
                elif time.time() - idle_since > self.patience:
                    # Inside the transaction: a job submitted from now on finds no daemon and starts one.
                    fcntl.flock(lock, fcntl.LOCK_UN)
                    return
            self._sleep(_TICK if busy else self.patience / 2)

    def _sleep(self, seconds: float) -> None:
        for pipe in select.select([self.bell, self.ended], [], [], seconds)[0]:
            os.read(pipe, 4096)

    def _turn(self) -> None:
        self._reap()
        self._strike()
        self._enforce_run_limits()
        self._deliver_signals()
        self._finish()
        self._dispatch()

    # Starting

    def _dispatch(self) -> None:
        running = self.state.jobs(f"stat IN {STARTED}")
        free = self.slots - sum(job["slots"] for job in running)
        in_array: dict[int, int] = {}
        for job in running:
            in_array[job["id"]] = in_array.get(job["id"], 0) + 1
        if free <= 0:
            return
        for job in self.state.jobs("stat = 'PEND' AND fault IS NULL"):
            if job["slots"] > free or in_array.get(job["id"], 0) >= (job["array_limit"] or 10**9):
                continue
            self._start(job)
            in_array[job["id"]] = in_array.get(job["id"], 0) + 1
            free -= job["slots"]
            if free <= 0:
                return

    def _start(self, job: sqlite3.Row) -> None:
        spec = self.state.spec(job["id"])
        cwd = spec["cwd"] if os.path.isdir(spec["cwd"]) else "/tmp"
        stdout, stderr = self._output(job, spec, cwd)
        with open(spec["stdin"] or os.devnull, "rb") as stdin, stdout, stderr:
            child = subprocess.Popen(
                self._arguments(job, spec),
                cwd=cwd,
                env=self._environment(job, spec),
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.STDOUT if stderr is stdout else stderr,
                start_new_session=True,
            )
        self.children[child.pid] = child
        self.state.change(job, stat="RUN", started=time.time(), pid=child.pid)
        self.state.log(
            job,
            f"Dispatched {job['slots']} Task(s) on Host(s) <{HOST}>, Allocated {job['slots']} Slot(s) on"
            f" Host(s) <{HOST}>, Effective RES_REQ <select[type == local] order[r15s:pg] >;",
        )
        self.state.log(job, f"Starting (Pid {child.pid});")
        self.state.log(
            job,
            f"Running with execution home <{Path.home()}>, Execution CWD <{cwd}>, Execution Pid"
            f" <{child.pid}>;",
        )

    def _arguments(self, job: sqlite3.Row, spec: dict[str, Any]) -> list[str]:
        if spec["script"] is None:
            return ["/bin/sh", "-c", spec["command"]]
        script = str(self.state.script(job["id"]))
        first = spec["script"].split("\n", 1)[0]
        interpreter = shlex.split(first[2:]) if first.startswith("#!") else []
        return [*(interpreter or ["/bin/sh"]), script]

    def _environment(self, job: sqlite3.Row, spec: dict[str, Any]) -> dict[str, str]:
        hosts = " ".join([HOST] * job["slots"])
        return {
            **spec["env"],
            "FAKE_LSF_DIR": str(self.state.directory),
            "LSB_JOBID": str(job["id"]),
            "LSB_JOBINDEX": str(job["idx"]),
            "LSB_JOBNAME": job["name"],
            "LSB_BATCH_JID": label(job),
            "LSB_QUEUE": job["queue"],
            "LSB_HOSTS": hosts,
            "LSB_MCPU_HOSTS": f"{HOST} {job['slots']}",
            "LSB_DJOB_NUMPROC": str(job["slots"]),
            "LSB_SUB_HOST": SUBMIT_HOST,
            "LSB_SUB_USER": spec["user"],
            "LS_SUBCWD": spec["submit_cwd"],
            "LSB_PROJECT_NAME": spec["project"],
            "LSFUSER": spec["user"],
            "LS_JOBPID": str(os.getpid()),
            **({"LSB_JOBINDEX_STEP": "1"} if job["idx"] else {}),
            **({"LSB_OUTPUTFILE": spec["out"]} if spec["out"] else {}),
            **({"LSB_ERRORFILE": spec["err"]} if spec["err"] else {}),
        }

    # Output

    def _output(self, job: sqlite3.Row, spec: dict[str, Any], cwd: str) -> tuple[IO[bytes], IO[bytes]]:
        """Open where the job writes: its files themselves, or what is copied to them when it has ended."""
        if not spec["direct"]:
            stdout: IO[bytes] = self._buffer(job, "out").open("wb")
            return stdout, self._buffer(job, "err").open("wb") if spec["err"] else stdout
        stdout = _open(_path(spec["out"] or os.devnull, job, cwd), spec["out_over"])
        return stdout, _open(_path(spec["err"], job, cwd), spec["err_over"]) if spec["err"] else stdout

    def _buffer(self, job: sqlite3.Row, kind: str) -> Path:
        return self.state.directory / "spool" / f"{label(job)}.{kind}"

    def _deliver_output(self, job: sqlite3.Row) -> None:
        """Write the job's output and report; without `-o` they go by mail, here to a file."""
        spec = self.state.spec(job["id"])
        cwd = spec["cwd"] if os.path.isdir(spec["cwd"]) else "/tmp"
        mail = self.state.directory / "mail" / label(job)
        out = _path(spec["out"], job, cwd) if spec["out"] else mail
        report = job_report(job, spec)
        try:
            if not spec["direct"]:
                self._copy(job, "out", out, spec["out_over"])
                if spec["err"]:
                    self._copy(job, "err", _path(spec["err"], job, cwd), spec["err_over"])
            with _open(mail if spec["report_apart"] else out, False) as file:
                file.write(report.encode())
        except OSError as error:
            print(f"{label(job)}: output lost: {error}", flush=True)

    def _copy(self, job: sqlite3.Row, kind: str, to: Path, overwrite: bool) -> None:
        source = self._buffer(job, kind)
        if source.exists():
            with _open(to, overwrite) as file:
                file.write(source.read_bytes())
            source.unlink()

    # Watching

    def _reap(self) -> None:
        for pid in list(self.children):
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if ended:
                self.children.pop(pid).returncode = code = os.waitstatus_to_exitcode(status)
                for job in self.state.jobs("pid = ? AND raw IS NULL", pid):
                    self.state.change(job, raw=code, cpu=usage.ru_utime + usage.ru_stime)
        for job in self.state.jobs(f"stat IN {STARTED} AND raw IS NULL"):
            if job["pid"] not in self.children and not _alive(job["pid"]):
                self.state.change(job, raw=143, reason="TERM_ZOMBIE")  # Its daemon was killed under it.

    def _finish(self) -> None:
        """End the jobs whose process has ended, but for those on a host that does not answer."""
        now = time.time()
        for job in self.state.jobs(f"stat IN {STARTED} AND raw IS NOT NULL AND fault IS NOT 'unreachable'"):
            if job["lost_until"] is not None and now < job["lost_until"]:
                continue
            raw = 143 if job["lost_until"] is not None else job["raw"]
            number = -raw if raw < 0 else None
            code = 128 - raw if raw < 0 else raw
            why = (
                None if code == 0 else job["reason"] or ("TERM_EXTERNAL_SIGNAL" if number in _SENT else None)
            )
            self._kill(job, signal.SIGKILL)
            self.state.change(
                job, stat="EXIT" if code else "DONE", exit_code=code, signal=number, reason=why, ended=now
            )
            self.state.db.execute("DELETE FROM signals WHERE id = ? AND idx = ?", [job["id"], job["idx"]])
            self._log_end(job, code, number, why)
            self._deliver_output(self.state.jobs("id = ? AND idx = ?", job["id"], job["idx"])[0])

    def _log_end(self, job: sqlite3.Row, code: int, number: int | None, why: str | None) -> None:
        used = f"The CPU time used is {job['cpu'] or 0:.1f} seconds;"
        if code == 0:
            self.state.log(job, f"Done successfully. {used}")
            return
        self.state.log(
            job, f"Exited by signal {number}. {used}" if number else f"Exited with exit code {code}. {used}"
        )
        self.state.log(job, f"Completed <exit>; {reason(why)};" if why else "Completed <exit>;")

    def _enforce_run_limits(self) -> None:
        """At the limit send USR2, and ten minutes later what bkill sends."""
        for job in self.state.jobs("stat = 'RUN' AND runlimit IS NOT NULL AND reason IS NULL"):
            if time.time() - job["started"] >= job["runlimit"] * self.minute:
                self.state.change(job, reason="TERM_RUNLIMIT")
                self.state.send(job, signal.SIGUSR2, "TERM_RUNLIMIT")
                for step, number in enumerate((signal.SIGINT, signal.SIGTERM, signal.SIGKILL)):
                    self.state.send(job, number, "TERM_RUNLIMIT", 10 * self.minute + step * self.interval)

    def _deliver_signals(self) -> None:
        due = self.state.db.execute(
            "SELECT rowid, * FROM signals WHERE at <= ? ORDER BY at", [time.time()]
        ).fetchall()
        for row in due:
            self.state.db.execute("DELETE FROM signals WHERE rowid = ?", [row["rowid"]])
            for job in self.state.jobs(f"id = ? AND idx = ? AND stat IN {STARTED}", row["id"], row["idx"]):
                self._deliver(job, row["number"], row["reason"])

    def _deliver(self, job: sqlite3.Row, number: int, why: str | None) -> None:
        self._kill(job, number)
        if number == signal.SIGSTOP:
            self.state.change(job, stat="USUSP")
        elif number == signal.SIGCONT:
            self.state.change(job, stat="RUN")
        elif why and not job["reason"]:
            self.state.change(job, reason=why)
        if number in (signal.SIGINT, signal.SIGTERM) and job["stat"] in ("USUSP", "SSUSP"):
            self._kill(job, signal.SIGCONT)

    def _kill(self, job: sqlite3.Row, number: int) -> None:
        """Signal the job's group; the last signal also goes to groups its children have made."""
        groups = {job["pid"]} if number != signal.SIGKILL else {job["pid"], *_groups_of_session(job["pid"])}
        for group in groups:
            try:
                os.killpg(group, number)
            except (ProcessLookupError, PermissionError):
                pass

    # Faults

    def _strike(self) -> None:
        self._hold_back()
        self._suspend()
        self._lose_contact()
        self._kill_for_memory()
        self._kill_host()

    def _kill_for_memory(self) -> None:
        for job in self.state.jobs("stat = 'RUN' AND raw IS NULL AND reason IS NULL"):
            fault = self.state.fault("memory_kill")
            if fault and matches(fault, job) and time.time() - job["started"] >= fault.get("after", 0):
                self.state.use_up("memory_kill", fault)
                self.state.change(job, reason="TERM_MEMLIMIT")
                self._kill(job, signal.SIGKILL)

    def _kill_host(self) -> None:
        if fault := self.state.fault("host_dies"):
            struck = [
                job for job in self.state.jobs(f"stat IN {STARTED} AND raw IS NULL") if matches(fault, job)
            ]
            for job in struck:
                self.state.log(job, "Unknown; unable to reach the execution host;")
                until = time.time() + fault.get("seconds", 1)
                self.state.change(job, stat="UNKWN", reason="TERM_ZOMBIE", lost_until=until)
                self._kill(job, signal.SIGKILL)
            if struck:
                self.state.set_fault("host_dies", None)

    def _hold_back(self) -> None:
        fault = self.state.fault("held_back")
        for job in self.state.jobs("fault = 'held_back'"):
            if not fault or not matches(fault, job):
                self.state.change(job, stat="PEND", fault=None)
        if not fault:
            return
        for job in self.state.jobs("stat = 'PEND' AND fault IS NULL"):
            if matches(fault, job):
                self.state.change(job, stat=fault.get("stat", "PEND"), fault="held_back")

    def _suspend(self) -> None:
        fault = self.state.fault("suspended")
        for job in self.state.jobs("fault = 'suspended'"):
            if not fault or not matches(fault, job):
                pending = job["stat"] == "PSUSP"
                self.state.change(job, stat="PEND" if pending else "RUN", fault=None)
                if not pending:
                    self._kill(job, signal.SIGCONT)
        if not fault:
            return
        stat = fault.get("stat", "USUSP")
        for job in self.state.jobs(
            "fault IS NULL AND raw IS NULL AND stat = ?", "PEND" if stat == "PSUSP" else "RUN"
        ):
            if matches(fault, job):
                self.state.change(job, stat=stat, fault="suspended")
                if stat != "PSUSP":
                    self._kill(job, signal.SIGSTOP)

    def _lose_contact(self) -> None:
        fault = self.state.fault("unreachable")
        for job in self.state.jobs("fault = 'unreachable'"):
            if not fault or not matches(fault, job):
                self.state.log(job, "Running;")
                self.state.change(job, stat="RUN", fault=None)
        if not fault:
            return
        for job in self.state.jobs("stat = 'RUN' AND fault IS NULL"):
            if matches(fault, job):
                self.state.log(job, "Unknown; unable to reach the execution host;")
                self.state.change(job, stat=fault.get("stat", "UNKWN"), fault="unreachable")


def _path(path: str, job: sqlite3.Row, cwd: str) -> Path:
    return Path(cwd, fill_in(path, job))


def _open(path: Path, overwrite: bool) -> IO[bytes]:
    return path.open("wb" if overwrite else "ab")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _groups_of_session(session: int) -> set[int]:
    groups = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session:
            groups.add(int(fields[2]))
    return groups


def _bell(directory: Path) -> int:
    """Open the pipe that commands ring; both ends, so that it never reports an end of file."""
    path = directory / "bell"
    if not path.exists():
        os.mkfifo(path)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)


def _child_bell() -> int:
    """Open a pipe that rings when a child has ended."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # A job must not inherit an ignored interrupt.
    return read
