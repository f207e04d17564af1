"""The queue on a real Redis-compatible server."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from services.battle.battles import Battle
from services.battle.queue import WAITING, GroupLost, Queue, decode, encode
from services.battle.rules import Combatant
from services.common import clock, redis

BATTLE = Battle(
    sequence=1,
    battle_id=clock.uuid7(),
    challenger=Combatant(clock.uuid7(), 70, 100, 10),
    challenger_number=3,
    opponent=Combatant(clock.uuid7(), 71, 101, 11),
    opponent_number=4,
    seed=2**64 - 1,
    rules_version=1,
    submit_time=5,
)
BATTLES = [BATTLE._replace(sequence=number) for number in range(1, 6)]


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[Queue]:
    clients = [redis.connect(redis_url), redis.connect(redis_url)]
    yield Queue(*clients)
    for client in clients:
        await client.aclose()


def test_an_encoded_battle_comes_back() -> None:
    assert decode(encode(BATTLE)) == BATTLE


async def test_each_battle_goes_to_one_consumer_in_order_and_leaves_when_acknowledged(
    queue: Queue, redis_client: Redis
) -> None:
    await queue.publish(BATTLES)
    assert await queue.make_group()
    assert not await queue.make_group()
    first, second = await queue.read("one", 3), await queue.read("two", 3)
    assert [entry.battle for entry in (*first, *second)] == BATTLES
    await queue.acknowledge([entry.entry_id for entry in first])
    assert await redis_client.xlen(WAITING) == 2


async def test_another_consumer_takes_over_what_one_left_in_hand(queue: Queue) -> None:
    await queue.publish(BATTLES)
    await queue.make_group()
    await queue.read("dead", 2)
    assert await queue.claim("alive", 60, 9) == []
    assert [entry.battle for entry in await queue.claim("alive", 0, 9)] == BATTLES[:2]


async def test_a_lost_group_is_told(queue: Queue, redis_client: Redis) -> None:
    await queue.make_group()
    await redis_client.flushall()
    for lost in (queue.read("one", 1), queue.claim("one", 0, 1), queue.horizon(1)):
        with pytest.raises(GroupLost):
            await lost
    await queue.publish(BATTLES)
    with pytest.raises(GroupLost):
        await queue.read("one", 1)
    assert await queue.make_group()
    assert [entry.battle for entry in await queue.read("one", 9)] == BATTLES


async def test_an_entry_that_nobody_can_read_comes_without_a_battle(queue: Queue, redis_client: Redis) -> None:
    await queue.make_group()
    await redis_client.xadd(WAITING, {b"b": b"[1]"})
    await redis_client.xadd(WAITING, {b"x": b""})
    assert [entry.battle for entry in await queue.read("one", 9)] == [None, None]


async def test_the_horizon_is_the_time_of_the_first_battle_in_line(queue: Queue, redis_client: Redis) -> None:
    await queue.make_group()
    assert await queue.horizon(123) == 123
    for milliseconds in (1000, 2000):
        await redis_client.xadd(WAITING, {b"b": encode(BATTLE)}, id=f"{milliseconds}-0")
    assert await queue.horizon(9_000_000) == 1_000_000
    assert await queue.horizon(900_000) == 900_000, "the clock of Redis is ahead of ours"
    await queue.read("one", 1)
    assert await queue.horizon(9_000_000) == 2_000_000
    await queue.read("one", 1)
    assert await queue.horizon(9_000_000) == 9_000_000


async def test_a_consumer_with_battles_in_hand_is_not_removed(queue: Queue, redis_client: Redis) -> None:
    await queue.publish(BATTLES[:1])
    await queue.make_group()
    await queue.read("busy", 1)
    await queue.leave("busy")
    assert [entry.battle for entry in await queue.claim("other", 0, 9)] == BATTLES[:1]
    await queue.leave("busy")
    assert {consumer.name for consumer in (await queue.look())[1]} == {"other"}


async def test_announcements_are_followed_from_where_a_listener_was(queue: Queue) -> None:
    after = await queue.last_announcement()
    await queue.announce(b"one")
    await queue.announce(b"two")
    heard = await queue.listen(after)
    assert [what for _, what in heard] == [b"one", b"two"]
    assert await queue.last_announcement() == heard[-1][0]
