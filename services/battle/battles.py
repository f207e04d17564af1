"""What a battle is, from its submission to its end. No gRPC, no SQL, no Redis."""

import enum
from typing import NamedTuple

from services.battle.rules import Combatant, Outcome


class State(enum.IntEnum):
    """How far a battle is; numbered as in the contract."""

    QUEUED = 1
    SETTLED = 2
    VOIDED = 3


class Submission(NamedTuple):
    """A wish for a battle. The request id is empty where the caller gave none."""

    request_id: str
    challenger_id: str
    opponent_id: str


class Battle(NamedTuple):
    """A battle in its place.

    ``sequence`` is its place among all battles, the two numbers its places among each player's. Both combatants are as
    they were at submission. The seed is unsigned, times are microseconds since the epoch.
    """

    sequence: int
    battle_id: str
    challenger: Combatant
    challenger_number: int
    opponent: Combatant
    opponent_number: int
    seed: int
    rules_version: int
    submit_time: int
    state: State = State.QUEUED
    outcome: Outcome | None = None
    gold_stolen: int = 0
    silver_stolen: int = 0
    void_reason: str = ""
    settle_time: int | None = None

    @property
    def winner_id(self) -> str:
        """The winner; empty where nobody won."""
        if self.outcome is Outcome.CHALLENGER_WON:
            return self.challenger.player_id
        return self.opponent.player_id if self.outcome is Outcome.OPPONENT_WON else ""
