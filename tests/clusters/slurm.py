"""A real Slurm on this machine, started by hand: no systemd, everything under one directory.

The same cluster for a contributor, in one command:

    python -m tests.clusters.slurm [--accounting] [--nodes N] [--directory D]

It prints the `export` lines for another shell and runs until Ctrl-C. The Debian packages it needs are in
`packages.txt`. Files: slurm.conf(5), slurmdbd.conf(5), gres.conf(5) of Slurm 22.05 to 24.11.

All of it runs as the user who starts it: as root it takes anybody's jobs, otherwise that user's alone.
Nodes n0, n1, … have `CPUS` processors and `MEMORY` each, whatever the machine has. Partition `main` (the
default) holds all of them, `gpu` the last, which has two make-believe GPUs. With accounting there is an
account `lab`, limits are enforced, and whoever started the cluster is its administrator. The daemons listen
at the address of this machine's name, which is loopback or, in a container, its own; where the name has none,
and slurmdbd always, at every address. They trust only who has the cluster's munge key.
"""

from __future__ import annotations

import argparse
import getpass
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.clusters.cluster import START_SECONDS, Cluster, run_until_interrupted
from tests.clusters.daemons import (
    LOOPBACK,
    ClusterError,
    Daemon,
    find_programs,
    free_ports,
    kill_trees,
    processes_at,
    require_short_path,
    system_path,
)

CPUS = 8
MEMORY = 64_000  # MB
ACCOUNT = "lab"

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "scontrol", "sinfo", "squeue")
_ACCOUNTING_PROGRAMS = ("slurmdbd", "sacct", "sacctmgr", "mariadbd", "mariadb-install-db")
# Slurm wants devices; these are everywhere, and only their count matters.
_GPU_DEVICES = ("/dev/null", "/dev/zero")

