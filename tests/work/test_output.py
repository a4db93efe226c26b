"""Where output goes, and how messages travel between a driver and its workers."""
from __future__ import annotations

import dataclasses
import os
import pickle
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskproc import TaskBase
from taskproc.base.ended import Ended
from taskproc.base.errors import WorkerDiedError
from taskproc.base.exit_status import signal_name
from taskproc.base.frames import (
    FrameBuffer,
    frame,
    pack_group,
    read_element,
    unpack_group,
    write_elements,
)
from taskproc.base.outcome import Outcome
from taskproc.look.pages.logs import end_of_log
from taskproc.run.failures import cause_of, last_lines
from taskproc.tasks.failed import FailedTaskError, FailedTasksError
from taskproc.work.routing import ThreadCapture


class Step(TaskBase):
    def __init__(self, n: int): ...


class TestFrames:
    @given(st.lists(st.binary(max_size=300)), st.integers(1, 50))
    def test_frames_arrive_whole_however_they_are_cut(self, contents: list[bytes], piece: int):
        stream = b"".join(map(frame, contents))
        buffer = FrameBuffer()
        got = [content for at in range(0, len(stream), piece) for content in buffer.feed(stream[at : at + piece])]
        assert got == contents

    @given(st.lists(st.binary(max_size=300)))
    def test_groups_come_apart_again(self, payloads: list[bytes]):
        assert list(unpack_group(pack_group(payloads))) == payloads

    def test_elements_of_a_file_are_read_one_by_one(self, tmp_path: Path):
        path = f"{tmp_path}/payloads"
        contents = [b"first", b"", b"x" * 100_000]
        write_elements(path, contents)
        assert [read_element(path, index) for index in range(3)] == contents
        for index in (3, 4, 50_000):
            with pytest.raises(EOFError, match=f"no element {index}"):
                read_element(path, index)

        os.truncate(path, os.path.getsize(path) - 1)
        assert read_element(path, 0) == b"first"
        with pytest.raises(EOFError, match="cut short in element 2"):
            read_element(path, 2)


