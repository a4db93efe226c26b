"""Settings: where each comes from, which wins, and what a wrong one says."""
from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from taskproc.base.errors import SettingsError
from taskproc.tasks import settings as module
from taskproc.tasks.settings import Context, Profile, Settings, load_settings, usable_cpus

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A working directory without settings, and an environment without ours."""
    for name in [name for name in os.environ if name.startswith("TP_")]:
        monkeypatch.delenv(name)
    directory = tmp_path / "project"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.setattr(Context, "_assigned", {})
    return directory


@pytest.fixture
def write(project):
    def write(text: str, name: str = "taskproc.toml") -> Path:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def complaint() -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings()
    return str(caught.value)


def test_defaults():
    assert load_settings() == Settings()
    assert Settings().cache_dir == Path("./.cache")
    assert Settings().detect_source_change is True


class TestEnvironment:
    def test_every_variable(self, monkeypatch):
        for name, value in {
            "TP_CACHE_DIR": "/c", "TP_BACKEND": "thread", "TP_MAX_WORKERS": "3",
            "TP_DETECT_SOURCE_CHANGE": "0",
            "TP_STORE": "packed", "TP_FSYNC": "1", "TP_TRACK_PACKAGES": "numpy, scipy",
        }.items():
            monkeypatch.setenv(name, value)
        assert load_settings() == Settings(
            cache_dir=Path("/c"), backend="thread", max_workers=3, detect_source_change=False,
            store="packed", fsync=True, track_packages=("numpy", "scipy"),
        )

    @pytest.mark.parametrize("text", ["0", "false", "no", "", "False", "NO", " 0 ", "off"])
    def test_source_detection_off(self, monkeypatch, text):
        monkeypatch.setenv("TP_DETECT_SOURCE_CHANGE", text)
        assert load_settings().detect_source_change is False

    @pytest.mark.parametrize("text", ["1", "true", "yes", "on"])
    def test_source_detection_on(self, monkeypatch, text):
        monkeypatch.setenv("TP_DETECT_SOURCE_CHANGE", text)
        assert load_settings().detect_source_change is True

    def test_all_packages(self, monkeypatch):
        monkeypatch.setenv("TP_TRACK_PACKAGES", "all")
        assert load_settings().track_packages == "all"
        monkeypatch.setenv("TP_TRACK_PACKAGES", "numpy all")
        assert complaint().startswith("TP_TRACK_PACKAGES = ['numpy', 'all'] is neither \"all\" nor a list of packages")

    def test_older_name_of_the_backend(self, monkeypatch):
        monkeypatch.setenv("TP_EXECUTOR", "thread")
        assert load_settings().backend == "thread"
        monkeypatch.setenv("TP_BACKEND", "process")
        assert load_settings().backend == "process"

    @pytest.mark.parametrize("name", ["TP_CACHE_DIR", "TP_BACKEND", "TP_MAX_WORKERS", "TP_STORE"])
    def test_empty_is_unset(self, monkeypatch, name):
        monkeypatch.setenv(name, "")
        assert load_settings() == Settings()

    @pytest.mark.parametrize("text", ["-1", "0"])
    def test_no_number_of_workers_means_all_cpus(self, monkeypatch, text):
        monkeypatch.setenv("TP_MAX_WORKERS", text)
        assert load_settings().max_workers is None

    @pytest.mark.parametrize(
        ("name", "value", "sentence"),
        [
            ("TP_MAX_WORKERS", "many", "TP_MAX_WORKERS='many' is not a whole number"),
            ("TP_STORE", "tre", "TP_STORE='tre' is neither 'tree' nor 'packed'"),
        ],
    )
    def test_wrong_values(self, monkeypatch, name, value, sentence):
        monkeypatch.setenv(name, value)
        assert complaint() == sentence


class TestDotenv:
    def test_found_above_the_working_directory(self, project, monkeypatch, write):
        write("# ours\nTP_MAX_WORKERS=5\nexport TP_BACKEND='thread'\nOTHER=1\n", ".env")
        (project / "a" / "b").mkdir(parents=True)
        monkeypatch.chdir(project / "a" / "b")
        assert (load_settings().max_workers, load_settings().backend) == (5, "thread")

    def test_never_overrides_nor_changes_the_environment(self, monkeypatch, write):
        write("TP_MAX_WORKERS=5\nTP_CACHE_DIR=theirs\nOTHER_VARIABLE=1\n", ".env")
        monkeypatch.setenv("TP_MAX_WORKERS", "2")
        assert load_settings().max_workers == 2
        assert load_settings().cache_dir == Path("theirs")
        assert "TP_CACHE_DIR" not in os.environ
        assert "OTHER_VARIABLE" not in os.environ

    def test_older_name_in_the_environment_gives_way_to_the_newer_in_the_file(self, monkeypatch, write):
        write("TP_BACKEND=thread\n", ".env")
        monkeypatch.setenv("TP_EXECUTOR", "process")
        assert load_settings().backend == "process"

    def test_a_directory_of_that_name_is_none(self, project):
        (project / ".env").mkdir()
        assert load_settings() == Settings()

    def test_unreadable_text_is_somebody_elses(self, project):
        (project / ".env").write_bytes(b"\xff\xfe=\n")
        assert load_settings() == Settings()

    def test_changes_are_seen(self, write):
        write("TP_MAX_WORKERS=5\n", ".env")
        assert load_settings().max_workers == 5
        write("TP_MAX_WORKERS=61\n", ".env")
        assert load_settings().max_workers == 61


FULL = """
backend = "gpu"
cache_dir = "cache"
max_workers = 8
detect_source_change = false
store = "packed"
fsync = true
track_packages = ["numpy"]
plugins = ["mysite", "site/other.py"]

