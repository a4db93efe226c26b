"""The kit for backend authors catches wrong backends, and names the clause that they break."""
from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from taskproc.testing import CLAUSES

ROOT = Path(__file__).parents[2]

FINISHED = "test_every_job_is_reported_finished_once"
LOADS = "test_plugin_is_found_and_loads"
ADOPTED = "test_jobs_live_on_and_are_adopted"
NESTED = "test_task_may_run_a_graph_of_its_own[1]"

# A wrong backend, the test that must catch it, and the clause that the failure must name.
CAUGHT = [
    ("silent", FINISHED, "R1"),
    ("silent", "test_graph_is_computed_once", "R1"),
    ("forgetful", "test_many_jobs_at_once", "R1"),
    ("repeating", FINISHED, "R2"),
    ("gossiping", FINISHED, "R3"),
    ("praising", "test_outcome_of_a_failure", "R4"),
    ("praising", "test_cancel_of_what_runs", "R4"),
    ("losesjobs", FINISHED, "S1"),
    ("raises", FINISHED, "S1"),
    ("askstwice", "test_payload_is_made_at_most_once", "S2"),
    ("inline", "test_output_goes_to_the_tasks_files", "W1"),
    ("inline", NESTED, "W4"),
    ("runstwice", "test_attempt_starts_once", "W2"),
    ("ignorescancel", "test_cancel_of_what_runs", "C2"),
    ("endsparentsonly", "test_cancel_of_what_runs", "C2"),
    ("cancelraises", "test_cancel_of_nothing_is_harmless", "C3"),
    ("blocksinclose", "test_close_of_what_was_never_used", "X1"),
    ("leavesorphans", "test_death_of_the_driver", "X3"),
    ("adoptsnothing", ADOPTED, "D2"),
    ("adoptsanything", "test_what_was_never_taken_is_told", "D3"),
    ("endsondetach", ADOPTED, "D4"),
    ("neverstages", ADOPTED, "D1"),
    ("submitsinpreview", "test_preview_submits_nothing", "D5"),
    ("claimstolast", "test_capabilities_are_true", "P4"),
    ("unfrozen", "test_options_declare_themselves", "P3"),
    ("undeclared", "test_options_declare_themselves", "P3"),
    ("newer", LOADS, "P2"),
    ("neither", LOADS, "P2"),
    ("round", "test_router_leads_to_a_backend", "P5"),
    ("nowhere", "test_router_leads_to_a_backend", "P5"),
    ("missing", LOADS, "P1"),
    ("broken", LOADS, "P1"),
]
RIGHT = [
    ("right", FINISHED),
    ("right", "test_cancel_of_what_runs"),
    ("lasting", FINISHED),
    ("lasting", "test_outcome_of_a_crash"),
    ("lasting", "test_cancel_of_what_waits"),
    ("lasting", ADOPTED),
    ("lasting", "test_adopted_job_can_be_cancelled"),
    ("lasting", "test_what_was_never_taken_is_told"),
    ("lasting", "test_preview_submits_nothing"),
    ("lasting", "test_death_of_the_driver"),
]

_HEAD = "from taskproc.testing import BackendConformance\n"
_CLASS = """
class Test_{name}(BackendConformance):
    backend = "{name}"
    plugins = ["{plugins}"]
    patience = {patience}
    many = 12
"""


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str | None]:
    """Run the chosen tests of the kit over all backends; give what each failure said, None for a test that passed."""
    home = tmp_path_factory.mktemp("kit")
    (home / "broken.py").write_text("import a_module_that_is_not_there\n")
    wanted = [(name, test, 6) for name, test, _ in CAUGHT] + [(name, test, 60) for name, test in RIGHT]
    patience = {name: seconds for name, _, seconds in wanted}
    classes = [
        _CLASS.format(
            name=name, patience=seconds, plugins="broken.py" if name == "broken" else "tests.testing.wrong_backends"
        )
        for name, seconds in patience.items()
    ]
    (home / "test_wrong.py").write_text(_HEAD + "".join(classes))
    nodes = [f"test_wrong.py::Test_{name}::{test}" for name, test, _ in wanted]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=report.xml", *nodes]
    command += ["-n", "4", "--dist", "worksteal"]  # most of them wait for what never comes
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), *sys.path]))}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=1200)
    assert (home / "report.xml").exists(), done.stdout + done.stderr
    found: dict[tuple[str, str], str | None] = {}
    for case in ElementTree.parse(home / "report.xml").iter("testcase"):
        name = case.attrib["classname"].rpartition("Test_")[2]
        problems = [child.text or "" for child in case if child.tag in ("failure", "error", "skipped")]
        found[name, case.attrib["name"]] = problems[0] if problems else None
    return found


@pytest.mark.slow
@pytest.mark.timeout(1300)
@pytest.mark.parametrize(("name", "test", "clause"), CAUGHT, ids=[f"{name}-{clause}" for name, _, clause in CAUGHT])
def test_wrong_backend_is_caught(messages, name: str, test: str, clause: str):
    message = messages[name, test]
    assert message is not None, f"{test} lets {name} pass"
    assert f"This breaks clause {clause} of the contract: {CLAUSES[clause]}" in message
    assert re.search(r"^E +[\w.]*ContractBroken: \S", message, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.timeout(1300)
@pytest.mark.parametrize(("name", "test"), RIGHT, ids=[f"{name}-{test[5:]}" for name, test in RIGHT])
def test_right_backend_passes(messages, name: str, test: str):
    assert messages[name, test] is None


def test_every_clause_is_in_the_guide():
    guide = (ROOT / "docs" / "write-a-backend.md").read_text(encoding="utf-8")
    for number, text in CLAUSES.items():
        assert f"| {number} | {text} |" in guide


def test_without_pytest_the_kit_says_what_is_missing():
    code = "import sys; sys.modules['pytest'] = None\nfrom taskproc.testing import BackendConformance"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "ImportError: taskproc.testing needs pytest, which is not installed here; pip install pytest" in done.stderr


def test_workers_need_no_pytest():
    code = "import sys; sys.modules['pytest'] = None\nfrom taskproc.testing.tasks import Value"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
