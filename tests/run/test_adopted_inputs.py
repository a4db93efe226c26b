"""A job that a killed run left on a cluster is followed if what it reads is as it was, and not if that changed."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ScriptRunner, end_quietly, wait_for

PLUGIN = Path(__file__).parents[1] / "faults" / "standin_plugin.py"
STEPS = """
import os, time
from taskproc import InputFile, TaskBase

class Step(TaskBase):
    def __init__(self, table: InputFile):
        self.table = table
    def run_task(self):
        text = self.table.read_text()
        with open("bodies", "a") as file:
            file.write(text + "\\n")
        while not os.path.exists("go"):
            time.sleep(0.05)
        return text

if __name__ == "__main__":
    print(Step("in.csv").run_graph(backend="standin", backend_options={"query_interval": 0.1, "latency_wait": 5.0}))
"""


@pytest.mark.parametrize(("text", "bodies"), [("one", ["one"]), ("two", ["one", "two"])], ids=["same", "changed"])
def test_job_is_followed_if_it_reads_what_is_there_now(
    run_script: ScriptRunner, tmp_path: Path, text: str, bodies: list[str]
):
    home, site = run_script.home, tmp_path / "site"
    site.mkdir()
    (home / "in.csv").write_text("one")
    run_script.write(STEPS, "steps.py")
    (home / "taskproc.toml").write_text(f"plugins = [{str(PLUGIN)!r}]\n")
    first = start(run_script, site)
    wait_for((home / "bodies").exists, "start of the task")
    end_quietly(first)
    if text != "one":  # a file that is written again while its task runs counts as changed, whatever is in it
        (home / "in.csv").write_text(text)
    again = start(run_script, site)
    wait_for(lambda: len((home / "bodies").read_text().split()) == len(bodies), "second start")
    (home / "go").touch()
    out, _ = again.communicate(timeout=60)
    assert out == f"{text}\n"
    assert (home / "bodies").read_text().split() == bodies


def start(run_script: ScriptRunner, site: Path) -> subprocess.Popen[str]:
    return run_script.start([sys.executable, "steps.py"], env={"TP_FAULT_SITE": str(site)})
