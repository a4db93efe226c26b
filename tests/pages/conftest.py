"""One browser for all tests of pages."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pages.browser import Browser, running_browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Give the browser; a test opens its own page in it."""
    with running_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser
