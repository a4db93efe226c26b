"""bsub: read the options, from the command line and from `#BSUB` lines, and submit.

Formats: bsub (-J -o -e -W -env -cwd -H -K), BSUB_QUIET, BSUB_STDERR, LSB_DEFAULTQUEUE; LSF 10.1.
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
import sys
import time
from typing import Any

from .front import Answer
from .names import parse_job_name
from .state import FINISHED, Fault, State, setting

_WITH_VALUE = frozenset(
    (  # noqa: SIM905
        "a app b C c clusters cn_mem cwd D data E Ep e env eo eptl ext extsched F f freq "
        "G g gpu hostfile i is J Jd L Lp M m mig n network o oo outdir P p ptl q R rcacct "
        "rnc S s sla sp stage T t U u v W We wa wt"
    ).split()
)
_FLAGS = frozenset("ar B H K N Ne notify r rn ul x XF Zs".split())  # noqa: SIM905
_NOT_OFFERED = frozenset("I Ip Is IS ISp ISs IX k pack w json yaml jsdl".split())  # noqa: SIM905
_RUN_LIMIT = re.compile(r"(?:(\d+):)?(\d+(?:\.\d+)?)(?:/.+)?")
_REFUSALS = {
    "queue_closed": "Queue <{queue}>: Queue has been closed. Job not submitted.",
    "permission": "User permission denied. Job not submitted.",
}


class Refused(Exception):
    """The submission is refused, with LSF's words."""


def bsub(state: State, argv: list[str]) -> Answer:
    """Submit a job or an array."""
    try:
        options, words = _parse(argv)
        script = None
        if not words:
            script = sys.stdin.read()
            options = {**_embedded_options(script), **options}
        spec, indices = _specify(options, words, script)
        _refuse(state, spec)
    except Refused as refusal:
        return Answer(stderr=f"{refusal}\n", code=255)
    return _submit(state, spec, indices, wait="K" in options)


def _submit(state: State, spec: dict[str, Any], indices: list[int], *, wait: bool) -> Answer:
    lost = state.use("lost_answer")
    if lost and not lost.get("accepted", True):
        return _lose(lost, Answer())
    job = state.add(spec, indices)
    state.wake_daemon()
    kind = "default queue" if spec["default_queue"] else "queue"
    answer = _say(state, f"Job <{job}> is submitted to {kind} <{spec['queue']}>.\n")
    if lost:
        return _lose(lost, answer)
    return _wait(state, job, answer) if wait else answer


def _say(state: State, words: str) -> Answer:
    if os.environ.get("BSUB_QUIET"):
        words = ""
    on_stderr = os.environ.get("BSUB_STDERR", "").lower() == "y"
    answer = Answer(stderr=words) if on_stderr else Answer(stdout=words)
    if chatter := state.use("chatter"):
        stream = chatter.get("stream", "stdout")
        around = chatter.get("before", "") + getattr(answer, stream) + chatter.get("after", "")
        answer = answer._replace(**{stream: around})
    return answer


def _lose(fault: Fault, answer: Answer) -> Answer:
    if fault["how"] == "hang":
        time.sleep(fault.get("seconds", 3600))
        return answer
    return Answer(code=255 if fault["how"] == "exit255" else 0)


def _wait(state: State, job: int, answer: Answer) -> Answer:
    """Stay until the jobs have ended (`-K`); the exit code is the job's."""
    print(answer.stdout + "<<Waiting for dispatch ...>>", flush=True)
    while state.jobs(f"id = ? AND stat NOT IN {FINISHED}", job):
        time.sleep(0.1)
    codes = [row["exit_code"] or 0 for row in state.jobs("id = ?", job)]
    return Answer(stdout="<<Job is finished>>\n", code=max(codes))


def _refuse(state: State, spec: dict[str, Any]) -> None:
    while fault := state.use("refused"):
        if fault["reason"] != "threshold":
            words: str = fault["reason"]
            raise Refused(_REFUSALS.get(words, words).format(queue=spec["queue"]))
        retry = fault.get("retry", 60)
        if not retry:
            raise Refused(f"User <{getpass.getuser()}>: Pending job threshold reached. Job not submitted.")
        print(
            f"User <{getpass.getuser()}>: Pending job threshold reached. Retrying in {retry:g} seconds...",
            file=sys.stderr,
            flush=True,
        )
        time.sleep(retry)


