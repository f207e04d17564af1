"""What goes wrong, and how often: every decision of fate comes from the seed."""

import enum
import itertools
import random
from collections.abc import Callable, Mapping


class Fault(enum.Enum):
    """What may happen to one exchange with another process, seen from the one that begins it."""

    CRASH_BEFORE = "dies before"
    CRASH_AFTER = "dies after"
    PAUSE_BEFORE = "stands still before"
    PAUSE_AFTER = "stands still after"
    REFUSED = "never arrives"
    LOST = "arrives, but its answer is lost"
    LATE = "is given up, and then arrives"
    TWICE = "arrives twice"
    SLOW = "takes long"


class Fate:
    """Decides what goes wrong, and how long everything takes.

    Args:
        randomness: Where decisions come from.
        odds: How likely each fault is at each exchange.
        disasters: What happens at which exchange.
        crash_at: At which step a process dies. Each exchange has two: before it, and after it. 0 for none.

    Attributes:
        exchanges: How many exchanges there were.
    """

    def __init__(
        self,
        randomness: random.Random,
        odds: Mapping[Fault, float],
        disasters: Mapping[int, Callable[[], object]],
        crash_at: int = 0,
    ) -> None:
        self._random = randomness.random
        self.uniform = randomness.uniform
        self.choice = randomness.choice
        self._kinds = list(odds)
        self._sums = list(itertools.accumulate(odds.values()))
        self._total = self._sums[-1] if odds else 0.0
        self._disasters = dict(disasters)
        self._crash_at = crash_at
        self.exchanges = 0

    def draw(self) -> Fault | None:
        """Returns what goes wrong with the next exchange."""
        self.exchanges += 1
        if self.exchanges in self._disasters:
            self._disasters[self.exchanges]()
        if self._crash_at and (self._crash_at + 1) // 2 == self.exchanges:
            return Fault.CRASH_BEFORE if self._crash_at % 2 else Fault.CRASH_AFTER
        chance = self._random()
        if chance >= self._total:
            return None
        return next(kind for kind, end in zip(self._kinds, self._sums, strict=True) if chance < end)

    def after(self, exchanges: int, disaster: Callable[[], object]) -> None:
        """Has a disaster happen some exchanges later, unless nothing goes wrong any more then."""
        self._disasters[self.exchanges + exchanges] = disaster

    def relent(self) -> None:
        """Lets nothing go wrong from now on."""
        self._total = 0.0
        self._disasters.clear()

    def happens(self, chance: float) -> bool:
        """Tosses a coin."""
        return self._random() < chance

    def delay(self) -> float:
        """Returns how many seconds one way of an exchange takes: most of them none, and none more than 10 ms."""
        chance = self._random() - 0.7
        return 0.37 * chance * chance * chance if chance > 0 else 0.0

    def pause(self) -> float:
        """Returns for how many seconds a process stands still: from a moment to longer than anybody waits for it."""
        return 12 * self._random() ** 3
