"""The database room, on both databases."""

import pytest
import sqlalchemy as sa

from services.common import bulk
from services.common.database import Database

THING = sa.Table(
    "thing",
    sa.MetaData(),
    sa.Column("key", sa.BigInteger, primary_key=True),
    sa.Column("id", bulk.UUID),
    sa.Column("data", sa.LargeBinary),
)
A, B = "01900000-0000-7000-8000-00000000000a", "01900000-0000-7000-8000-00000000000b"


async def test_rows_inserted_and_updated_in_bulk_come_back_as_written(database_url: str) -> None:
    database = Database(database_url)

    def work(connection: sa.Connection) -> list[tuple[object, ...]]:
        THING.create(connection)
        bulk.insert(connection, THING, ["key", "id", "data"], [(1, A, b"\x00'"), (2, None, None), (3, B, b"x")])
        bulk.insert(connection, THING, ["key", "id"], [(1, B), (4, B)], on_conflict="(key) DO NOTHING")
        bulk.update(
            connection, THING, "key", ["id", "data"], [(B, b"y", 1), (A, b"z", 2)], where="thing.data IS NOT NULL"
        )
        query = sa.select(THING).where(bulk.among(THING.c.id, "ids")).order_by("key")
        found = connection.execute(query, {"ids": [A, B]})
        return [tuple(row) for row in found]

    assert await database.write(work) == [(1, B, b"y"), (3, B, b"x"), (4, B, None)]
    await database.close()


async def test_work_that_raises_leaves_nothing_behind(database_url: str) -> None:
    database = Database(database_url)
    await database.write(lambda connection: THING.create(connection))

    def work(connection: sa.Connection) -> None:
        bulk.insert(connection, THING, ["key"], [(1,)])
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        await database.write(work)
    count = sa.select(sa.func.count()).select_from(THING)
    assert await database.read(lambda connection: connection.scalar(count)) == 0
    await database.close()
