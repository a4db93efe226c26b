"""What one LSF job asks for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from taskproc_backends.batch import BatchOptions, flags

from taskproc.plugin import OptionError, option

# bsub's flags that taskproc sets itself, or that would break how it follows its jobs.
_OURS = re.compile(r"-(J|o|oo|e|eo|i|is|I\w*|K|pack|json|yaml|jsdl|h|V|r|rn|k|Zs|ar)(=.*)?", re.DOTALL)
_UNITS = ("KB", "MB", "GB", "TB")


def further_flags(value: Any) -> tuple[str, ...]:
    """Accept flags for bsub that taskproc does not set itself.

    >>> further_flags("-sla gold -Lp 'one licence'")
    ('-sla', 'gold', '-Lp', 'one licence')
    """
    words = flags(value)
    for word in words:
        if _OURS.fullmatch(word):
            msg = f"{word!r} is not for `extra`: taskproc sets it, or depends on it"
            raise ValueError(msg)
    return words


def one_of(*words: str) -> Callable[[Any], str]:
    """Accept one of some words, in any case.

    >>> one_of("KB", "MB")("mb")
    'MB'
    """

    def parse(value: Any) -> str:
        for word in words:
            if str(value).strip().lower() == word.lower():
                return word
        msg = f"{value!r} is not one of {', '.join(words)}"
        raise ValueError(msg)

    return parse


@dataclass(frozen=True)
class LsfOptions(BatchOptions):
    """The portable options, what all batch schedulers share, and LSF's own."""

    queue: str | None = option(None, help="Queue to submit to; several with blanks.")
    project: str | None = option(None, help="Project to charge (-P).")
    user_group: str | None = option(None, help="User group to charge (-G).")
    application: str | None = option(None, help="Application profile (-app).")
    job_group: str | None = option(None, help="Job group, such as /risk/night (-g).")
    hosts: str | None = option(None, help="Hosts or host groups to run on, with blanks (-m).")
    exclusive: bool = option(False, help="Whether a job has its host to itself (-x).")
    resources: str | None = option(
        None, help="Resource requirements besides ours, such as select[type==any] rusage[tmp=100] (-R)."
    )
    gpu: str | None = option(
        None, help="What -gpu says besides num, such as mode=exclusive_process; without it gpus go into -R."
    )
    mem_unit: str | None = option(
        None,
        help="LSF_UNIT_FOR_LIMITS of the site, for releases that know no units behind numbers.",
        parse=one_of(*_UNITS),
    )
    script: str = option(
        "argument",
        help="How bsub gets the script: argument, or stdin, as some sites demand.",
        parse=one_of("argument", "stdin"),
    )
    extra: tuple[str, ...] = option((), help="Further flags for bsub.", parse=further_flags)

    def __post_init__(self) -> None:
        if self.gpu is not None and not self.gpus:
            msg = "gpu says how GPUs are used, but there are none: give gpus too"
            raise OptionError(msg)
        if self.gpu is not None and re.search(r"(^|:)\s*num\s*=", self.gpu):
            msg = "gpu must not give num: that is what gpus is for"
            raise OptionError(msg)
