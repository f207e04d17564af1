"""The three services and a worker in one process, each with its real server, database and Redis."""

from __future__ import annotations  # the stubs' types exist for the type checker alone

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

import services.battle.__main__ as battle
import services.leaderboard.__main__ as leaderboard
import services.player.__main__ as player
from services.battle.settings import BattleSettings
from services.common import migrations
from services.common.database import Database
from services.common.server import Server, running
from services.leaderboard.settings import LeaderboardSettings
from services.player.settings import PlayerSettings
from skirmish.battle.v1 import battle_pb2_grpc
from tests import checks


@dataclass
class Trio:
    """A whole Skirmish, with workers started and stopped by the test.

    Attributes:
        addresses: The settings by which a gateway finds the services.
    """

    skirmish: checks.Skirmish
    battle_settings: BattleSettings
    addresses: dict[str, str]
    stack: AsyncExitStack
    workers: list[AsyncExitStack] = field(default_factory=list)

    async def another_battle_server(self, settings: BattleSettings) -> battle_pb2_grpc.BattleServiceAsyncStub:
        """Starts another replica of the battle service."""
        server = await self.stack.enter_async_context(running(battle.build, settings))
        channel = await self.stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{server.port}"))
        return battle_pb2_grpc.BattleServiceStub(channel)

    async def start_worker(self) -> None:
        """Starts another worker."""
        stack = AsyncExitStack()
        await stack.enter_async_context(running(battle.build_worker, self.battle_settings))
        self.workers.append(stack)

    async def stop_workers(self) -> None:
        """Has every worker end what it has in hand, and stops it."""
        while self.workers:
            await self.workers.pop().aclose()


@asynccontextmanager
async def running_trio(new_database: Callable[[], str], redis_url: str) -> AsyncIterator[Trio]:
    """A Skirmish with one worker."""
    player_url, battle_url = new_database(), new_database()
    for url, package in ((player_url, "services.player"), (battle_url, "services.battle")):
        database = Database(url)
        migrations.migrate(database, package)
        await database.close()
    here = "127.0.0.1:0"
    async with AsyncExitStack() as stack:

        async def start(build: Any, settings: Any) -> Server:
            server: Server = await stack.enter_async_context(running(build, settings))
            return server

        players = await start(player.build, PlayerSettings(address=here, database_url=player_url, shutdown_grace=1))
        player_address = f"127.0.0.1:{players.port}"
        boards = await start(
            leaderboard.build,
            LeaderboardSettings(address=here, redis_url=redis_url, player_address=player_address, shutdown_grace=1),
        )
        settings = BattleSettings(
            address=here,
            database_url=battle_url,
            redis_url=redis_url,
            player_address=player_address,
            leaderboard_address=f"127.0.0.1:{boards.port}",
            claim_idle=0.5,
            publish_pause=0.5,
            shutdown_grace=3,
        )
        battles = await start(battle.build, settings)
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{server.port}"))
            for server in (players, battles, boards)
        ]
        addresses = {
            "player_address": player_address,
            "battle_address": f"127.0.0.1:{battles.port}",
            "leaderboard_address": settings.leaderboard_address,
        }
        made = Trio(checks.connect(player_url, *channels), settings, addresses, stack)
        await made.start_worker()
        try:
            yield made
        finally:
            await made.stop_workers()
