"""The choice of a backend and its options: the tables of `taskproc.run.choice`, line by line."""
from __future__ import annotations

from typing import Any

import pytest

from taskproc.base.errors import OptionError
from taskproc.run.choice import BackendChoice
from taskproc.tasks.settings import Profile, Settings

PROFILES = {
    "gpu": Profile("gpu", "slurm", {"partition": "gpu", "mem": "64G"}),
    "slurm": Profile("slurm", "slurm", {"partition": "cpu"}),
    "laptop": Profile("laptop", "process"),
}
SETTINGS = Settings(profiles=PROFILES, backend_options={"slurm": {"account": "lab"}})
TRAIN = "pkg.mod.Train"


def chosen(
    *,
    settings: Settings = SETTINGS,
    overall: str | None = None,
    specific: dict[str, str] | None = None,
    run: dict[str, Any] | None = None,
    channels: tuple[str, ...] = (TRAIN, "heavy", "net"),
    backend: str | None = None,
    options: dict[str, Any] | None = None,
) -> tuple[str, dict[str, Any]]:
    choice = BackendChoice(settings, overall, specific or {}, run or {})
    return choice.choose(TRAIN, channels, backend, options or {})[:2]


class TestBackend:
    def test_local_if_nobody_says_anything(self):
        assert chosen() == ("local", {})

    def test_settings_before_local(self):
        assert chosen(settings=Settings(backend="thread"))[0] == "thread"

    def test_class_before_settings(self):
        assert chosen(settings=Settings(backend="thread"), backend="lsf")[0] == "lsf"

    def test_run_before_class(self):
        assert chosen(overall="thread", backend="lsf")[0] == "thread"

    @pytest.mark.parametrize("key", ["Train", "mod.Train", TRAIN])
    def test_run_for_the_class_before_run_for_all(self, key):
        assert chosen(overall="thread", specific={key: "dask"}, backend="lsf")[0] == "dask"

    def test_run_for_a_channel_before_run_for_all(self):
        assert chosen(overall="thread", specific={"heavy": "dask"}, backend="lsf")[0] == "dask"

    def test_class_before_channel(self):
        assert chosen(specific={"heavy": "dask", "Train": "lsf"})[0] == "lsf"

    def test_more_of_the_name_before_less(self):
        assert chosen(specific={"Train": "lsf", "mod.Train": "dask"})[0] == "dask"

    def test_first_channel_before_the_second(self):
        assert chosen(specific={"net": "lsf", "heavy": "dask"})[0] == "dask"

    @pytest.mark.parametrize("key", ["rain", "Trai", "odTrain", "mod", "other"])
    def test_parts_of_names_do_not_match(self, key):
        assert chosen(specific={key: "dask"})[0] == "local"

    def test_names_that_matched_nothing_are_known(self):
        choice = BackendChoice(SETTINGS, None, {"Trian": "slurm", "Train": "thread", "heavy": "lsf"}, {})
        choice.choose(TRAIN, ("heavy",), None, {})
        assert choice.unmatched == ["Trian"]


class TestProfiles:
    def test_everywhere_a_backend_may_be_a_profile(self):
        expected = ("slurm", {"account": "lab", "partition": "gpu", "mem": "64G"})
        assert chosen(overall="gpu") == expected
        assert chosen(specific={"Train": "gpu"}) == expected
        assert chosen(backend="gpu") == expected
        assert chosen(settings=Settings("x", "gpu", profiles=PROFILES,
        backend_options=SETTINGS.backend_options)) == expected

    def test_a_profile_may_have_the_name_of_its_backend(self):
        assert chosen(overall="slurm") == ("slurm", {"account": "lab", "partition": "cpu"})

    def test_options_of_a_profile_are_not_for_other_tasks_on_its_backend(self):
        assert chosen(specific={"other": "gpu"}, backend="slurm") == ("slurm", {"account": "lab",
        "partition": "cpu"})


