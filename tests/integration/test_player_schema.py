"""The migrations of the player service, and that they make the tables that the code has in mind."""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

import services.player.__main__ as player
from services.common import clock, migrations, schema_version
from services.common.database import Database
from services.player import store
from services.player.schema import METADATA, SETTLE_HEAD, SETTLEMENT
from services.player.settings import PlayerSettings
from tests import servers
from tests.player import migrate


def describe(connection: sa.Connection) -> dict[str, Any]:
    """Returns all that a database knows of its tables, the one with the schema version apart."""
    inspector = sa.inspect(connection)
    tables = sorted(set(inspector.get_table_names()) - {schema_version.version_table(player.PACKAGE)})
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
        sources: dict[str, str] = dict(connection.exec_driver_sql(statements).all())
        described["sources"] = {name: "WITHOUT ROWID" in sources[name] for name in tables}
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


async def test_ledgers_stored_before_there_were_chains_are_told_as_before(new_database: Callable[[], str]) -> None:
    database = Database(new_database())
    migrations.migrate(database, player.PACKAGE, "0001")
    tables = sa.MetaData()
    tables.reflect(database.engine)
    a, b, c, *ids = (clock.uuid7() for _ in range(6))
    # A won against B, was granted something, then lost to C; B and C drew.
    battles = [(1, ids[0], a, 100), (2, ids[1], c, 30), (3, ids[2], None, 0)]
    ledgers = {
        a: [(0, 0, 1, None, 1000), (1, 0, 2, ids[0], 100), (1, 1, 3, None, 5), (2, 0, 2, ids[1], -30)],
        b: [(0, 0, 1, None, 1000), (1, 0, 2, ids[0], -100), (2, 0, 2, ids[2], 0)],
        c: [(0, 0, 1, None, 1000), (1, 0, 2, ids[1], 30), (2, 0, 2, ids[2], 0)],
    }
    stored = {
        player_id: [
            (*entry[:4], entry[4], entry[4] // 10, sum(e[4] for e in entries[: index + 1]), 7)
            for index, entry in enumerate(entries)
        ]
        for player_id, entries in ledgers.items()
    }
    names = ("battle_number", "adjustment_number", "kind", "battle_id", "gold_change", "silver_change", "gold_balance")

    def store_old(connection: sa.Connection) -> None:
        for number, (player_id, entries) in enumerate(stored.items()):
            stats = dict.fromkeys(
                ("silver", "attack", "hit_points", "luck", "resources_stolen", "adjustment_number"), 9
            )
            row = {"player_id": player_id, "name": f"p{number}", "description": "", "gold": entries[-1][6], **stats}
            times = {"create_time": 1, "update_time": 1}
            connection.execute(sa.insert(tables.tables["player"]).values(**row, **times, applied_number=2))
            for entry in entries:
                values = dict(zip(names, entry, strict=False))
                more = {"player_id": player_id, "silver_balance": entry[7], "create_time": 1}
                connection.execute(sa.insert(tables.tables["ledger_entry"]).values(**values, **more))
        for sequence, battle_id, winner, gold in battles:
            effect = {a: 1, c: 2, None: 3}[winner]
            loot = {"gold": gold, "silver": gold // 10, "void_reason": "", "settle_time": 1}
            row = {"settle_sequence": sequence, "battle_id": battle_id, "effect": effect, "player_id": winner}
            connection.execute(sa.insert(tables.tables["settlement"]).values(**row, **loot))

    await database.write(store_old)
    migrations.migrate(database, player.PACKAGE)
    for player_id, entries in stored.items():
        told, rest = await database.read(store.list_entries, player_id, None, 10)
        assert [tuple(getattr(entry, name) for name in names) for entry in told] == [e[:7] for e in entries[::-1]]
        assert rest is None
        view = sa.text(f"SELECT {', '.join(names)} FROM ledger_entry WHERE player_id = :player_id")  # noqa: S608
        with database.engine.connect() as connection:
            rows = connection.execute(view, {"player_id": player_id}).all()
        assert sorted(map(tuple, rows)) == [entry[:7] for entry in entries]
    sides = sa.select(SETTLEMENT.c.challenger_id, SETTLEMENT.c.opponent_id).order_by(SETTLEMENT.c.settle_sequence)
    found = await database.read(lambda connection: [tuple(row) for row in connection.execute(sides)])
    assert found[:2] == [(a, b), (a, c)]
    assert set(found[2]) == {b, c}
    await database.close()


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
