"""Plugins: found by name, loaded only then, and broken ones told apart from unknown ones."""
from __future__ import annotations

import logging
import sys
import textwrap
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from taskproc.base.errors import BackendError, OptionError, SettingsError
from taskproc.contract import plugins as module
from taskproc.contract.plugins import Listeners, Plugins
from taskproc.plugin import BackendPlugin, Event, NoOptions, RunInfo, RunReport, hookimpl

RUN = RunInfo("r1", "Main-0", {}, {"Main": 1})
REPORT = RunReport("r1", "done", 1.0, {"Main": 1}, {})
EVENTS = [Event(0.0, "done", "Main", 0)]


@dataclass(frozen=True)
class Distribution:
    """Stands for an installed distribution."""

    name: str
    version: str = "1.2"


@pytest.fixture
def entries(monkeypatch):
    """The entry points that are installed."""
    found: list[EntryPoint] = []

    def entry_points(group: str) -> list[EntryPoint]:
        return [entry for entry in found if entry.group == group]

    monkeypatch.setattr(module, "entry_points", entry_points)
    return found


@pytest.fixture
def install(entries, tmp_path, monkeypatch):
    """Install a distribution with one entry point."""
    directory = tmp_path / "site"
    directory.mkdir()
    monkeypatch.syspath_prepend(str(directory))
    before = set(sys.modules)

    def install(name: str, text: str, attribute: str = ":plugin", group: str = "taskproc",
    dist: str = "") -> str:
        module_name = f"plugin_of_{(dist or name).replace('-', '_')}"
        (directory / f"{module_name}.py").write_text(PREAMBLE + textwrap.dedent(text))
        entry = EntryPoint(name, module_name + attribute, group)
        vars(entry)["dist"] = Distribution(dist or f"taskproc-{name}")
        entries.append(entry)
        return module_name

    yield install
    for name in set(sys.modules) - before:
        if name.startswith(("plugin_of_", "taskproc_plugin_", "mysite")):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path, monkeypatch, install):
    """Write a module that can be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "mysite.py") -> str:
        (tmp_path / name).write_text(PREAMBLE + textwrap.dedent(text))
        return name

    return write


PREAMBLE = "from taskproc.plugin import BackendPlugin, NoOptions, hookimpl\n"
SLURM = 'plugin = BackendPlugin("slurm", "Slurm.", NoOptions, factory=print)\n'
SITE = 'plugin = BackendPlugin("site", "Ours.", NoOptions, factory=print)\n'
HOOK = """
    @hookimpl
    def taskproc_backends():
        yield BackendPlugin("site", "Ours.", NoOptions, factory=print)
        yield BackendPlugin("other", "Too.", NoOptions, route=print)
