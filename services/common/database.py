"""One SQL database, SQLite or PostgreSQL by URL: short transactions in threads, away from the event loop."""

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable
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
LOCK_TIMEOUT = 30.0
"""Seconds that a SQLite writer waits for another process's transaction to end."""
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
            self._reading = _sqlite_engine(parsed, "BEGIN")
            self._writing = _sqlite_engine(parsed, "BEGIN IMMEDIATE")
            writers = 1
        else:
            writers = POSTGRESQL_WRITERS
            self._reading = self._writing = sa.create_engine(
                parsed, pool_size=READERS + writers, max_overflow=0, pool_pre_ping=True
            )
        self._readers = ThreadPoolExecutor(READERS, "sql-read")
        self._writers = ThreadPoolExecutor(writers, "sql-write")

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

    async def ping(self) -> None:
        """Raises Unavailable when the database does not answer."""
        await self.read(lambda connection: connection.execute(sa.select(1)))

    async def close(self) -> None:
        """Ends what runs and closes every connection."""
        for pool in (self._readers, self._writers):
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
                except sa.exc.DBAPIError as error:
                    if _rolled_back(error) and attempt < TRIES:
                        log.warning("transaction rolled back, trying again", attempt=attempt, problem=str(error.orig))
                        time.sleep(random.uniform(0.5, 1.5) * 0.005 * 2**attempt)  # noqa: S311
                    elif error.connection_invalidated or isinstance(
                        error, sa.exc.OperationalError | sa.exc.InterfaceError
                    ):
                        raise Unavailable("the database does not answer; try again shortly") from error
                    else:
                        raise
                except sa.exc.TimeoutError as error:
                    raise Unavailable("the database is too busy; try again shortly") from error
            raise AssertionError

        return await asyncio.get_running_loop().run_in_executor(pool, transact)


def _rolled_back(error: sa.exc.DBAPIError) -> bool:
    """Tells whether the database itself ended the transaction, for sure without committing it."""
    if isinstance(error.orig, sqlite3.OperationalError):
        return error.orig.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return getattr(error.orig, "sqlstate", None) in ("40001", "40P01")


def _sqlite_engine(url: sa.URL, begin: str) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": LOCK_TIMEOUT, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself; see below
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -65536")

    @sa.event.listens_for(engine, "begin")
    def start(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
