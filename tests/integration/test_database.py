"""The database room, on both databases."""

from typing import Any

import pytest
import sqlalchemy as sa

from services.common import bulk
from services.common.database import Database

THING = sa.Table(
    "thing",
    sa.MetaData(),
    sa.Column("key", sa.BigInteger, primary_key=True),
    sa.Column("id", bulk.UUID, index=True),
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


@pytest.mark.parametrize("count", [1, 2, 3, 255, 256, 257, 1000])
async def test_any_number_of_rows_goes_in_in_bulk(database_url: str, count: int) -> None:
    database = Database(database_url)
    numbers = range(count)

    def work(connection: sa.Connection) -> tuple[int, list[int]]:
        THING.create(connection)
        inserted = bulk.insert(connection, THING, ["key", "id"], [(number, A) for number in numbers])
        bulk.update(connection, THING, "key", ["id"], [(B, number) for number in numbers])
        found = sa.select(THING.c.key).where(THING.c.id == B).order_by("key")
        return inserted, list(connection.execute(found).scalars())

    assert await database.write(work) == (count, list(numbers))
    await database.close()


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        (bulk.among(THING.c.key, "wanted"), [1, 2]),
        (bulk.among(THING.c.id, "wanted"), [A, B]),
        (bulk.matching([THING.c.key, THING.c.id], "wanted"), [(1, A), (2, B)]),
    ],
)
async def test_many_values_are_found_by_an_index(
    database_url: str, condition: sa.ColumnElement[bool], wanted: list[object]
) -> None:
    database = Database(database_url)
    seen: list[tuple[str, Any]] = []

    def look(connection: sa.Connection) -> str:
        THING.create(connection)
        sa.event.listen(connection, "before_cursor_execute", lambda *args: seen.append((args[2], args[3])))
        connection.execute(sa.select(THING).where(condition), {"wanted": wanted})
        statement, parameters = seen[0]
        if connection.dialect.name == "sqlite":
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        else:  # a table this small is read as a whole, unless that is forbidden
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        return "\n".join(str(row) for row in plan.all())

    plan = await database.write(look)
    assert "SEARCH thing" in plan or "Index" in plan, plan
    assert "SCAN thing" not in plan, plan
    assert "Seq Scan on thing" not in plan, plan
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
