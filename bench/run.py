"""A run of measurements: its size, its folder, its progress bar and what it has found so far."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import Progress, TaskID

from bench.figures import Figure, Target
from bench.machine import Occupation


@dataclass
class Run:
    """What a measurement needs of the run that it is a part of.

    Args:
        folder: For all data; removed at the end.
        quick: Everything small: to see that it works, not to quote.
        rounds: How often each leg is run.
        progress: The bar.
    """

    folder: Path
    quick: bool
    rounds: int
    progress: Progress
    figures: list[Figure] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    """For each leg, which part of the machine other programs used."""
    roots: list[int] = field(default_factory=lambda: [os.getpid()])
    """Process ids of ours that are no descendants of this process."""
    group: str = ""
    _task: TaskID | None = None

    def size(self, full: int, quick: int) -> int:
        """Returns one of two numbers."""
        return quick if self.quick else full

    def size_of(self, full: tuple[int, ...], quick: tuple[int, ...]) -> tuple[int, ...]:
        """Returns one of two lists of numbers."""
        return quick if self.quick else full

    def new_folder(self, name: str) -> Path:
        """Makes a folder and returns its path."""
        folder = self.folder / f"{name}-{time.monotonic_ns()}"
        folder.mkdir()
        return folder

    def begin(self, group: str, legs: int) -> None:
        """Begins a measurement of so many legs."""
        self.group = group
        self._task = self.progress.add_task(group, total=legs, leg="")

    def say(self, what: str) -> None:
        """Shows what is being done."""
        assert self._task is not None
        self.progress.update(self._task, leg=what)

    def end(self) -> None:
        """Ends a measurement."""
        assert self._task is not None
        self.progress.update(self._task, leg="", total=1, completed=1)

    @contextmanager
    def leg(self, what: str) -> Iterator[None]:
        """Counts what is done in the context as a leg."""
        assert self._task is not None
        self.say(what)
        occupation = Occupation(self.roots)
        yield
        self.others.append(occupation.look())
        self.progress.advance(self._task)

    def add(self, name: str, unit: str, samples: list[float], target: Target | None = None) -> None:
        """Adds a figure."""
        self.figures.append(Figure(self.group, name, unit, samples, target))
