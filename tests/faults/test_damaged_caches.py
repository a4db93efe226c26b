"""A cache whose files were damaged: a run repairs it and says so, without wrong answers and bare tracebacks."""
from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import graph
from tests.faults.nursery import Driven, Nursery

_NUMBERS = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{8}|[0-9a-f]{12,}|\d+")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_text("in the way")


def fill_with_noise(path: Path) -> None:
    path.write_bytes(random.Random(path.name).randbytes(max(64, path.stat().st_size)))


def flip_one_bit(path: Path) -> None:
    data = bytearray(path.read_bytes() or b"\0")
    data[random.Random(path.name).randrange(len(data))] ^= 4
    path.write_bytes(bytes(data))


def remove(path: Path) -> None:
    path.unlink()


def replace_by_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/nowhere/at/all")


DAMAGES = [empty, truncate, replace_by_directory, fill_with_noise, flip_one_bit, remove, replace_by_dangling_link]


@pytest.fixture(scope="module", params=["tree", "packed"])
def complete(request: pytest.FixtureRequest, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a complete cache, which no test may change."""
    cache = tmp_path_factory.mktemp(request.param) / "cache"
    assert drive(nursery, cache).answer == graph.ANSWER
    return cache


def drive(nursery: Nursery, cache: Path, what: str = "first") -> Driven:
    """Run the graph in a cache."""
    store = "packed" if "packed" in str(cache) else "tree"
    return nursery.drive(what, cache, "thread", env={"TP_STORE": store})


def files_of(cache: Path, one_of_each_role: bool) -> list[str]:
    """List the files of a cache; of those that differ only in numbers, the last one."""
    found = sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file())
    return list({_NUMBERS.sub("N", name): name for name in found}.values()) if one_of_each_role else found


def problems_after(
    nursery: Nursery, complete: Path, scratch: Path, name: str, damage: Callable[[Path], None]
) -> list[str]:
    """Damage one file of a copy, run, and tell what is wrong with the outcome."""
    cache = scratch / f"damaged-{'packed' if 'packed' in str(complete) else 'tree'}"
    shutil.rmtree(cache, ignore_errors=True)
    shutil.copytree(complete, cache, symlinks=True)
    Path(f"{cache}.count").unlink(missing_ok=True)
    damage(cache / name)
    where = f"{name}: {damage.__name__}"
    # Something new first, and in the end something that reads every result, so that no part of the cache stays unused.
    for what in ("other", "first", "emptied"):
        run = drive(nursery, cache, what)
        if run.status not in (0, 1) or (run.status == 1 and "TaskprocError" not in run.error):
            return [f"{where}: the {what} run ended with {run.status}, {run.error[:1]} {run.message}\n{run.output}"]
        if run.status == 1:
            if "FailedTaskError" in run.error or str(cache) not in run.message or "\n" in run.message.strip():
                return [f"{where}: the {what} run does not say in one sentence what is wrong: {run.message}"]
            return []
    if run.answer != graph.ANSWER:
        return [f"{where}: the answer is {run.answer}\n{run.output}"]
    again = drive(nursery, cache)
    if again.answer != graph.ANSWER:
        return [f"{where}: the run after the repair gave {again.answer}, {again.message}\n{again.output}"]
    return []


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_one_file_of_each_role_is_damaged(
    nursery: Nursery, complete: Path, tmp_path: Path, damage: Callable[[Path], None]
):
    names = files_of(complete, one_of_each_role=True)[DAMAGES.index(damage) :: len(DAMAGES)]
    problems = [one for name in names for one in problems_after(nursery, complete, tmp_path, name, damage)]
    assert not problems, "\n".join(problems)


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_every_file_is_damaged(nursery: Nursery, complete: Path, tmp_path: Path, damage: Callable[[Path], None]):
    names = files_of(complete, one_of_each_role=False)
    problems = [one for name in names for one in problems_after(nursery, complete, tmp_path, name, damage)]
    assert not problems, "\n".join(problems)


@pytest.mark.slow
def test_a_damaged_result_is_reported_and_computed_again(nursery: Nursery, complete: Path, tmp_path: Path):
    for name in files_of(complete, one_of_each_role=False):
        if not name.endswith("result.pkl.gz"):
            continue
        cache = tmp_path / f"{complete.parent.name}-{name.replace('/', '-')}"
        shutil.copytree(complete, cache, symlinks=True)
        truncate(cache / name)
        run = drive(nursery, cache)
        assert run.answer == graph.ANSWER
        assert str(cache / name) in run.output, "the report names the file"
        assert "computed again" in run.output
