"""The player service: ``python -m services.player serve|migrate|health``."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from services.common import cli, clock, schema_version, server
from services.common.database import Database
from services.player import settlement_store
from services.player.servicer import PlayerServicer
from services.player.settings import PlayerSettings
from services.player.settlement import FoughtBattle, Result
from services.player.settlement_servicer import SettlementServicer
from services.player.settler import Settler
from skirmish.player.v1 import player_pb2, player_pb2_grpc, settlement_pb2, settlement_pb2_grpc

PACKAGE = "services.player"


@asynccontextmanager
async def open_database(settings: PlayerSettings) -> AsyncIterator[Database]:
    """Gives the database, and closes it when the context ends."""
    database = Database(settings.database_url)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def build(settings: PlayerSettings) -> AsyncIterator[server.Server]:
    """Wires the service, and closes what it opened when the context ends."""
    async with open_database(settings) as database:

        async def settle(battles: Sequence[FoughtBattle]) -> list[Result]:
            return await database.write(settlement_store.settle, battles)

        settler = Settler(settle, settings.block_timeout)
        built = server.Server(settings, settings.address)
        built.add(
            player_pb2.DESCRIPTOR.services_by_name["PlayerService"],
            player_pb2_grpc.add_PlayerServiceServicer_to_server,
            PlayerServicer(database, settings, clock.uuid7),
        )
        built.add(
            settlement_pb2.DESCRIPTOR.services_by_name["SettlementService"],
            settlement_pb2_grpc.add_SettlementServiceServicer_to_server,
            SettlementServicer(database, settler),
        )
        built.run_beside(settler.run())
        built.depends_on("database", database.ping)
        yield built


async def serve(settings: PlayerSettings) -> None:
    """Answers calls until told to stop."""
    async with open_database(settings) as database:
        schema_version.require_head(database, PACKAGE)
    await server.serve(build, settings)


async def migrate(settings: PlayerSettings) -> None:
    """Brings the database's schema to the one that this version needs."""
    from services.common import migrations  # not at the top: see schema_version

    async with open_database(settings) as database:
        migrations.migrate(database, PACKAGE)


async def health(settings: PlayerSettings) -> None:
    """Asks the running service for its health; fails unless it is SERVING."""
    await cli.probe(settings.address)


if __name__ == "__main__":
    cli.main(
        PACKAGE,
        "Players: who fights, what they own, and how every change of it came about.",
        PlayerSettings,
        {"serve": serve, "migrate": migrate, "health": health},
    )