class TestThreadCapture:
    def test_streams_take_text_alone_as_click_expects(self, tmp_path: Path):
        with ThreadCapture(lambda: str(tmp_path)), pytest.raises(TypeError):
            sys.stderr.write(b"")  # type: ignore[arg-type]

    def test_each_thread_prints_to_its_own_file(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
        barrier = threading.Barrier(3)

        def work(name: str) -> None:
            place = tmp_path / name
            place.mkdir()
            with ThreadCapture(lambda: str(place)):
                barrier.wait()
                for _ in range(100):
                    print(name)
                print("error of", name, file=sys.stderr)
                barrier.wait()

        threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        barrier.wait()
        print("of the driver")
        barrier.wait()
        for thread in threads:
            thread.join()
        assert capsys.readouterr() == ("of the driver\n", "")
        for name in "ab":
            assert (tmp_path / name / "stdout.txt").read_text() == f"{name}\n" * 100
            assert (tmp_path / name / "stderr.txt").read_text() == f"error of {name}\n"

    def test_streams_are_as_before_afterwards(self, tmp_path: Path):
        before = sys.stdout, sys.stderr
        with ThreadCapture(lambda: str(tmp_path)):
            assert sys.stdout is not before[0]
        assert (sys.stdout, sys.stderr) == before

    def test_inner_capture_gives_way_to_the_outer_one(self, tmp_path: Path):
        for name in ("outer", "inner"):
            (tmp_path / name).mkdir()
        with ThreadCapture(lambda: str(tmp_path / "outer")):
            print("1")
            with ThreadCapture(lambda: str(tmp_path / "inner")):
                print("2")
            print("3")
        assert (tmp_path / "outer" / "stdout.txt").read_text() == "1\n3\n"
        assert (tmp_path / "inner" / "stdout.txt").read_text() == "2\n"

    def test_silence_makes_no_file(self, tmp_path: Path):
        with ThreadCapture(lambda: str(tmp_path)):
            sys.stdout.flush()
            sys.stdout.write("")
        assert not list(tmp_path.iterdir())

    def test_captured_stream_is_like_a_file(self, tmp_path: Path):
        with ThreadCapture(lambda: str(tmp_path)):
            assert sys.stdout.writable()
            assert sys.stdout.encoding == "utf-8"
            sys.stdout.writelines(["a", "b\n"])
            print("\udc80 lone surrogate", file=sys.stdout)
            assert not sys.stdout.isatty()
        assert (tmp_path / "stdout.txt").read_bytes() == b"ab\n\x80 lone surrogate\n"


class TestFailures:
    @pytest.mark.parametrize(
        ("outcome", "said"),
        [
            (Outcome.of_process(-11), "SIGSEGV"),
            (Outcome.of_process(-9, "out of memory"), "out of memory"),
            (Outcome.of_process(3), "exit status 3"),
            (Outcome("rejected", "no such queue"), "no such queue"),
            (Outcome("lost", "node down"), "node down"),
            (Outcome("ended", "killed", host="node7"), "node7"),
        ],
    )
    def test_cause_is_told_in_the_systems_words(self, tmp_path: Path, outcome: Outcome, said: str):
        assert said in str(cause_of(outcome, str(tmp_path), "nonce"))

    def test_what_a_worker_says_has_the_fields_of_an_outcome_in_order(self):
        assert list(Ended._fields) == [field.name for field in dataclasses.fields(Outcome)]
        assert pickle.loads(pickle.dumps(Ended())) == Outcome("ended")

    def test_signals_have_names(self):
        assert signal_name(15) == "SIGTERM"
        assert signal_name(99) == "signal 99"

    def test_end_of_a_log_is_short(self, tmp_path: Path):
        path = tmp_path / "log"
        path.write_bytes(b"".join(b"line %d \xff\n" % n for n in range(100_000)))
        assert last_lines(str(path))[-1].startswith("line 99999")
        assert len(last_lines(str(path))) == 10
        assert last_lines(str(tmp_path / "none")) == []

    def test_end_of_a_log_on_a_page_begins_with_a_line(self, tmp_path: Path):
        path = tmp_path / "log"
        path.write_bytes(b"".join(b"line %d\n" % n for n in range(1000)))
        shown = end_of_log(str(path))
        assert shown.startswith("[...]\nline ")
        assert shown.endswith("line 999\n")
        path.write_bytes(b"all\nof it")
        assert end_of_log(str(path)) == "all\nof it"
        assert end_of_log(str(tmp_path / "none")) == ""

    def test_several_failures_name_each(self, tmp_path: Path):
        errors = [
            FailedTaskError(f"{n} failed", task=Step(n), exception=WorkerDiedError(str(n)), directory=tmp_path)
            for n in range(3)
        ]
        several = FailedTasksError(errors)
        assert "3 tasks failed" in str(several)
        assert all(f"{n} failed" in str(several) for n in range(3))
        assert several.task is Step(0)
        assert len(pickle.loads(pickle.dumps(several)).failures) == 3


def test_failure_of_what_no_other_process_can_find_survives_pickling(tmp_path: Path):
    class Local(TaskBase):
        def __init__(self, n: int): ...

    class LocalError(Exception):
        pass

    error = FailedTaskError("no", task=Local(3), exception=LocalError("odd"), directory=tmp_path)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == "no"
    assert (repr(again.task), again.task.task_args) == (repr(Local(3)), {"n": 3})
    assert (again.task.task_name, type(again.task).task_name) == (Local.task_name, Local.task_name)
    assert str(again.exception).endswith("LocalError: odd")


def test_descriptors_are_given_back_after_a_capture(tmp_path: Path):
    from taskproc.work import worker

    before = [os.fstat(fd).st_ino for fd in (1, 2)]
    with worker.CapturedDescriptors(str(tmp_path)):
        os.write(1, b"lost\n")
    assert [os.fstat(fd).st_ino for fd in (1, 2)] == before
    assert worker.descriptors is None


def test_workers_of_one_host_name_and_number_have_files_of_their_own(tmp_path: Path):
    from taskproc.work import worker

    with worker.CapturedDescriptors(str(tmp_path)):
        first = set(os.listdir(tmp_path / "output"))
        outer = worker.descriptors
        with worker.CapturedDescriptors(str(tmp_path)):
            both = set(os.listdir(tmp_path / "output"))
        worker.descriptors = outer
    assert len(first) == 2
    assert len(both) == 4
    assert not os.listdir(tmp_path / "output")


class Forks(TaskBase):
    def __init__(self, how: str) -> None:
        self.how = how

    def run_task(self) -> str:
        child = os.fork()
        if child == 0:
            print("the child was here")
            if self.how == "raises":
                raise ValueError
            return "the child's"
        os.waitpid(child, 0)
        return "the parent's"


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("how", ["returns", "raises"])
@pytest.mark.parametrize("backend", ["process", "prefix"])
def test_a_forked_child_that_comes_back_ends_without_a_result(how: str, backend: str) -> None:
    task = Forks(how)
    assert task.run_graph(backend=backend) == "the parent's"
    assert "the child was here" in (task.task_directory.parent / "stdout.txt").read_text()
