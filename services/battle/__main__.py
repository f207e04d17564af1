"""The battle service and its workers: ``python -m services.battle serve|work|migrate|health``."""

import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from services.battle.backlog import Backlog
from services.battle.events import Hub
from services.battle.neighbours import Boards, Players
from services.battle.queue import BLOCK, Queue
from services.battle.servicer import BattleServicer
from services.battle.settings import BattleSettings
from services.battle.submission import Submitter
from services.battle.sweeper import Sweeper
from services.battle.worker import Worker
from services.common import channels, cli, redis, schema_version, server
from services.common.database import Database
from services.common.server import Server
from skirmish.battle.v1 import battle_pb2, battle_pb2_grpc

PACKAGE = "services.battle"


@asynccontextmanager
async def build(settings: BattleSettings) -> AsyncIterator[Server]:
    """Wires the service that takes battles and tells of them."""
    async with AsyncExitStack() as stack:
        database, waiting, players = await _open(settings, stack)
        backlog = Backlog(database, settings.max_queued, settings.max_queued_per_challenger)
        submitter = Submitter(database, players, waiting, backlog, settings.publish_pause)
        hub = Hub(waiting, settings.max_watchers)
        made = Server(settings, settings.address)
        made.add(
            battle_pb2.DESCRIPTOR.services_by_name["BattleService"],
            battle_pb2_grpc.add_BattleServiceServicer_to_server,
            BattleServicer(database, waiting, submitter, backlog, hub),
        )
        # Not on Redis: battles are taken without it, and published when it is back.
        made.depends_on("database", database.ping)
        made.run_beside(submitter.run())
        made.run_beside(backlog.run())
        made.run_beside(hub.run())
        made.before_stop(hub.close)
        yield made


@asynccontextmanager
async def build_worker(settings: BattleSettings) -> AsyncIterator[Server]:
    """Wires a worker with its sweeper, inside a server that answers health checks."""
    async with AsyncExitStack() as stack:
        database, waiting, players = await _open(settings, stack)
        boards = Boards(await stack.enter_async_context(channels.open_channel(settings.leaderboard_address)))
        worker = Worker(
            f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}",
            database,
            waiting,
            players,
            boards,
            settings.batch_size,
            settings.batches_at_once,
            settings.claim_idle,
        )
        made = Server(settings, settings.worker_address)
        made.depends_on("database", database.ping)
        made.depends_on("queue", waiting.ping)
        made.run_beside(worker.run(), stop=worker.stop)
        made.run_beside(Sweeper(database, waiting, settings.publish_pause).run())
        yield made


async def _open(settings: BattleSettings, stack: AsyncExitStack) -> tuple[Database, Queue, Players]:
    database = Database(settings.database_url)
    stack.push_async_callback(database.close)
    schema_version.require_head(database, PACKAGE)
    clients = [redis.connect(settings.redis_url), redis.connect(settings.redis_url, timeout=BLOCK / 1000 + 3)]
    for client in clients:
        stack.push_async_callback(client.aclose)
    players = Players(await stack.enter_async_context(channels.open_channel(settings.player_address)))
    return database, Queue(*clients), players


async def serve(settings: BattleSettings) -> None:
    """Take battles and tell of them."""
    await server.serve(build, settings)


async def work(settings: BattleSettings) -> None:
    """Fight the battles that wait, and have them settled. Start as many as you like."""
    await server.serve(build_worker, settings)


def migrate(settings: BattleSettings) -> None:
    """Bring the database to the schema that this code needs."""
    from services.common import migrations  # not at the top: see schema_version

    migrations.migrate(Database(settings.database_url), PACKAGE)


async def health(settings: BattleSettings) -> None:
    """Ask the running service for its health; fails unless it says SERVING."""
    await cli.probe(settings.address)


if __name__ == "__main__":
    cli.main(
        PACKAGE,
        "Takes battles, keeps their order, fights them and has them settled.",
        BattleSettings,
        {"serve": serve, "work": work, "migrate": migrate, "health": health},
    )
