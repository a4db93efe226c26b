"""Which words does Python's own standard library use most?

    taskproc examples/word_count.py

One task per package reads its real source files, so the first run takes some seconds; the second runs nothing.
"""
from __future__ import annotations

import csv
import keyword
import platform
import re
import sysconfig
from collections import Counter
from pathlib import Path

from taskproc import Requires, RequiresDict, TaskBase

STDLIB = Path(sysconfig.get_path("stdlib"))
LOOSE_MODULES = "modules outside of packages"
NOT_OURS = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}
WORD = re.compile(r"[A-Za-z_]\w+")
COMMENT = re.compile(r"#.*")  # also cuts a string with a "#" in it short, which is good enough here


def source_files(package: str) -> list[Path]:
    """List a package's source files, without its tests."""
    if package == LOOSE_MODULES:
        return sorted(STDLIB.glob("*.py"))
    files = (STDLIB / package).rglob("*.py")
    return sorted(file for file in files if NOT_OURS.isdisjoint(file.relative_to(STDLIB).parts))


# The channel is a label that a limit can be set for: taskproc.toml beside this file lets two of these tasks read
# files at once, however many workers there are.
class CountWords(TaskBase, channel="disk"):
    """Count the words of one package.

    What a task is called with is its identity: with the version among its arguments, another Python counts anew.
    """

    def __init__(self, package: str, python: str = platform.python_version()):
        self.package = package

    def run_task(self) -> dict[str, Counter[str]]:
        words: Counter[str] = Counter()
        sizes: Counter[str] = Counter()
        # The task's own directory holds whatever files it wants to leave. It is empty when the task starts.
        with open(self.task_directory / "files.csv", "w", newline="") as table:
            rows = csv.writer(table)
            rows.writerow(["file", "lines", "words"])
            for file in source_files(self.package):
                text = file.read_text(encoding="utf-8", errors="replace")
                found = [word for word in WORD.findall(COMMENT.sub("", text)) if not keyword.iskeyword(word)]
                words.update(found)
                sizes.update(files=1, lines=text.count("\n"), words=len(found))
                rows.writerow([file.relative_to(STDLIB), text.count("\n"), len(found)])
        print(f"{self.package}: {sizes['files']} files")  # goes to the task's log
        return {"words": words, "sizes": sizes}


class Merge(TaskBase):
    """Add up what was counted in all packages."""

    # Outside of run_task these are tasks; inside, they are the results of these tasks.
    words: RequiresDict[str, Counter[str]]
    sizes: RequiresDict[str, Counter[str]]

    def __init__(self) -> None:
        packages = [path.parent.name for path in STDLIB.glob("*/__init__.py") if path.parent.name not in NOT_OURS]
        counts = {package: CountWords(package) for package in [LOOSE_MODULES, *sorted(packages)]}
        # task["key"] stands for a part of what the task will return.
        self.words = {package: task["words"] for package, task in counts.items()}
        self.sizes = {package: task["sizes"] for package, task in counts.items()}

    def run_task(self) -> dict[str, Counter[str]]:
        totals: Counter[str] = Counter()
        for words in self.words.values():
            totals.update(words)
        return {"words": totals, "lines": Counter({package: size["lines"] for package, size in self.sizes.items()})}


# The prefix goes before the command line of this task's worker: here to be nice to others on this machine, elsewhere
# `srun -c 8`, or `docker exec`.
class Chart(TaskBase, prefix_command="nice -n 5"):
    """Draw the most frequent of something as bars, in a text file."""

    counts: Requires[Counter[str]]

    def __init__(self, title: str, key: str, length: int = 15):
        self.title, self.length = title, length
        self.counts = Merge()[key]

    def run_task(self) -> Path:
        top = self.counts.most_common(self.length)
        widest = max(len(name) for name, _ in top)
        lines = [f"{name:>{widest}} {count:>8,} {'█' * round(40 * count / top[0][1])}" for name, count in top]
        chart = self.task_directory / "chart.txt"
        chart.write_text("\n".join([f"{self.title} (of {len(self.counts):,})", "", *lines, ""]), encoding="utf-8")
        return chart


class Main(TaskBase):
    """What `taskproc examples/word_count.py` runs and prints."""

    words: Requires[Path]
    packages: Requires[Path]

    def __init__(self) -> None:
        self.words = Chart("The most frequent words", key="words")
        self.packages = Chart("The largest packages, in lines", key="lines", length=5)

    def run_task(self) -> None:
        for chart in (self.words, self.packages):
            print(chart.read_text(encoding="utf-8"))


if __name__ == "__main__":  # python examples/word_count.py does the same, with the cache in the working directory
    Main().run_graph(rate_limits={"disk": 2})
    print(Main().task_stdout.read_text())
