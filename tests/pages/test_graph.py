"""What a graph shows of its tasks, and how it is written for other tools."""
from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskproc import FailedTaskError, Requires, RequiresList, TaskBase
from taskproc.base.errors import TaskprocError
from taskproc.look.pages.dot import dot_text
from taskproc.look.pages.folding import picture_of
from taskproc.look.pages.gather import gather_graph
from taskproc.look.pages.html import graph_page
from taskproc.look.pages.mermaid import mermaid_text
from taskproc.look.pages.model import ShownGraph, ShownTask
from taskproc.look.pages.svg import svg_text
from taskproc.look.pages.text import tree_text
from taskproc.run.choice import BackendChoice
from taskproc.run.request import RunRequest
from taskproc.run.run import make_plan
from taskproc.runs.ledger import Ledger
from taskproc.tasks.in_use import current_cache
from taskproc.tasks.settings import load_settings
from tests.pages.graphs import pipeline, shown, task

DOT = (
    "digraph{rankdir=LR;node[shape=box,style=,fontname=,fontsize=11];edge[color=];"
    "n0[label=,fillcolor=];n1[label=,fillcolor=];n0->n1;}"
)
EVIL = "a\"b\\c</text><script>\n`d`]--#e;"


class Load(TaskBase):
    def __init__(self, name: str) -> None:
        self.name = name

    def run_task(self) -> str:
        print("loading", self.name)
        return self.name


class Train(TaskBase):
    data: Requires[str]

    def __init__(self, name: str, lr: float) -> None:
        self.data = Load(name)
        self.lr = lr

    def run_task(self) -> float:
        if self.lr > 1:
            raise ValueError("it diverged")
        return self.lr


class Compare(TaskBase, backend="slurm"):
    models: RequiresList[float]

    def __init__(self) -> None:
        self.models = [Train("digits", lr) for lr in (0.1, 1.0, 10.0)]


def gathered(root: TaskBase[object]) -> ShownGraph:
    settings, cache = load_settings(), current_cache()
    return gather_graph(make_plan(root, RunRequest(), settings, cache), BackendChoice(settings), cache)


def run_all_but_the_failing(root: TaskBase[object]) -> None:
    with pytest.raises(FailedTaskError):
        root.run_graph(backend="thread", on_error="continue")


def found(graph: ShownGraph, label: str) -> ShownTask:
    return next(task for task in graph.tasks if task.label == label)


def test_tasks_are_cached_stale_or_failed_with_the_reason(cache: Path) -> None:
    run_all_but_the_failing(Compare())
    graph = gathered(Compare())

    assert [(task.label, task.state, task.reason) for task in graph.tasks] == [
        ("Load(name='digits')", "cached", ""),
        ("Train(name='digits', lr=0.1)", "cached", ""),
        ("Train(name='digits', lr=1.0)", "cached", ""),
        ("Train(name='digits', lr=10.0)", "failed", "ValueError: it diverged"),
        ("Compare()", "stale", "no result"),
    ]
    assert [task.upstreams for task in graph.tasks] == [(), (0,), (0,), (0,), (1, 2, 3)]


def test_tasks_tell_where_they_ran_and_would_run(cache: Path) -> None:
    run_all_but_the_failing(Compare())
    graph = gathered(Compare())
    load, failed, root = graph.tasks[0], graph.tasks[3], graph.tasks[-1]

    assert (load.backend, failed.backend, root.backend) == ("thread", "thread", "slurm")
    assert load.host
    assert load.started is not None
    assert load.seconds is not None
    assert load.memory
    assert failed.host == load.host
    assert load.logs == {"stdout.txt": "loading digits\n"}
    assert failed.logs["stderr.txt"].endswith("ValueError: it diverged\n")
    assert Path(load.directory, "stdout.txt").exists()


def test_a_run_that_goes_on_elsewhere_shows_what_it_runs(cache: Path) -> None:
    run_all_but_the_failing(Compare())
    (run,) = Path(current_cache().runs).glob("2*")
    failed = found(gathered(Compare()), "Train(name='digits', lr=10.0)")
    # The driver of that run lives, since its lock is held and its process is ours, and has not told of its end.
    text = (run / "ledger.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    kept = [line for line in lines if line["kind"] not in ("end", "failed")]
    (run / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))
    worker = next(line["worker"] for line in lines if line["kind"] == "worker")
    node = next(line["node"] for line in lines if line["kind"] == "failed")
    ledger = Ledger(str(run / "ledger.jsonl"))
    ledger.write({
        "kind": "started", "time": 1.7e9, "node": node, "task": failed.class_name, "id": failed.id, "nonce": "0" * 32,
        "worker": worker, "started": 1.7e9,
    })  # fmt: skip
    ledger.close()
    with open(run / "driver.lock") as lock:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX)
        running = found(gathered(Compare()), "Train(name='digits', lr=10.0)")

    assert (running.state, running.started, running.host) == ("running", 1.7e9, failed.host)


def test_arguments_that_are_the_same_in_a_class_are_left_out_of_its_pictures(cache: Path) -> None:
    graph = gathered(Compare())

    assert [task.brief for task in graph.tasks] == ['name="digits"', "lr=0.1", "lr=1.0", "lr=10.0", ""]
    assert graph.tasks[1].arguments == {"name": '"digits"', "lr": "0.1"}


