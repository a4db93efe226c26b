"""What a cluster under one directory is, whichever scheduler runs it."""

from __future__ import annotations

import abc
import atexit
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from typing_extensions import Self

from tests.clusters.daemons import ClusterError, Daemon

START_SECONDS = 60.0


class Cluster(abc.ABC):
    """A scheduler with its daemons under one directory; their logs stay in `directory/log`."""

    # The daemon that answers the clients.
    _controller: str

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._programs: dict[str, str] = {}
        self._daemons: dict[str, Daemon] = {}

    @property
    @abc.abstractmethod
    def env(self) -> dict[str, str]:
        """Return what a client adds to its environment."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start every daemon and wait until jobs can run; on failure nothing is left running.

        Raises:
            ClusterMissing: The scheduler is not installed.
            ClusterError: A daemon did not start; the end of its log is in the message.
        """
        self._programs = self._find_programs()
        atexit.register(self.stop)
        try:
            self._start_daemons()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every job and daemon; safe to call twice."""
        atexit.unregister(self.stop)
        self._kill_nodes()
        for daemon in reversed(self._daemons.values()):
            daemon.stop()

    def run(self, *command: str | Path) -> str:
        """Run a client command, such as `run("squeue", "--version")`, and return its output.

        Raises:
            ClusterError: It failed; the message holds its own words.
        """
        done = self.try_run(*command)
        if done.returncode != 0:
            msg = f"{shlex.join(done.args)} ended with status {done.returncode}: {done.stdout}{done.stderr}"
            raise ClusterError(msg)
        return done.stdout

    def try_run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a client command that may fail."""
        env = {**os.environ, **self.env}
        words = [str(word) for word in command]
        return subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=120)

    def wait_for_job(self, job: str, seconds: float = 60.0) -> None:
        """Wait until a job, with all elements of its array, has left the queue."""
        deadline = time.monotonic() + seconds
        while self._is_queued(job):
            if time.monotonic() > deadline:
                msg = f"job {job} has not ended after {seconds:.0f} s; the logs are in {self.directory / 'log'}"
                raise ClusterError(msg)
            time.sleep(0.1)

    def start_controller(self) -> None:
        """Start the controller, or let it go on, and wait until it answers."""
        controller = self._daemons[self._controller]
        controller.start()
        controller.signal(signal.SIGCONT)
        controller.wait_until(self._controller_answers, START_SECONDS, "answer its clients")

    def stop_controller(self) -> None:
        """Stop the controller as its administrator would; clients get no connection, jobs go on."""
        self._daemons[self._controller].stop()

    def kill_controller(self) -> None:
        """Kill the controller as a crash would; what it had not saved is forgotten."""
        self._daemons[self._controller].kill()

    def pause_controller(self) -> None:
        """Make the controller deaf: clients connect and wait in vain. `start_controller` ends it."""
        self._daemons[self._controller].signal(signal.SIGSTOP)

    def restart_controller(self) -> None:
        """Stop the controller and start it again; it reads its settings anew and remembers its jobs."""
        self.stop_controller()
        self.start_controller()

    @abc.abstractmethod
    def heal(self) -> None:
        """Undo what a test did: the controller answers, no job of ours is left, every node takes jobs."""

    @abc.abstractmethod
    def _find_programs(self) -> dict[str, str]:
        """Find what the daemons need, or raise ClusterMissing."""

    @abc.abstractmethod
    def _start_daemons(self) -> None:
        """Write the settings and start everything."""

    @abc.abstractmethod
    def _kill_nodes(self) -> None:
        """Kill every node with its jobs, also when some were never started."""

    @abc.abstractmethod
    def _controller_answers(self) -> bool:
        """Tell whether clients get an answer."""

    @abc.abstractmethod
    def _is_queued(self, job: str) -> bool:
        """Tell whether a job waits or runs."""

    def _add(self, name: str, program: str, *arguments: str | Path, env: Mapping[str, str]) -> Daemon:
        log = self.directory / "log" / f"{name}.log"
        command = [self._programs[program], *arguments]
        self._daemons[name] = Daemon(name, command, log, {**os.environ, **self.env, **env})
        return self._daemons[name]

    def _wait_until(self, ready: Callable[[], bool], what: str) -> None:
        """Wait until `ready()` with every daemon alive; `what` says what is missed otherwise."""
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            for daemon in self._daemons.values():
                if not daemon.running:
                    raise daemon.failure("ended")
            if time.monotonic() > deadline:
                raise self._daemons[self._controller].failure(what)
            time.sleep(0.1)


def run_until_interrupted(cluster: Cluster) -> None:
    """Start a cluster, print the lines that make a shell its client, and stop it on Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with cluster:
            for name, value in cluster.env.items():
                print(f"export {name}={shlex.quote(value)}")
            print(f"# Runs until Ctrl-C; logs are in {cluster.directory / 'log'}", flush=True)
            signal.pause()
    except ClusterError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass
