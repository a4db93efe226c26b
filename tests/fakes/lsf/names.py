"""How LSF names jobs: `name[1-100:2,105]%10`, `456`, `456[3]`, `456[1-5]`.

Formats: "Job arrays" in Administering IBM Spectrum LSF 10.1, bsub -J, bjobs job_id.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_ARRAY = re.compile(r"(?P<name>[^\[\]]*)\[(?P<indices>[^\[\]]*)\](?:%(?P<limit>\d+))?")
_REFERENCE = re.compile(r"(?P<job>\d+)(?:\[(?P<indices>[^\[\]]*)\])?")
_RANGE = re.compile(r"\s*(\d+)(?:-(\d+)(?::(\d+))?)?\s*")


class ArrayName(NamedTuple):
    """What `-J` asks for; no indices outside an array."""

    name: str
    indices: list[int]
    limit: int | None


def parse_job_name(text: str) -> ArrayName:
    """Read the value of `-J`.

    Raises:
        ValueError: The index list is not one; the message is LSF's.

    >>> parse_job_name("a[1-5:2,9]%3")
    ArrayName(name='a', indices=[1, 3, 5, 9], limit=3)
    """
    if "[" not in text:
        return ArrayName(text, [], None)
    if not (match := _ARRAY.fullmatch(text)):
        msg = "Bad job name"
        raise ValueError(msg)
    return ArrayName(
        match["name"], parse_indices(match["indices"]), int(match["limit"]) if match["limit"] else None
    )


def parse_indices(text: str) -> list[int]:
    """Read an index list of positive numbers, in order and without repeats."""
    indices: set[int] = set()
    for part in text.split(","):
        match = _RANGE.fullmatch(part)
        first, last, step = (int(n) if n else None for n in match.groups()) if match else (0, None, None)
        if not first or step == 0 or (last is not None and last < first):
            msg = "Job array index error"
            raise ValueError(msg)
        indices.update(range(first, (last or first) + 1, step or 1))
    return sorted(indices)


def parse_reference(text: str) -> tuple[int, list[int] | None]:
    """Read a job on a command line: its id, and its elements when some are named.

    Raises:
        ValueError: Not a job id; the message is LSF's.
    """
    if not (match := _REFERENCE.fullmatch(text)):
        msg = f"{text}: Illegal job ID."
        raise ValueError(msg)
    return int(match["job"]), None if match["indices"] is None else parse_indices(match["indices"])


def reference(job: int, index: int) -> str:
    """Name one job as the commands do.

    >>> reference(456, 3), reference(456, 0)
    ('456[3]', '456')
    """
    return f"{job}[{index}]" if index else str(job)
