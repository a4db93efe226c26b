"""A real Grid Engine on this machine, started by hand: no systemd, everything under one directory.

The same cluster for a contributor, in one command:

    python -m tests.clusters.sge [--directory D]

It prints the `export` lines for another shell and runs until Ctrl-C. The Debian packages it needs are in
`packages.txt`. Files: bootstrap(5), host_aliases(5), sge_conf(5), queue_conf(5) of Son of Grid Engine 8.1.9.

One host with a queue `main.q` of `SLOTS` slots, the parallel environment `smp` (`qsub -pe smp N`), and the
consumable `gpu`, of which it has `GPUS`. Started by root it takes anybody's jobs, and root's too, which a
site would refuse; started by another user, that user's alone. Its daemons listen on every address.

`as_user` runs a client as someone else, for a test of what an ordinary user meets:

    cluster.run(*as_user("nobody"), "qsub", "-terse", script)

Such a user must be able to reach the script and the directory where the job writes; pytest's tmp_path is
closed to others, `open_directory` makes one that is not.
"""

from __future__ import annotations

import argparse
import getpass
import os
import pwd
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.clusters.cluster import Cluster, run_until_interrupted
from tests.clusters.daemons import (
    find_programs,
    free_ports,
    kill_trees,
    processes_at,
    system_path,
)

SLOTS = 24
GPUS = 2
QUEUE = "main.q"

_PROGRAMS = ("sge_qmaster", "sge_execd", "qacct", "qconf", "qdel", "qstat", "qsub")
# Where Debian keeps the tools that make a new cluster, and what they start from.
_TOOLS = Path("/usr/lib/gridengine")
_DATA = Path("/usr/share/gridengine")
_LINKS = Path("/var/lib/gridengine")
# A job's processes bear a group id of this range; another cluster on this host must not share it.
_GROUPS_PER_CLUSTER = 200

# The global configuration, sge_conf(5): quick reports, anybody's jobs. `SgeCluster(settings=…)` overrides.
_SETTINGS = {
    "min_uid": "0",
    "min_gid": "0",
    "mailer": "/bin/true",
    "xterm": "/bin/true",
    "loglevel": "log_info",
    "load_report_time": "00:00:05",
    "max_unheard": "00:00:20",
    "reporting_params": "accounting=true reporting=false flush_time=00:00:01 accounting_flush_time=00:00:00 "
    "joblog=false sharelog=00:00:00",
}
_SCHEDULER = {"schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1"}


