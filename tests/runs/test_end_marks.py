"""The marks that tell how filed jobs ended, on a disk that does not always give what it has."""
from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskproc import TaskBase
from taskproc.base.outcome import Outcome
from taskproc.plugin import Job
from taskproc.runs.staging import StagedSets
from taskproc.testing import Bench, fresh_cache


class Nothing(TaskBase):
    def __init__(self, n: int):
        self.n = n

    def run_task(self) -> None:
        pass


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with fresh_cache(tmp_path / "cache"), Bench("prefix", [Nothing(1), Nothing(2)], options={}) as made:
        yield made


class StaleHandles:
    """A disk on which reading fails for a while."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failing = True
        plain = Path.read_text

        def read_text(path: Path, encoding: str | None = None, errors: str | None = None) -> str:
            if self.failing:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            return plain(path, encoding, errors)

        monkeypatch.setattr(Path, "read_text", read_text)


def stage(bench: Bench) -> tuple[StagedSets, Path, list[Job]]:
    return bench.staging, bench.staging.stage([bench.jobs]), list(bench.jobs)


def test_a_mark_that_cannot_be_read_is_read_at_the_next_listing(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    staging, staged, (one, two) = stage(bench)
    (staged / "ended" / f"{one.nonce}-1").write_text("ValueError: no")
    (staged / "ended" / f"{two.nonce}-0").touch()
    disk = StaleHandles(monkeypatch)
    assert dict(staging.ended(staged)) == {two.nonce: Outcome("ended", exit_code=0)}
    disk.failing = False
    assert dict(staging.ended(staged)) == {one.nonce: Outcome("ended", "ValueError: no", exit_code=1)}
    assert not dict(staging.ended(staged))


def test_an_element_does_not_speak_for_a_job_whose_own_mark_cannot_be_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    staging, staged, (one, two) = stage(bench)
    (staged / "ended" / f"{one.nonce}-1").write_text("ValueError: no")
    (staged / "ended" / "element-0-137").touch()
    disk = StaleHandles(monkeypatch)
    assert set(dict(staging.ended(staged))) == {two.nonce}
    disk.failing = False
    assert dict(staging.ended(staged)) == {one.nonce: Outcome("ended", "ValueError: no", exit_code=1)}


def test_the_name_of_a_mark_that_can_never_be_read_tells_how_its_job_ended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    staging, staged, (one, _) = stage(bench)
    (staged / "ended" / f"{one.nonce}-1").write_text("ValueError: no")
    StaleHandles(monkeypatch)
    found: dict[str, Outcome] = {}
    for _ in range(20):
        found.update(staging.ended(staged))
    assert found[one.nonce].exit_code == 1
    assert "cannot be read" in found[one.nonce].reason


def test_the_mark_of_an_element_needs_nothing_but_its_name(bench: Bench):
    staging, staged, (one, two) = stage(bench)
    (staged / "jobs.json").unlink()
    (staged / "ended" / "element-0-137").touch()
    assert {nonce: outcome.signal for nonce, outcome in staging.ended(staged)} == {one.nonce: 9, two.nonce: 9}


def test_a_mark_that_is_being_written_is_none(bench: Bench):
    staging, staged, (one, _) = stage(bench)
    half = staged / "ended" / f"{one.nonce}-1.tmp"
    half.write_text("ValueErr")
    assert not dict(staging.ended(staged))
    half.write_text("ValueError: no")
    half.rename(staged / "ended" / f"{one.nonce}-1")
    assert dict(staging.ended(staged)) == {one.nonce: Outcome("ended", "ValueError: no", exit_code=1)}


def test_a_killed_job_takes_none_with_it_that_had_not_begun(bench: Bench):
    staging, staged, (one, two) = stage(bench)
    (one.directory / f"attempt.queued.{one.nonce}").rename(one.directory / f"attempt.running.{one.nonce}")
    (staged / "ended" / "element-0-137").touch()
    ended = dict(staging.ended(staged))
    assert ended[one.nonce].signal == 9
    assert (ended[two.nonce].kind, ended[two.nonce].reason) == ("lost", "its worker ended in a task before it")


def test_an_element_that_began_nothing_speaks_for_all_its_jobs(bench: Bench):
    staging, staged, (one, two) = stage(bench)
    (staged / "ended" / "element-0-127").touch()
    assert {nonce: outcome.exit_code for nonce, outcome in staging.ended(staged)} == {one.nonce: 127, two.nonce: 127}
