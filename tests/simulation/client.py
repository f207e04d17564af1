"""Game servers: they submit, delete and grant, and try again until they are answered, or give up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc

from skirmish.battle.v1 import battle_pb2, battle_pb2_grpc
from skirmish.player.v1 import player_pb2, player_pb2_grpc
from tests.simulation.plan import Delete, Grant, Submit
from tests.simulation.process import Process
from tests.simulation.wire import Code

TIMEOUT = 5.0
_AGAIN = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED)


@dataclass(frozen=True)
class Acknowledged:
    """A battle that was answered: what was asked for, what it became, when it was first asked for, and when answered.

    Without a request id ``asked`` is the time of that call.
    """

    wish: tuple[str, str, str]
    battle_id: str
    sequence: int
    asked: float
    answered: float


@dataclass(frozen=True)
class Refused:
    """A submission that was refused, with its code."""

    wish: tuple[str, str, str]
    code: int


class Client:
    """A game server.

    Attributes:
        acknowledged: The battles that were answered.
        refused: The submissions that were refused.
        asked: When each submission was first asked for.
        deleted: The players whose deletion was answered.
        watched: The battles that were seen to end.
        granted: The request ids of grants that were answered.
    """

    def __init__(self, process: Process, battles: Any, players: Any) -> None:
        self._process = process
        self._battles: Any = battle_pb2_grpc.BattleServiceStub(battles)
        self._players: Any = player_pb2_grpc.PlayerServiceStub(players)
        self.acknowledged: list[Acknowledged] = []
        self.refused: list[Refused] = []
        self.asked: dict[tuple[str, str, str], float] = {}
        self.deleted: set[str] = set()
        self.granted: set[str] = set()
        self.watched: list[battle_pb2.Battle] = []

    async def act(self, action: Submit | Delete | Grant) -> None:
        """Does something, to its end."""
        match action:
            case Submit():
                await asyncio.gather(*(self._submit(action) for _ in range(action.copies)))
            case Delete(player_id):
                request = player_pb2.DeletePlayerRequest(player_id=player_id)
                await self._insist(lambda: self._players.DeletePlayer(request, timeout=TIMEOUT), 0)
                self.deleted.add(player_id)
            case Grant(request_id, player_id, gold, silver):
                await self._grant(
                    request_id,
                    player_pb2.GrantResourcesRequest(
                        request_id=request_id, player_id=player_id, gold=gold, silver=silver, reason=request_id
                    ),
                )

    async def _grant(self, request_id: str, request: player_pb2.GrantResourcesRequest) -> None:
        code, _ = await self._insist(lambda: self._players.GrantResources(request, timeout=TIMEOUT), 0.1)
        if code is Code.OK:
            self.granted.add(request_id)

    async def _submit(self, action: Submit) -> None:
        asked = self._process.loop.now
        for wish in action.battles:
            self.asked.setdefault(wish, asked)
        request = battle_pb2.SubmitBattlesRequest(
            requests=[
                battle_pb2.SubmitBattleRequest(request_id=r, challenger_id=c, opponent_id=o)
                for r, c, o in action.battles
            ]
        )
        _, answer = await self._insist(lambda: self._battles.SubmitBattles(request, timeout=TIMEOUT), 0.1)
        if answer is None:
            return
        for wish, result in zip(action.battles, answer.results, strict=True):
            if result.HasField("battle"):
                first = self.asked[wish] if wish[0] else asked
                battle = result.battle
                now = self._process.loop.now
                self.acknowledged.append(Acknowledged(wish, battle.battle_id, battle.sequence, first, now))
            else:
                self.refused.append(Refused(wish, result.error.code))
        if self._process.world.plan.watching and self.acknowledged:
            await self._watch(self.acknowledged[-1].battle_id)

    async def _watch(self, battle_id: str) -> None:
        """Watches a battle until it has ended, again and again where the connection breaks."""
        request = battle_pb2.WatchBattleRequest(battle_id=battle_id)
        while True:
            watched = self._battles.WatchBattle(request, timeout=TIMEOUT)
            try:
                while (seen := await watched.read()) is not grpc.aio.EOF:
                    if seen.state != battle_pb2.Battle.QUEUED:
                        self.watched.append(seen)
                        return
            except grpc.aio.AioRpcError:
                await self._process.loop.sleep(0.1)

    async def _insist(self, call: Callable[[], Awaitable[Any]], gives_up: float) -> tuple[grpc.StatusCode, Any]:
        """Calls until there is an answer, and returns it with its code. May give up after a failure."""
        while True:
            try:
                return Code.OK, await call()
            except grpc.aio.AioRpcError as error:
                if error.code() not in _AGAIN or self._process.fate.happens(gives_up):
                    return error.code(), None
            await self._process.loop.sleep(self._process.fate.uniform(0.01, 0.3))
