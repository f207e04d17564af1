"""A set of processes and a browser for the tests of the page."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.browser import chromium
from tests.browser.chromium import Visit
from tests.e2e.stack import Stack

Visits = Callable[..., AbstractAsyncContextManager[Visit]]
"""Opens a window on the page; takes the arguments of ``chromium.visit`` after the URL."""


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The browser."""
    async with chromium.browser() as running:
        yield running


@pytest.fixture(scope="session")
def stack(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running set that all tests share, not started where there is no browser. Leave it as healthy as it was."""
    with Stack(tmp_path_factory.mktemp("stack")).running() as running:
        yield running


@pytest.fixture
def visit(browser: Browser, stack: Stack) -> Visits:
    """Opens windows on the page of the shared set."""
    return partial(chromium.visit, browser, stack.url)


@pytest.fixture
async def visitor(visit: Visits) -> AsyncIterator[Visit]:
    """A window in which nothing may go wrong."""
    async with visit() as open_window:
        yield open_window


@pytest.fixture
def phone(visit: Visits) -> Callable[..., Any]:
    """Opens windows of a small phone's size."""
    return partial(visit, viewport=chromium.PHONE, has_touch=True, is_mobile=True)
