"""Who fights in the demo: names with a ring to them, and stats that make for a board worth looking at."""

import itertools
import random
from collections.abc import Iterator

from skirmish.player.v1 import player_pb2

FIRST = (
    "Aldis", "Brannoc", "Corvane", "Dagrun", "Elowen", "Fenwick", "Gerda", "Hadrian", "Isaura", "Jorund",
    "Kestrel", "Leofric", "Morwen", "Nadir", "Orsolya", "Perrin", "Quillon", "Rosalind", "Sigrun", "Torvald",
    "Ursa", "Valdis", "Wulfric", "Xanthe", "Yrsa", "Zephyrine", "Ambrose", "Beatrix", "Cadfael", "Drusilla",
    "Einar", "Freydis", "Gawen", "Hesper", "Ingvar", "Juniper", "Kunigund", "Lorcan", "Mirabel", "Nestor",
)  # fmt: skip
BYNAMES = (
    "Ashmantle", "Blackthorn", "Coldwater", "Dawnward", "Emberfall", "Foxglove", "Grimhold", "Hartwood", "Ironvow",
    "Kingsbane", "Longshade", "Moonreaver", "Nightjar", "Oakenfist", "Palehorn", "Ravenscar", "Stormcrow",
    "Thornhart", "Underhill", "Wintermere", "Wolfsong",
)  # fmt: skip


def combatants() -> Iterator[player_pb2.CreatePlayerRequest]:
    """Yields players to create, always the same ones in the same order; no two share a name.

    The request ids follow from the names, so that creating them again answers those there are.
    """
    for turn, (index, first) in itertools.product(range(len(BYNAMES)), enumerate(FIRST)):
        name = f"{first} {BYNAMES[(index * 5 + turn) % len(BYNAMES)]}"
        dice = random.Random(name)  # noqa: S311
        yield player_pb2.CreatePlayerRequest(
            request_id=f"demo-{name.lower().replace(' ', '-')}",
            name=name,
            description=dice.choice(("Fights for glory.", "Fights for gold.", "Fights because it is Tuesday.")),
            gold=dice.randrange(2_000, 40_000, 500),
            silver=dice.randrange(5_000, 90_000, 500),
            attack=dice.randint(50, 110),
            hit_points=dice.randint(80, 160),
            luck=dice.randint(0, 35),
        )
