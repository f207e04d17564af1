"""A settle sequence with as many winners as wished, for boards of any size without the battles behind them.

Usage: python -m bench.source ADDRESS PLAYERS. Every player has one win, long ago, so that it stands on the board of all
time and on no other. Nothing is ever missing: what is asked for after any place is nothing.
"""

import asyncio
import random
import sys
import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc

from skirmish.player.v1 import settlement_pb2, settlement_pb2_grpc

PART = 5000
LONG_AGO = 14_000
"""A day in 2008, of which no board but that of all time is kept."""
MOST = 400_000


def player_id(number: int) -> str:
    """Returns the id of a player: UUIDs that differ everywhere, as real ones do."""
    return str(uuid.UUID(int=(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128))


class Source(settlement_pb2_grpc.SettlementServiceServicer):
    """As much of SettlementService as the board feed asks for."""

    def __init__(self, players: int) -> None:
        self._players = players

    async def SettleBattles(
        self, request: settlement_pb2.SettleBattlesRequest, context: Any
    ) -> settlement_pb2.SettleBattlesResponse:
        raise NotImplementedError("boards settle nothing")

    async def ListScoreChanges(
        self, request: settlement_pb2.ListScoreChangesRequest, context: Any
    ) -> settlement_pb2.ListScoreChangesResponse:
        return settlement_pb2.ListScoreChangesResponse(last_sequence=max(self._players, request.after_sequence))

    async def SnapshotScores(
        self, request: settlement_pb2.SnapshotScoresRequest, context: Any
    ) -> AsyncIterator[settlement_pb2.SnapshotScoresResponse]:
        chance = random.Random(self._players)
        for start in range(0, self._players, PART):
            scores = [
                settlement_pb2.DayScore(
                    player_id=player_id(number),
                    day=LONG_AGO,
                    amount=chance.randrange(1, MOST),
                    reached_sequence=number + 1,
                )
                for number in range(start, min(start + PART, self._players))
            ]
            yield settlement_pb2.SnapshotScoresResponse(last_sequence=self._players, scores=scores)


async def serve(address: str, players: int) -> None:
    """Serves until the process is ended."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    settlement_pb2_grpc.add_SettlementServiceServicer_to_server(Source(players), server)
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
