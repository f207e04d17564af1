"""SettlementService: protobuf in, the settler or the settle sequence, protobuf out."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import grpc

from services.common import clock
from services.common.database import Database
from services.common.validation import Violations, is_uuid
from services.player import settlement_store
from services.player.settlement import (
    AlreadyApplied,
    Applied,
    Conflict,
    Effect,
    FoughtBattle,
    Result,
    Settlement,
    Waiting,
)
from services.player.settler import Settler
from skirmish.player.v1 import settlement_pb2, settlement_pb2_grpc

MOST_BATTLES = 1000
"""How many battles one SettleBattles takes."""
MOST_CHANGES = 5000
"""How many changes one page of ListScoreChanges, or one part of SnapshotScores, holds at most."""
SHARES = range(1000, 2001)
"""The share of the loser's resources that a winner may take, in basis points."""

_WON = (Effect.CHALLENGER_WON, Effect.OPPONENT_WON)
_EFFECTS = (*_WON, Effect.DRAW, Effect.VOIDED)

SettleResult = settlement_pb2.SettleResult
Context = grpc.aio.ServicerContext[Any, Any]


class SettlementServicer(settlement_pb2_grpc.SettlementServiceServicer):
    """Answers SettlementService; the contract says what each method does.

    Args:
        database: The settlements.
        settler: Where battles of all calls meet.
    """

    def __init__(self, database: Database, settler: Settler) -> None:
        self._database = database
        self._settler = settler

    async def SettleBattles(
        self, request: settlement_pb2.SettleBattlesRequest, context: Context
    ) -> settlement_pb2.SettleBattlesResponse:
        battles = [
            FoughtBattle(
                b.battle_id,
                b.sequence,
                b.challenger_id,
                b.challenger_number,
                b.opponent_id,
                b.opponent_number,
                b.effect,
                b.share_basis_points,
                b.void_reason,
            )
            for b in request.battles
        ]
        with Violations() as wrong:
            count = len(battles)
            if wrong.check(0 < count <= MOST_BATTLES, "battles", f"must hold 1 to {MOST_BATTLES:,}, not {count:,}"):
                for index, battle in enumerate(battles):
                    if not _is_right(battle):
                        _explain(wrong, f"battles[{index}]", battle)
        results = await self._settler.settle(battles)
        answer = settlement_pb2.SettleBattlesResponse()
        for battle, result in zip(battles, results, strict=True):
            _fill(answer.results.add(), battle, result)
        return answer

    async def ListScoreChanges(
        self, request: settlement_pb2.ListScoreChangesRequest, context: Context
    ) -> settlement_pb2.ListScoreChangesResponse:
        with Violations() as wrong:
            wrong.check(request.after_sequence >= 0, "after_sequence", "must not be negative; 0 for the beginning")
            size = wrong.page_size(request.page_size, 1000, MOST_CHANGES)
        changes, last = await self._database.read(settlement_store.list_changes, request.after_sequence, size)
        return settlement_pb2.ListScoreChangesResponse(changes=map(_to_score_change, changes), last_sequence=last)

    async def SnapshotScores(
        self, request: settlement_pb2.SnapshotScoresRequest, context: Context
    ) -> AsyncIterator[settlement_pb2.SnapshotScoresResponse]:
        parts = self._database.stream(settlement_store.snapshot, MOST_CHANGES)
        async with contextlib.aclosing(parts):
            async for part in parts:
                yield settlement_pb2.SnapshotScoresResponse(
                    last_sequence=part.last_sequence,
                    deleted_player_ids=part.deleted_player_ids,
                    scores=[settlement_pb2.DayScore(**score._asdict()) for score in part.scores],
                )


def _is_right(battle: FoughtBattle) -> bool:
    """Tells whether nothing is wrong with a battle, as ``_explain`` would find; quicker, for thousands a second."""
    return (
        is_uuid(battle.battle_id)
        and is_uuid(battle.challenger_id)
        and is_uuid(battle.opponent_id)
        and battle.challenger_id != battle.opponent_id
        and battle.sequence > 0
        and battle.challenger_number > 0
        and battle.opponent_number > 0
        and (battle.share in SHARES if battle.effect in _WON else battle.effect in _EFFECTS)
        and "\0" not in battle.void_reason
    )


def _explain(wrong: Violations, field: str, battle: FoughtBattle) -> None:
    """Notes everything that is wrong with a battle."""
    for name in ("battle_id", "challenger_id", "opponent_id"):
        wrong.uuid(f"{field}.{name}", getattr(battle, name))
    wrong.check(battle.challenger_id != battle.opponent_id, f"{field}.opponent_id", "must not be the challenger")
    for name in ("sequence", "challenger_number", "opponent_number"):
        wrong.check(getattr(battle, name) > 0, f"{field}.{name}", "must be 1 or more")
    wrong.check(battle.effect in _EFFECTS, f"{field}.effect", "must be a win, a draw or VOIDED")
    if battle.effect in _WON:
        wrong.between(f"{field}.share_basis_points", battle.share, SHARES[0], SHARES[-1])
    wrong.check("\0" not in battle.void_reason, f"{field}.void_reason", "must not contain the character NUL")


def _fill(message: settlement_pb2.SettleResult, battle: FoughtBattle, result: Result) -> None:
    message.battle_id = battle.battle_id
    match result:
        case Applied(settlement):
            message.status = SettleResult.APPLIED
            _fill_settlement(message.settlement, settlement)
        case AlreadyApplied(settlement):
            message.status = SettleResult.ALREADY_APPLIED
            _fill_settlement(message.settlement, settlement)
        case Waiting(player_id, number):
            message.status = SettleResult.BLOCKED
            message.missing_player_id = player_id
            message.missing_number = number
        case Conflict(problem):
            message.status = SettleResult.CONFLICT
            message.conflict = problem


def _fill_settlement(message: settlement_pb2.Settlement, settlement: Settlement) -> None:
    _, effect, winner_id, gold, silver, void_reason = settlement.change
    message.settle_sequence = settlement.settle_sequence
    message.effect = cast("settlement_pb2.Effect", effect)
    if winner_id:
        message.winner_id = winner_id
    message.gold_stolen = gold
    message.silver_stolen = silver
    message.void_reason = void_reason
    clock.fill(message.settle_time, settlement.settle_time)


def _to_score_change(settlement: Settlement) -> settlement_pb2.ScoreChange:
    change = settlement.change
    message = settlement_pb2.ScoreChange(
        settle_sequence=settlement.settle_sequence,
        effect=cast("settlement_pb2.Effect", change.effect),
        player_id=change.player_id,
        amount=change.gold + change.silver,
    )
    clock.fill(message.settle_time, settlement.settle_time)
    return message
