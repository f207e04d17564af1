"""Runs seeds, many or one, as they are or with a mutant."""

import gc
import hashlib
import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from tests.simulation import plan
from tests.simulation.mutants import MUTANTS
from tests.simulation.referee import Violation
from tests.simulation.world import World

COLLECT_AFTER = 10
CHUNK = 50


@dataclass(frozen=True)
class Run:
    """What to run: a seed, the name of a mutant or "", and the step at which a process of a calm world dies, or 0."""

    seed: int
    mutant: str = ""
    crash_at: int = 0

    @property
    def command(self) -> str:
        """What to type to see it again."""
        words = ["python -m tests.simulation --seed", str(self.seed)]
        words += ["--mutant", self.mutant] * bool(self.mutant)
        words += ["--crash-at", str(self.crash_at)] * bool(self.crash_at)
        return " ".join(words)

    def world(self, traced: bool = False) -> World:
        """Returns what becomes of the world, with all that happened in it on demand."""
        made = plan.make(self.seed)
        world = World(made.calmed() if self.crash_at else made, self.crash_at, traced)
        with MUTANTS[self.mutant]() if self.mutant else nullcontext():
            world.run()
        return world

    def outcome(self) -> "Outcome":
        """Runs it."""
        world = self.world()
        battles = len(world.battle_tables.battles)
        return Outcome(self, world.referee.found, world.fate.exchanges, battles, world.loop.now)


@dataclass(frozen=True)
class Outcome:
    """What came of a run: broken promises, exchanges between processes, battles, and virtual seconds."""

    run: Run
    violations: list[Violation]
    exchanges: int
    battles: int
    seconds: float

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
    """Runs them, some at a time, and yields what came of them in their order."""
    chunks = [runs[start : start + CHUNK] for start in range(0, len(runs), CHUNK)]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        for chunk in pool.map(_all_outcomes, chunks):
            yield from chunk


def _all_outcomes(runs: Sequence[Run]) -> list[Outcome]:
    return list(outcomes(runs))


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
