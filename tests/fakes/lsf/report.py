"""The report that LSF adds to a job's output file, or mails.

Format: the job report of bsub -o and -N, LSF 10.1.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from .state import HOST, SUBMIT_HOST, label
from .text import full_stamp, reason

_LINE = "-" * 60


def fill_in(path: str, job: sqlite3.Row) -> str:
    """Fill in %J and %I; %I is 0 outside an array."""
    return path.replace("%J", str(job["id"])).replace("%I", str(job["idx"]))


def job_report(job: sqlite3.Row, spec: dict[str, Any]) -> str:
    """Write the report of a job that has ended."""
    done = job["stat"] == "DONE"
    where, who = "in cluster <fakecluster>", f"as user <{spec['user']}>"
    code = job["exit_code"]
    how = "Successfully completed." if done else f"Exited with exit code {code}."
    if job["signal"]:
        how = f"Exited by signal {job['signal']}."
    lines = [
        "",
        _LINE,
        f"Sender: LSF System <lsfadmin@{HOST}>",
        f"Subject: Job {label(job)}: <{job['name']}> {where} {'Done' if done else 'Exited'}",
        "",
        f"Job <{job['name']}> was submitted from host <{SUBMIT_HOST}> by user <{spec['user']}> {where} at"
        f" {full_stamp(job['submitted'])}",
        f"Job was executed on host(s) <{HOST}>, in queue <{job['queue']}>, {who} {where} at"
        f" {full_stamp(job['started'])}",
        f"<{Path.home()}> was used as the home directory.",
        f"<{spec['cwd']}> was used as the working directory.",
        f"Started at {full_stamp(job['started'])}",
        f"Terminated at {full_stamp(job['ended'])}",
        f"Results reported at {full_stamp(job['ended'])}",
        "",
        "Your job looked like:",
        "",
        _LINE,
        "# LSBATCH: User input",
        (spec["script"] or spec["command"]).rstrip("\n"),
        _LINE,
        "",
        *([f"{reason(job['reason'])}."] if job["reason"] else []),
        how,
        "",
        "Resource usage summary:",
        "",
        f"    CPU time :                                   {job['cpu'] or 0:.2f} sec.",
        "",
        "The output (if any) is above this job summary.",
        "",
        *(
            ["", "PS:", "", f"Read file <{fill_in(spec['err'], job)}> for stderr output of this job."]
            if spec["err"]
            else []
        ),
        "",
    ]
    return "\n".join(lines)