class TestOptions:
    def test_order(self):
        settings = Settings(
            profiles={"gpu": Profile("gpu", "slurm", {"b": "profile", "c": "profile", "d": "profile"})},
            backend_options={"slurm": {"a": "backend", "b": "backend", "c": "backend", "d": "backend"}},
        )
        options = chosen(
            settings=settings,
            overall="gpu",
            run={"d": "run"},
            backend="slurm",
            options={"c": "class", "d": "class"},
        )[1]
        assert options == {"a": "backend", "b": "profile", "c": "class", "d": "run"}

    def test_of_a_class_go_with_its_own_backend(self):
        assert chosen(backend="lsf", options={"queue": "long"}) == ("lsf", {"queue": "long"})
        assert chosen(backend="lsf", options={"queue": "long"}, overall="lsf") == ("lsf", {"queue": "long"})

    @pytest.mark.parametrize("options", [{"queue": "long"}, {"mem": "1G"}])
    def test_of_a_class_stay_behind_when_it_runs_elsewhere(self, options):
        assert chosen(backend="lsf", options=options, overall="thread") == ("thread", {})

    def test_of_a_class_with_a_profile_go_with_the_backend_of_the_profile(self):
        assert chosen(backend="gpu", options={"qos": "high"}, overall="slurm") == (
            "slurm",
            {"account": "lab", "partition": "cpu", "qos": "high"},
        )
        assert chosen(backend="gpu", options={"qos": "high"}, overall="laptop") == ("process", {})

    @pytest.mark.parametrize("where", [{"overall": "lsf"}, {"specific": {"Train": "lsf"}},
    {"settings": Settings(backend="lsf")}])
    def test_portable_ones_of_a_class_without_backend_travel(self, where):
        options = {"cpus": 2, "mem": "1G", "time": "1:00:00", "gpus": 1}
        assert chosen(options=options, **where) == ("lsf", options)

    def test_others_of_a_class_without_backend_are_refused(self):
        with pytest.raises(OptionError) as caught:
            chosen(options={"memm": "1G"})
        assert str(caught.value) == (
            "pkg.mod.Train: backend_options has 'memm', but the class names no backend that it is for; "
            "give backend= too, or use options that every backend knows: did you mean 'mem'?"
        )

    def test_of_the_run_go_with_the_backends_that_it_names(self):
        assert chosen(overall="lsf", run={"queue": "long"}) == ("lsf", {"queue": "long"})
        assert chosen(specific={"Train": "lsf"}, run={"queue": "long"}) == ("lsf", {"queue": "long"})
        assert chosen(overall="thread", specific={"other": "lsf"}, run={"queue": "long"}) == ("thread",
        {"queue": "long"})
        assert chosen(specific={"other": "lsf"}, run={"queue": "long", "mem": "1G"}) == ("local", {})
        assert chosen(overall="gpu", run={"mem": "1G"})[1]["mem"] == "1G"

    def test_of_a_run_that_names_no_backend(self):
        run = {"queue": "long", "mem": "1G"}
        assert chosen(settings=Settings(backend="lsf"), run=run) == ("lsf", run)
        assert chosen(settings=Settings(backend="lsf"), backend="thread", run=run) == ("thread",
        {"mem": "1G"})

    def test_sources_are_named_for_errors(self):
        choice = BackendChoice(SETTINGS, "gpu", {}, {"mem": "1G"})
        where = choice.choose(TRAIN, (), "slurm", {"qos": "x"})[2]
        assert where == (
            "slurm ([backends.slurm], profile gpu, backend_options of pkg.mod.Train, options of the run)"
        )
        assert BackendChoice(Settings()).choose(TRAIN, (), None, {})[2] == "local (for pkg.mod.Train)"

    def test_answers_do_not_share_their_options(self):
        choice = BackendChoice(SETTINGS, "gpu", {}, {})
        choice.choose(TRAIN, (), None, {})[1]["mem"] = "changed"
        assert choice.choose(TRAIN, (), None, {})[1]["mem"] == "64G"
