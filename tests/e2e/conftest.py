"""Whole sets of processes for the tests that need one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running set that all tests share. Leave it as healthy as it was."""
    with Stack(tmp_path_factory.mktemp("stack")).running() as running:
        yield running


@pytest.fixture
def new_stack(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Starts sets that belong to one test alone; takes the arguments of ``Stack`` after the folder."""
    with ExitStack() as stacks:

        def start(workers: int = 1, **settings: str) -> Stack:
            return stacks.enter_context(Stack(tmp_path, workers, **settings).running())

        yield start
