"""The fence: which battles take effect now, what they change, and what became of the others.

Pure: it works on accounts in memory. Whoever calls it holds those accounts under lock, and writes down all that it
says has changed, or nothing of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto
from typing import Literal, NamedTuple

from services.player.loot import stolen

PLAYER_DELETED = "player deleted"
"""Why a battle of a deleted player is void."""


class Effect(IntEnum):
    """What stands at a place of the settle sequence. The numbers are those of the contract, and are stored."""

    CHALLENGER_WON = 1
    OPPONENT_WON = 2
    DRAW = 3
    VOIDED = 4
    PLAYER_DELETED = 5


class FoughtBattle(NamedTuple):
    """A battle that was fought and waits to take effect."""

    battle_id: str
    sequence: int
    challenger_id: str
    challenger_number: int
    opponent_id: str
    opponent_number: int
    effect: int
    share: int  # basis points, where somebody won
    void_reason: str


@dataclass(slots=True)
class Account:
    """What settlement needs to know of a player. ``applied_number`` is how many battles have taken effect."""

    player_id: str
    applied_number: int
    gold: int
    silver: int
    resources_stolen: int
    deleted: bool


class Change(NamedTuple):
    """What stands at one place of the settle sequence, before it has the place."""

    battle_id: str | None
    effect: int
    player_id: str | None  # the winner, or the player that was deleted
    gold: int
    silver: int
    void_reason: str


class Settlement(NamedTuple):
    """A change with its place in the settle sequence, and its time in microseconds since the epoch."""

    settle_sequence: int
    change: Change
    settle_time: int


class Entry(NamedTuple):
    """What a battle did to one player, for the ledger."""

    player_id: str
    battle_number: int
    battle_id: str
    gold_change: int
    silver_change: int
    gold_balance: int
    silver_balance: int


class Applied(NamedTuple):
    """The battle took effect now."""

    settlement: Settlement


class AlreadyApplied(NamedTuple):
    """The battle took effect before."""

    settlement: Settlement


class Waiting(NamedTuple):
    """The battle's turn has not come: the battle of this player and number has to take effect first."""

    player_id: str
    number: int


class Conflict(NamedTuple):
    """The battle can't be as it is told, and will never take effect."""

    problem: str


class Turn(Enum):
    """Whose turn it is, seen from a battle."""

    NEXT = auto()  # this battle's
    USED = auto()  # that of a later one: both its numbers are used


Result = Applied | AlreadyApplied | Waiting | Conflict
"""What became of a battle."""

Decision = Change | Literal[Turn.USED] | Waiting | Conflict
"""What is to become of a battle. Where its numbers are used, ``recall`` tells whether by itself."""


@dataclass(slots=True)
class Round:
    """What a set of battles does to a set of accounts.

    Attributes:
        decisions: One for each battle, in the order given.
        changes: What takes effect, in order.
        entries: Two for each change: the challenger's, then the opponent's.
    """

    decisions: list[Decision]
    changes: list[Change] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


def decide(accounts: Mapping[str, Account], battles: Sequence[FoughtBattle]) -> Round:
    """Lets battles take effect on accounts, in the order of their sequence, each only when it is both players' next.

    A battle that takes effect uses up its numbers at once, so a battle of the same set that comes after it finds that
    its turn has come.

    Args:
        accounts: Those of the battles' players, by player, as far as there are such players. Changed in place.
        battles: The battles, in any order.
    """
    decisions: dict[int, Decision] = {}
    result = Round([])
    for index in sorted(range(len(battles)), key=lambda index: battles[index].sequence):
        battle = battles[index]
        challenger, opponent = accounts.get(battle.challenger_id), accounts.get(battle.opponent_id)
        if challenger is None or opponent is None:
            unknown = battle.opponent_id if challenger else battle.challenger_id
            decisions[index] = Conflict(f"there never was a player {unknown}")
            continue
        turn = fence(challenger, opponent, battle)
        decisions[index] = _take_effect(challenger, opponent, battle, result) if turn is Turn.NEXT else turn
    result.decisions = [decisions[index] for index in range(len(battles))]
    return result


def fence(
    challenger: Account, opponent: Account, battle: FoughtBattle
) -> Literal[Turn.NEXT, Turn.USED] | Waiting | Conflict:
    """Tells whether a battle may take effect: only as the next one of both its players."""
    ahead = battle.challenger_number - challenger.applied_number, battle.opponent_number - opponent.applied_number
    if ahead == (1, 1):
        return Turn.NEXT
    if max(ahead) < 1:
        return Turn.USED
    if min(ahead) < 1:  # a battle uses both its numbers at once, so it was another one that used this
        used_up, number = (challenger, battle.challenger_number) if ahead[0] < 1 else (opponent, battle.opponent_number)
        return Conflict(f"another battle had number {number} of player {used_up.player_id}")
    behind = challenger if ahead[0] > 1 else opponent
    return Waiting(behind.player_id, behind.applied_number + 1)


def recall(
    battle: FoughtBattle, ledger: Mapping[tuple[str, int], str], settlements: Mapping[str, Settlement]
) -> AlreadyApplied | Conflict:
    """Tells what became of a battle whose numbers are used.

    Args:
        battle: The battle.
        ledger: Which battle stands at a number of a player, as far as the battle itself stands there.
        settlements: The settlement of the battle, where there is one.
    """
    for player_id, number in (
        (battle.challenger_id, battle.challenger_number),
        (battle.opponent_id, battle.opponent_number),
    ):
        if ledger.get((player_id, number)) != battle.battle_id:
            return Conflict(f"another battle had number {number} of player {player_id}")
    return AlreadyApplied(settlements[battle.battle_id])


def _take_effect(challenger: Account, opponent: Account, battle: FoughtBattle, result: Round) -> Change:
    effect, winner, reason = battle.effect, None, battle.void_reason
    if challenger.deleted or opponent.deleted:
        effect, reason = Effect.VOIDED, reason or PLAYER_DELETED
    elif effect == Effect.CHALLENGER_WON:
        winner, loser = challenger, opponent
    elif effect == Effect.OPPONENT_WON:
        winner, loser = opponent, challenger
    gold = silver = 0
    if winner:
        gold = stolen(loser.gold, winner.gold, battle.share)
        silver = stolen(loser.silver, winner.silver, battle.share)
        loser.gold -= gold
        loser.silver -= silver
        winner.gold += gold
        winner.silver += silver
        winner.resources_stolen += gold + silver
    for account in (challenger, opponent):
        account.applied_number += 1
        sign = (account is winner) - (winner is not None and account is not winner)
        result.entries.append(
            Entry(
                account.player_id,
                account.applied_number,
                battle.battle_id,
                sign * gold,
                sign * silver,
                account.gold,
                account.silver,
            )
        )
    change = Change(battle.battle_id, effect, winner.player_id if winner else None, gold, silver, reason)
    result.changes.append(change)
    return change
