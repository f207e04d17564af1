"""A player service to test: the real server on a port of its own, and its stubs."""

from __future__ import annotations  # the stubs' types exist for the type checker alone

import asyncio
import random
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from services.common import migrations, server
from services.common.database import Database
from services.player.__main__ import PACKAGE, build
from services.player.settings import PlayerSettings
from skirmish.player.v1 import player_pb2, player_pb2_grpc, settlement_pb2, settlement_pb2_grpc

CHALLENGER_WON = settlement_pb2.EFFECT_CHALLENGER_WON
OPPONENT_WON = settlement_pb2.EFFECT_OPPONENT_WON
DRAW = settlement_pb2.EFFECT_DRAW
VOIDED = settlement_pb2.EFFECT_VOIDED
PLAYER_DELETED = settlement_pb2.EFFECT_PLAYER_DELETED


@dataclass(frozen=True)
class PlayerService:
    """A running player service."""

    port: int
    players: player_pb2_grpc.PlayerServiceAsyncStub
    settlement: settlement_pb2_grpc.SettlementServiceAsyncStub

    async def create(self, **values: str | int) -> player_pb2.Player:
        """Creates a player, under a name of its own unless one is given."""
        return await self.players.CreatePlayer(player_pb2.CreatePlayerRequest(**{"name": new_name(), **values}))  # type: ignore[arg-type]

    async def get(self, player_id: str) -> player_pb2.Player:
        """Gets a player."""
        return await self.players.GetPlayer(player_pb2.GetPlayerRequest(player_id=player_id))

    async def delete(self, player_id: str) -> None:
        """Deletes a player."""
        await self.players.DeletePlayer(player_pb2.DeletePlayerRequest(player_id=player_id))

    async def ledger(self, player_id: str) -> list[player_pb2.LedgerEntry]:
        """Lists all of a player's ledger, oldest first."""
        entries: list[player_pb2.LedgerEntry] = []
        request = player_pb2.ListLedgerEntriesRequest(player_id=player_id, page_size=100)
        while True:
            page = await self.players.ListLedgerEntries(request)
            entries += page.ledger_entries
            request.page_token = page.next_page_token
            if not request.page_token:
                return entries[::-1]

    async def settle(self, *battles: settlement_pb2.FoughtBattle) -> list[settlement_pb2.SettleResult]:
        """Settles battles in one call."""
        return list((await self.settlement.SettleBattles(settlement_pb2.SettleBattlesRequest(battles=battles))).results)

    async def changes(self, page_size: int = 1000) -> list[settlement_pb2.ScoreChange]:
        """Lists the whole settle sequence."""
        changes: list[settlement_pb2.ScoreChange] = []
        while True:
            request = settlement_pb2.ListScoreChangesRequest(after_sequence=len(changes), page_size=page_size)
            page = await self.settlement.ListScoreChanges(request)
            changes += page.changes
            if len(changes) >= page.last_sequence:
                return changes


class Season:
    """Makes fought battles, each with its place in the order of all and of both its players."""

    def __init__(self) -> None:
        self._numbers: defaultdict[str, int] = defaultdict(int)
        self._last = 0

    def fight(
        self, challenger_id: str, opponent_id: str, effect: settlement_pb2.Effect = CHALLENGER_WON, share: int = 1000
    ) -> settlement_pb2.FoughtBattle:
        """Returns the next battle."""
        self._last += 1
        for player_id in (challenger_id, opponent_id):
            self._numbers[player_id] += 1
        return settlement_pb2.FoughtBattle(
            battle_id=str(uuid.uuid4()),
            sequence=self._last,
            challenger_id=challenger_id,
            challenger_number=self._numbers[challenger_id],
            opponent_id=opponent_id,
            opponent_number=self._numbers[opponent_id],
            effect=effect,
            share_basis_points=share if effect in (CHALLENGER_WON, OPPONENT_WON) else 0,
            void_reason="no reason" if effect == VOIDED else "",
        )

    def random(self, rng: random.Random, player_ids: Sequence[str]) -> settlement_pb2.FoughtBattle:
        """Returns the next battle, one of any kind between any two of the players."""
        challenger, opponent = rng.sample(player_ids, 2)
        effect = rng.choice([CHALLENGER_WON, OPPONENT_WON, DRAW, VOIDED])
        return self.fight(challenger, opponent, effect, rng.randint(1000, 2000))


@dataclass(frozen=True)
class Refusal:
    """What a call was refused with."""

    code: grpc.StatusCode
    message: str
    reason: str
    fields: list[str]
    resources: list[str]


async def migrate(database_url: str) -> None:
    """Brings a database to the schema of the service."""
    database = Database(database_url)
    await asyncio.to_thread(migrations.migrate, database, PACKAGE)
    await database.close()


@asynccontextmanager
async def serving(database_url: str, **settings: float) -> AsyncIterator[PlayerService]:
    """Serves from a migrated database; gives the running service."""
    configured = PlayerSettings(address="127.0.0.1:0", database_url=database_url, shutdown_grace=1, **settings)  # type: ignore[arg-type]
    async with server.running(build, configured) as running, channel(running.port) as opened:
        yield PlayerService(
            running.port,
            player_pb2_grpc.PlayerServiceStub(opened),
            settlement_pb2_grpc.SettlementServiceStub(opened),
        )


def channel(port: int) -> grpc.aio.Channel:
    """Returns a channel as clients have it, with all limits as they come."""
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", [("grpc.enable_http_proxy", 0)])


def new_name() -> str:
    """Returns a name that nobody has."""
    return uuid.uuid4().hex[:20]


async def refusal(call: Awaitable[Message]) -> Refusal:
    """Returns what a call is refused with; fails when it is not."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return _to_refusal(error)
    raise AssertionError(f"not refused, but answered: {answer}")


def _to_refusal(error: grpc.aio.AioRpcError) -> Refusal:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    info, wrong, resource = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.ResourceInfo(),
    )
    fields: list[str] = []
    resources: list[str] = []
    for detail in status.details if status else ():
        if detail.Unpack(wrong):
            fields += [violation.field for violation in wrong.field_violations]
        elif detail.Unpack(resource):
            resources.append(resource.resource_name)
        else:
            detail.Unpack(info)
    return Refusal(error.code(), str(error.details()), info.reason, fields, resources)
