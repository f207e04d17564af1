"""One SQL database, SQLite or PostgreSQL by URL: short transactions in threads, away from the event loop."""

import asyncio
import random
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from services.common import logs
from services.common.errors import Unavailable

P = ParamSpec("P")
R = TypeVar("R")

POSTGRESQL_WRITERS = 4
READERS = 4
STREAMS = 2
"""How many snapshots may be read at once; each holds a connection."""
LOCK_TIMEOUT = 30.0
"""Seconds that a SQLite writer waits for another process's transaction to end."""
CHECKPOINT = 16_000
"""How many pages SQLite's write-ahead log grows by before they are copied to where they belong: 64 MB. A page that many
transactions have changed is copied once. At the default, a sixteenth of it, commits take twice as long."""
WRITER_CACHE, READER_CACHE = 64, 8
"""MiB of pages that a connection to SQLite keeps, beside those of the system. One connection writes, up to five read,
and with as much for each of these a process would grow to some 400 MiB in the course of hours."""
TRIES = 8
"""How often a transaction is tried that the database itself rolled back."""

log = logs.get(__name__)


class Database:
    """A database that is reached when it is first used.

    SQLite gets one writing connection, a write-ahead log and ``synchronous=FULL``: what is committed survives a power
    cut. PostgreSQL gets a small pool.

    Args:
        url: As "sqlite:///.data/player.db" or "postgresql://user:password@host/database".
    """

    def __init__(self, url: str) -> None:
        parsed = sa.make_url(url)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() == "sqlite":
            if parsed.database in (None, "", ":memory:"):
                raise ValueError("a SQLite database in memory is lost with the process; name a file")
            Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
            self._reading = _sqlite_engine(parsed, "BEGIN", READER_CACHE)
            self._writing = _sqlite_engine(parsed, "BEGIN IMMEDIATE", WRITER_CACHE)
            writers = 1
        else:
            writers = POSTGRESQL_WRITERS
            self._reading = self._writing = _postgresql_engine(parsed, READERS + writers + STREAMS)
        self._readers = ThreadPoolExecutor(READERS, "sql-read")
        self._writers = ThreadPoolExecutor(writers, "sql-write")
        self._streamer = ThreadPoolExecutor(1, "sql-stream")
        self._streams = asyncio.Semaphore(STREAMS)

    @property
    def engine(self) -> sa.Engine:
        """The engine whose transactions may write."""
        return self._writing

    async def read(self, work: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs ``work(connection, …)`` in a transaction that only reads, and returns its result.

        Raises:
            Unavailable: The database is out of reach.
        """
        return await self._run(self._readers, self._reading, work, args, kwargs)

    async def write(self, work: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs ``work(connection, …)`` in a transaction, commits, and returns its result.

        A transaction that the database rolled back by itself (deadlock, serialization, busy) is tried again, so
        ``work`` must do nothing but SQL. Once begun it runs to its end, also when the caller is cancelled.

        Raises:
            Unavailable: The database is out of reach. Whether the transaction was committed is then not known.
        """
        return await self._run(self._writers, self._writing, work, args, kwargs)

    async def stream(
        self, work: Callable[Concatenate[sa.Connection, P], Iterator[R]], *args: P.args, **kwargs: P.kwargs
    ) -> AsyncGenerator[R, None]:
        """Yields what the generator ``work(connection, …)`` yields, all of it read from one snapshot of the database.

        Each step runs in a thread, and not before it is asked for: who reads slowly holds a snapshot, but no memory.
        Close it when done (``contextlib.aclosing``), for the snapshot is held until then.

        Raises:
            Unavailable: The database is out of reach.
        """

        def steps() -> Generator[R, None, None]:
            with self._reading.connect() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execution_options(isolation_level="REPEATABLE READ")
                with connection.begin():
                    yield from work(connection, *args, **kwargs)

        def step() -> R | None:
            try:
                return next(iterator, None)
            except sa.exc.SQLAlchemyError as error:
                if unavailable := _unavailable(error):
                    raise unavailable from error
                raise

        async with self._streams:
            iterator = steps()
            try:
                while (item := await asyncio.get_running_loop().run_in_executor(self._streamer, step)) is not None:
                    yield item
            finally:
                # In the same, only thread: behind a step that still runs after its reader was cancelled.
                self._streamer.submit(iterator.close)

    async def ping(self) -> None:
        """Raises Unavailable when the database does not answer."""
        await self.read(lambda connection: connection.execute(sa.select(1)))

    async def close(self) -> None:
        """Ends what runs and closes every connection."""
        for pool in (self._readers, self._writers, self._streamer):
            await asyncio.to_thread(pool.shutdown)
        self._reading.dispose()
        self._writing.dispose()

    async def _run(
        self,
        pool: ThreadPoolExecutor,
        engine: sa.Engine,
        work: Callable[..., R],
        args: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> R:
        def transact() -> R:
            for attempt in range(1, TRIES + 1):
                try:
                    with engine.begin() as connection:
                        return work(connection, *args, **kwargs)
                except sa.exc.SQLAlchemyError as error:
                    if _rolled_back(error) and attempt < TRIES:
                        log.warning(
                            "transaction rolled back, trying again",
                            attempt=attempt,
                            problem=str(getattr(error, "orig", error)),
                        )
                        _pause(attempt)
                    elif unavailable := _unavailable(error):
                        raise unavailable from error
                    else:
                        raise
            raise AssertionError

        return await asyncio.get_running_loop().run_in_executor(pool, transact)


def _rolled_back(error: sa.exc.SQLAlchemyError) -> bool:
    """Tells whether the database itself ended the transaction, for sure without committing it."""
    origin = error.orig if isinstance(error, sa.exc.DBAPIError) else None
    if isinstance(origin, sqlite3.OperationalError):
        return _is_busy(origin)
    return getattr(origin, "sqlstate", None) in ("40001", "40P01")


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0.5, 1.5) * 0.005 * 2**attempt)  # noqa: S311


def _unavailable(error: sa.exc.SQLAlchemyError) -> Unavailable | None:
    """Returns what to raise instead where the database is out of reach, None for any other error."""
    if isinstance(error, sa.exc.TimeoutError):
        return Unavailable("the database is too busy; try again shortly")
    if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError) or (
        isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated
    ):
        return Unavailable("the database does not answer; try again shortly")
    return None


def _postgresql_engine(url: sa.URL, connections: int) -> sa.Engine:
    # Only where it is needed: the driver would be a sixth of the start of a process on SQLite.
    from psycopg import Connection
    from psycopg.types.string import TextLoader

    engine = sa.create_engine(url, pool_size=connections, max_overflow=0, pool_pre_ping=True)

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: Connection[object], _: ConnectionPoolEntry) -> None:
        # Ids are text in Python; the driver would make an object of each for SQLAlchemy to make text of.
        connection.adapters.register_loader("uuid", TextLoader)

    return engine


def _sqlite_engine(url: sa.URL, begin: str, cache: int) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": LOCK_TIMEOUT, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself; see below
        _keep_log(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{cache * 1024}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")

    @sa.event.listens_for(engine, "begin")
    def start(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _keep_log(connection: sqlite3.Connection) -> None:
    """Gives a database its write-ahead log. Two that do so in a new one at once do not wait for each other."""
    for attempt in range(1, TRIES + 1):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or attempt == TRIES:
                raise
            _pause(attempt)
        else:
            return
