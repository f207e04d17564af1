"""What a player is: names, limits and what a new one starts with."""

import unicodedata
from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from services.common.validation import Violations

MOST_RESOURCES = 1_000_000_000
"""The most gold, and the most silver, that a player can own."""
NAME_LENGTH = 20
DESCRIPTION_LENGTH = 1000
REASON_LENGTH = 200

RANGES = {
    "gold": (0, MOST_RESOURCES),
    "silver": (0, MOST_RESOURCES),
    "attack": (1, 10_000),
    "hit_points": (1, 10_000),
    "luck": (0, 90),
}
"""The least and the most of every number that can be given."""
MUTABLE = ("description", "attack", "hit_points", "luck")
"""What UpdatePlayer may change."""

_RAW_NAME_LENGTH = 4 * NAME_LENGTH
"""No name that is short enough once normalized is longer before."""


class NewPlayer(NamedTuple):
    """A player to create."""

    name: str
    description: str
    gold: int
    silver: int
    attack: int
    hit_points: int
    luck: int


class Player(NamedTuple):
    """A player. Times are microseconds since the epoch."""

    player_id: str
    name: str
    description: str
    gold: int
    silver: int
    attack: int
    hit_points: int
    luck: int
    resources_stolen: int
    create_time: int
    update_time: int


class Kind(IntEnum):
    """What changed a balance. The numbers are those of the contract, and are stored."""

    OPENING = 1
    BATTLE = 2
    GRANT = 3


class LedgerEntry(NamedTuple):
    """A change of a player's balances."""

    battle_number: int
    adjustment_number: int
    kind: int
    battle_id: str | None
    reason: str | None
    gold_change: int
    silver_change: int
    gold_balance: int
    silver_balance: int
    create_time: int

    @property
    def place(self) -> tuple[int, int]:
        """The place in the player's ledger."""
        return self.battle_number, self.adjustment_number


def check_name(wrong: Violations, field: str, raw: str) -> str:
    """Wants a name, and returns it as it is stored: normalized to NFC, so that equal looks are equal names."""
    # Before normalizing, which takes quadratic time over a long run of accents.
    if not wrong.check(0 < len(raw) <= _RAW_NAME_LENGTH, field, f"must have 1 to {NAME_LENGTH} characters"):
        return raw
    name = unicodedata.normalize("NFC", raw)
    wrong.check(len(name) <= NAME_LENGTH, field, f"must have 1 to {NAME_LENGTH} characters, not {len(name)}")
    wrong.check(name == name.strip(), field, "must not begin or end with a space")
    _check_characters(wrong, field, name)
    return name


def check_name_prefix(wrong: Violations, field: str, raw: str) -> str:
    """Wants the beginning of a name, or nothing, and returns it normalized."""
    if not wrong.check(len(raw) <= _RAW_NAME_LENGTH, field, f"must have at most {NAME_LENGTH} characters"):
        return raw
    prefix = unicodedata.normalize("NFC", raw)
    wrong.check(len(prefix) <= NAME_LENGTH, field, f"must have at most {NAME_LENGTH} characters, not {len(prefix)}")
    _check_characters(wrong, field, prefix)
    return prefix


def check_text(wrong: Violations, field: str, text: str, limit: int) -> None:
    """Wants a text of limited length that both databases can hold: PostgreSQL has no NUL in texts."""
    wrong.check(len(text) <= limit, field, f"must have at most {limit:,} characters, not {len(text):,}")
    wrong.check("\0" not in text, field, "must not contain the character NUL")


def check_values(wrong: Violations, values: Mapping[str, int | str], prefix: str = "") -> None:
    """Wants fields of a player, the name apart, to be in their limits.

    Args:
        values: Fields by name.
        prefix: What stands before the names in the request, as "player.".
    """
    for name, value in values.items():
        if isinstance(value, str):
            check_text(wrong, prefix + name, value, DESCRIPTION_LENGTH)
        else:
            wrong.between(prefix + name, value, *RANGES[name])


def _check_characters(wrong: Violations, field: str, name: str) -> None:
    # The classes C*: controls, invisible formats (by which two names could look alike), surrogates, private use, and
    # code points that mean nothing yet, for which another version of Unicode may know another normal form.
    hidden = any(unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" for c in name)
    wrong.check(not hidden, field, "must not contain control, invisible or unassigned characters")
