"""The player of pages notices when a page does not tell the truth."""
from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.docs.pages import File, Place, Script, changed, read_steps

LIES = {
    "a wrong value": """
        ```python
        print(1 + 1)  # 3
        ```
    """,
    "a script that fails": """
        ```python
        raise SystemExit(1)
        ```
    """,
    "output that does not come": """
        ```console
        $ echo one
        two
        ```
    """,
    "output in another order": """
        ```console
        $ printf 'one\\ntwo\\n'
        two
        one
        ```
    """,
    "a command that fails": """
        ```console
        $ false
        ```
    """,
    "a command that succeeds": """
        ```console
        $ true
        $ echo $?
        1
        ```
    """,
}


@pytest.mark.parametrize("text", LIES.values(), ids=LIES)
def test_lie_is_noticed(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(textwrap.dedent(text), encoding="utf-8")

    with pytest.raises(AssertionError):
        Place(tmp_path).carry_out(page)


def test_durations_and_dots_stand_for_others(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ echo done in 0.25 s, in /a/b/c\ndone in 3 s, in .../c\n```\n", encoding="utf-8")

    Place(tmp_path).carry_out(page)


def test_steps_come_in_the_order_of_the_page_and_the_script_as_one() -> None:
    text = "```python\na = 1\n```\n```python\n# mod.py\n```\n```python\nprint(a)  # 1\n```\n"

    script, file = read_steps(text)

    assert script == Script("\na = 1\n\n\n\n\n\nprint(a)  # 1\n", ["1"])
    assert file == File("mod.py", "# mod.py\n")


def test_change_takes_the_place_of_a_class_and_adds_the_rest() -> None:
    module = "import os\n\nclass A:\n    x = 1\n\nclass B:\n    pass\n"

    assert changed(module, "# in mod.py\nimport re\n\nclass A:\n    x = 2\n\nclass C:\n    pass\n") == (
        "import re\nimport os\n\nclass A:\n    x = 2\n\nclass B:\n    pass\n\n\nclass C:\n    pass\n"
    )