def test_a_task_among_the_arguments_is_shown_by_its_label(cache: Path) -> None:
    class Wrap(TaskBase):
        def __init__(self, inner: object, others: list[object]) -> None: ...

    chain: TaskBase[object] = Wrap(None, [])
    for _ in range(40):  # each shown in full, twice, would never end
        chain = Wrap(chain, [chain])

    (arguments,) = [task.arguments for task in gathered(chain).tasks]
    assert len(json.loads(arguments["inner"])) <= 80
    assert [len(text) <= 80 for text in json.loads(arguments["others"])] == [True]


def test_many_tasks_fold_to_their_classes() -> None:
    picture = picture_of(pipeline(40, {0: "failed"}))

    assert [(node.title, node.note) for node in picture.nodes] == [
        ("Load", "40 tasks: all cached"),
        ("Train", "40 tasks: 1 failed, 39 cached"),
        ("Main()", "stale: no result"),
    ]
    assert picture.edges == {(0, 1): 40, (1, 2): 40}
    assert len(picture_of(pipeline(40), fold=False).nodes) == 81
    assert len(picture_of(pipeline(2)).nodes) == 5


def test_text_is_a_tree_in_which_each_node_is_told_once() -> None:
    graph = shown(task("Load"), task("Clean", upstreams=(0,)), task("Main", "stale", (0, 1), "no result"))

    assert tree_text(picture_of(graph)) == (
        "Main()  stale: no result\n"
        "├─ Load()  cached\n"
        "└─ Clean()  cached\n"
        "   └─ Load()  (as above)\n"
    )


def test_text_of_a_recursive_class_says_so() -> None:
    numbers = [task("Choose", upstreams=(i - 1,) if i else ()) for i in range(60)]

    assert tree_text(picture_of(shown(*numbers))) == "Choose  60 tasks: all cached  (needs itself)\n"


def test_text_of_a_deep_chain_tells_every_task() -> None:
    chain = [task("Step", upstreams=(i - 1,) if i else (), label=f"Step({i})") for i in range(2000)]
    lines = tree_text(picture_of(shown(*chain), fold=False)).splitlines()

    assert sum(line.endswith("  cached") for line in lines) == 2000
    assert max(map(len, lines)) < 250


def test_dot_quotes_what_tasks_say() -> None:
    text = dot_text(picture_of(shown(task("Main", label=EVIL))), EVIL)

    strings = re.findall(r'"(?:[^"\\]|\\.)*"', text)
    assert strings[0] == '"a\\"b\\\\c</text><script>\\n`d`]--#e;"'
    assert '"' not in re.sub(r'"(?:[^"\\]|\\.)*"', "", text)


def test_mermaid_gets_what_tasks_say_by_number() -> None:
    (line,) = [line for line in mermaid_text(picture_of(shown(task("Main", label=EVIL)))).splitlines() if "n0[" in line]

    assert re.fullmatch(r'  n0\["[\w .,:()=+#;-]*<br>cached"\]:::cached', line)
    assert re.sub(r"#(\d+);", lambda match: chr(int(match[1])), line)[6:].startswith(" ".join(EVIL.split()))


def test_svg_is_whole_and_needs_no_style_sheet() -> None:
    pytest.importorskip("dukpy", reason="dukpy is not installed; it is in the group `pages`")
    name = f"{EVIL}\0\ud800"
    graph = shown(task("Load"), task(name, "failed", (0,), brief=name), task("Main", "stale", (0, 1)))
    text = svg_text(picture_of(graph))

    root = ElementTree.fromstring(text)
    assert not [element for element in root.iter() if element.tag.endswith("script")]
    assert "var(" not in text
    assert len(root.findall(".//*[@class='node task']")) == 3
    assert len(root.findall(".//*[@class='edge']")) == 3


def test_svg_shows_classes_that_need_each_other_and_themselves() -> None:
    pytest.importorskip("dukpy", reason="dukpy is not installed; it is in the group `pages`")
    numbers = [task("Even" if i % 2 else "Odd", upstreams=[up for up in (i - 1, i - 2) if up >= 0]) for i in range(60)]
    root = ElementTree.fromstring(svg_text(picture_of(shown(*numbers))))

    edges = {(edge.get("data-from"), edge.get("data-to")) for edge in root.findall(".//*[@class='edge']")}
    assert edges == {("n0", "n0"), ("n0", "n1"), ("n1", "n0"), ("n1", "n1")}


def test_svg_of_too_many_nodes_is_refused() -> None:
    with pytest.raises(TaskprocError, match="401 nodes are too many"):
        svg_text(picture_of(pipeline(200), fold=False))


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(st.text(st.characters(), max_size=40))
def test_every_format_is_whole_whatever_tasks_say(text: str) -> None:
    pytest.importorskip("dukpy", reason="dukpy is not installed; it is in the group `pages`")
    graph = shown(task(text, brief=text, label=text, reason=text), task("Main", "stale", (0,), text, label=text))
    picture = picture_of(graph)

    data = graph_page(graph, None).partition('id="data">')[2].partition("</script>")[0]
    assert json.loads(data)["tasks"][0][3] == text
    dot = re.sub(r'"(?:[^"\\]|\\.)*"', "", dot_text(picture, text))
    assert "".join(dot.split()) == DOT
    assert len(mermaid_text(picture).splitlines()) == 6
    assert len(tree_text(picture).splitlines()) == 2
    ElementTree.fromstring(svg_text(picture))


def test_page_links_relative_to_itself_so_that_a_project_can_be_moved(tmp_path: Path) -> None:
    directory = tmp_path / ".cache" / "results" / "0"
    graph = shown(task("Main", directory=str(directory), logs={"stdout.txt": ""}))

    assert '".cache/results/0/stdout.txt"' in graph_page(graph, tmp_path)
    assert directory.as_uri() in graph_page(graph, None)
