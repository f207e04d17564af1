"""The rules of a battle: a pure function of a seed and two combatants, in integers only. See docs/rules.md."""

import enum
from typing import NamedTuple

RULES_VERSION = 1
"""The rules that new battles are fought by."""
KNOWN_VERSIONS: frozenset[int] = frozenset({RULES_VERSION})
"""The rules that this code can fight by."""

MAX_TURNS = 1000
MIN_SHARE = 1000
MAX_SHARE = 2000

_64_BITS = (1 << 64) - 1


class Outcome(enum.IntEnum):
    """Who won; numbered as Battle.Outcome of the contract."""

    CHALLENGER_WON = 1
    OPPONENT_WON = 2
    DRAW = 3


class Combatant(NamedTuple):
    """A player as it was at submission: attack and hit points 1 to 10,000, luck 0 to 90 percent."""

    player_id: str
    attack: int
    hit_points: int
    luck: int


class Turn(NamedTuple):
    """One attack: who made it, with what value, whether it hit, and the hit points the defender lost and has left."""

    by_challenger: bool
    attack: int
    hit: bool
    damage: int
    defender_hit_points: int


class Fight(NamedTuple):
    """A whole battle, with the share of the loser's resources that the winner takes: 1,000 to 2,000, 0 for a draw."""

    outcome: Outcome
    turns: list[Turn]
    share_basis_points: int


def fight(seed: int, challenger: Combatant, opponent: Combatant, rules_version: int = RULES_VERSION) -> Fight:
    """Fights a battle. The same arguments always give the same fight.

    Args:
        seed: 64 bits, unsigned.
        rules_version: One of KNOWN_VERSIONS.

    Raises:
        ValueError: The rules version is unknown, or the seed is not of 64 bits.
    """
    if rules_version not in KNOWN_VERSIONS:
        raise ValueError(f"rules version {rules_version} is unknown")
    if seed != seed & _64_BITS:
        raise ValueError(f"seed {seed} is not an unsigned number of 64 bits")

    combatants = (challenger, opponent)
    left = [challenger.hit_points, opponent.hit_points]
    attacks = [challenger.attack, opponent.attack]
    turns: list[Turn] = []
    attacker, defender = 0, 1
    for number in range(1, MAX_TURNS + 1):
        target = combatants[defender]
        attack = attacks[attacker]
        before = left[defender]
        hit = _draw(seed, number) % 100 >= target.luck
        damage = min(attack, before) if hit else 0
        after = before - damage
        turns.append(Turn(attacker == 0, attack, hit, damage, after))
        if hit:
            if not after:
                outcome = Outcome.CHALLENGER_WON if attacker == 0 else Outcome.OPPONENT_WON
                return Fight(outcome, turns, MIN_SHARE + _draw(seed, number + 1) % (MAX_SHARE - MIN_SHARE + 1))
            left[defender] = after
            attacks[defender] = _weakened(target.attack, target.hit_points, after)
        attacker, defender = defender, attacker
    return Fight(Outcome.DRAW, turns, 0)


def _weakened(attack: int, hit_points: int, left: int) -> int:
    """Returns the attack value of a wounded combatant: never below half of the full one, rounded up."""
    # The rule's A - ceil(A * L / H), written with the hit points left instead of those lost.
    return max((attack + 1) // 2, attack * left // hit_points)


def _draw(seed: int, number: int) -> int:
    """Returns the output of SplitMix64 that is the given number from the first, which is 1: 64 bits."""
    z = (seed + number * 0x9E3779B97F4A7C15) & _64_BITS
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & _64_BITS
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & _64_BITS
    return z ^ (z >> 31)