# What a test needs of Slurm: quick starts and quick ends. `SlurmCluster(settings=…)` overrides.
_SETTINGS = {
    "AuthType": "auth/munge",
    "CredType": "cred/munge",
    "MpiDefault": "none",
    "ProctrackType": "proctrack/linuxproc",
    "TaskPlugin": "task/none",
    "SwitchType": "switch/none",
    "SlurmdParameters": "config_overrides",
    "DebugFlags": "NO_CONF_HASH",
    "GresTypes": "gpu",
    "SelectType": "select/cons_tres",
    "SelectTypeParameters": "CR_CPU_Memory",
    "DefMemPerCPU": str(MEMORY // CPUS // 2),
    "SchedulerType": "sched/backfill",
    "SchedulerParameters": "batch_sched_delay=0,sched_interval=1,sched_min_interval=0,"
    "default_queue_depth=2000,partition_job_depth=2000,bf_interval=1,bf_continue",
    "PriorityType": "priority/basic",
    "MaxArraySize": "1001",
    "MaxJobCount": "100000",
    "MinJobAge": "30",
    "KillWait": "2",
    "CompleteWait": "0",
    "MessageTimeout": "10",
    "TCPTimeout": "2",
    "SlurmctldTimeout": "10",
    "SlurmdTimeout": "20",
    "ReturnToService": "2",
    "JobAcctGatherType": "jobacct_gather/linux",
    "JobAcctGatherFrequency": "task=1",
    "JobAcctGatherParams": "OverMemoryKill",
    "SlurmctldDebug": "info",
    "SlurmdDebug": "info",
    "SlurmctldSyslogDebug": "quiet",
    "SlurmdSyslogDebug": "quiet",
}


class SlurmCluster(Cluster):
    """A Slurm cluster under one directory; its logs stay in `directory/log`.

    >>> with SlurmCluster(Path("/tmp/my-cluster")) as cluster:  # doctest: +SKIP
    ...     cluster.run("sbatch", "--wrap", "hostname")
    """

    _controller = "slurmctld"

    def __init__(
        self,
        directory: Path,
        *,
        nodes: int = 3,
        accounting: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Describe a cluster; nothing is written before `start`.

        Args:
            directory: Where all of it lives. A directory used before goes on with its jobs and accounts.
            nodes: How many nodes, named n0, n1, ….
            accounting: Whether sacct and sacctmgr answer (slurmdbd and MariaDB run too).
            settings: Lines of slurm.conf to add or replace, such as `{"MaxArraySize": "11"}`.
        """
        super().__init__(directory)
        self.accounting = accounting
        self.nodes = [f"n{index}" for index in range(nodes)]
        self._settings = {**_SETTINGS, **(settings or {})}
        self._host = socket.gethostname().partition(".")[0]
        self._address = _address_of(socket.gethostname())
        self._conf = self.directory / "slurm.conf"
        self._munge = self.directory / "munge.socket"
        self._database_socket = self.directory / "mariadb.socket"
        self._ports: dict[str, int] = {}

    @property
    def env(self) -> dict[str, str]:
        """Return what a client adds to its environment."""
        return {"SLURM_CONF": str(self._conf), "PATH": system_path()}

    def configure(self, **settings: str) -> None:
        """Change lines of slurm.conf, such as `configure(MaxArraySize="11")`, and restart the controller."""
        self._settings |= settings
        self._write_slurm_conf()
        self.restart_controller()

    def heal(self) -> None:
        """Undo what a test did: the controller answers, no job of ours is left, every node is idle."""
        self.start_controller()
        self.run("scancel", "--full", f"--user={getpass.getuser()}")
        self.run("scancel", "--signal=KILL", f"--user={getpass.getuser()}")
        for node in self.nodes:
            self.start_node(node)
        self._wait_until_idle()

    def start_node(self, name: str) -> None:
        """Start a node's slurmd and take the node back into service."""
        self._daemons[name].start()
        self.try_run("scontrol", "update", f"nodename={name}", "state=resume")

    def kill_node(self, name: str) -> None:
        """Kill slurmd and every job on a node at once, as a power cut would.

        Slurm notices by itself within about 35 s (SlurmdTimeout is 20 s); `mark_down` tells it now.
        """
        if name in self._daemons:
            self._daemons[name].kill()
        # A step's daemon overwrites its environment with its title; the node's log tells whose it is.
        kill_trees(processes_at(self._steps_log(name), "slurmstepd"))

    def mark_down(self, name: str) -> None:
        """Tell slurmctld that a node is down: its jobs end as NODE_FAIL, or are put back in the queue."""
        self.run("scontrol", "update", f"nodename={name}", "state=down", "reason=test")

    def _find_programs(self) -> dict[str, str]:
        programs = find_programs("Slurm", _PROGRAMS)
        if self.accounting:
            programs |= find_programs("Slurm accounting", _ACCOUNTING_PROGRAMS)
        return programs

    def _start_daemons(self) -> None:
        require_short_path(self._database_socket)
        self._prepare_directory()
        self._start_munge()
        if self.accounting:
            self._start_database()
            self._start_slurmdbd()
        self._add_slurm("slurmctld", "slurmctld", "-D")
        self.start_controller()
        for node in self.nodes:
            self._add_slurm(node, "slurmd", "-D", "-N", node).start()
        self._wait_until_idle()

    def _kill_nodes(self) -> None:
        for node in self.nodes:
            self.kill_node(node)

    def _prepare_directory(self) -> None:
        # Others' clients may pass through to slurm.conf and munge's socket.
        for name in ("", "log", "state", "spool"):
            (self.directory / name).mkdir(mode=0o755, parents=True, exist_ok=True)
        names = ["slurmctld", "slurmdbd", *self.nodes]
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        self._write_slurm_conf()
        gpus = [f"NodeName={self.nodes[-1]} Name=gpu File={device}\n" for device in _GPU_DEVICES]
        (self.directory / "gres.conf").write_text("".join(gpus))

    def _start_munge(self) -> None:
        key = self.directory / "munge.key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_bytes(secrets.token_bytes(128))
        options = {
            "key-file": key,
            "socket": self._munge,
            "log-file": self.directory / "log" / "munge.log",
            "pid-file": self.directory / "munge.pid",
            "seed-file": self.directory / "munge.seed",
        }
        munged = self._add_slurm("munged", "munged", "--foreground", "--force", *_flags(options))
        munged.start()
        munged.wait_until(self._munge.exists, START_SECONDS, "open its socket")

    def _start_database(self) -> None:
        data: dict[str, Any] = {"user": getpass.getuser(), "datadir": self.directory / "mariadb"}
        if not data["datadir"].exists():
            self._install_database(data)
        options = data | {
            "socket": self._database_socket,
            "pid-file": self.directory / "mariadb.pid",
            "innodb-buffer-pool-size": "64M",
            "innodb-flush-log-at-trx-commit": 0,
        }
        database = self._add_slurm("mariadb", "mariadbd", "--no-defaults", "--skip-networking", *_flags(options))
        database.start()
        database.wait_until(self._database_answers, START_SECONDS, "accept connections")

    def _install_database(self, data: Mapping[str, Any]) -> None:
        # On its private socket, in a directory of its own, the database knows one user and asks no password.
        options = {**data, "auth-root-authentication-method": "normal"}
        program = self._programs["mariadb-install-db"]
        command = [program, "--no-defaults", "--skip-test-db", *_flags(options)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            msg = f"mariadb-install-db ended with status {done.returncode}: {done.stdout}{done.stderr}"
            raise ClusterError(msg)

    def _start_slurmdbd(self) -> None:
        conf = self.directory / "slurmdbd.conf"
        conf.touch(mode=0o600)
        conf.write_text(_lines(self._slurmdbd_conf()))
        slurmdbd = self._add_slurm("slurmdbd", "slurmdbd", "-D")
        slurmdbd.start()
        slurmdbd.wait_until(self._accounting_answers, START_SECONDS, "answer sacctmgr")
        user = getpass.getuser()
        # Adding what is there already, in a directory used before, fails and does no harm.
        for words in (
            ["cluster", "taskproc"],
            ["account", ACCOUNT, "cluster=taskproc"],
            ["user", user, f"account={ACCOUNT}", "adminlevel=admin"],
        ):
            self.try_run("sacctmgr", "--immediate", "add", *words)
        self.run("sacctmgr", "--immediate", "modify", "user", user, "set", f"defaultaccount={ACCOUNT}")

    def _add_slurm(self, name: str, program: str, *arguments: str | Path) -> Daemon:
        return self._add(name, program, *arguments, env={"MYSQL_UNIX_PORT": str(self._database_socket)})

    def _steps_log(self, node: str) -> Path:
        return self.directory / "log" / f"steps-{node}.log"

    def _controller_answers(self) -> bool:
        return self.try_run("scontrol", "ping").returncode == 0

    def _accounting_answers(self) -> bool:
        return self.try_run("sacctmgr", "--noheader", "show", "cluster").returncode == 0

    def _database_answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self._database_socket)) == 0

    def _is_queued(self, job: str) -> bool:
        return bool(self.try_run("squeue", "--noheader", f"--jobs={job}").stdout.strip())

    def _wait_until_idle(self) -> None:
        self._wait_until(self._is_idle, "does not find every node idle")

    def _is_idle(self) -> bool:
        return set(self._node_states().values()) == {"idle"}

    def _node_states(self) -> dict[str, str]:
        answer = self.try_run("sinfo", "--Node", "--noheader", "--format=%N %t", "--partition=main").stdout
        return dict(line.split() for line in answer.splitlines())

    def _write_slurm_conf(self) -> None:
        self._conf.write_text(_lines(self._slurm_conf()) + self._node_lines())

    def _slurm_conf(self) -> dict[str, Any]:
        user = getpass.getuser()
        places = {
            "ClusterName": "taskproc",
            "SlurmctldHost": f"{self._host}({self._address or LOOPBACK})",
            **({"CommunicationParameters": "NoInAddrAny,NoCtldInAddrAny"} if self._address else {}),
            "SlurmctldPort": self._ports["slurmctld"],
            "SlurmUser": user,
            "SlurmdUser": user,
            "AuthInfo": f"socket={self._munge}",
            "StateSaveLocation": self.directory / "state",
            "SlurmdSpoolDir": self.directory / "spool" / "%n",
            "SlurmctldPidFile": self.directory / "slurmctld.pid",
            "SlurmdPidFile": self.directory / "%n.pid",
            "SlurmdLogFile": self._steps_log("%n"),
        }
        accounting = {
            "AccountingStorageType": "accounting_storage/slurmdbd",
            "AccountingStorageHost": LOOPBACK,
            "AccountingStoragePort": self._ports["slurmdbd"],
            "AccountingStoragePass": self._munge,
            "AccountingStorageEnforce": "associations,limits,qos",
            "AccountingStorageTRES": "gres/gpu",
        }
        return {**places, **(accounting if self.accounting else {}), **self._settings}

    def _node_lines(self) -> str:
        every = f"NodeHostname={self._host} NodeAddr={self._address or LOOPBACK} CPUs={CPUS} RealMemory={MEMORY}"
        lines = [f"NodeName={node} Port={self._ports[node]} {every}" for node in self.nodes]
        lines[-1] += f" Gres=gpu:{len(_GPU_DEVICES)} Feature=gpu"
        lines.append(f"PartitionName=main Nodes={','.join(self.nodes)} Default=YES MaxTime=INFINITE State=UP")
        lines.append(f"PartitionName=gpu Nodes={self.nodes[-1]} MaxTime=INFINITE State=UP")
        return "".join(f"{line}\n" for line in lines)

    def _slurmdbd_conf(self) -> dict[str, Any]:
        return {
            "DbdHost": self._host,
            "DbdAddr": LOOPBACK,
            "DbdPort": self._ports["slurmdbd"],
            "SlurmUser": getpass.getuser(),
            "AuthType": "auth/munge",
            "AuthInfo": f"socket={self._munge}",
            "StorageType": "accounting_storage/mysql",
            "StorageHost": "localhost",
            "StorageUser": "root",
            "StorageLoc": "slurm_acct_db",
            "PidFile": self.directory / "slurmdbd.pid",
            "DebugLevel": "info",
            "DebugLevelSyslog": "quiet",
        }


def _address_of(host: str) -> str | None:
    """Look up where Slurm's daemons listen, if they are to listen at one address: at that of this machine's name."""
    try:
        return socket.gethostbyname(host)
    except OSError:
        return None


def _lines(settings: Mapping[str, Any]) -> str:
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _flags(options: Mapping[str, Any]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a Slurm until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.clusters.slurm", description=main.__doc__)
    parser.add_argument("--accounting", action="store_true", help="run slurmdbd too, so that sacct answers")
    parser.add_argument("--nodes", type=int, default=3, help="how many nodes (default: 3)")
    parser.add_argument("--directory", type=Path, help="where it lives (default: a new temporary directory)")
    options = parser.parse_args(arguments)
    directory = options.directory or Path(tempfile.mkdtemp(prefix="taskproc-slurm-"))
    run_until_interrupted(SlurmCluster(directory, nodes=options.nodes, accounting=options.accounting))


if __name__ == "__main__":
    main()
