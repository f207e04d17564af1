"""The browser of the tests, and visits to the page that note everything that goes wrong."""

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--no-sandbox",  # as root there is none
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 780}

TIMEOUT = 20_000
"""Milliseconds that everything gets, on a machine that may be busy."""
expect.set_options(timeout=TIMEOUT)

_FAILED_LOAD = re.compile(r"Failed to load resource: ")


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Runs the Chromium of this machine. Without one the test is skipped, or fails where one is required."""
    path = next(filter(None, map(shutil.which, COMMANDS)), None)
    if path is None:
        told = f"no Chromium: none of {', '.join(COMMANDS)} is on the PATH"
        if os.environ.get("SKIRMISH_REQUIRE_BROWSER") == "1":
            pytest.fail(told)
        pytest.skip(told)
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path, args=OPTIONS)
        try:
            yield running
        finally:
            await running.close()


class Visit:
    """One person's window on the page, with a storage of its own.

    Args:
        page: The window.
        url: Where the page is.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.problems: list[str] = []
        """Everything that the console told as an error, a violated content policy included, and uncaught exceptions."""
        self.failed_loads: list[str] = []
        """The browser's own words on answers that were errors. A test that does not provoke any allows none."""
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        page.on("dialog", lambda dialog: self.problems.append(f"a dialog: {dialog.message}"))

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            told = f"{message.text} ({message.location['url']})"
            (self.failed_loads if _FAILED_LOAD.match(told) else self.problems).append(told)

    async def go(self, path: str = "/") -> None:
        """Goes to a view, by the part of the address after the hash."""
        await self.page.goto(f"{self.url}/#{path}")

    async def evaluate(self, script: str) -> Any:
        """Runs a script in the page and returns what it gives."""
        return await self.page.evaluate(script)


@asynccontextmanager
async def visit(browser: Browser, url: str, fails: bool = False, **options: Any) -> AsyncIterator[Visit]:
    """Opens a window, and looks at its end whether anything went wrong.

    Args:
        browser: The browser.
        url: Where the page is.
        fails: Whether answers may be errors, since the test provokes some.
        options: Of the browser's context: viewport, color_scheme, reduced_motion…
    """
    context = await browser.new_context(**{"viewport": DESKTOP, "reduced_motion": "no-preference"} | options)
    context.set_default_timeout(TIMEOUT)
    try:
        visitor = Visit(await context.new_page(), url)
        yield visitor
        assert not visitor.problems, visitor.problems
        assert fails or not visitor.failed_loads, visitor.failed_loads
    finally:
        await context.close()
