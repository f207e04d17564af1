"""Battles as the contract tells them."""

from services.battle.battles import Battle, State
from services.battle.rules import Outcome
from services.common import clock
from skirmish.battle.v1 import battle_pb2

STATES = {
    State.QUEUED: battle_pb2.Battle.QUEUED,
    State.SETTLED: battle_pb2.Battle.SETTLED,
    State.VOIDED: battle_pb2.Battle.VOIDED,
}
OUTCOMES = {
    None: battle_pb2.Battle.OUTCOME_UNSPECIFIED,
    Outcome.CHALLENGER_WON: battle_pb2.Battle.CHALLENGER_WON,
    Outcome.OPPONENT_WON: battle_pb2.Battle.OPPONENT_WON,
    Outcome.DRAW: battle_pb2.Battle.DRAW,
}


def to_message(battle: Battle) -> battle_pb2.Battle:
    """Returns the public message of a battle."""
    return battle_pb2.Battle(
        battle_id=battle.battle_id,
        sequence=battle.sequence,
        challenger_id=battle.challenger.player_id,
        opponent_id=battle.opponent.player_id,
        state=STATES[battle.state],
        outcome=OUTCOMES[battle.outcome],
        winner_id=battle.winner_id,
        gold_stolen=battle.gold_stolen,
        silver_stolen=battle.silver_stolen,
        void_reason=battle.void_reason,
        submit_time=clock.to_timestamp(battle.submit_time),
        settle_time=None if battle.settle_time is None else clock.to_timestamp(battle.settle_time),
        rules_version=battle.rules_version,
    )
