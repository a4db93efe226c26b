"""Whatever stands in a run's files, they can be looked at."""
from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from taskproc.cli import main
from taskproc.look.history import RunReader, read_run
from taskproc.runs.outline import FILE as OUTLINE

KINDS = [
    "run", "end", "worker", "accepted", "submitted", "limited", "elsewhere", "waiting", "started", "done", "cached",
    "failed", "lost", "cancelled",
]  # fmt: skip
KEYS = [
    "time", "node", "nodes", "nonce", "nonces", "task", "id", "worker", "started", "backend", "host", "pid", "reason",
    "seconds", "memory", "retried", "run", "status", "cached", "planned", "done", "failed", "file",
]  # fmt: skip
PLAUSIBLE: dict[str, Any] = {
    "time": 101.5, "node": 1, "nodes": [0, 1], "nonce": "0" * 32, "task": "m.A", "id": 1, "worker": 0, "started": 101.0,
    "seconds": 1.0, "memory": 5, "backend": "process", "host": "h", "pid": 7, "reason": "r", "status": "done",
    "run": "r1", "cached": {"m.A": 1}, "planned": {"m.A": 2},
}  # fmt: skip
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("\x1b[2J"),
    st.lists(st.integers(-1, 9) | st.text(max_size=3), max_size=3), st.dictionaries(st.text(max_size=3), st.integers()),
)  # fmt: skip
ENTRIES = st.builds(
    lambda kind, odd, missing: {
        "kind": kind, **{key: value for key, value in PLAUSIBLE.items() if key not in missing}, **odd,
    },
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3),
    st.sets(st.sampled_from(KEYS), max_size=3),
)  # fmt: skip


COLUMNS: dict[str, Any] = {
    "classes": [{"name": "m.A", "limits": {"a": 1}}], "reasons": ["no result"], "node": [0, 1], "class": [0, 0],
    "id": [0, 1], "label": ["A(0)", "A(1)"], "reason": [0, 0], "upstreams": [[], [0]],
}  # fmt: skip
ODD_COLUMNS = VALUES | st.lists(VALUES, max_size=2) | st.just([{"name": "\x1b[2J", "limits": {"a": "\x1b"}}])
COLUMN_CHANGES = st.dictionaries(st.sampled_from(list(COLUMNS)), ODD_COLUMNS, max_size=2)


@pytest.mark.parametrize("name", ["run.json", "other"])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    entries=st.lists(ENTRIES, max_size=8),
    info=st.dictionaries(st.sampled_from(KEYS), VALUES) | VALUES,
    columns=COLUMN_CHANGES,
)
def test_odd_entries_are_shown_as_far_as_they_make_sense(
    name: str, entries: list[Any], info: Any, columns: dict[str, Any]
) -> None:
    with tempfile.TemporaryDirectory() as cache:
        run = Path(cache, "taskproc/.runs/20260102-030405-000-00000000")
        run.mkdir(parents=True)
        (run / "run.json").write_text("{}")
        (run / OUTLINE).write_bytes(gzip.compress(json.dumps({**COLUMNS, **columns}).encode()))
        (run / name).write_text(json.dumps(info))
        (run / "ledger.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
        reader = RunReader(str(run))
        assert sum(sum(of_class.values()) for of_class in reader.counts().values()) >= 0
        for task in reader.tasks():
            assert task.state
        assert read_run(str(run)).status
        for command in (["status", cache], ["status", cache, "--json"], ["runs", cache], ["runs", cache, "--json"]):
            ended = CliRunner().invoke(main, command)
            assert ended.exit_code == 0, ended.output
            assert "\x1b" not in ended.output
