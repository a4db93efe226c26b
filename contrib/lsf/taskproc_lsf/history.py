"""Reading the long formats, which tell how a job ended: bhist -l, bjobs -l and bacct -l.

All three begin a job with `Job <1235[3]>, …` and go on with one dated line for each event. They break lines at
column 79, inside words, and put 21 blanks before what follows. Formats: the same releases as in `answers`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from taskproc_backends.batch import Answer, JobState

from taskproc.plugin import BackendUnavailable

from .answers import PHASES, element_of, is_silent, parse_cause, parse_exit, parse_hosts, parse_time

_BROKEN = re.compile(r"\n {21}")
_HEADER = re.compile(r"^Job <(?P<id>\d+)(\[(?P<index>\d+)\])?>,(?P<rest>.*)", re.MULTILINE)
_NAME = re.compile(r"^ Job Name <(?P<name>[^>\[]*)")
_STATUS = re.compile(r"\bStatus <(?P<word>[A-Z]+)>")
_EVENT = re.compile(
    r"^[A-Z][a-z]{2} (?P<time>[A-Z][a-z]{2} +\d+ [\d:]+( \d{4})?): (?P<text>.*)", re.MULTILINE
)
_SENT_TO = re.compile(r"(?:[Dd]ispatched|Started)\b[^<]*<(?P<hosts>[^>]+)>")
_EXIT_CODE = re.compile(r"[Ee]xit(ed with exit)? code (?P<code>\d+)")
_EXIT_SIGNAL = re.compile(r"Exited by signal (?P<signal>\d+)")
_WHY = re.compile(r"\bTERM_[A-Z_]+(: [^;]*[^;.\s])?")

# How an event begins, and the state that it leaves the job in. Others change nothing.
_STATES = (
    ("Submitted", "PEND"),
    ("Dispatched", "RUN"),
    ("Starting", "RUN"),
    ("Started", "RUN"),
    ("Running", "RUN"),
    ("Unknown", "UNKWN"),
    ("Pending", "PEND"),
    ("Requeued", "PEND"),
    ("Suspended", "USUSP"),
    ("Done successfully", "DONE"),
    ("Exited", "EXIT"),
    ("Completed <done>", "DONE"),
    ("Completed <exit>", "EXIT"),
)


@dataclass(frozen=True)
class _Tale:
    """What the events so far tell of a job."""

    word: str = ""
    code: str = ""
    hosts: str = ""
    why: str = ""
    submitted: float | None = None


def parse_history(answer: Answer) -> list[JobState]:
    """Read the jobs of a long format; the last word on each is that of its last event.

    Raises:
        BackendUnavailable: LSF is down. That it does not know a job is an answer.
    """
    if is_silent(answer):
        raise BackendUnavailable(answer.words)
    text = _BROKEN.sub("", answer.out)
    headers = list(_HEADER.finditer(text))
    ends = [header.start() for header in headers[1:]] + [len(text)]
    return [_read(header, text[header.end() : end]) for header, end in zip(headers, ends, strict=False)]


def _read(header: re.Match[str], events: str) -> JobState:
    tale = _Tale()
    for event in _EVENT.finditer(events):
        tale = _told(tale, event["time"], event["text"])
    status = _STATUS.search(header["rest"])
    word = status["word"] if status else tale.word
    exit_code, signal = parse_exit(tale.code, word)
    name = _NAME.match(header["rest"])
    return JobState(
        id=header["id"],
        element=element_of(header["index"]),
        phase=PHASES.get(word, "unknown"),
        word=word,
        name=name["name"] if name else "",
        reason=tale.why,
        cause=parse_cause(tale.why),
        host=parse_hosts(tale.hosts),
        exit_code=exit_code,
        signal=signal,
        submitted=tale.submitted,
    )


def _told(tale: _Tale, time: str, text: str) -> _Tale:
    word = next((word for start, word in _STATES if text.startswith(start)), "")
    if word == "PEND" and tale.word:
        # It was queued again: how it ended before counts no more.
        return _Tale("PEND", submitted=tale.submitted)
    return replace(
        tale,
        word=word or tale.word,
        **dict(_details(word, text)),
        submitted=parse_time(time) if text.startswith("Submitted") else tale.submitted,
    )


def _details(word: str, text: str) -> Iterator[tuple[str, str]]:
    if word == "RUN" and (match := _SENT_TO.search(text)):
        yield "hosts", match["hosts"]
    if word != "EXIT":
        return
    if match := _EXIT_SIGNAL.search(text):
        yield "code", str(128 + int(match["signal"]))
    elif match := _EXIT_CODE.search(text):
        yield "code", match["code"]
    if match := _WHY.search(text):
        yield "why", match[0]