[profile.gpu]
backend = "slurm"
partition = "gpu"

[backends.slurm]
account = "lab"

[limits]
download = 2
"""


class TestFiles:
    def test_every_setting(self, write, project):
        file = write(FULL)
        assert load_settings() == Settings(
            cache_dir=project / "cache",
            backend="gpu",
            max_workers=8,
            detect_source_change=False,
            store="packed",
            fsync=True,
            track_packages=("numpy",),
            plugins=("mysite", str(project / "site" / "other.py")),
            limits={"download": 2},
            profiles={"gpu": Profile("gpu", "slurm", {"partition": "gpu"})},
            backend_options={"slurm": {"account": "lab"}},
            file=file,
        )

    def test_pyproject(self, write):
        write("[project]\nname = 'x'\n[tool.taskproc]\nmax_workers = 3\n", "pyproject.toml")
        assert load_settings().max_workers == 3

    def test_own_file_before_pyproject(self, write):
        write("[tool.taskproc]\nmax_workers = 3\n", "pyproject.toml")
        write("max_workers = 4\n")
        assert load_settings().max_workers == 4

    def test_nearest_file_alone_counts(self, write, project, monkeypatch):
        write("max_workers = 3\nfsync = true\n")
        write("max_workers = 4\n", "inner/taskproc.toml")
        monkeypatch.chdir(project / "inner")
        assert (load_settings().max_workers, load_settings().fsync) == (4, False)

    def test_pyproject_without_our_table_is_passed_by(self, write, project, monkeypatch):
        write("max_workers = 3\n")
        write("[project]\nname = 'x'\ndependencies = ['taskproc']\n", "inner/pyproject.toml")
        monkeypatch.chdir(project / "inner")
        assert load_settings().max_workers == 3

    def test_start_directory(self, write, project, monkeypatch):
        write("max_workers = 3\n", "elsewhere/taskproc.toml")
        assert load_settings(project / "elsewhere").max_workers == 3
        assert load_settings().max_workers is None
        monkeypatch.setattr(Context, "start", Path("elsewhere"))
        assert load_settings().max_workers == 3
        assert Context.max_workers == 3

    def test_file_before_environment(self, write, monkeypatch):
        write("max_workers = 3\n")
        monkeypatch.setenv("TP_MAX_WORKERS", "2")
        monkeypatch.setenv("TP_BACKEND", "thread")
        assert (load_settings().max_workers, load_settings().backend) == (3, "thread")

    def test_options_of_a_backend_by_its_other_spelling(self, write):
        write("[backend.slurm]\naccount = 'lab'\n")
        assert load_settings().backend_options == {"slurm": {"account": "lab"}}
        assert load_settings().backend == "local"

    def test_changes_are_seen(self, write):
        write("max_workers = 3\n")
        assert load_settings().max_workers == 3
        write("max_workers = 14\n")
        assert load_settings().max_workers == 14
        assert Context.max_workers == 14

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("max_worker = 1", "there is no setting 'max_worker'; did you mean 'max_workers'?"),
            ("max_workers = 'x'", "max_workers = 'x' is not a whole number from 1"),
            ("max_workers = true", "max_workers = True is not a whole number from 1"),
            ("max_workers = 0", "max_workers = 0 is not a whole number from 1"),
            ("cache_dir = 1", "cache_dir = 1 is not a path"),
            ("fsync = 'yes'", "fsync = 'yes' is not true or false"),
            ("store = 'pakced'", "store = 'pakced' is neither 'tree' nor 'packed'"),
            ("track_packages = 1", 'track_packages = 1 is neither "all" nor a list of packages, such as ["numpy"]'),
            ("track_packages = [1]", 'track_packages = [1] is neither "all" nor a list of packages, such as ["numpy"]'),
            ("backend = 1", "backend = 1 is not the name of a backend or profile"),
            ("plugins = 'x'", "plugins = 'x' is not a list of modules or files"),
            ("plugins = [1]", "plugins = [1] is not a list of modules or files"),
            ("limits = 1", "limits = 1 is not a table"),
            ("limits.a = 'x'", "limits.a = 'x' is not a whole number from 1"),
            ("profile = 1", "profile = 1 is not a table"),
            ("profile.a = 1", "profile.a = 1 is not a table"),
            ("profile.a.mem = '1G'", 'profile.a has no backend; add for example backend = "slurm"'),
            ("profile.a.backend = 1", "profile.a.backend = 1 is not the name of a backend"),
            ("backends.slurm = 1", "backends.slurm = 1 is not a table of options"),
        ],
    )
    def test_wrong_settings_name_file_and_key(self, write, text, sentence):
        file = write(text)
        assert complaint() == f"{file}: {sentence}"

    def test_broken_file(self, write):
        file = write("max_workers = \n")
        assert complaint().startswith(f"{file}: it is not TOML: ")

    def test_broken_text(self, project):
        (project / "taskproc.toml").write_bytes(b"cache_dir = '\xff'")
        assert "it is not TOML" in complaint()

    @pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
    def test_unreadable_file(self, write):
        write("").chmod(0)
        assert "it cannot be read" in complaint()

    def test_a_strangers_file_where_everybody_may_write_is_left_alone(self, write, project, monkeypatch):
        file = write("plugins = ['evil']\n")
        if os.getuid() == 0:
            os.chown(file, 12345, -1)
        else:
            monkeypatch.setattr(module.os, "getuid", lambda: file.stat().st_uid + 1)
        assert load_settings().plugins == ("evil",)
        project.chmod(0o777)
        assert load_settings().plugins == ()

    def test_a_removed_working_directory_has_no_settings(self, tmp_path, monkeypatch):
        gone = tmp_path / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()
        assert load_settings() == Settings()


class TestContext:
    def test_reads_lazily_and_anew(self, monkeypatch):
        assert Context.cache_dir == Path("./.cache")
        assert Context.executor_name == "local"
        assert Context.max_workers == -1
        assert Context.detect_source_change is True
        monkeypatch.setenv("TP_CACHE_DIR", "elsewhere")
        monkeypatch.setenv("TP_MAX_WORKERS", "7")
        assert Context.cache_dir == Path("elsewhere")
        assert Context.max_workers == 7

    def test_assigned_values_win(self, monkeypatch, write, tmp_path):
        write("cache_dir = 'file'\nmax_workers = 3\nbackend = 'thread'\n")
        Context.cache_dir = tmp_path / "assigned"
        Context.max_workers = 9
        Context.executor_name = "process"
        Context.detect_source_change = False
        Context.track_packages = ["numpy"]
        assert Context.track_packages == ("numpy",)
        assert Context.cache_dir == tmp_path / "assigned"
        found = load_settings()
        assert (found.cache_dir, found.max_workers, found.backend) == (tmp_path / "assigned", 9, "process")
        assert found.detect_source_change is False
        assert found.track_packages == ("numpy",)
        Context.max_workers = -1
        assert load_settings().max_workers is None

    def test_text_becomes_a_path(self):
        Context.cache_dir = "somewhere"  # type: ignore[assignment]
        assert Context.cache_dir == Path("somewhere")

    def test_patching_is_undone(self):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Context, "cache_dir", Path("patched"))
            patch.setattr(Context, "max_workers", 3)
            assert load_settings().cache_dir == Path("patched")
        assert Context.cache_dir == Path("./.cache")
        assert Context.max_workers == -1

    def test_number_of_cpus(self):
        assert Context.num_cpu == usable_cpus()

    def test_pools_as_before(self, monkeypatch):
        with Context.get_executor("thread", max_workers=2) as pool:
            assert isinstance(pool, ThreadPoolExecutor)
            assert pool._max_workers == 2
        with Context.get_executor() as pool:
            assert isinstance(pool, ProcessPoolExecutor)
        monkeypatch.setenv("TP_EXECUTOR", "thread")
        monkeypatch.setenv("TP_MAX_WORKERS", "3")
        with Context.get_executor() as pool:
            assert isinstance(pool, ThreadPoolExecutor)
            assert pool._max_workers == 3
        with pytest.raises(ValueError, match="there is no executor 'slurm'"):
            Context.get_executor("slurm")


class TestUsableCpus:
    """The limits of control groups, as containers and schedulers set them."""

    def limit(self, root: Path, files: dict[str, str]) -> float | None:
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return module._cgroup_limit(root)

    CASES: dict[str, tuple[dict[str, str], float | None]] = {
        "none": ({}, None),
        "v2": ({"proc/self/cgroup": "0::/job\n", "sys/fs/cgroup/job/cpu.max": "250000 100000\n"}, 2.5),
        "v2, no limit": ({"proc/self/cgroup": "0::/job\n", "sys/fs/cgroup/job/cpu.max": "max 100000\n"},
        None),
        "v2, limit above": (
            {
                "proc/self/cgroup": "0::/slice/job\n",
                "sys/fs/cgroup/slice/job/cpu.max": "max 100000\n",
                "sys/fs/cgroup/slice/cpu.max": "400000 100000\n",
            },
            4,
        ),
        "v2, in a container": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"},
        0.5),
        "v1": (
            {
                "proc/self/cgroup": "5:memory:/job\n4:cpu,cpuacct:/job\n",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            },
            3,
        ),
        "v1, no limit": (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        "v1, path of the host": (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/abc\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            1.5,
        ),
        "rubbish": ({"proc/self/cgroup": "what\n0::../../x\n", "sys/fs/cgroup/cpu.max": "a b c\n"}, None),
    }

    @pytest.mark.parametrize(("files", "limit"), CASES.values(), ids=CASES)
    def test_limit(self, tmp_path, files, limit):
        assert self.limit(tmp_path / "root", files) == limit

    @pytest.mark.parametrize(("limit", "cpus"), [(None, 4), (2.5, 2), (0.5, 1), (16, 4)])
    def test_the_smallest_counts_but_at_least_one(self, monkeypatch, limit, cpus):
        monkeypatch.setattr(module, "_cgroup_limit", lambda root: limit)
        monkeypatch.setattr(module.os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
        assert usable_cpus() == cpus

    def test_without_affinity(self, monkeypatch):
        monkeypatch.delattr(module.os, "sched_getaffinity", raising=False)
        monkeypatch.setattr(module, "_cgroup_limit", lambda root: None)
        assert usable_cpus() == (os.cpu_count() or 1)


def imported_by(code: str, *modules: str) -> Any:
    script = f"import sys\n{code}\nprint(*({set(modules)!r} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True,
    env=environment)
    return done.stdout.split()


def test_import_reads_nothing_and_imports_little(write):
    write("not toml", "taskproc.toml")
    code = "from taskproc.tasks.settings import Context"
    assert imported_by(code, "dotenv", "tomllib", "tomli", "pluggy", "difflib", "taskproc.run.choice") == []


class TestWhatContextHasNot:
    def test_it_is_refused_by_name(self):
        with pytest.raises(SettingsError, match=r"Context has no setting 'max_worker'.*'max_workers'"):
            Context.max_worker = 4
        with pytest.raises(SettingsError, match="Context has no setting 'backend'"):
            Context.backend = "thread"

    def test_tables_of_two_spellings_are_refused(self, write, project):
        write("[backend.thread]\n\n[backends.process]\n")
        with pytest.raises(SettingsError, match=r"\[backend.NAME\] and \[backends.NAME\] mean the same"):
            load_settings()
