"""The player service as the board feed sees it: SettlementService over real gRPC, from a list kept in memory."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from skirmish.leaderboard.v1 import leaderboard_pb2
from skirmish.player.v1 import settlement_pb2, settlement_pb2_grpc

PART_SIZE = 4
"""How many scores a part of the snapshot holds: few, so that a player's days come in several parts."""


class SettlementSource(settlement_pb2_grpc.SettlementServiceServicer):
    """A settle sequence that a test writes.

    Attributes:
        changes: What happened, in order.
        listed: How often changes were asked for.
        snapshots: How many snapshots were asked for.
        broken: Snapshots break off before their last part.
        failing: What listing changes ends with; None while it works.
    """

    def __init__(self) -> None:
        self.changes: list[settlement_pb2.ScoreChange] = []
        self.listed = 0
        self.snapshots = 0
        self._free = asyncio.Event()
        self._free.set()
        self._held = asyncio.Event()
        self.broken = False
        self.failing: grpc.StatusCode | None = None

    def win(self, player_id: str, amount: int, at: datetime) -> leaderboard_pb2.Score:
        """Appends a win. Returns it as a worker pushes it."""
        return self._append(settlement_pb2.EFFECT_CHALLENGER_WON, at, player_id, amount)

    def draw(self, at: datetime) -> leaderboard_pb2.Score:
        """Appends a draw. Returns it as a worker pushes it."""
        return self._append(settlement_pb2.EFFECT_DRAW, at)

    def delete(self, player_id: str, at: datetime) -> leaderboard_pb2.Score:
        """Appends a player's deletion. Returns it as it may be pushed."""
        return self._append(settlement_pb2.EFFECT_PLAYER_DELETED, at, player_id)

    def _append(
        self, effect: settlement_pb2.Effect, at: datetime, player_id: str = "", amount: int = 0
    ) -> leaderboard_pb2.Score:
        settle_time = Timestamp()
        settle_time.FromDatetime(at)
        change = settlement_pb2.ScoreChange(
            settle_sequence=len(self.changes) + 1,
            effect=effect,
            player_id=player_id,
            amount=amount,
            settle_time=settle_time,
        )
        self.changes.append(change)
        return pushed(change)

    def hold(self) -> None:
        """Has snapshots wait before their last part."""
        self._free.clear()
        self._held.clear()

    async def held(self) -> None:
        """Waits until a snapshot waits."""
        await self._held.wait()

    def let_go(self) -> None:
        """Lets snapshots end."""
        self._free.set()

    async def SettleBattles(
        self, request: settlement_pb2.SettleBattlesRequest, context: Any
    ) -> settlement_pb2.SettleBattlesResponse:
        raise NotImplementedError("boards settle nothing")

    async def ListScoreChanges(
        self, request: settlement_pb2.ListScoreChangesRequest, context: Any
    ) -> settlement_pb2.ListScoreChangesResponse:
        self.listed += 1
        if self.failing:
            await context.abort(self.failing, "out of order")
        after, size = request.after_sequence, min(request.page_size or 1000, 5000)
        return settlement_pb2.ListScoreChangesResponse(
            changes=self.changes[after : after + size], last_sequence=len(self.changes)
        )

    async def SnapshotScores(
        self, request: settlement_pb2.SnapshotScoresRequest, context: Any
    ) -> AsyncIterator[settlement_pb2.SnapshotScoresResponse]:
        self.snapshots += 1
        changes = list(self.changes)
        deleted = [c.player_id for c in changes if c.effect == settlement_pb2.EFFECT_PLAYER_DELETED]
        scores: dict[tuple[str, int], settlement_pb2.DayScore] = defaultdict(settlement_pb2.DayScore)
        for change in changes:
            if change.amount and change.player_id not in deleted:
                day = change.settle_time.seconds // 86_400
                score = scores[change.player_id, day]
                score.player_id, score.day, score.reached_sequence = change.player_id, day, change.settle_sequence
                score.amount += change.amount
        ordered = [scores[key] for key in sorted(scores)]
        part = settlement_pb2.SnapshotScoresResponse
        parts = [part(deleted_player_ids=deleted)] if deleted else []
        parts += [part(scores=ordered[start : start + PART_SIZE]) for start in range(0, len(ordered), PART_SIZE)]
        parts = parts or [part()]
        for one in parts:
            if one is parts[-1]:
                self._held.set()
                await self._free.wait()
                if self.broken:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "broken off")
            one.last_sequence = len(changes)
            yield one

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[int]:
        """Serves the sequence, and gives the port."""
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        settlement_pb2_grpc.add_SettlementServiceServicer_to_server(self, server)
        port = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        try:
            yield port
        finally:
            await server.stop(None)


def pushed(change: settlement_pb2.ScoreChange) -> leaderboard_pb2.Score:
    """Returns a change as a battle worker pushes it."""
    kinds = {
        settlement_pb2.EFFECT_CHALLENGER_WON: leaderboard_pb2.Score.WON,
        settlement_pb2.EFFECT_OPPONENT_WON: leaderboard_pb2.Score.WON,
        settlement_pb2.EFFECT_PLAYER_DELETED: leaderboard_pb2.Score.DELETED,
    }
    return leaderboard_pb2.Score(
        settle_sequence=change.settle_sequence,
        change=kinds.get(change.effect, leaderboard_pb2.Score.CHANGE_UNSPECIFIED),
        player_id=change.player_id,
        amount=change.amount,
        settle_time=change.settle_time,
    )
