"""Clients of a Redis-compatible server, set up so that nothing is written twice behind our back."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    ClusterDownError,
    ConnectionError,  # noqa: A004
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,  # noqa: A004
    TryAgainError,
)

from services.common.errors import Unavailable


def connect(url: str, timeout: float = 5.0, max_connections: int = 64) -> "Redis":
    """Returns a client that connects at the first command. Close it with ``aclose()``. Replies are bytes.

    Retries are off: the library would send a write again after a lost reply, and an XADD would make two entries.
    RESP2, since RESP3 without retries breaks on a connection that was closed while idle. A command that finds every
    connection in use waits for one.

    Args:
        url: As "redis://127.0.0.1:6379/0".
        timeout: Seconds to wait for a reply; more than the BLOCK of a client that blocks.
        max_connections: The size of the pool.
    """
    return Redis.from_pool(
        BlockingConnectionPool.from_url(
            url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            retry_on_timeout=False,
            socket_timeout=timeout,
            socket_connect_timeout=5.0,
            socket_keepalive=True,
            max_connections=max_connections,
        )
    )


@contextmanager
def reached() -> Iterator[None]:
    """Raises Unavailable in place of what the client raises when the server is away, loads its data or can't write.

    Whether a write took effect is then not known.
    """
    try:
        yield
    except (ConnectionError, TimeoutError, ReadOnlyError, OutOfMemoryError, ClusterDownError, TryAgainError) as error:
        raise Unavailable("Redis does not answer; try again shortly") from error
