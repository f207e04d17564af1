"""Who fights whom."""

import random
from collections.abc import Callable

HOT_PLAYERS = 10
HOT_SHARE = 0.3

Pair = tuple[str, str]
"""Challenger and opponent."""
Shape = Callable[[list[str], int, random.Random], list[Pair]]


def uniform(players: list[str], count: int, chance: random.Random) -> list[Pair]:
    """Everybody fights everybody alike."""
    return [_two(players, chance) for _ in range(count)]


def hot(players: list[str], count: int, chance: random.Random) -> list[Pair]:
    """In 30% of the battles one of ten hot players is attacked; the others are uniform."""
    few = players[:HOT_PLAYERS]
    rest = players[HOT_PLAYERS:]
    return [
        (chance.choice(rest), chance.choice(few)) if chance.random() < HOT_SHARE else _two(players, chance)
        for _ in range(count)
    ]


def one_victim(players: list[str], count: int, chance: random.Random) -> list[Pair]:
    """Everybody attacks the same one, so that every battle waits for the one before it."""
    return [(chance.choice(players[1:]), players[0]) for _ in range(count)]


def _two(players: list[str], chance: random.Random) -> Pair:
    challenger, opponent = chance.sample(players, 2)
    return challenger, opponent


SHAPES: dict[str, Shape] = {"uniform": uniform, "30% hot": hot, "one victim": one_victim}
