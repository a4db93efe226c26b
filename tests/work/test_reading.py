"""A worker compares what it reads from outside with what the plan saw, before the task runs and after."""
from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from taskproc.base.errors import InputError
from taskproc.tasks.outside import CHANGED_MEANWHILE, Seen, digest_of_all, look
from taskproc.work.inputs import Reading


@pytest.fixture(params=["old", "new"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Make a file: one that has been there for long, as its stamp says, or one that was written just now."""
    path = tmp_path / "in.csv"
    path.write_text("one")
    if request.param == "old":
        now = time.time_ns
        request.getfixturevalue("monkeypatch").setattr(
            "taskproc.tasks.contents.time.time_ns", lambda: now() + 3_600_000_000_000
        )
    return path


def seen(*specs: Any) -> list[Seen]:
    return [look(spec) for spec in specs]


def test_what_is_as_it_was_notes_what_the_plan_saw(table: Path):
    planned = seen(("file", str(table)))
    reading = Reading(planned, own=True)
    assert reading.values() == {("file", str(table)): table}
    assert [note[1:] for note in reading.end()] == [[planned[0].digest.hex(), "3 bytes"]]
    assert reading.digest == digest_of_all(planned)


def test_what_changed_before_notes_what_is_read(table: Path):
    planned = seen(("file", str(table)))
    table.write_text("two")
    reading = Reading(planned, own=True)
    reading.end()
    assert reading.digest == digest_of_all(seen(("file", str(table)))) != digest_of_all(planned)


def test_what_changes_meanwhile_notes_no_state(table: Path):
    reading = Reading(seen(("file", str(table))), own=True)
    table.write_text("two")
    reading.end()
    assert reading.digest == CHANGED_MEANWHILE


def test_what_goes_meanwhile_notes_no_state(table: Path):
    reading = Reading(seen(("file", str(table))), own=True)
    table.unlink()
    reading.end()
    assert reading.digest == CHANGED_MEANWHILE


def test_directory_that_changes_meanwhile_notes_no_state(table: Path):
    reading = Reading(seen(("dir", str(table.parent))), own=True)
    (table.parent / "more.csv").touch()
    reading.end()
    assert reading.digest == CHANGED_MEANWHILE


def test_table_is_read_once_for_all_that_hold_it(tmp_path: Path):
    path = tmp_path / "p.json"
    path.write_text('{"a": {"b": 1}}')
    spec = ("file", str(path), "a")
    assert Reading(seen(spec), own=True).values() == {spec: {"b": 1}}


def test_file_that_is_not_there_is_told_with_the_machine(table: Path):
    planned = seen(("file", str(table)))
    table.unlink()
    with pytest.raises(InputError, match=rf"its file .* is not there .* on {os.uname().nodename}, where it runs"):
        Reading(planned, own=True)


def test_variable_is_as_planned_in_a_process_of_its_own_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TP_TEST", "planned")
    monkeypatch.delenv("TP_TEST_OFF", raising=False)
    planned = seen(("env", "TP_TEST"), ("env", "TP_TEST_OFF", None))
    monkeypatch.setenv("TP_TEST", "other")
    monkeypatch.setenv("TP_TEST_OFF", "on")
    guest = Reading(planned, own=False)
    guest.set_variables()
    assert os.environ["TP_TEST"] == "other"
    assert guest.values() == {("env", "TP_TEST"): "other", ("env", "TP_TEST_OFF", None): "on"}
    assert guest.digest != digest_of_all(planned)
    own = Reading(planned, own=True)
    own.set_variables()
    assert own.values() == {("env", "TP_TEST"): "planned", ("env", "TP_TEST_OFF", None): None}
    assert (os.environ["TP_TEST"], "TP_TEST_OFF" in os.environ) == ("planned", False)
    assert own.digest == digest_of_all(planned)


def test_other_version_of_a_package_is_refused(monkeypatch: pytest.MonkeyPatch):
    planned = [one._replace(shown="0.1") for one in seen(("package", "click"))]
    with pytest.raises(InputError, match=r"the package click is 0.1 where the run was planned, and .* on "):
        Reading(planned, own=True)