"""


def refusal(call: Any, kind: type[Exception]) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    return str(caught.value)


class TestEntryPoints:
    def test_only_the_one_named_is_loaded(self, install):
        module_name = install("slurm", SLURM)
        other = install("lsf", "raise RuntimeError('loaded')")
        assert Plugins().backend("slurm").summary == "Slurm."
        assert module_name in sys.modules
        assert other not in sys.modules

    def test_a_module_that_implements_the_hook(self, install):
        install("site", HOOK, attribute="")
        assert Plugins().backend("site").summary == "Ours."

    def test_an_object_that_implements_the_hook(self, install):
        install(
            "site",
            """
            class Site:
                @hookimpl
                def taskproc_backends(self):
                    return [BackendPlugin("site", "From an object.", NoOptions, factory=print)]
            plugin = Site()
            """,
        )
        assert Plugins().backend("site").summary == "From an object."

    def test_loaded_once(self, install):
        install("slurm", SLURM)
        plugins = Plugins()
        assert plugins.backend("slurm") is plugins.backend("slurm")

    def test_broken_import(self, install):
        install("slurm", "import module_that_is_not_there")
        assert refusal(lambda: Plugins().backend("slurm"), BackendError) == (
            "the backend 'slurm' of taskproc-slurm 1.2 cannot be imported: "
            "ModuleNotFoundError: No module named 'module_that_is_not_there'; "
            "repair it with pip install --upgrade --force-reinstall taskproc-slurm, or use another backend"
        )

    def test_exit_while_importing(self, install):
        install("slurm", "raise SystemExit(3)")
        assert "cannot be imported: SystemExit: 3" in refusal(lambda: Plugins().backend("slurm"),
        BackendError)

    def test_missing_attribute(self, install):
        install("slurm", "")
        assert "AttributeError" in refusal(lambda: Plugins().backend("slurm"), BackendError)

    def test_another_name(self, install):
        install("slurm", SITE)
        sentence = refusal(lambda: Plugins().backend("slurm"), BackendError)
        assert "does not give a BackendPlugin of that name (found: 'site')" in sentence

    @pytest.mark.parametrize(("version", "who"), [(2, "taskproc"), (0, "taskproc-slurm 1.2")])
    def test_another_contract(self, install, version, who):
        install("slurm", SLURM.replace("print", f"print, api_version={version}"))
        assert refusal(lambda: Plugins().backend("slurm"), BackendError) == (
            f"the backend 'slurm' of taskproc-slurm 1.2 is made for version {version} of the plugin "
            f"contract, and this taskproc has version 1; update {who}"
        )

    @pytest.mark.parametrize(
        ("text", "fragment"),
        [
            (SLURM.replace(", factory=print", ""), "needs a factory or a route, and not both"),
            (SLURM.replace("print", "print, route=print"), "needs a factory or a route, and not both"),
            (SLURM.replace("NoOptions,", "int,"), "has options=<class 'int'>, which is no dataclass"),
        ],
    )
    def test_incomplete_plugins(self, install, text, fragment):
        install("slurm", text)
        assert fragment in refusal(lambda: Plugins().backend("slurm"), BackendError)

    def test_two_distributions_with_one_name(self, install):
        install("slurm", SLURM)
        install("slurm", SLURM, dist="other-slurm")
        assert refusal(lambda: Plugins().backend("slurm"), BackendError) == (
            "taskproc-slurm 1.2 and other-slurm 1.2 both bring a backend 'slurm'; uninstall one of them"
        )


class TestUnknownNames:
    @pytest.mark.parametrize("name", ["slurm", "lsf", "dask"])
    def test_known_elsewhere(self, entries, name):
        assert refusal(lambda: Plugins().backend(name), OptionError) == (
            f"the backend {name!r} is not installed; pip install taskproc-{name}"
        )

    def test_misspelled(self, install):
        install("slurm", SLURM)
        sentence = refusal(lambda: Plugins().backend("slrum"), OptionError)
        assert sentence.startswith("there is no backend or profile 'slrum'; did you mean 'slurm'?")

    def test_misspelled_and_not_installed(self, entries):
        assert "did you mean 'dask'?" in refusal(lambda: Plugins().backend("daskk"), OptionError)

    def test_misspelled_profile(self, entries):
        sentence = refusal(lambda: Plugins(profiles=["laptop"]).backend("labtop"), OptionError)
        assert "did you mean 'laptop'?" in sentence

    def test_nothing_alike(self, install):
        install("slurm", SLURM)
        sentence = refusal(lambda: Plugins().backend("zzz"), OptionError)
        assert "known are: dask, lsf, slurm." in sentence
        assert "-p or plugins" in sentence

    def test_our_own_not_registered(self, entries):
        assert "pip install --force-reinstall taskproc" in refusal(lambda: Plugins().backend("local"),
        OptionError)


class TestExtra:
    @pytest.mark.parametrize("text", [SITE, f"{SITE}plugin = [plugin]", HOOK], ids=["plugin", "list", "hook"])
    def test_module(self, write, entries, text):
        write(text)
        assert Plugins(["mysite"]).backend("site").summary == "Ours."

    @pytest.mark.parametrize("text", [SITE, HOOK], ids=["plugin", "hook"])
    def test_file(self, write, entries, text, tmp_path):
        write(text, "my-site.py")
        assert Plugins(["my-site.py"]).backend("site").summary == "Ours."
        assert Plugins([str(tmp_path / "my-site.py")]).backend("site").summary == "Ours."

    def test_options_declared_in_a_file(self, write, entries):
        from taskproc.base.options import build_options, describe

        write("""
            from dataclasses import dataclass
            from taskproc.plugin import option

            @dataclass(frozen=True)
            class SiteOptions:
                queue: str | None = option(None, help="The queue.")

            plugin = BackendPlugin("site", "Ours.", SiteOptions, factory=print)
        """, "file.py")
        options = Plugins(["file.py"]).backend("site").options
        assert [info.type for info in describe(options)] == ["str"]
        assert build_options(options, {"queue": "long"}, "site") == options(queue="long")

    def test_before_what_is_installed(self, write, install):
        install("site", SITE.replace("Ours", "Installed"))
        write(SITE)
        assert Plugins(["mysite"]).backend("site").summary == "Ours."

    def test_named_twice_counts_once(self, write, entries):
        write(SITE)
        assert Plugins(["mysite", "mysite"]).backend("site").summary == "Ours."

    def test_two_with_one_name(self, write, entries):
        write(SITE)
        write(SITE, "other.py")
        assert refusal(lambda: Plugins(["mysite", "other.py"]), BackendError) == (
            "the module mysite and the file other.py both bring a backend 'site'; name only one"
        )

    @pytest.mark.parametrize("name", ["nowhere", "nowhere.inside"])
    def test_missing_module(self, entries, name):
        assert refusal(lambda: Plugins([name]), SettingsError) == (
            f"there is no plugin {name!r} to import; give a module or a file"
        )

    def test_missing_module_with_a_file_of_that_name(self, write, entries, tmp_path, monkeypatch):
        write(SITE, "here.py")
        monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in (str(tmp_path), "")])
        assert "did you mean here.py?" in refusal(lambda: Plugins(["here"]), SettingsError)

    def test_missing_file(self, entries):
        assert refusal(lambda: Plugins(["no/such.py"]), SettingsError) == "there is no plugin file no/such.py"

    def test_file_that_is_not_python(self, write, entries):
        write(SITE, "site.txt")
        assert "should end in .py" in refusal(lambda: Plugins(["./site.txt"]), SettingsError)

    @pytest.mark.parametrize("name", ["mysite", "mysite.py"])
    def test_broken(self, write, entries, name):
        write("import module_that_is_not_there")
        kind = "file" if name.endswith(".py") else "module"
        assert refusal(lambda: Plugins([name]), BackendError) == (
            f"the plugin {kind} {name} cannot be imported: ModuleNotFoundError: "
            "No module named 'module_that_is_not_there'; mend it or leave it out"
        )

    @pytest.mark.parametrize(
        ("text", "fragment"),
        [
            ("", "the module mysite is no plugin; it needs plugin = BackendPlugin(...)"),
            ("def taskproc_backends(): ...", "marked with @hookimpl"),
            ("plugin = 3", "is no plugin"),
            ("@hookimpl\ndef taskproc_backends(wrong): ...", "is broken: PluginValidationError"),
            ("@hookimpl\ndef taskproc_backends(): raise ValueError('no')", "is broken: ValueError: no"),
            ("@hookimpl\ndef taskproc_backends(): return [3]", "gave 3, which is no BackendPlugin"),
        ],
        ids=["empty", "unmarked", "number", "wrong arguments", "fails", "wrong answer"],
    )
    def test_what_is_no_plugin(self, write, entries, text, fragment):
        write(text)
        assert fragment in refusal(lambda: Plugins(["mysite"]), BackendError)


def test_listing_tolerates_broken_backends(write, install):
    install("slurm", SLURM)
    install("broken", "raise RuntimeError('no')")
    write(SITE)
    found = Plugins(["mysite"]).available()
    assert [(item.name, item.origin) for item in found] == [
        ("broken", "taskproc-broken 1.2"),
        ("site", "module mysite"),
        ("slurm", "taskproc-slurm 1.2"),
    ]
    assert found[2].load().summary == "Slurm."
    assert found[1].load().summary == "Ours."
    assert "RuntimeError: no" in refusal(found[0].load, BackendError)


class Recorder:
    """A listener that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    @hookimpl
    def run_started(self, run: RunInfo) -> None:
        self.told.append(run)

    @hookimpl
    def events(self, events: Any) -> None:
        self.told += events

    @hookimpl
    def run_finished(self, report: RunReport, run: RunInfo) -> None:
        self.told.append((run, report))


