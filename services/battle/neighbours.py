"""The player and the leaderboard service, as battles see them."""

import asyncio
from collections.abc import Collection, Sequence
from typing import NamedTuple

import grpc

from services.battle.battles import Battle
from services.battle.rules import Combatant, Fight, Outcome
from services.common import channels, clock
from skirmish.leaderboard.v1 import leaderboard_pb2, leaderboard_pb2_grpc
from skirmish.player.v1 import player_pb2, player_pb2_grpc, settlement_pb2, settlement_pb2_grpc

MOST_PLAYERS = 1000
"""How many players one BatchGetPlayers takes."""
MOST_BATTLES = 1000
"""How many battles one SettleBattles takes."""
TIMEOUT = 10.0
"""Seconds that a neighbour gets to answer. Settling waits for up to a quarter of a second by itself."""

_EFFECTS = {
    Outcome.CHALLENGER_WON: settlement_pb2.EFFECT_CHALLENGER_WON,
    Outcome.OPPONENT_WON: settlement_pb2.EFFECT_OPPONENT_WON,
    Outcome.DRAW: settlement_pb2.EFFECT_DRAW,
}
_OUTCOMES = {effect: outcome for outcome, effect in _EFFECTS.items()}
_BLOCKED = settlement_pb2.SettleResult.BLOCKED
_SETTLED = (settlement_pb2.SettleResult.APPLIED, settlement_pb2.SettleResult.ALREADY_APPLIED)


class Settlement(NamedTuple):
    """How a battle took effect; no outcome where it was voided."""

    settle_sequence: int
    outcome: Outcome | None
    winner_id: str
    gold_stolen: int
    silver_stolen: int
    void_reason: str
    settle_time: int


class Blocked(NamedTuple):
    """A battle has to wait for a player's battle of this number."""

    player_id: str
    number: int


class Conflict(NamedTuple):
    """A battle will never take effect as it is told. Nothing that works as it should gives this."""

    reason: str


class Players:
    """The player service.

    Raises, from every method, Unavailable when the service does not answer.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._players = player_pb2_grpc.PlayerServiceStub(channel)
        self._settlement = settlement_pb2_grpc.SettlementServiceStub(channel)

    async def combatants(self, player_ids: Collection[str]) -> dict[str, Combatant]:
        """Returns those of the players that exist, as they are now."""
        ids = list(player_ids)
        parts = (ids[start : start + MOST_PLAYERS] for start in range(0, len(ids), MOST_PLAYERS))
        found: dict[str, Combatant] = {}
        for part in await asyncio.gather(*map(self._combatants, parts)):
            found |= part
        return found

    async def _combatants(self, player_ids: list[str]) -> dict[str, Combatant]:
        request = player_pb2.BatchGetPlayersRequest(player_ids=player_ids, allow_missing=True)
        try:
            answer = await self._players.BatchGetPlayers(request, timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            raise channels.to_error(error, "player") from error
        return {p.player_id: Combatant(p.player_id, p.attack, p.hit_points, p.luck) for p in answer.players}

    async def settle(self, fought: Sequence[tuple[Battle, Fight | str]]) -> list[Settlement | Blocked | Conflict]:
        """Applies battles, each with its fight or with the reason why it can't be fought. A result each."""
        results: list[Settlement | Blocked | Conflict] = []
        for start in range(0, len(fought), MOST_BATTLES):
            part = fought[start : start + MOST_BATTLES]
            request = settlement_pb2.SettleBattlesRequest()
            for battle, how in part:
                _fill(request.battles.add(), battle, how)
            try:
                answer = await self._settlement.SettleBattles(request, timeout=TIMEOUT)
            except grpc.aio.AioRpcError as error:
                raise channels.to_error(error, "player") from error
            results += map(_from_result, answer.results)
        return results


class Boards:
    """The leaderboard service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._boards = leaderboard_pb2_grpc.LeaderboardServiceStub(channel)

    async def record(self, settlements: Collection[Settlement]) -> None:
        """Pushes settlements to the boards.

        Raises:
            Unavailable: They can't be reached, or are being filled. The board feed brings them what they missed.
        """
        request = leaderboard_pb2.RecordScoresRequest()
        for settlement in settlements:
            score = request.scores.add()
            score.settle_sequence = settlement.settle_sequence
            if settlement.winner_id:
                score.change = leaderboard_pb2.Score.WON
                score.player_id = settlement.winner_id
                score.amount = settlement.gold_stolen + settlement.silver_stolen
            clock.fill(score.settle_time, settlement.settle_time)
        try:
            await self._boards.RecordScores(request, timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            raise channels.to_error(error, "leaderboard") from error


def _fill(fought: settlement_pb2.FoughtBattle, battle: Battle, how: Fight | str) -> None:
    fought.battle_id = battle.battle_id
    fought.sequence = battle.sequence
    fought.challenger_id = battle.challenger.player_id
    fought.challenger_number = battle.challenger_number
    fought.opponent_id = battle.opponent.player_id
    fought.opponent_number = battle.opponent_number
    if isinstance(how, str):
        fought.effect = settlement_pb2.EFFECT_VOIDED
        fought.void_reason = how
    else:
        fought.effect = _EFFECTS[how.outcome]
        fought.share_basis_points = how.share_basis_points


def _from_result(result: settlement_pb2.SettleResult) -> Settlement | Blocked | Conflict:
    status = result.status
    if status == _BLOCKED:
        return Blocked(result.missing_player_id, result.missing_number)
    if status not in _SETTLED:
        return Conflict(result.conflict)
    settlement = result.settlement
    return Settlement(
        settlement.settle_sequence,
        _OUTCOMES.get(settlement.effect),
        settlement.winner_id,
        settlement.gold_stolen,
        settlement.silver_stolen,
        settlement.void_reason,
        clock.from_timestamp(settlement.settle_time),
    )
