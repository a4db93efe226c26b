"""The guard in a worker's process."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

WORKER = f"""
import os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from taskproc.work import watch

start = watch.start_thread
watch.start_thread = lambda run, words: start(lambda: (time.sleep(0.5), run(*words)), ())  # as on a busy machine
watch.Watch(0, direct=sys.argv[1] == "direct")
print("watched", flush=True)
time.sleep(60)
"""


def start_worker(kind: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_a_worker_ends_whose_driver_goes_before_its_guard_has_begun_to_look() -> None:
    for kind in ("direct", "behind a prefix"):
        with start_worker(kind) as worker:
            assert worker.stdin is not None
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"watched\n"
            worker.stdin.close()
            assert worker.wait(timeout=20) == -9


def test_a_pipe_that_a_prefix_closed_from_the_start_says_nothing() -> None:
    program = f"import os, sys\nread, write = os.pipe()\nos.close(write)\nos.dup2(read, 0)\n{WORKER}".replace(
        "time.sleep(60)", "time.sleep(1.5)"
    )
    for kind, code in (("direct", -9), ("behind a prefix", 0)):
        done = subprocess.run([sys.executable, "-c", program, kind], capture_output=True, timeout=20, check=False)
        assert done.returncode == code
