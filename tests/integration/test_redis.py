"""Clients of Redis."""

import asyncio

import pytest
from redis.asyncio import Redis

from services.common import redis
from services.common.errors import Unavailable
from tests import servers


async def test_a_command_that_finds_every_connection_in_use_waits_for_one(redis_url: str) -> None:
    client = redis.connect(redis_url, max_connections=2)
    assert sorted(await asyncio.gather(*(client.incr("count") for _ in range(200)))) == list(range(1, 201))
    await client.aclose()


async def test_a_server_that_is_away_is_unavailable() -> None:
    client = redis.connect(f"redis://127.0.0.1:{servers.free_port()}/0")
    with pytest.raises(Unavailable), redis.reached():
        await client.ping()
    await client.aclose()


async def test_a_server_that_is_full_is_unavailable(redis_client: Redis) -> None:
    await redis_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(Unavailable), redis.reached():
            await redis_client.set("key", "value")
    finally:
        await redis_client.config_set("maxmemory", 0)
