"""The job script of one array: shell lines of the user's, the worker, and the end mark."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

# What lies beside a set's payloads: the script, the logs of its elements, and the id that the scheduler gave.
SCRIPT_FILE, LOG_DIRECTORY, ID_FILE = "job.sh", "log", "id"

_SCRIPT = """\
#!/bin/{shell}
# {title}
element=${{{variable}:-{first}}}
[ "$element" -ge {first} ] 2>/dev/null || element={first}
element=$((element - {first}))

# How this script ends, for whoever asks when the scheduler has forgotten the job.
leave_end_mark() {{
    : > {ended}/element-"$element"-"$1"
}}
# Without these, the shell would tell the line below of a signal as of a success; so they come first.
for number in 1 2 10 12 15 24; do
    trap "exit $((128 + number))" "$number"
done
trap 'leave_end_mark $?' EXIT

{setup}{command}
"""


def script_text(title: str, staged: Path, command: Sequence[str], variable: str, first: int, setup: str = "") -> str:
    """Write the script whose every element runs its part of a staged set.

    Args:
        title: One line for whoever reads the script.
        staged: The set's directory; the marks go to its `ended/`.
        command: The worker's argv.
        variable: The environment variable with the element's index.
        first: Its value for element 0.
        setup: The user's shell lines.
    """
    return _SCRIPT.format(
        shell="bash" if setup.strip() else "sh",  # which starts faster, and is all that our own lines need
        title=" ".join(title.split()),
        variable=variable,
        first=first,
        ended=shlex.quote(str(staged / "ended")),
        setup=setup.replace("\r\n", "\n").rstrip("\n") + "\n\n" if setup.strip() else "",
        command=shlex.join(command),
    )
