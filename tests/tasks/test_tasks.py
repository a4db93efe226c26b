"""Task classes and their instances: identity, memory, names, places."""
from __future__ import annotations

import copy
import gc
import json
import pickle
import weakref
from pathlib import Path
from typing import Any

import pytest

from taskproc import Const, Requires, TaskBase
from taskproc.base.errors import ResultNotFoundError, TaskDefinitionError
from tests.support import run_and_count

pytestmark = pytest.mark.usefixtures("cache")


class Step(TaskBase):
    def __init__(self, n: int = 1, *rest: int, name: str = "x", **more: Any):
        self.n = n

    def run_task(self) -> int:
        return self.n


class Derived(Step):
    pass


class Wrapper(TaskBase):
    up: Requires[int]

    def __init__(self, config: Any):
        self.up = Const(0)


class TestMemory:
    def test_same_arguments_give_the_same_task(self):
        assert Step() is Step(1) is Step(n=1) is Step(1, name="x")
        assert Step(1, 2) is not Step(1)
        assert Step(a=1, b=2) is Step(b=2, a=1)

    def test_look_alikes_are_different_tasks(self):
        assert len({Step(1), Step("1"), Step(1.0), Step(True)}) == 4

    def test_derived_class_has_tasks_of_its_own(self):
        assert Derived(1) is not Step(1)
        assert Derived(1) is Derived()

    def test_constructor_runs_once(self):
        calls = []

        class Counted(TaskBase):
            def __init__(self, n: int):
                calls.append(n)

        first = Counted(1)
        assert Counted(1) is first
        assert calls == [1]

    def test_tasks_nobody_needs_are_let_go(self):
        gone = weakref.ref(Step(12345))
        gc.collect()
        assert gone() is None

    def test_copies_are_the_task_itself(self):
        assert copy.copy(Step()) is Step()
        assert copy.deepcopy([Step()])[0] is Step()

    def test_failed_constructor_leaves_nothing_behind(self):
        class Fussy(TaskBase):
            ok = False

            def __init__(self) -> None:
                if not self.ok:
                    raise ValueError

        with pytest.raises(ValueError):  # noqa: PT011
            Fussy()
        Fussy.ok = True
        assert isinstance(Fussy(), Fussy)


class TestIdentityThroughArguments:
    def test_tasks_in_arguments_count_by_what_they_are(self):
        assert Wrapper({"a": [Step(1)]}) is Wrapper({"a": [Step(n=1)]})
        assert Wrapper(Step(1)) is not Wrapper(Step(2))
        assert Wrapper(Step(1)) is not Wrapper(Derived(1))

    def test_parts_and_constants_count_too(self):
        assert Wrapper(Step(1)["a"]) is Wrapper(Step(1)["a"])
        assert Wrapper(Step(1)["a"]) is not Wrapper(Step(1))
        assert Wrapper(Step(1)["a"]) is not Wrapper(Step(1)["b"])
        assert Wrapper(Const(1)) is not Wrapper(1)

    def test_arguments_are_shown_as_plain_json(self):
        task = Wrapper({"up": Step(2), "part": Step(2)["k"][0], "const": Const((1, 2)), "path": Path("a/b")})
        shown = json.loads(json.dumps(task.task_args))
        assert shown["config"]["up"]["__task__"] == Step.task_name
        assert shown["config"]["up"]["__args__"]["n"] == 2
        assert shown["config"]["part"]["__key__"] == ["k", 0]

    def test_tasks_in_the_arguments_of_tasks_are_shown_in_short(self):
        chain = Wrapper(Step(1))
        for _ in range(2000):  # each shown in full, twice, would never end
            chain = Wrapper([chain, chain["k"]])
        assert len(repr(chain)) <= 80
        assert len(json.dumps(chain.task_args)) < 1000
        assert repr(Wrapper(Step(1))).startswith("Wrapper(config=Step(n=1, ")

    def test_defaults_are_shown(self):
        assert Step().task_args == {"n": 1, "rest": [], "name": "x", "more": {}}

    def test_an_argument_without_identity_is_named(self):
        with pytest.raises(TaskDefinitionError, match="config"):
            Wrapper({"key": object()})

    def test_wrong_arguments_are_a_type_error(self):
        with pytest.raises(TypeError, match="Wrapper"):
            Wrapper()


