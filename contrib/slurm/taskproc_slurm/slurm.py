"""Slurm's command line: what to run. How to read the answers is in `answers`.

Formats: sbatch(1), squeue(1), sacct(1), scontrol(1), scancel(1) of Slurm 20.11 to 24.11.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from taskproc_backends.batch import Answer, BatchOptions, Command, Lookup, SetRef, Submission, Target

from . import answers

# Of an outer job, or of a person who bends the output of commands that we read.
_CLEANED = ("SLURM_", "SLURMD_", "SQUEUE_", "SACCT_", "SCANCEL_", "SCONTROL_", "PMI_", "PMI2_", "PMIX_")
_CLEANED_EACH = frozenset({"SBATCH_ARRAY_INX", "SBATCH_WAIT", "SBATCH_REQUEUE", "SBATCH_OUTPUT", "SBATCH_ERROR"})
_KEPT = frozenset({"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "SLURM_CLUSTERS"})

# Seconds since the epoch instead of local time, and array expressions in full.
_PLAIN = {"SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0"}
# More names than this are left out of a command line: all jobs of the user are listed then.
_MOST_NAMES = 500
# Arguments of one scancel.
_MOST_TARGETS = 100
_CLOCK_SKEW = 3600


@dataclass(frozen=True)
class Slurm:
    """Builds Slurm's commands.

    Args:
        max_array: MaxArraySize of the site.
        accounting: Whether sacct answers; otherwise scontrol tells what slurmctld still remembers.
    """

    max_array: int = 1001
    accounting: bool = False
    name: str = "slurm"
    client: str = "sbatch"
    variable: str = "SLURM_ARRAY_TASK_ID"
    first: int = 0

    def cleans(self, variable: str) -> bool:
        """Tell whether a variable is an outer job's, or bends our commands.

        >>> [Slurm().cleans(name) for name in ("SLURM_MEM_PER_NODE", "SLURM_CONF", "SBATCH_ACCOUNT")]
        [True, False, False]
        """
        return variable in _CLEANED_EACH or (variable.startswith(_CLEANED) and variable not in _KEPT)

    def probe(self) -> Command:
        """Ask for MaxArraySize, and whether there is accounting."""
        return Command(("scontrol", "show", "config"))

    def learn(self, answer: Answer) -> Slurm:
        """Read both from `scontrol show config`."""
        limits = answers.parse_config(answer.out)
        return dataclasses.replace(self, max_array=limits.max_array or self.max_array, accounting=limits.accounting)

    def submit(self, submission: Submission) -> Command:
        """Build the sbatch call for one array; its indices start at 0.

        >>> from pathlib import Path
        >>> from taskproc_slurm import SlurmOptions
        >>> options = SlurmOptions(mem="2G", time="00:10:00", array_limit=2)
        >>> array = Submission("r1-a", Path("r1-a/job.sh"), "", 3, Path("r1-a/log"), options)
        >>> print(*Slurm().submit(array).argv)  # doctest: +NORMALIZE_WHITESPACE
        sbatch --parsable --no-requeue --job-name=r1-a --array=0-2%2 --output=r1-a/log/%a.txt
        --mem=2G --time=00:10:00 r1-a/job.sh
        """
        limit = submission.options.array_limit
        throttle = f"%{limit}" if limit else ""
        # A requeued job would find its attempt used up; we submit a new attempt instead.
        argv = ["sbatch", "--parsable", "--no-requeue", f"--job-name={submission.name}"]
        argv.append(f"--array=0-{submission.size - 1}{throttle}")
        argv.append(f"--output={str(submission.logs).replace('%', '%%')}/%a.txt")
        argv += _flags(submission.options, submission.avoid)
        return Command((*argv, *submission.options.extra, str(submission.script)))

    def submitted(self, answer: Answer) -> str:
        """Read the job id, or raise what the refusal means."""
        return answers.parse_submitted(answer)

    def job_id(self, id: str, element: int) -> str:
        """Write an element's id as squeue does.

        >>> Slurm().job_id("123;east", 4)
        '123_4'
        """
        return f"{id.partition(';')[0]}_{element}"

    def queue(self, sets: Sequence[SetRef]) -> list[Lookup]:
        """Ask squeue for all of this user's jobs under our names: one call for each cluster, mostly one."""
        return [_squeue(cluster, some) for cluster, some in _by_cluster(sets)]

    def account(self, sets: Sequence[SetRef]) -> list[Lookup]:
        """Ask sacct, or scontrol where there is no accounting; what has no id is asked for by name."""
        lookups = []
        for cluster, some in _by_cluster(sets):
            known, lost = [s for s in some if s.id], [s for s in some if not s.id]
            if lost:
                lookups.append(_squeue(cluster, lost, "--states=all"))
            if self.accounting:
                lookups += [_sacct(cluster, *words) for words in _sacct_choices(known, lost)]
            else:
                lookups += [_scontrol(cluster, one) for one in known]
        return lookups

    def cancel(self, targets: Sequence[Target]) -> list[Command]:
        """Build the scancel calls: whole arrays by their ids, elements as lists of ranges.

        >>> [" ".join(c.argv) for c in Slurm().cancel([Target("a", "7"), Target("b", "8", (0, 1, 2, 5))])]
        ['scancel 7 8_[0-2,5]']
        """
        by_cluster: dict[str, list[str]] = {}
        for target in targets:
            if target.id:
                id, _, cluster = target.id.partition(";")
                by_cluster.setdefault(cluster, []).append(id + _elements(target.elements))
        calls = [
            Command(("scancel", *_cluster_flag(cluster), *words[at : at + _MOST_TARGETS]))
            for cluster, words in by_cluster.items()
            for at in range(0, len(words), _MOST_TARGETS)
        ]
        named = [target.name for target in targets if not target.id]
        return calls + [Command(("scancel", "--me", f"--name={name}")) for name in named]

    def cancelled(self, answer: Answer) -> bool:
        """Tell whether scancel reached slurmctld."""
        return answers.has_reached(answer)


def _flags(options: BatchOptions, avoid: Sequence[str]) -> Iterator[str]:
    """Turn options into sbatch's flags; the names are the same but for these."""
    renamed = {"cpus": "cpus-per-task", "mem_per_cpu": "mem-per-cpu"}
    names = (
        "cpus",
        "mem",
        "mem_per_cpu",
        "time",
        "gpus",
        "gres",
        "partition",
        "account",
        "qos",
        "constraint",
    )
    for name in (*names, "nodes", "ntasks", "reservation", "nice", "comment"):
        value = getattr(options, name, None)
        if value is not None and (name, value) != ("gpus", 0):
            yield f"--{renamed.get(name, name)}={value}"
    exclude = ",".join(filter(None, [getattr(options, "exclude", None), *avoid]))
    if exclude:
        yield f"--exclude={exclude}"


def _by_cluster(sets: Sequence[SetRef]) -> list[tuple[str, list[SetRef]]]:
    clusters: dict[str, list[SetRef]] = {}
    for one in sets:
        clusters.setdefault(one.id.partition(";")[2], []).append(one)
    return list(clusters.items())


def _cluster_flag(cluster: str) -> list[str]:
    return [f"--clusters={cluster}"] if cluster else []


def _squeue(cluster: str, sets: Sequence[SetRef], *flags: str) -> Lookup:
    argv = [
        "squeue",
        "--me",
        "--noheader",
        f"--format={answers.QUEUE_FORMAT}",
        *flags,
        *_cluster_flag(cluster),
    ]
    if len(sets) <= _MOST_NAMES:
        argv.append("--name=" + ",".join(one.name for one in sets))
    return Lookup(Command(tuple(argv), environment=_PLAIN), partial(answers.parse_queue, cluster=cluster))


def _sacct_choices(known: Sequence[SetRef], lost: Sequence[SetRef]) -> Iterator[list[str]]:
    if known:
        yield ["--jobs=" + ",".join(one.id.partition(";")[0] for one in known)]
    if lost:
        since = min(one.submitted for one in lost) - _CLOCK_SKEW
        start = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(max(0.0, since)))
        yield ["--name=" + ",".join(one.name for one in lost), f"--starttime={start}"]


def _sacct(cluster: str, *choice: str) -> Lookup:
    argv = (
        "sacct",
        "--noheader",
        "--parsable2",
        f"--format={answers.ACCOUNT_FORMAT}",
        *_cluster_flag(cluster),
        *choice,
    )
    return Lookup(Command(argv, environment=_PLAIN), partial(answers.parse_account, cluster=cluster))


def _scontrol(cluster: str, one: SetRef) -> Lookup:
    argv = ("scontrol", "--oneliner", *_cluster_flag(cluster), "show", "job", one.id.partition(";")[0])
    return Lookup(Command(argv, environment=_PLAIN), partial(answers.parse_jobs, cluster=cluster))


def _elements(elements: tuple[int, ...] | None) -> str:
    """Write elements as an array expression.

    >>> _elements((3, 4, 5, 9)), _elements(None)
    ('_[3-5,9]', '')
    """
    if elements is None:
        return ""
    ranges: list[list[int]] = []
    for index in sorted(elements):
        if ranges and index == ranges[-1][1] + 1:
            ranges[-1][1] = index
        else:
            ranges.append([index, index])
    return "_[" + ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges) + "]"
