"""A service with one more method, that does nothing: what a call costs before any work is done for it.

Usage: python -m bench.with_empty player|battle|leaderboard, with the settings of that service. It is the service's own
composition root, so that the empty call and the others meet in one process, behind the same boundary, on one event
loop.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty

from services.battle.__main__ import build as build_battle
from services.battle.settings import BattleSettings
from services.common import logs, server, settings
from services.common.server import Server
from services.leaderboard.__main__ import build as build_leaderboard
from services.leaderboard.settings import LeaderboardSettings
from services.player.__main__ import build as build_player
from services.player.settings import PlayerSettings

SERVICE = "bench.Bench"
METHOD = f"/{SERVICE}/Empty"

SERVICES: dict[str, tuple[Any, type[settings.ServiceSettings]]] = {
    "player": (build_player, PlayerSettings),
    "battle": (build_battle, BattleSettings),
    "leaderboard": (build_leaderboard, LeaderboardSettings),
}


async def _empty(request: Empty, context: Any) -> Empty:
    return Empty()


def build(name: str) -> Any:
    """Returns what wires a service, with the empty method."""

    @asynccontextmanager
    async def build_with_empty(its_settings: Any) -> AsyncIterator[Server]:
        wired: AbstractAsyncContextManager[Server] = SERVICES[name][0](its_settings)
        async with wired as made:
            method = grpc.unary_unary_rpc_method_handler(
                _empty, request_deserializer=Empty.FromString, response_serializer=Empty.SerializeToString
            )
            made.grpc.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {"Empty": method})])
            yield made

    return build_with_empty


def main(name: str) -> None:
    """Serves until told to stop."""
    loaded = settings.load(SERVICES[name][1])
    logs.set_up(loaded, name)
    asyncio.run(server.serve(build(name), loaded))


if __name__ == "__main__":
    main(sys.argv[1])