class SgeCluster(Cluster):
    """A Grid Engine of one host under one directory; its logs stay in `directory/log` and in the spools."""

    _controller = "sge_qmaster"

    def __init__(self, directory: Path, *, settings: Mapping[str, str] | None = None) -> None:
        """Describe a cluster; nothing is written before `start`.

        Args:
            directory: Where all of it lives; it becomes SGE_ROOT. Whoever submits must be able to enter it.
            settings: Lines of the global configuration to replace, such as `{"max_aj_tasks": "10"}`.
        """
        super().__init__(directory)
        self._settings = {**_SETTINGS, **(settings or {})}
        self._host = socket.gethostname()
        self._qmaster_port, self._execd_port = free_ports(2)

    @property
    def env(self) -> dict[str, str]:
        """Return what a client adds to its environment."""
        return {
            "SGE_ROOT": str(self.directory),
            "SGE_CELL": "default",
            "SGE_QMASTER_PORT": str(self._qmaster_port),
            "SGE_EXECD_PORT": str(self._execd_port),
            "PATH": system_path(),
        }

    def stop(self) -> None:
        """End every job and daemon; safe to call twice."""
        # A qmaster takes its time to end politely, and its database does not need it.
        if "sge_qmaster" in self._daemons:
            self.kill_controller()
        super().stop()

    def heal(self) -> None:
        """Undo what a test did: the qmaster answers, no job of ours is left, the host takes jobs."""
        self.start_controller()
        self.start_node()
        # Deleting nothing is an error in qdel's eyes.
        self.try_run("qdel", "-f", "-u", getpass.getuser())
        self.run("qmod", "-cq", QUEUE)
        self._wait_until(self._is_empty, "does not get rid of its jobs")

    def start_node(self) -> None:
        """Start sge_execd and wait until its host takes jobs."""
        self._daemons["sge_execd"].start()
        self._wait_until(self._takes_jobs, "does not hear of its host")

    def kill_node(self) -> None:
        """Kill sge_execd and every job at once, as a power cut would.

        Within about 30 s (max_unheard is 20 s) the queue's state becomes `u`, unknown; its jobs stay listed.
        """
        if "sge_execd" in self._daemons:
            self._daemons["sge_execd"].kill()
        kill_trees(processes_at(self.directory / "execd", "sge_shepherd"))

    def _find_programs(self) -> dict[str, str]:
        return find_programs("Grid Engine", _PROGRAMS)

    def _start_daemons(self) -> None:
        new = not (self.directory / "spooldb").exists()
        if new:
            self._prepare_directory()
        self._write_bootstrap()
        # SGE_ND keeps a daemon in the foreground.
        self._add("sge_qmaster", "sge_qmaster", env={"SGE_ND": "1"})
        self.start_controller()
        if new:
            self._configure_host()
        self._add("sge_execd", "sge_execd", env={"SGE_ND": "1"}).start()
        if new:
            self._configure_queue()
        self._wait_until(self._takes_jobs, "does not hear of its host")

    def _kill_nodes(self) -> None:
        self.kill_node()

    def _controller_answers(self) -> bool:
        return self.try_run("qconf", "-sh").returncode == 0

    def _is_queued(self, job: str) -> bool:
        # `qsub -terse` calls an array "7.1-20:1"; everyone else calls it 7.
        return self.try_run("qstat", "-j", job.partition(".")[0]).returncode == 0

    def _is_empty(self) -> bool:
        return not self.run("qstat", "-u", getpass.getuser()).strip()

    def _takes_jobs(self) -> bool:
        """Tell whether the queue has no letter in its last column, which says what is wrong with it."""
        lines = self.try_run("qstat", "-f", "-q", QUEUE).stdout.splitlines()
        fields = next((line.split() for line in lines if line.startswith(f"{QUEUE}@")), [])
        return len(fields) == 5 and fields[3] != "-NA-"

    def _prepare_directory(self) -> None:
        for name in ("default/common", "qmaster/job_scripts", "spooldb", "execd", "log"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        for name in ("bin", "lib", "utilbin", "util"):
            (self.directory / name).symlink_to(_LINKS / name)
        self._write_bootstrap()
        self._use_tool("spoolinit", "berkeleydb", "libspoolb", self.directory / "spooldb", "init")
        self._use_tool("spooldefaults", "configuration", self._configuration())
        self._use_tool("spooldefaults", "complexes", _DATA / "util" / "resources" / "centry")
        self._use_tool("spooldefaults", "usersets", _DATA / "util" / "resources" / "usersets")
        self._use_tool("spooldefaults", "managers", getpass.getuser())

    def _use_tool(self, tool: str, *arguments: str | Path) -> None:
        self.run(_TOOLS / tool, *arguments)

    def _write_bootstrap(self) -> None:
        common = self.directory / "default" / "common"
        bootstrap = {
            # Daemons of another than root trust none but the admin user.
            "admin_user": "none" if os.geteuid() == 0 else getpass.getuser(),
            "spooling_params": self.directory / "spooldb",
            "qmaster_spool_dir": self.directory / "qmaster",
        }
        default = (_DATA / "default-bootstrap").read_text()
        (common / "bootstrap").write_text(_replace(default, bootstrap))
        (common / "act_qmaster").write_text(f"{self._host}\n")
        (common / "host_aliases").write_text(" ".join(self._names()) + "\n")

    def _names(self) -> list[str]:
        """List the names of this machine's loopback addresses, ours first: they are to be one host."""
        lines = [line.partition("#")[0].split() for line in Path("/etc/hosts").read_text().splitlines()]
        names = [name for line in lines if line and line[0].startswith("127.") for name in line[1:]]
        return list(dict.fromkeys([self._host, *names]))

    def _configuration(self) -> Path:
        first = 100_000 + self._qmaster_port * _GROUPS_PER_CLUSTER
        places = {
            "execd_spool_dir": self.directory / "execd",
            "gid_range": f"{first}-{first + _GROUPS_PER_CLUSTER - 1}",
        }
        default = (_DATA / "default-configuration").read_text()
        return self._file("configuration", _replace(default, {**places, **self._settings}))

    def _configure_host(self) -> None:
        self.run("qconf", "-as", self._host)
        self.run("qconf", "-Msconf", self._file("scheduler", _replace(self.run("qconf", "-ssconf"), _SCHEDULER)))
        complexes = self.run("qconf", "-sc") + "gpu gpu INT <= YES YES 0 0\n"
        self.run("qconf", "-Mc", self._file("complexes", complexes))

    def _configure_queue(self) -> None:
        self._wait_until(self._knows_host, "does not know its host")
        hosts = f"group_name @allhosts\nhostlist {self._host}\n"
        queue = {
            "qname": QUEUE,
            "hostlist": "@allhosts",
            "slots": SLOTS,
            "pe_list": "smp",
            "load_thresholds": "NONE",
            "complex_values": f"gpu={GPUS}",
        }
        for option, file in (
            ("-Ahgrp", self._file("hosts", hosts)),
            ("-Ap", _DATA / "util" / "resources" / "pe" / "smp"),
            ("-Aq", self._file("queue", _replace(self.run("qconf", "-sq"), queue))),
        ):
            self.run("qconf", option, file)

    def _knows_host(self) -> bool:
        return self._host in self.try_run("qconf", "-sel").stdout.split()

    def _file(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path


def as_user(name: str) -> list[str]:
    """Build the prefix that runs a command as another user, for which we must be root.

    >>> as_user("root")
    ['setpriv', '--reuid=0', '--regid=0', '--clear-groups']
    """
    user = pwd.getpwnam(name)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _replace(text: str, settings: Mapping[str, object]) -> str:
    """Replace the values of some "name value" lines.

    >>> _replace("slots 1\\nshell /bin/sh\\n", {"slots": 24})
    'slots 24\\nshell /bin/sh\\n'
    """
    lines = [line.split(None, 1) for line in text.replace("\\\n", "").splitlines() if line.strip()]
    return "".join(f"{name} {settings.get(name, *rest)}\n" for name, *rest in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a Grid Engine until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.clusters.sge", description=main.__doc__)
    parser.add_argument("--directory", type=Path, help="where it lives (default: a new temporary directory)")
    options = parser.parse_args(arguments)
    run_until_interrupted(SgeCluster(options.directory or open_directory()))


def open_directory() -> Path:
    """Make a new directory that every user may enter."""
    directory = Path(tempfile.mkdtemp(prefix="taskproc-sge-"))
    directory.chmod(0o755)
    return directory


if __name__ == "__main__":
    main()
