"""Gives submissions their places: one global sequence and one for each player, all without gaps.

Pure, so that the caller decides about the transaction, the clock, the ids and the seeds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from services.battle.battles import Battle, Submission
from services.battle.rules import RULES_VERSION, Combatant
from services.common.errors import InvalidArgument, NotFound, SkirmishError, Violation

Key = tuple[str, str]
"""A challenger and its request id: what makes a submission unique."""


@dataclass
class Places:
    """The last places taken. ``take`` moves them on; they are stored with the battles that took them."""

    last_sequence: int
    last_numbers: dict[str, int]

    def take(self, challenger_id: str, opponent_id: str) -> tuple[int, int, int]:
        """Returns the next sequence, the challenger's next number and the opponent's."""
        self.last_sequence += 1
        for player_id in (challenger_id, opponent_id):
            self.last_numbers[player_id] = self.last_numbers.get(player_id, 0) + 1
        return self.last_sequence, self.last_numbers[challenger_id], self.last_numbers[opponent_id]


def place(
    submissions: Sequence[Submission],
    combatants: Mapping[str, Combatant],
    known: Mapping[Key, Battle],
    places: Places,
    now: int,
    new_id: Callable[[], str],
    new_seed: Callable[[], int],
) -> tuple[list[Battle | SkirmishError], list[Battle]]:
    """Places submissions in the order in which they come.

    A refused submission takes no number, and neither does one that was made before: that one gets the battle it got.

    Args:
        submissions: What is wished for.
        combatants: The players that exist, as they are now.
        known: Battles of earlier submissions, by challenger and request id.
        places: The last places taken; moved on.
        now: The submit time.
        new_id: Makes a battle id.
        new_seed: Makes a seed of 64 bits.

    Returns:
        A result for each submission, and the battles that are new.
    """
    by_key = dict(known)
    results: list[Battle | SkirmishError] = []
    new: list[Battle] = []
    for submission in submissions:
        key = (submission.challenger_id, submission.request_id)
        stored = by_key.get(key) if submission.request_id else None
        if stored is not None:
            results.append(_repeated(submission, stored))
            continue
        challenger, opponent = combatants.get(submission.challenger_id), combatants.get(submission.opponent_id)
        if challenger is None or opponent is None:
            missing = [i for i in (submission.challenger_id, submission.opponent_id) if i not in combatants]
            results.append(NotFound("player", *missing))
            continue
        sequence, challenger_number, opponent_number = places.take(submission.challenger_id, submission.opponent_id)
        battle = Battle(
            sequence,
            new_id(),
            challenger,
            challenger_number,
            opponent,
            opponent_number,
            new_seed(),
            RULES_VERSION,
            now,
        )
        by_key[key] = battle
        new.append(battle)
        results.append(battle)
    return results, new


def _repeated(submission: Submission, stored: Battle) -> Battle | SkirmishError:
    if stored.opponent.player_id == submission.opponent_id:
        return stored
    wrong = "was used for a battle against another opponent; every battle needs a request_id of its own"
    return InvalidArgument([Violation("request_id", wrong)], reason="REQUEST_ID_REUSED")
