"""The leaderboard service: ``python -m services.leaderboard serve|rebuild|health``."""

import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from services.common import channels, cli, clock, redis, server
from services.common.errors import Unavailable
from services.common.server import Server
from services.leaderboard.feed import Feed
from services.leaderboard.live import LiveBoards
from services.leaderboard.servicer import LeaderboardServicer
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.store import RebuildRefused, Store
from skirmish.leaderboard.v1 import leaderboard_pb2, leaderboard_pb2_grpc

_SERVICE = leaderboard_pb2.DESCRIPTOR.services_by_name["LeaderboardService"]


@asynccontextmanager
async def connected(
    settings: LeaderboardSettings, now: Callable[[], int] = clock.now
) -> AsyncIterator[tuple[Store, Feed]]:
    """Gives the boards and their feed, and closes their connections at the end."""
    client = redis.connect(settings.redis_url)
    channel = channels.open_channel(settings.player_address)
    store = Store(client, settings.retention, now)
    try:
        yield store, Feed(store, channel, settings.retention, now)
    finally:
        await channel.close()
        await client.aclose()


@asynccontextmanager
async def build(settings: LeaderboardSettings, now: Callable[[], int] = clock.now) -> AsyncIterator[Server]:
    """Wires the server.

    Args:
        settings: The settings.
        now: Gives the time in microseconds.
    """
    async with connected(settings, now) as (store, feed):
        live = LiveBoards(store, now, settings.max_watchers)
        wired = Server(settings, settings.address)
        wired.add(
            _SERVICE,
            leaderboard_pb2_grpc.add_LeaderboardServiceServicer_to_server,
            LeaderboardServicer(store, live, now),
        )
        wired.depends_on("redis", store.ping)
        wired.depends_on("boards", store.watermark)
        wired.before_stop(live.close)
        wired.run_beside(feed.run(settings.feed_interval))
        yield wired


async def serve(settings: LeaderboardSettings) -> None:
    """Serves until it is told to stop."""
    await server.serve(build, settings)


async def rebuild(settings: LeaderboardSettings) -> None:
    """Fills the boards anew from the player service, while those there are go on serving."""
    told = 0.0

    def progress(players: int) -> None:
        nonlocal told
        if time.monotonic() - told >= 1:
            told = time.monotonic()
            sys.stderr.write(f"{players:,} players loaded\n")

    async with connected(settings) as (_, feed):
        try:
            await feed.rebuild(progress)
            await feed.look()  # for what was pushed to the old boards meanwhile
        except Unavailable as error:
            sys.exit(f"{error.message}: {error.__cause__!r}")
        except RebuildRefused as error:
            sys.exit(f"Can't rebuild: {error}.")


async def health(settings: LeaderboardSettings) -> None:
    """Asks the running server for its health."""
    await cli.probe(settings.address)


if __name__ == "__main__":
    cli.main(
        "services.leaderboard",
        "Ranks players by what they took, of all time and by day, week and month.",
        LeaderboardSettings,
        {"serve": serve, "rebuild": rebuild, "health": health},
    )
