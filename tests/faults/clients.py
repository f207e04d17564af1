"""Clients that do what game servers do, and note everything that they ask for and are told."""

import asyncio
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import field_mask_pb2
from grpc_status import rpc_status

from local.calls import retry_delay
from skirmish.battle.v1 import battle_pb2, battle_pb2_grpc
from skirmish.player.v1 import player_pb2, player_pb2_grpc
from tests.faults.arena import connect
from tests.faults.history import Writer

TIMEOUT = 3.0
"""Seconds that a call gets: shorter than some pauses, so that clients give up while the server goes on."""
SURELY_NOT_DONE = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)
KEPT = 50
"""How many acknowledged lists a client remembers, to send them again."""


@dataclass
class Roster:
    """What all clients know of each other's players."""

    run: str
    players: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    named: int = 0

    def new_name(self) -> str:
        """Returns a name that nobody has."""
        self.named += 1
        return f"{self.run}-{self.named}"


class Client:
    """One client, which does one thing after the other.

    Args:
        number: Its number, which makes its request ids its own.
        draw: What decides what it does.
        addresses: Where the player and the battle service are.
        pause: The most seconds between two operations.
    """

    def __init__(
        self,
        number: int,
        draw: random.Random,
        roster: Roster,
        history: Writer,
        addresses: tuple[str, str],
        pause: float = 0.4,
    ) -> None:
        self._number = number
        self._draw = draw
        self._roster = roster
        self._history = history
        self._pause = pause
        self._made = 0
        self._acknowledged: list[Sequence[battle_pb2.SubmitBattleRequest]] = []
        self._unknown: list[tuple[str, Any]] = []
        self._channels = [connect(address) for address in addresses]
        self._players = player_pb2_grpc.PlayerServiceStub(self._channels[0])
        self._battles = battle_pb2_grpc.BattleServiceStub(self._channels[1])

    async def close(self) -> None:
        """Hangs up."""
        for channel in self._channels:
            await channel.close()

    async def run(self, end: asyncio.Event) -> None:
        """Does one thing after the other until the end."""
        things = {
            self._submit_some: 60,
            self._submit_one: 15,
            self._submit_acknowledged_again: 4,
            self._use_a_request_id_again: 1,
            self._grant: 8,
            self._create: 2,
            self._update: 3,
            self._delete: 0.4,
            self._ask_for_nonsense: 2,
        }
        while not end.is_set():
            if self._unknown and self._draw.random() < 0.5:
                await self._try_again(self._unknown.pop(0))
            else:
                await self._draw.choices(list(things), list(things.values()))[0]()
            await asyncio.sleep(self._draw.uniform(0, self._pause))

    async def settle_unknown(self, part: float) -> None:
        """Asks again for most of what it does not know; the rest stays unknown.

        Args:
            part: How much of it, 0 to 1.
        """
        for wish in [wish for wish in self._unknown if self._draw.random() < part]:
            for _ in range(20):
                if await self._try_again(wish, keep=False):
                    break
                await asyncio.sleep(0.2)

    async def create(self) -> None:
        """Creates a player."""
        await self._create()

    async def submit_random(self, count: int) -> bool:
        """Submits a list of battles at random, and forgets it. Returns whether it was taken, not refused or lost."""
        answer = await self._send_list([self._random_battle() for _ in range(count)])
        return isinstance(answer, battle_pb2.SubmitBattlesResponse)

    async def _submit(self, requests: Sequence[battle_pb2.SubmitBattleRequest], keep: bool = True) -> bool:
        answer = await self._send_list(requests)
        if isinstance(answer, battle_pb2.SubmitBattlesResponse):
            results = zip(requests, answer.results, strict=True)
            if acknowledged := [request for request, result in results if result.HasField("battle")]:
                self._acknowledged = [*self._acknowledged, acknowledged][-KEPT:]
        return self._known("submit", requests, answer, keep)

    async def _send_list(self, requests: Sequence[battle_pb2.SubmitBattleRequest]) -> Any:
        def read(answer: battle_pb2.SubmitBattlesResponse) -> list[Any]:
            return [
                [result.battle.battle_id, result.battle.sequence] if result.HasField("battle") else None
                for result in answer.results
            ]

        asked = [[[r.challenger_id, r.request_id], r.opponent_id] for r in requests]
        request = battle_pb2.SubmitBattlesRequest(requests=requests)
        return await self._call("submit", asked, self._battles.SubmitBattles, request, read)

    async def _try_again(self, wish: tuple[str, Any], keep: bool = True) -> bool:
        kind, request = wish
        if kind == "submit":
            return await self._submit(request, keep)
        if kind == "submit-one":
            return await self._send_one(request, keep)
        if kind == "grant":
            return await self._send_grant(request, keep)
        return await self._send_create(request, keep)

    def _known(self, kind: str, request: Any, answer: Any, keep: bool) -> bool:
        """Returns whether there was an answer, be it a refusal; if not, it may be tried again later."""
        if answer is None and keep:
            self._unknown.append((kind, request))
        return answer is not None

    def _request_id(self) -> str:
        self._made += 1
        return f"{self._number}-{self._made}"

    def _random_battle(self) -> battle_pb2.SubmitBattleRequest:
        draw, players = self._draw, self._roster.players
        challenger, opponent = draw.sample(players, 2)
        if draw.random() < 0.3:  # one player whom everybody fights
            challenger, opponent = draw.choice([(challenger, players[0]), (players[0], challenger)])
        elif draw.random() < 0.02 and self._roster.gone:
            opponent = draw.choice(self._roster.gone)
        if challenger == opponent:
            opponent = players[1] if challenger == players[0] else players[0]
        return battle_pb2.SubmitBattleRequest(
            request_id=self._request_id(), challenger_id=challenger, opponent_id=opponent
        )

    async def _submit_some(self) -> None:
        await self._submit([self._random_battle() for _ in range(int(50 ** self._draw.random()))])

    async def _submit_one(self) -> None:
        await self._send_one(self._random_battle())

    async def _send_one(self, request: battle_pb2.SubmitBattleRequest, keep: bool = True) -> bool:
        asked = [[[request.challenger_id, request.request_id], request.opponent_id]]

        def read(battle: battle_pb2.Battle) -> list[Any]:
            return [[battle.battle_id, battle.sequence]]

        answer = await self._call("submit", asked, self._battles.SubmitBattle, request, read)
        return self._known("submit-one", request, answer, keep)

    async def _submit_acknowledged_again(self) -> None:
        if self._acknowledged:
            await self._submit(self._draw.choice(self._acknowledged))

    async def _use_a_request_id_again(self) -> None:
        if self._acknowledged:
            other = battle_pb2.SubmitBattleRequest()
            other.CopyFrom(self._draw.choice(self._acknowledged)[0])
            others = [p for p in self._roster.players if p not in (other.challenger_id, other.opponent_id)]
            other.opponent_id = self._draw.choice(others)
            await self._send_one(other, keep=False)

    async def _ask_for_nonsense(self) -> None:
        player = self._draw.choice(self._roster.players)
        opponent = self._draw.choice([player, str(uuid.UUID(int=self._draw.getrandbits(128))), "nobody", ""])
        nonsense = battle_pb2.SubmitBattleRequest(
            request_id=self._request_id(), challenger_id=player, opponent_id=opponent
        )
        await self._send_one(nonsense, keep=False)

    async def _grant(self) -> None:
        gold, silver = self._draw.randint(-400, 800), self._draw.randint(-400, 800)
        request_id = self._request_id()
        await self._send_grant(
            player_pb2.GrantResourcesRequest(
                request_id=request_id,
                player_id=self._draw.choice(self._roster.players),
                gold=gold,
                silver=silver or 1,
                reason=request_id,
            )
        )

    async def _send_grant(self, request: player_pb2.GrantResourcesRequest, keep: bool = True) -> bool:
        asked = [[[request.request_id], request.player_id, request.gold, request.silver]]
        answer = await self._call("grant", asked, self._players.GrantResources, request, lambda _: [True])
        return self._known("grant", request, answer, keep)

    async def _create(self) -> None:
        draw = self._draw
        rich = draw.random() < 0.15
        await self._send_create(
            player_pb2.CreatePlayerRequest(
                request_id=self._request_id(),
                name=self._roster.new_name(),
                gold=draw.randint(900_000_000, 1_000_000_000) if rich else draw.randint(0, 5000),
                silver=draw.randint(0, 5000),
                attack=draw.randint(40, 100),
                hit_points=draw.randint(60, 140),
                luck=draw.randint(0, 40),
            )
        )

    async def _send_create(self, request: player_pb2.CreatePlayerRequest, keep: bool = True) -> bool:
        stats = (request.gold, request.silver, request.attack, request.hit_points, request.luck)
        asked = [[[request.name], *stats]]
        player = await self._call(
            "create", asked, self._players.CreatePlayer, request, lambda player: [player.player_id]
        )
        if isinstance(player, player_pb2.Player):
            self._roster.players.append(player.player_id)
        return self._known("create", request, player, keep)

    async def _update(self) -> None:
        player_id = self._draw.choice(self._roster.players)
        player = player_pb2.Player(player_id=player_id, attack=self._draw.randint(40, 100))
        player.hit_points, player.luck = self._draw.randint(60, 140), self._draw.randint(0, 40)
        request = player_pb2.UpdatePlayerRequest(
            player=player, update_mask=field_mask_pb2.FieldMask(paths=["attack", "hit_points", "luck"])
        )
        asked = [[[player_id, self._request_id()], player.attack, player.hit_points, player.luck]]
        await self._call("update", asked, self._players.UpdatePlayer, request, lambda _: [True])

    async def _delete(self) -> None:
        if len(self._roster.players) < 10:
            return
        player_id = self._roster.players.pop(self._draw.randrange(1, len(self._roster.players)))
        self._roster.gone.append(player_id)
        request = player_pb2.DeletePlayerRequest(player_id=player_id)
        await self._call("delete", [[[player_id]]], self._players.DeletePlayer, request, lambda _: [True])

    async def _call(self, kind: str, asked: list[Any], method: Any, request: Any, read: Any) -> Any:
        """Calls a method. Returns its answer, the error where it surely was not done, None where that is not known."""
        operation = self._history.invoke(self._number, kind, asked)
        try:
            answer = await method(request, timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            sure = error.code() in SURELY_NOT_DONE
            told = [error.code().name, error.details(), _retry_delay(error)]
            self._history.end(operation, "fail" if sure else "unknown", told)
            return error if sure else None
        self._history.end(operation, "ok", read(answer))
        return answer


def _retry_delay(error: grpc.aio.AioRpcError) -> float | None:
    as_call: Any = error  # it has what from_call asks of a synchronous call, but not its type
    return retry_delay(rpc_status.from_call(as_call))