class TestNames:
    def test_name_is_module_and_qualname_on_class_and_instance(self):
        assert Step.task_name == Step().task_name == f"{__name__}.Step"

        class Local(TaskBase): ...

        assert Local.task_name == f"{__name__}.{Local.__qualname__}"

    def test_task_is_shown_with_its_arguments(self):
        assert repr(Wrapper([1])) == "Wrapper(config=[1])"
        assert len(repr(Wrapper(list(range(1000))))) <= 80

    def test_keywords_count_for_the_class_that_states_them(self):
        class Stated(TaskBase, channel="gpu", retries=3, timeout=5, store="packed", backend="thread"): ...

        class Child(Stated): ...

        assert Stated._task_config.channels == (Stated.task_name, "gpu")
        assert Stated._task_config.retries == 3
        assert Child._task_config.channels == (Child.task_name,)
        assert Child._task_config.retries == 0

    def test_other_base_classes_get_their_keywords(self):
        seen = {}

        class Mixin:
            def __init_subclass__(cls, colour: str = "", **kwargs: Any) -> None:
                seen[cls.__name__] = colour
                super().__init_subclass__(**kwargs)

        class Painted(TaskBase, Mixin, colour="red", channel="x"): ...

        assert seen == {"Painted": "red"}
        assert Painted._task_config.channels[1:] == ("x",)


class TestPlaces:
    def test_construction_writes_nothing(self, cache: Path):
        Wrapper(Step(3))
        assert not cache.exists()

    def test_looking_at_paths_makes_no_logs(self):
        task = Step(3)
        assert not task.task_stdout.exists()
        assert not task.task_stderr.exists()

    def test_ids_are_unique_in_a_class_and_stay(self):
        ids = [Step(n).task_id for n in range(5)]
        assert len(set(ids)) == 5
        assert [Step(n).task_id for n in range(5)] == ids
        Step.clear_all_tasks()
        assert [Step(n).task_id for n in range(5)] == ids

    def test_directory_is_made_on_access_under_the_instance(self, cache: Path):
        task = Step(3)
        directory = task.task_directory
        assert directory.is_dir()
        assert directory == cache / "taskproc" / Step.task_name / "results" / str(task.task_id) / "data"

    def test_args_json_and_links_to_upstreams_are_kept(self, cache: Path):
        class Down(TaskBase):
            up: Requires[int]

            def __init__(self, key: str):
                self.up = Step(8)

        Down("odd/na me").run_graph(backend="thread")
        place = Down("odd/na me").task_directory.parent
        assert json.loads((place / "args.json").read_text()) == {"key": "odd/na me"}
        assert (place / "deps" / "up").resolve() == Step(8).task_directory.parent.resolve()

    def test_very_long_names_fit_a_file_system(self):
        long = type("Long" + "x" * 300, (TaskBase,), {"__module__": __name__, "run_task": lambda self: 5})
        assert long().run_graph(backend="thread") == 5
        assert run_and_count(long(), backend="thread") == (5, 0)


class TestResultsAndClearing:
    def test_no_result_is_a_file_not_found_error_too(self, either_store: str):
        with pytest.raises(ResultNotFoundError, match=r"Step\(n=4.*run it first"):
            Step(4).get_task_result()
        with pytest.raises(FileNotFoundError):
            Step(4).get_task_result()

    def test_cleared_task_has_no_result_no_logs_and_no_data(self, either_store: str):
        class Talks(TaskBase):
            def run_task(self) -> int:
                print("hello")
                (self.task_directory / "file").touch()
                return 1

        Talks().run_graph(backend="thread")
        directory = Talks().task_directory
        Talks().clear_task()
        assert not Talks().task_stdout.exists()
        assert not list(directory.iterdir())
        with pytest.raises(FileNotFoundError):
            Talks().get_task_result()

    def test_clearing_what_never_ran_is_fine(self, either_store: str):
        Step(99).clear_task()
        Step.clear_all_tasks()

    def test_class_directory_may_be_removed_by_hand(self, cache: Path, either_store: str):
        import shutil

        assert run_and_count(Step(1), backend="thread") == (1, 1)
        shutil.rmtree(cache / "taskproc" / Step.task_name)
        assert run_and_count(Step(1), backend="thread") == (1, 1)
        assert run_and_count(Step(1), backend="thread") == (1, 0)

    def test_whole_cache_may_be_removed_by_hand(self, cache: Path, either_store: str):
        import shutil

        Step(1).run_graph(backend="thread")
        shutil.rmtree(cache)
        assert run_and_count(Step(1), backend="thread") == (1, 1)

    def test_cache_may_be_moved(self, cache: Path, tmp_path: Path, either_store: str):
        from taskproc import Context

        Wrapper(Step(1)).run_graph(backend="thread")
        cache.rename(tmp_path / "moved")
        Context.cache_dir = tmp_path / "moved"
        assert run_and_count(Wrapper(Step(1)), backend="thread") == (None, 0)

    def test_stand_in_from_another_process_has_its_name_args_and_result(self, either_store: str):
        Step(6).run_graph(backend="thread")
        again = pickle.loads(pickle.dumps(Step(6)))
        assert again.task_args == Step(6).task_args
        assert again.task_name == Step.task_name
        assert again.get_task_result() == 6
        assert repr(again) == repr(Step(6))
        with pytest.raises(TaskDefinitionError, match="construct it anew"):
            again.run_graph(backend="thread")
