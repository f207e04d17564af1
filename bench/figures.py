"""Figures: what was measured, how often, how far apart the results were, and what they were to be."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Target:
    """What a figure should be: at least ``value``, or at most."""

    value: float
    at_most: bool = False

    def is_met(self, value: float) -> bool:
        """Tells whether a value is good enough."""
        return value <= self.value if self.at_most else value >= self.value


@dataclass(frozen=True)
class Figure:
    """One thing that was measured, several times.

    Args:
        group: The measurement it belongs to.
        name: What it is.
        unit: What it is counted in; empty for a ratio.
        samples: One value a round, in the order of the rounds.
        target: What the median should be.
    """

    group: str
    name: str
    unit: str
    samples: Sequence[float]
    target: Target | None = None

    @property
    def median(self) -> float:
        """The middle one of the samples."""
        return statistics.median(self.samples)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        return self.target.is_met(self.median) if self.target else None

    def to_json(self) -> dict[str, Any]:
        """Returns the figure as JSON has it."""
        target = self.target and {"at_most" if self.target.at_most else "at_least": self.target.value}
        return {
            "group": self.group,
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.samples),
            "max": max(self.samples),
            "samples": list(self.samples),
            "target": target,
            "met": self.met,
        }


def at_least(value: float) -> Target:
    """Returns the target to be no lower than a value."""
    return Target(value)


def at_most(value: float) -> Target:
    """Returns the target to be no higher than a value."""
    return Target(value, at_most=True)


@dataclass
class Samples:
    """Values of many things, one a round. Ratios are taken within a round, since a noisy minute is noisy for both."""

    of: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        """Adds the value of one round."""
        self.of.setdefault(name, []).append(value)

    def ratios(self, name: str, to: str) -> list[float]:
        """Returns, for each round, one value divided by another."""
        return [value / base for value, base in zip(self.of[name], self.of[to], strict=True)]


def percentile(values: Iterable[float], percent: float) -> float:
    """Returns the value that so many percent of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
