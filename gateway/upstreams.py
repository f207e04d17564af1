"""The services behind the gateway, and the channels to them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from gateway.settings import Settings
from services.common.channels import open_channel
from skirmish.battle.v1 import battle_pb2
from skirmish.leaderboard.v1 import leaderboard_pb2
from skirmish.player.v1 import player_pb2

SERVICES: dict[str, ServiceDescriptor] = {
    "player": player_pb2.DESCRIPTOR.services_by_name["PlayerService"],
    "battle": battle_pb2.DESCRIPTOR.services_by_name["BattleService"],
    "leaderboard": leaderboard_pb2.DESCRIPTOR.services_by_name["LeaderboardService"],
}
"""The public services by the names that people know them by."""

Channels = dict[str, grpc.aio.Channel]
"""A channel to each service, by the names of SERVICES."""


@asynccontextmanager
async def open_channels(settings: Settings) -> AsyncIterator[Channels]:
    """Opens the channels, which connect when they are first used, and closes them at the end."""
    addresses = {
        "player": settings.player_address,
        "battle": settings.battle_address,
        "leaderboard": settings.leaderboard_address,
    }
    channels = {name: open_channel(addresses[name]) for name in SERVICES}
    try:
        yield channels
    finally:
        for channel in channels.values():
            await channel.close()
