"""The migrations of the player service, and that they make the tables that the code has in mind."""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

import services.player.__main__ as player
from services.common import migrations
from services.common.database import Database
from services.player.schema import METADATA, SETTLE_HEAD
from services.player.settings import PlayerSettings
from tests import servers
from tests.player import migrate


def describe(connection: sa.Connection) -> dict[str, Any]:
    """Returns all that a database knows of its tables, the one with the schema version apart."""
    inspector = sa.inspect(connection)
    tables = sorted(set(inspector.get_table_names()) - {migrations.version_table(player.PACKAGE)})
    described: dict[str, Any] = {
        table: {
            "columns": [repr(column) for column in inspector.get_columns(table)],
            "key": inspector.get_pk_constraint(table),
            "unique": sorted(map(repr, inspector.get_unique_constraints(table))),
            "checks": sorted(map(repr, inspector.get_check_constraints(table))),
            "indexes": sorted(map(repr, inspector.get_indexes(table))),
            "options": inspector.get_table_options(table),
        }
        for table in tables
    }
    if connection.dialect.name == "sqlite":
        statements = "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
        sources = {name: " ".join(sql.split()) for name, sql in connection.exec_driver_sql(statements)}
        described["sources"] = {name: sources[name] for name in tables}
    return described


async def test_the_migrations_make_the_tables_of_the_schema(new_database: Callable[[], str]) -> None:
    migrated, created = new_database(), new_database()
    await migrate(migrated)
    descriptions = []
    for url in (migrated, created):
        database = Database(url)
        if url == created:
            await database.write(METADATA.create_all)
        descriptions.append(await database.read(describe))
        await database.close()

    assert set(descriptions[0]) - {"sources"} == set(METADATA.tables)
    assert descriptions[0] == descriptions[1]


def test_who_has_migrated_holds_up_nobody_else(postgresql_url: str) -> None:
    urls = [servers.new_postgresql_database(postgresql_url) for _ in range(2)]
    databases = [Database(url) for url in urls]  # both with their connections open
    for database in databases:
        migrations.migrate(database, player.PACKAGE)
    for database in databases:
        database.engine.dispose()


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    await migrate(database_url)
    database = Database(database_url)
    await database.write(lambda connection: connection.execute(sa.update(SETTLE_HEAD).values(last_sequence=7)))

    await migrate(database_url)

    assert await database.read(lambda connection: connection.scalar(sa.select(SETTLE_HEAD.c.last_sequence))) == 7
    await database.close()


async def test_two_migrations_at_once_make_one_schema(database_url: str) -> None:
    settings = os.environ | {"PLAYER_DATABASE_URL": database_url}
    command = [sys.executable, "-m", player.PACKAGE, "migrate"]
    jobs = [await asyncio.create_subprocess_exec(*command, env=settings) for _ in range(2)]

    assert [await job.wait() for job in jobs] == [0, 0]
    database = Database(database_url)
    assert await database.read(lambda connection: connection.scalar(sa.select(SETTLE_HEAD.c.last_sequence))) == 0
    await database.close()


async def test_serving_from_a_database_that_was_not_migrated_says_what_to_run(database_url: str) -> None:
    with pytest.raises(SystemExit, match=r"python -m services\.player migrate"):
        await player.serve(PlayerSettings(address="127.0.0.1:0", database_url=database_url))
