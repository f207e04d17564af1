"""Fixtures of all tests. Servers are real and shared by a session; databases and keys are new for each test."""

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog
from redis.asyncio import Redis

from services.common import redis
from tests import servers

# A busy machine makes any example slow; the time limit of the whole test is limit enough.
hypothesis.settings.register_profile("skirmish", deadline=None)
hypothesis.settings.load_profile("skirmish")

# As the services have it. By default it is a drawing with the source and the values around each call: a second of work.
_render = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _render])


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A PostgreSQL server."""
    with servers.postgresql_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes empty databases, of either kind, and returns their URLs."""
    numbers = itertools.count()
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db"
    url: str = request.getfixturevalue("postgresql_url")
    return lambda: servers.new_postgresql_database(url)


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    """The URL of an empty database, of either kind."""
    return new_database()


@pytest.fixture(scope="session")
def redis_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis-compatible server."""
    with servers.redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
async def redis_url(redis_server_url: str) -> str:
    """The URL of a Redis-compatible server without any key."""
    client = redis.connect(redis_server_url)
    await client.flushall()
    await client.aclose()
    return redis_server_url


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[Redis]:
    """A client of it."""
    client = redis.connect(redis_url)
    yield client
    await client.aclose()