class Failing:
    def __init__(self) -> None:
        self.calls = 0

    @hookimpl
    def events(self, run: RunInfo) -> None:
        self.calls += 1
        raise ValueError("no disk")


class TestListeners:
    def test_told_in_order(self):
        recorder = Recorder()
        listeners = Listeners([("recorder", recorder)])
        assert listeners
        listeners.run_started(RUN)
        listeners.events(RUN, EVENTS)
        listeners.run_finished(RUN, REPORT)
        assert recorder.told == [RUN, *EVENTS, (RUN, REPORT)]

    def test_nobody_listens(self):
        listeners = Listeners()
        assert not listeners
        listeners.events(RUN, EVENTS)

    def test_a_failing_one_is_reported_once_and_dropped(self, caplog):
        failing, recorder = Failing(), Recorder()
        listeners = Listeners([("recorder", recorder), ("failing", failing)])
        listeners.events(RUN, EVENTS)
        listeners.events(RUN, EVENTS)
        assert failing.calls == 1
        assert recorder.told == [*EVENTS, *EVENTS]
        assert [record.getMessage() for record in caplog.records] == [
            "the listener failing failed; it is not called again"
        ]
        assert caplog.records[0].exc_info
        assert caplog.records[0].levelno == logging.WARNING

    def test_installed_ones_are_loaded_and_broken_ones_left_out(self, install, caplog):
        text = """
            told = []
            class Report:
                @hookimpl
                def run_started(self, run):
                    told.append(run.run)
        """
        name = install("report", text, attribute=":Report", group="taskproc.listeners")
        install("broken", "raise RuntimeError('no')", attribute="", group="taskproc.listeners")
        listeners = Plugins().listeners()
        listeners.run_started(RUN)
        assert sys.modules[name].told == ["r1"]
        assert [record.getMessage() for record in caplog.records] == [
            "the listener broken of taskproc-broken 1.2 is left out: RuntimeError: no"
        ]

    def test_one_that_cannot_be_registered_is_left_out(self, caplog):
        class Wrong:
            @hookimpl
            def events(self, nonsense: Any) -> None: ...

        assert not Listeners([("wrong", Wrong())])
        assert "the listener wrong is left out" in caplog.text

    def test_in_a_module_that_was_asked_for(self, write, entries):
        write("told = []\n@hookimpl\ndef run_started(run): told.append(run.run)\n")
        Plugins(["mysite"]).listeners().run_started(RUN)
        assert sys.modules["mysite"].told == ["r1"]


def test_plugins_of_two_kinds_in_one_module(write, entries):
    write(HOOK + "\n    told = []\n    @hookimpl\n    def run_started(run): told.append(run.run)\n")
    plugins = Plugins(["mysite"])
    plugins.listeners().run_started(RUN)
    assert plugins.backend("other").route is print
    assert sys.modules["mysite"].told == ["r1"]


def test_contract_is_complete():
    assert BackendPlugin("x", "", NoOptions,
    factory=print).api_version == module.API_VERSION  # type: ignore[arg-type]
