"""Streams of the database room, on both databases."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest
import sqlalchemy as sa

from services.common.database import STREAMS, Database
from services.common.errors import Unavailable

THING = sa.Table("thing", sa.MetaData(), sa.Column("key", sa.BigInteger, primary_key=True))
COUNT = sa.select(sa.func.count()).select_from(THING)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database with an empty table."""
    opened = Database(database_url)
    await opened.write(lambda connection: THING.create(connection))
    yield opened
    await opened.close()


async def add(database: Database, key: int) -> None:
    await database.write(lambda connection: connection.execute(sa.insert(THING).values(key=key)))


async def test_a_stream_reads_one_state_of_the_database(database: Database) -> None:
    def counts(connection: sa.Connection) -> Iterator[int]:
        for _ in range(3):
            yield 1 + connection.execute(COUNT).scalar_one()

    found = []
    async with aclosing(database.stream(counts)) as stream:
        async for count in stream:
            found.append(count)
            await add(database, len(found))

    assert found == [1, 1, 1]
    assert await database.read(lambda connection: connection.execute(COUNT).scalar_one()) == 3


async def test_a_stream_that_is_closed_early_ends_its_work(database: Database) -> None:
    ended = threading.Event()

    def endless(connection: sa.Connection) -> Iterator[int]:
        try:
            while True:
                yield 1 + connection.execute(COUNT).scalar_one()
        finally:
            ended.set()

    async with aclosing(database.stream(endless)) as stream:
        async for _ in stream:
            break

    assert await asyncio.to_thread(ended.wait, 10)


async def test_a_stream_whose_reader_is_cancelled_in_the_middle_of_a_step_ends_its_work(database: Database) -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(connection: sa.Connection) -> Iterator[int]:
        try:
            begun.set()
            go_on.wait(10)
            yield connection.execute(sa.select(1)).scalar_one()
        finally:
            ended.set()

    async def read() -> None:
        async with aclosing(database.stream(slow)) as stream:
            async for _ in stream:
                pass

    reader = asyncio.create_task(read())
    await asyncio.to_thread(begun.wait, 10)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    assert not ended.is_set()
    go_on.set()

    assert await asyncio.to_thread(ended.wait, 10)


async def test_more_streams_than_connections_take_turns(database: Database) -> None:
    def some(connection: sa.Connection) -> Iterator[int]:
        for _ in range(5):
            yield connection.execute(sa.select(1)).scalar_one()

    async def read() -> int:
        async with aclosing(database.stream(some)) as stream:
            return sum([item async for item in stream])

    assert await asyncio.gather(*(read() for _ in range(4 * STREAMS))) == [5] * 4 * STREAMS


async def test_an_error_in_a_stream_reaches_its_reader(database: Database) -> None:
    def broken(connection: sa.Connection) -> Iterator[int]:
        yield 1
        raise RuntimeError("stop")

    async with aclosing(database.stream(broken)) as stream:
        assert await anext(stream) == 1
        with pytest.raises(RuntimeError, match="stop"):
            await anext(stream)


async def test_a_stream_from_a_database_out_of_reach_is_unavailable() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/nothing")

    def some(connection: sa.Connection) -> Iterator[int]:
        yield 1

    async with aclosing(database.stream(some)) as stream:
        with pytest.raises(Unavailable):
            await anext(stream)
    await database.close()
