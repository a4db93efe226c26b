"""A real browser without a screen: opens a page from its file, and tells of all that it complained of or asked for."""
from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

REQUIRED = "TASKPROC_REQUIRE_BROWSER"
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",  # a container may have little of it
)  # fmt: skip
WIDE, NARROW = (1280, 800), (390, 800)


class Browser:
    """A running browser.

    Args:
        driver: Selenium's.
    """

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.requests: list[str] = []

    def open(self, page: Path, size: tuple[int, int] = WIDE, *, dark: bool = False) -> None:
        """Open a file, and wait until it is drawn."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self._driver.get("about:blank")  # so that an address that differs in nothing but #... is loaded anew
        self._forget()
        self._driver.get(page.absolute().as_uri())

    def complaints(self) -> list[str]:
        """Give what was written to the console since the page was opened."""
        return [entry["message"] for entry in self._driver.get_log("browser")]

    def asked_for(self) -> list[str]:
        """Give the addresses of all that was asked for since the page was opened."""
        messages = [json.loads(entry["message"])["message"] for entry in self._driver.get_log("performance")]
        sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in sent]

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page, and give what it returns."""
        return self._driver.execute_script(script, *arguments)

    def drawn_after(self) -> float:
        """Give the seconds from the beginning of loading to the first drawing."""
        return float(self.run("return performance.getEntriesByName('drawn')[0].startTime")) / 1000

    def texts(self, selector: str) -> list[str]:
        """Give the texts of all elements that a selector finds."""
        found: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent.trim())", selector
        )
        return found

    def click(self, selector: str, text: str = "") -> None:
        """Click, as a mouse does, the first element that a selector finds, or the first of them with this text."""
        element = self.run(
            "return [...document.querySelectorAll(arguments[0])].find(e => e.textContent.includes(arguments[1]))",
            selector,
            text,
        )
        assert element is not None, f"there is no {selector!r} with {text!r}"
        from selenium.webdriver import ActionChains

        ActionChains(self._driver).move_to_element(element).click().perform()

    def drag(self, selector: str, right: int, downwards: int) -> None:
        """Press on the first element that a selector finds, move by so many pixels, and let go."""
        from selenium.webdriver import ActionChains

        element = self._driver.find_element("css selector", selector)
        ActionChains(self._driver).click_and_hold(element).move_by_offset(right, downwards).release().perform()

    def write(self, selector: str, text: str) -> None:
        """Write into a field."""
        self._driver.find_element("css selector", selector).send_keys(text)

    def picture(self, path: Path) -> None:
        """Keep what is on the screen, for people."""
        self._driver.save_screenshot(str(path))

    def _forget(self) -> None:
        self._driver.get_log("browser")
        self._driver.get_log("performance")


@contextmanager
def running_browser(profile: Path) -> Iterator[Browser]:
    """Start a browser with a fresh profile, for a while."""
    try:
        from selenium import webdriver
    except ImportError:
        missing("selenium is not installed; it is in the group `pages`")
    options = webdriver.ChromeOptions()
    options.binary_location = _program("chromium")
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(_program("chromedriver")))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


def _program(name: str) -> str:
    return shutil.which(name) or missing(f"there is no {name}; its package is in tests/pages/packages.txt")


def missing(reason: str) -> NoReturn:
    """Skip a test for something that is not installed, or fail it where a browser is required."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(reason)
    pytest.skip(reason)