def _parse(argv: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Split a command line into options, each with its values, and the job's own command."""
    options: dict[str, list[str]] = {}
    rest = list(argv)
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        name = rest.pop(0)[1:]
        if name in _NOT_OFFERED:
            raise Refused(f"The LSF stand-in does not offer bsub -{name}.")
        if name in _FLAGS:
            options[name] = []
        elif name not in _WITH_VALUE:
            raise Refused(f"bsub: illegal option -- {name}\nUsage: bsub [options] command [arguments]")
        elif not rest:
            raise Refused(f"bsub: option requires an argument -- {name}")
        else:
            options.setdefault(name, []).append(rest.pop(0))
    return options, rest


def _embedded_options(script: str) -> dict[str, list[str]]:
    """Read the `#BSUB` lines of a script from standard input; bsub honours them nowhere else."""
    lines = [line[5:] for line in script.splitlines() if line.startswith("#BSUB")]
    options, words = _parse([word for line in lines for word in shlex.split(line, comments=True)])
    if words:
        raise Refused(f"#BSUB: {words[0]}: not an option. Job not submitted.")
    return options


def _specify(
    options: dict[str, list[str]], words: list[str], script: str | None
) -> tuple[dict[str, Any], list[int]]:
    """Check the options and return what to keep of a submission, with the array's indices."""
    last = {name: values[-1] for name, values in options.items() if values}
    command = " ".join(_quoted(words)) if words else _summary(script or "")
    if not command:
        raise Refused("No command is specified. Job not submitted.")
    try:
        array = parse_job_name(last["J"]) if "J" in last else parse_job_name("")
    except ValueError as error:
        raise Refused(f"{error}. Job not submitted.") from None
    largest = int(setting("FAKE_LSF_MAX_ARRAY", 1000))
    if array.indices and (array.indices[-1] > largest or len(array.indices) > largest):
        raise Refused("Job array index too large. Job not submitted.")
    if any(text.count("[") != text.count("]") for text in options.get("R", [])):
        raise Refused("Bad resource requirement syntax. Job not submitted.")
    queue, default_queue = _queue(last.get("q"))
    cwd = os.path.join(os.getcwd(), last.get("cwd", ""))
    spec = {
        "name": array.name or command,
        "array_limit": array.limit,
        "queue": queue,
        "default_queue": default_queue,
        "command": command,
        "script": script,
        "hold": "H" in options,
        "user": getpass.getuser(),
        "array_name": last.get("J") if array.indices else None,
        "slots": _slots(last.get("n", "1")),
        "runlimit": _run_limit(last.get("W")),
        "cwd": os.path.normpath(cwd),
        "submit_cwd": os.getcwd(),
        "env": _environment(last.get("env", "all")),
        "out": last.get("oo", last.get("o")),
        "out_over": "oo" in last,
        "err": last.get("eo", last.get("e")),
        "err_over": "eo" in last,
        "stdin": last.get("i", last.get("is")),
        "report_apart": "N" in options,
        "direct": os.environ.get("LSB_STDOUT_DIRECT", "").upper() == "Y",
        "project": last.get("P", "default"),
        "app": last.get("app", ""),
        "group": last.get("g", ""),
        "user_group": last.get("G", ""),
        "description": last.get("Jd", ""),
        "memlimit": last.get("M", ""),
        "resreq": " ".join(options.get("R", [])),
    }
    return spec, array.indices


def _quoted(words: list[str]) -> list[str]:
    """Quote words as bsub does: those with blanks; the rest is left to the shell that runs the job."""
    if len(words) == 1:
        return words
    return [_keep_together(word) for word in words]


def _keep_together(word: str) -> str:
    quote = "'" if '"' in word else '"'
    return f"{quote}{word}{quote}" if not word or " " in word else word


def _summary(script: str) -> str:
    """Show a script from standard input as bjobs does: its lines after one another."""
    return ";".join(line.strip() for line in script.splitlines() if line.strip())


def _queue(asked: str | None) -> tuple[str, bool]:
    queues = os.environ.get("FAKE_LSF_QUEUES", "normal short long").split()
    queue = (asked or os.environ.get("LSB_DEFAULTQUEUE") or queues[0]).split()[0]
    if queue not in queues:
        raise Refused(f"{queue}: No such queue. Job not submitted.")
    return queue, asked is None


def _slots(text: str) -> int:
    least = text.split(",")[0]
    if not least.isdigit() or int(least) == 0:
        raise Refused(f"{text}: Bad argument for option -n. Job not submitted.")
    return int(least)


def _run_limit(text: str | None) -> float | None:
    """Read `[hour:]minute[/host]` into minutes."""
    if text is None:
        return None
    if not (match := _RUN_LIMIT.fullmatch(text)):
        raise Refused("Bad RUNLIMIT specification. Job not submitted.")
    return 60 * int(match[1] or 0) + float(match[2])


def _environment(asked: str) -> dict[str, str]:
    """Choose a job's environment from `all`, `none`, `~NAME`, `NAME`, `NAME=value` between commas."""
    words = [word.strip() for word in asked.split(",") if word.strip()]
    everything = "all" in words or all(word.startswith("~") for word in words)
    chosen = dict(os.environ) if everything and "none" not in words else {}
    for word in words:
        name, equals, value = word.partition("=")
        if word.startswith("~"):
            chosen.pop(word[1:], None)
        elif equals:
            chosen[name] = value.strip("'\"")
        elif name in os.environ:
            chosen[name] = os.environ[name]
    return {"PATH": os.defpath, **chosen}
