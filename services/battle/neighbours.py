"""The player and the leaderboard service, as battles see them."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

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
Status = settlement_pb2.SettleResult.Status


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a battle took effect; no outcome where it was voided."""

    settle_sequence: int
    outcome: Outcome | None
    winner_id: str
    gold_stolen: int
    silver_stolen: int
    void_reason: str
    settle_time: int


@dataclass(frozen=True, slots=True)
class Blocked:
    """A battle has to wait for a player's battle of this number."""

    player_id: str
    number: int


@dataclass(frozen=True, slots=True)
class Conflict:
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
            request = settlement_pb2.SettleBattlesRequest(battles=[_to_fought(battle, how) for battle, how in part])
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
        scores = [
            leaderboard_pb2.Score(
                settle_sequence=settlement.settle_sequence,
                change=leaderboard_pb2.Score.WON if settlement.winner_id else leaderboard_pb2.Score.CHANGE_UNSPECIFIED,
                player_id=settlement.winner_id,
                amount=settlement.gold_stolen + settlement.silver_stolen,
                settle_time=clock.to_timestamp(settlement.settle_time),
            )
            for settlement in settlements
        ]
        try:
            await self._boards.RecordScores(leaderboard_pb2.RecordScoresRequest(scores=scores), timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            raise channels.to_error(error, "leaderboard") from error


def _to_fought(battle: Battle, how: Fight | str) -> settlement_pb2.FoughtBattle:
    fought = settlement_pb2.FoughtBattle(
        battle_id=battle.battle_id,
        sequence=battle.sequence,
        challenger_id=battle.challenger.player_id,
        challenger_number=battle.challenger_number,
        opponent_id=battle.opponent.player_id,
        opponent_number=battle.opponent_number,
        effect=settlement_pb2.EFFECT_VOIDED,
    )
    if isinstance(how, str):
        fought.void_reason = how
    else:
        fought.effect = _EFFECTS[how.outcome]
        fought.share_basis_points = how.share_basis_points
    return fought


def _from_result(result: settlement_pb2.SettleResult) -> Settlement | Blocked | Conflict:
    if result.status == Status.BLOCKED:
        return Blocked(result.missing_player_id, result.missing_number)
    if result.status not in (Status.APPLIED, Status.ALREADY_APPLIED):
        return Conflict(result.conflict)
    settlement = result.settlement
    return Settlement(
        settle_sequence=settlement.settle_sequence,
        outcome=_OUTCOMES.get(settlement.effect),
        winner_id=settlement.winner_id,
        gold_stolen=settlement.gold_stolen,
        silver_stolen=settlement.silver_stolen,
        void_reason=settlement.void_reason,
        settle_time=clock.from_timestamp(settlement.settle_time),
    )
