"""Schedulers' answers that are cut, garbled, or in another language are read or refused, and break nothing."""
from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from taskproc_backends.batch import Answer, JobState
from taskproc_backends.shell import Shell
from taskproc_backends.templates import load

from taskproc.plugin import BackendError, BackendUnavailable

slurm = pytest.importorskip("taskproc_slurm.answers")
lsf = pytest.importorskip("taskproc_lsf.answers")
history = pytest.importorskip("taskproc_lsf.history")

GOLDEN = Path(__file__).parents[1] / "fakes/golden"
PROFILES = ("sge", "pbs", "torque", "htcondor", "flux")
MOST_STATES = 1 << 23

SLURM = [
    "123\n", "123;east\n", "Willkommen!\n\n123\nVotre quota: 93 %\n",
    "1_[6-9,12%2]|r1-a|PENDING|1700000000||JobArrayTaskLimit\n1_2|r1-a|RUNNING|2024-05-01T10:00:00|n0|None\n",
    "1_0|r1-a|FAILED|3:0|n0|1700000000|200M||1|2|4\n1_0.batch|batch|RUNNING|3:0|n0|1700000000||1K||2|4\n",
    "JobId=4 ArrayJobId=1 ArrayTaskId=1-5:2%2 JobName=r1-a JobState=FAILED Reason=None ExitCode=0:9 SubmitTime=Unknown",
    "MaxArraySize            = 1001\nAccountingStorageType   = accounting_storage/slurmdbd\n",
    "sbatch: Fehler: Die Warteschlange gibt es nicht", "slurm_load_jobs error: Socket timed out on send/recv operation",
]  # fmt: skip
LSF = [path.read_text(encoding="utf-8") for path in sorted(GOLDEN.glob("*.txt"))]
OTHERS = [
    "Your job-array 7.1-3:1 (\"tp-1\") has been submitted\n", "7 0.55500 tp-1 me r 05/01/2024 10:00:00 all.q@n1 1 2\n",
    "1[].server\n", "Job Id: 7[2].server\n    job_state = F\n    Exit_status = 271\n", "ƒ2wXyZ\n",
    "1 job(s) submitted to cluster 42.\n", "42 0 2 tp-1 n1 0\n", "f12;CD;0\n",
]  # fmt: skip
WORDS = [
    "²", "٣", "-", ":0", "0-99999999999", "99999999999999999999", "\0", "\r\n", "|", "{", "[[[[", "[", "]", "null",
    "COMPLETED", "DONE", "EXIT", "erledigt", "完了", "1e999", "Février", "\udcff", "%", "=", "<", ">", ",", "_", "\n",
]  # fmt: skip


def garbled(chance: random.Random, samples: Sequence[str]) -> str:
    """Give what was once an answer: cut, spliced, with words from elsewhere."""
    text = chance.choice(samples)
    for _ in range(chance.randrange(5)):
        start = chance.randrange(len(text) + 1)
        end = start + chance.choice([0, 0, 1, 2, 5, 20, 100, 10_000])
        text = text[:start] + chance.choice([*WORDS, noise(chance)]) + text[end:]
    return text


def noise(chance: random.Random) -> str:
    """Give what random bytes look like by the time that we read them."""
    return chance.randbytes(chance.randrange(8)).decode(errors="replace")


def answers(samples: Sequence[str], count: int) -> Iterator[Answer]:
    """Make many hostile answers, the same ones each time."""
    for seed in range(count):
        chance = random.Random(seed)
        out, err = (chance.choice([garbled(chance, samples), garbled(chance, samples), ""]) for _ in range(2))
        yield Answer(chance.choice([0, 0, 0, 1, 255, -9]), out, err)


def read_all(parse: Callable[[Answer], Any], samples: Sequence[str], count: int) -> None:
    """Read answers. What cannot be read is an error for whoever runs backends, in so many words."""
    for answer in answers(samples, count):
        told: Any = None
        try:
            told = parse(answer)
        except BackendError as error:
            reason = str(error)
            assert reason.strip(), answer
        except Exception as error:
            raise AssertionError(f"{answer!r} breaks its reader") from error
        if isinstance(told, list):
            assert len(told) <= MOST_STATES, answer
            assert all(isinstance(state, JobState) and state.id for state in told), answer
            assert not [state for state in told if state.element is not None and state.element < 0], answer


def shell_readers(name: str) -> list[Callable[[Answer], Any]]:
    scheduler = Shell(name, load(name))
    return [scheduler.submitted, *(partial(scheduler._read, row) for row in _rows(scheduler))]


def _rows(scheduler: Shell) -> list[str]:
    return [row for row in (scheduler.templates.row, scheduler.templates.explain_row) if row]


READERS = [
    *(pytest.param(parse, SLURM, id=f"slurm {parse.__name__}")
      for parse in (slurm.parse_submitted, slurm.parse_queue, slurm.parse_account, slurm.parse_jobs)),
    pytest.param(lambda answer: slurm.parse_config(answer.out), SLURM, id="slurm parse_config"),
    *(pytest.param(partial(lsf.parse_jobs, asked=asked), LSF, id=f"lsf parse_jobs {dialect.form} {asked}")
      for asked, dialect in enumerate(lsf.DIALECTS)),
    *(pytest.param(parse, LSF, id=f"lsf {parse.__name__}") for parse in (lsf.parse_submitted, history.parse_history)),
    pytest.param(lambda answer: lsf.parse_site(answer.out), LSF, id="lsf parse_site"),
    *(pytest.param(parse, OTHERS, id=f"{name} {at}")
      for name in PROFILES for at, parse in enumerate(shell_readers(name))),
]  # fmt: skip


@pytest.mark.parametrize(("parse", "samples"), READERS)
def test_any_answer_is_read_or_refused(parse: Callable[[Answer], Any], samples: Sequence[str]):
    read_all(parse, samples, 600)


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("parse", "samples"), READERS)
def test_very_many_answers_are_read_or_refused(parse: Callable[[Answer], Any], samples: Sequence[str]):
    read_all(parse, samples, 200_000)


@pytest.mark.parametrize("parse", [slurm.parse_queue, slurm.parse_account, partial(lsf.parse_jobs, asked=0)])
@pytest.mark.parametrize("words", ["", "Verbindung abgelehnt", "\0\0\0", "1_0|n|COMPLETED|0:0"])
def test_failed_question_ends_no_job(parse: Callable[[Answer], Any], words: str):
    with pytest.raises(BackendUnavailable):
        parse(Answer(1, "", words))


@pytest.mark.parametrize("cut", range(1, 46, 5))
def test_line_that_is_cut_short_ends_no_job(cut: int):
    line = "1_0|r1-a|FAILED|3:0|n0|1700000000|200M||1|2|4"
    assert len(slurm.parse_account(Answer(0, line))) == 1
    assert slurm.parse_account(Answer(0, line[:cut])) == []


