"""The checks and tests, as sessions of nox; `sh scripts/test.sh` runs what CI runs.

The session `tests` is the suite, on the Python of `.venv`; the sessions tagged `beside` run at the same time. Every
other Python found on this machine runs a sample of what may differ between versions; one that we support and did not
find is checked statically only. What takes long is in the sessions that `thorough` calls for.
"""
from __future__ import annotations

import signal
import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent))
from tests.interpreters import SUPPORTED, find_interpreter

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
PLUGINS = sorted(f"./{project.parent}" for project in Path("contrib").glob("*/pyproject.toml"))
PINNED = ["-q", "-c", "constraints.txt"]
BESIDE = ["beside"]
# What may differ between versions of Python: identity, sources, pickles, the two kinds of worker, what 0.13 had.
SAMPLE = ["tests/store", "tests/compat", "tests/e2e/test_where_tasks_are_defined.py"]
SAMPLE += [f"tests/tasks/test_{of}.py" for of in ("arguments", "captured", "construction", "source", "tasks")]
SAMPLE += [f"tests/work/test_{of}.py" for of in ("lean", "told_errors")]
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


@nox.session(python=False, tags=BESIDE)
def style(session: nox.Session) -> None:
    """Check how the code is written."""
    session.run("python", "-m", "ruff", "check", ".")


@nox.session(python=False, tags=BESIDE)
def types(session: nox.Session) -> None:
    """Check the types of the packages; the suite checks what users see of them."""
    session.run("python", "-m", "mypy")
    session.run("python", "-m", "pyright", "--pythonpath", sys.executable)


@nox.session(python=False, tags=BESIDE)
def docs(session: nox.Session) -> None:
    """Build the site into build/site; what Sphinx warns of is an error. The suite runs what the pages show."""
    session.run("python", "-m", "sphinx", "-E", "-q", "-W", "--keep-going", "-b", "html", "docs", "build/site")


@nox.session(python=False, tags=BESIDE)
def imports(session: nox.Session) -> None:
    """Check who imports whom."""
    session.run("lint-imports", silent=True)  # its output is shown if it fails


def add_sessions(version: str, interpreter: str) -> None:
    """Add the sessions for another Python found here: the sample that CI runs, and all that may differ."""

    @nox.session(name=f"quick-{version}", python=interpreter, venv_backend="venv", tags=BESIDE)
    def quick(session: nox.Session) -> None:
        install_for_tests(session)
        run_tests(session, 2, "-m", "not slow", *SAMPLE)

    @nox.session(name=f"rooms-{version}", python=interpreter, venv_backend="venv", default=False)
    def rooms(session: nox.Session) -> None:
        install_for_tests(session)
        run_tests(session, 2, *ROOMS, "tests/compat", "tests/conformance", "tests/e2e/test_where_tasks_are_defined.py")


def install_for_tests(session: nox.Session) -> None:
    """Install what the tests of a further Python need."""
    session.install(*PINNED, "pip", "hatchling", "editables")
    projects = ["-e", ".", "-e", "./contrib/example-backend"]
    session.install(*PINNED, "--no-build-isolation", "--group", "test", *projects)


def add_static_session(version: str) -> None:
    """Add the session for a supported Python that is not here."""

    @nox.session(name=f"static-only-{version}", python=False, tags=BESIDE)
    def static_only(session: nox.Session) -> None:
        session.warn(f"Python {version} was not found on this machine: the code is only checked for it, not run.")
        session.run("python", "-m", "mypy", "--python-version", version)
        target = f"py{version.replace('.', '')}"
        session.run("python", "-m", "ruff", "check", "--quiet", "--select", "F", "--target-version", target, ".")


others = []
for supported in SUPPORTED:
    interpreter = find_interpreter(supported)
    if interpreter is None:
        add_static_session(supported)
    elif supported != HERE:
        add_sessions(supported, interpreter)
        others.append(supported)


@nox.session(python=False, tags=BESIDE)
def plugins(session: nox.Session) -> None:
    """Check and test the plugins under contrib, each with the settings of its own project."""
    for plugin in PLUGINS:
        with session.chdir(plugin):
            session.run("python", "-m", "mypy", *map(str, Path().glob("taskproc_*")))
            alone = "dask" in plugin  # all its clusters would serve their pages on one port
            run_tests(session, 1 if alone else 4)


@nox.session(python=False)
def tests(session: nox.Session) -> None:
    """Run the suite on the Python of `.venv`."""
    # Three of them will have a cluster each, and mostly wait for it.
    run_tests(session, 7, "--durations=20")


@nox.session(python=False, default=False)
def thorough(session: nox.Session) -> None:
    """Call for all that takes longer than CI has: the coverage, other Pythons' rooms, and what is exhaustive. Hours."""
    for name in ["coverage", *(f"rooms-{version}" for version in others), "exhaustive"]:
        session.notify(name)


@nox.session(python=False, default=False)
def coverage(session: nox.Session) -> None:
    """Run the suite, and report which lines it runs; tracing takes a third more processor time."""
    run_tests(session, 7, "--cov", "--cov-report=term")


@nox.session(python=False, default=False)
def exhaustive(session: nox.Session) -> None:
    """Run what is marked exhaustive: every kill point, every damage, the long plays, the largest graphs."""
    run_tests(session, 2, "-m", "exhaustive", "-rP")


def run_tests(session: nox.Session, at_once: int, *how: str) -> None:
    """Run so many tests at a time, those in one process that tests/sharing.py keeps together."""
    spread = ["-n", str(at_once), "--dist", "loadgroup"] if at_once > 1 else []
    session.run("python", "-m", "pytest", "-q", *spread, *how, *session.posargs)


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
