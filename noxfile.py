"""The checks and tests, as sessions of nox; `sh scripts/test.sh` runs them all.

The session `tests` is the whole suite, on the Python of `.venv`. Every other Python found on this machine runs what
may differ between versions; one that we support and did not find is checked statically only.
"""
from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nox
from nox.command import CommandFailed

SUPPORTED = ["3.10", "3.11", "3.12", "3.13", "3.14"]
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
PLUGINS = sorted(f"./{project.parent}" for project in Path("contrib").glob("*/pyproject.toml"))
PINNED = ["-q", "-c", "constraints.txt"]
MOST_LATE = 12
ROOMS = [f"tests/{room}" for room in (
    "base", "store", "tasks", "work", "contract", "plan", "runs", "run", "look", "cli", "backends", "testing",
)]  # fmt: skip

# A job that a script starts in the background has these ignored, and would hand that on to all processes that the
# tests signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

nox.needs_version = ">=2024.4.15"
nox.options.error_on_missing_interpreters = True
nox.options.reuse_venv = "yes"


@nox.session(python=False)
def style(session: nox.Session) -> None:
    """Check how the code is written."""
    session.run("python", "-m", "ruff", "check", ".")


@nox.session(python=False)
def types(session: nox.Session) -> None:
    """Check the types of the packages; the suite checks what users see of them."""
    session.run("python", "-m", "mypy")
    session.run("python", "-m", "pyright", "--pythonpath", sys.executable)


@nox.session(python=False)
def docs(session: nox.Session) -> None:
    """Build the site into build/site; what Sphinx warns of is an error. The suite runs what the pages show."""
    session.run("python", "-m", "sphinx", "-E", "-q", "-W", "--keep-going", "-b", "html", "docs", "build/site")


@nox.session(python=False)
def imports(session: nox.Session) -> None:
    """Check who imports whom."""
    session.run("lint-imports", silent=True)  # its output is shown if it fails


def find_interpreters() -> dict[str, str]:
    """Find a working Python of each supported version: on PATH, or where pyenv and uv keep theirs."""
    found: dict[str, str] = {}
    for version in SUPPORTED:
        for candidate in candidates(version):
            if version not in found and works(candidate, version):
                found[version] = candidate
    return found


def candidates(version: str) -> Iterator[str]:
    """Name what may be a Python of this version. A name that pyenv's shims give need not be one."""
    yield f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    uv = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local/share")) / "uv/python"
    for versions in (pyenv / "versions", uv):
        yield from map(str, sorted(versions.glob(f"*{version}.*/bin/python{version}"), reverse=True))


def works(candidate: str, version: str) -> bool:
    """Whether this is a Python of that version."""
    code = "import sys; print(f'{sys.version_info[0]}.{sys.version_info[1]}')"
    try:
        answer = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return answer.returncode == 0 and answer.stdout.strip() == version


def add_quick_session(version: str, interpreter: str) -> None:
    """Add the session for another Python found here."""

    @nox.session(name=f"quick-{version}", python=interpreter, venv_backend="venv")
    def quick(session: nox.Session) -> None:
        session.install(*PINNED, "pip", "hatchling", "editables")
        projects = ["-e", ".", "-e", "./contrib/example-backend"]
        session.install(*PINNED, "--no-build-isolation", "--group", "test", *projects)
        # What may differ between versions of Python: the API, identity, sources, pickles, the two kinds of worker.
        quick = [*ROOMS, "tests/compat", "tests/e2e/test_where_tasks_are_defined.py"]
        run_tests(session, *at_once(4), "-m", "not slow", *quick)


def add_static_session(version: str) -> None:
    """Add the session for a supported Python that is not here."""

    @nox.session(name=f"static-only-{version}", python=False)
    def static_only(session: nox.Session) -> None:
        session.warn(f"Python {version} was not found on this machine: the code is only checked for it, not run.")
        session.run("python", "-m", "mypy", "--python-version", version)
        target = f"py{version.replace('.', '')}"
        session.run("python", "-m", "ruff", "check", "--quiet", "--select", "F", "--target-version", target, ".")


interpreters = find_interpreters()
for supported in SUPPORTED:
    if supported not in interpreters:
        add_static_session(supported)
    elif supported != HERE:
        add_quick_session(supported, interpreters[supported])


@nox.session(python=False)
def plugins(session: nox.Session) -> None:
    """Check and test the plugins under contrib, each with the settings of its own project."""
    for plugin in PLUGINS:
        with session.chdir(plugin):
            session.run("python", "-m", "mypy", *map(str, Path().glob("taskproc_*")))
            alone = "dask" in plugin  # all its clusters would serve their pages on one port
            run_tests(session, *([] if alone else at_once(4, "worksteal")))


@nox.session(python=False)
def tests(session: nox.Session) -> None:
    """Run the whole suite on the Python of `.venv`, and report the coverage."""
    # Three of the six will have a cluster each, and mostly wait for it.
    run_tests(session, *at_once(6), "--cov", "--cov-report=term", "--durations=20")


def at_once(number: int, spread: str = "loadgroup") -> list[str]:
    """Have so many tests run at a time; with `loadgroup`, those that tests/sharing.py names stay together."""
    return ["-n", str(number), "--dist", spread]


def run_tests(session: nox.Session, *how: str) -> None:
    """Run tests; real daemons on a busy machine may be late once, but what fails again, alone, has failed."""
    try:
        session.run("python", "-m", "pytest", "-q", *how, *session.posargs)
    except CommandFailed:
        failed = last_failed()
        if not 0 < len(failed) <= MOST_LATE:
            raise
        session.run("python", "-m", "pytest", "-q", *failed)


def last_failed() -> list[str]:
    """Name the tests that failed, without the groups that pytest-xdist adds."""
    try:
        failed = json.loads(Path(".pytest_cache/v/cache/lastfailed").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return [re.sub(r"@[^@\]]*$", "", name) for name in failed]


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Choose new versions for constraints.txt, for all supported Pythons at once."""
    session.install("uv")
    projects = Path(session.create_tmp(), "projects.in").resolve()
    projects.write_text("".join(f"-e {project}\n" for project in [".[examples]", *PLUGINS]), encoding="utf-8")
    ours = [f"--no-emit-package={name}" for name in ["taskproc", *map(distribution_name, PLUGINS)]]
    session.run(
        "uv", "pip", "compile", str(projects), "--group", "dev", *ours, "--upgrade", "--universal",
        "--python-version", SUPPORTED[0], "--no-annotate", "--no-header", "-o", "constraints.txt",
        silent=True,
    )  # fmt: skip
    pins = Path("constraints.txt").read_text(encoding="utf-8")
    note = "# The versions that scripts/example.sh and scripts/test.sh install. Made by: sh scripts/test.sh -s lock\n"
    Path("constraints.txt").write_text(note + pins, encoding="utf-8")


def distribution_name(project: str) -> str:
    """Read the name that a project is installed by."""
    name: str = nox.project.load_toml(f"{project}/pyproject.toml")["project"]["name"]
    return name
