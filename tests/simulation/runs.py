"""Runs seeds, many or one, as they are or with a mutant."""

import gc
import hashlib
import multiprocessing
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from tests.simulation import plan
from tests.simulation.mutants import MUTANTS
from tests.simulation.referee import Violation
from tests.simulation.world import World

COLLECT_AFTER = 100
"""Runs after which garbage is collected: a world leaves half a megabyte of it."""
PART = 200
"""How many runs one process does."""


@dataclass(frozen=True)
class Run:
    """What to run: a seed; the name of a mutant or ""; the step at which a process of a calm world dies, or 0, and the
    disaster that happens there, or "".
    """

    seed: int
    mutant: str = ""
    crash_at: int = 0
    disaster: str = ""

    @property
    def command(self) -> str:
        """What to type to see it again."""
        words = ["PYTHONPATH=. .venv/bin/python -m tests.simulation --seed", str(self.seed)]
        words += ["--mutant", self.mutant] * bool(self.mutant)
        words += ["--crash-at", str(self.crash_at)] * bool(self.crash_at)
        words += ["--disaster", self.disaster] * bool(self.disaster)
        return " ".join(words)

    def world(self, traced: bool = False) -> World:
        """Returns what becomes of the world, with all that happened in it on demand."""
        made = plan.make(self.seed)
        world = World(made.calmed() if self.crash_at else made, self.crash_at, self.disaster, traced)
        with MUTANTS[self.mutant]() if self.mutant else nullcontext():
            world.run()
        return world

    def outcome(self) -> "Outcome":
        """Runs it."""
        began = time.process_time()
        world = self.world()
        battles, took = len(world.battle_tables.battles), time.process_time() - began
        return Outcome(self, world.referee.found, world.fate.exchanges, battles, world.loop.now, took)


@dataclass(frozen=True)
class Outcome:
    """What came of a run: broken promises, exchanges between processes, battles, virtual seconds, and real ones of a
    processor.
    """

    run: Run
    violations: list[Violation]
    exchanges: int
    battles: int
    seconds: float
    took: float

    def __str__(self) -> str:
        if not self.violations:
            return f"seed {self.run.seed} is all right"
        first = self.violations[0]
        return (
            f"seed {self.run.seed}, after {first.time:.3f} s: {first.what}\n{first.details}see it: {self.run.command}"
        )


def outcomes(runs: Iterable[Run]) -> Iterator[Outcome]:
    """Runs them, one after the other."""
    with _rarely_collecting():
        for number, run in enumerate(runs, 1):
            yield run.outcome()
            if number % COLLECT_AFTER == 0:
                gc.collect()


def in_parallel(runs: Sequence[Run], jobs: int) -> Iterator[Outcome]:
    """Runs them, some at a time, and yields what came of them in their order.

    Each part has a process of its own, a fork of one that has imported everything: when it ends, so does its garbage.
    """
    parts = [runs[start : start + PART] for start in range(0, len(runs), PART)]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with context.Pool(jobs, maxtasksperchild=1) as pool:
        for outcomes_of_part in pool.imap(_all_outcomes, parts):
            yield from outcomes_of_part


def _all_outcomes(runs: Sequence[Run]) -> list[Outcome]:
    gc.disable()
    return [run.outcome() for run in runs]


@contextmanager
def _rarely_collecting() -> Iterator[None]:
    """Keeps Python from looking for garbage all the time: a world is full of cycles, and short-lived."""
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def digest(world: World) -> str:
    """Returns a hash of all that happened in a world that was traced."""
    told = "\n".join(
        f"{time!r} {who} {what} {type(outcome).__name__}" for time, who, what, outcome in world.trace or ()
    )
    return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
