"""A database as one process reaches it: the same three methods as the real one, over rows in memory."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from services.common.errors import Unavailable
from tests.simulation.process import Process


class Tables(Protocol):
    """Something that runs the functions of a store."""

    def transact(self, work: Callable[..., Any], *args: Any) -> Any:
        """Runs a function of a store, in one transaction."""


class DatabaseHost:
    """The machine that a database runs on.

    Args:
        tables: What is in it.
        after: Is called after every transaction.

    Attributes:
        away: Whether it is out of reach.
    """

    def __init__(self, tables: Tables, after: Callable[[], object] = lambda: None) -> None:
        self.tables = tables
        self._after = after
        self.away = False

    def transact(self, work: Callable[..., Any], *args: Any) -> Any:
        """Runs a function of a store.

        Raises:
            Unavailable: It is out of reach.
        """
        if self.away:
            raise _broken()
        result = self.tables.transact(work, *args)
        self._after()
        return result


class Database:
    """What ``services.common.database.Database`` is to a process."""

    def __init__(self, process: Process, host: DatabaseHost) -> None:
        self._process = process
        self._host = host

    async def read(self, work: Callable[..., Any], *args: Any) -> Any:
        # The client of a database waits for its transaction, so nothing of it comes after it was given up.
        return await self._process.exchange(
            work.__name__, lambda: self._host.transact(work, *args), _broken, late=False
        )

    write = read

    async def stream(self, work: Callable[..., Any], *args: Any) -> AsyncIterator[Any]:
        parts = await self.read(work, *args)
        for part in parts:
            yield await self._process.exchange(work.__name__, lambda: part, _broken, late=False)  # noqa: B023


def _broken() -> Unavailable:
    return Unavailable("the database does not answer")
