"""A whole Skirmish for a test that is not a coroutine itself: each call runs the event loop until it is answered."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, TypeVar

import grpc
import sqlalchemy as sa
from redis.asyncio import Redis

from services.common import redis
from tests.checks import Skirmish
from tests.trio import Trio, running_trio

T = TypeVar("T")


class Arena:
    """Servers, a worker and both databases, on an event loop that runs only while something is waited for.

    A state machine of Hypothesis is not a coroutine, and the loop of the other tests is not to be shared with it. The
    servers stand still between two calls, which they cannot tell from a busy machine.

    Args:
        runner: Has the loop.
        trio: Runs on it.
        redis_client: A client of its Redis.
    """

    def __init__(self, runner: asyncio.Runner, trio: Trio, redis_client: Redis) -> None:
        self.trio = trio
        self._runner = runner
        self._redis = redis_client
        self._players = sa.create_engine(trio.skirmish.player_database_url)
        self._battles = sa.create_engine(trio.battle_settings.database_url)

    @property
    def skirmish(self) -> Skirmish:
        """The public doors."""
        return self.trio.skirmish

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine to its end, and everything else beside it."""
        return self._runner.run(work)

    def call(self, method: Callable[[Any], Any], request: Any) -> Any:
        """Calls a method and returns its answer, or the status code of its refusal."""

        async def answer() -> Any:
            try:
                return await method(request)
            except grpc.aio.AioRpcError as error:
                return error.code()

        return self.run(answer())

    def call_at_once(self, method: Callable[[Any], Any], request: Any, times: int) -> list[Any]:
        """Calls a method several times at once with the same request, and returns the answers."""

        async def answers() -> list[Any]:
            return await asyncio.gather(*(method(request) for _ in range(times)))

        return self.run(answers())

    def flush_redis(self) -> None:
        """Has Redis lose everything."""

        async def flush() -> None:
            await self._redis.flushall()

        self.run(flush())

    def players_sql(self, statement: str, **values: object) -> list[Any]:
        """Asks the player service's database."""
        return _rows(self._players, statement, values)

    def battles_sql(self, statement: str, **values: object) -> list[Any]:
        """Asks the battle service's database."""
        return _rows(self._battles, statement, values)

    def close(self) -> None:
        """Closes the connections to the databases."""
        self._players.dispose()
        self._battles.dispose()


def _rows(engine: sa.Engine, statement: str, values: dict[str, object]) -> list[Any]:
    expanding: list[sa.BindParameter[Any]] = [
        sa.bindparam(name, expanding=True) for name, value in values.items() if isinstance(value, list)
    ]
    with engine.connect() as connection:
        return list(connection.execute(sa.text(statement).bindparams(*expanding), values))


@contextmanager
def running_arena(new_database: Callable[[], str], redis_url: str) -> Iterator[Arena]:
    """Runs an arena on empty databases and an empty Redis."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def start() -> Arena:
            client = redis.connect(redis_url)
            stack.push_async_callback(client.aclose)
            await client.flushall()
            return Arena(runner, await stack.enter_async_context(running_trio(new_database, redis_url)), client)

        try:
            arena = runner.run(start())
            yield arena
            arena.close()
        finally:
            runner.run(stack.aclose())
