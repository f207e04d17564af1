"""Boards that miss something, or everything, and how the feed and a rebuild bring it back."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from redis.asyncio import Redis
from structlog.testing import capture_logs

from services.common import channels
from services.common.errors import Unavailable
from services.leaderboard import store
from services.leaderboard.boards import Change, Retention
from services.leaderboard.feed import Feed
from services.leaderboard.store import RebuildRefused, Store
from skirmish.leaderboard.v1 import leaderboard_pb2
from tests import servers
from tests.leaderboards import Clock, Service, at, contents, leaderboard, model, player
from tests.settlement_source import SettlementSource

NOON = at("2026-11-22 12:00")
DAY = int(NOON.timestamp()) // 86_400
RETENTION = Retention(daily=35, weekly=26, monthly=24)
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def clock() -> Clock:
    """Noon, a Sunday."""
    return Clock()


@pytest.fixture
def source() -> SettlementSource:
    """The settle sequence."""
    return SettlementSource()


@pytest.fixture
async def port(source: SettlementSource) -> AsyncIterator[int]:
    """Where the settle sequence is served."""
    async with source.serving() as port:
        yield port


@pytest.fixture
def boards(redis_client: Redis, clock: Clock) -> Store:
    """The boards, without a server in front of them."""
    return Store(redis_client, RETENTION, clock)


@pytest.fixture
async def feed(boards: Store, port: int, clock: Clock) -> AsyncIterator[Feed]:
    """The feed of these boards. It looks when it is told to."""
    channel = channels.open_channel(f"127.0.0.1:{port}")
    yield Feed(boards, channel, RETENTION, clock)
    await channel.close()


def play(source: SettlementSource, length: int = 200, seed: int = 1) -> list[leaderboard_pb2.Score]:
    """Goes on with a settle sequence over some weeks, with ties, draws and deletions. Returns it as pushes."""
    chance, start = random.Random(seed), at("2026-10-25 12:00").timestamp()
    alive = list(range(100 * seed, 100 * seed + 20))
    pushes = []
    for index in range(length):
        time = NOON.fromtimestamp(start + index * 28 * 86_400 / length, NOON.tzinfo)
        if chance.random() < 0.1:
            pushes.append(source.draw(time))
        elif chance.random() < 0.03:
            pushes.append(source.delete(player(alive.pop()), time))
        else:
            pushes.append(source.win(player(chance.choice(alive)), chance.choice([0, 1, 1, 2]), time))
    return pushes


async def shown(service: Service, source: SettlementSource) -> dict[str, Any]:
    return {board: await service.rows(board) for board in model(source.changes)}


async def test_boards_are_filled_from_the_settle_sequence_when_a_service_starts(
    redis_url: str, source: SettlementSource, port: int, clock: Clock
) -> None:
    play(source)
    async with leaderboard(redis_url, port, clock) as service:
        assert await shown(service, source) == model(source.changes)
        assert source.snapshots == 1


async def test_a_rebuild_gives_exactly_what_is_there(
    redis_url: str, source: SettlementSource, port: int, clock: Clock, redis_client: Redis, feed: Feed
) -> None:
    async with leaderboard(redis_url, port, clock) as service:
        pushes = play(source)
        random.Random(3).shuffle(pushes)
        for index in range(0, len(pushes), 30):
            await service.record(pushes[index : index + 30])
        live = await contents(redis_client)
        assert live[store.WATERMARK] == b"200"
        times = {key: await redis_client.ttl(key) for key in live}

        assert await feed.rebuild() == 200

        assert await contents(redis_client) == live
        for key, seconds in times.items():
            assert seconds - 20 <= await redis_client.ttl(key) <= seconds, key


async def test_a_rebuild_drops_boards_that_are_not_kept_and_forgets_what_never_happened(
    boards: Store, source: SettlementSource, feed: Feed, clock: Clock, redis_client: Redis
) -> None:
    await feed.look()
    await boards.record([Change(1, player(1), 5, DAY), Change(2, player(9), deleted=True), Change(7)])
    assert await redis_client.zcard(store.BOARDS) == 4
    clock.set("2030-01-01 00:00")
    source.win(player(2), 3, NOON)
    assert await feed.rebuild() == 1
    assert sorted(await contents(redis_client)) == ["{board}:all", "{board}:all:reached", store.BOARDS, store.WATERMARK]
    assert await redis_client.zcard("{board}:all") == 1


async def test_a_push_that_was_lost_is_brought_by_the_feed(
    redis_url: str, source: SettlementSource, port: int, clock: Clock
) -> None:
    async with leaderboard(redis_url, port, clock, feed_interval=0.05) as service:
        pushes = play(source)
        await service.record(pushes[:40] + pushes[41:90] + pushes[130:])
        for board, listed in model(source.changes).items():
            await service.shows(listed, board)
        assert (await service.record(pushes[-1:])).watermark == 200


async def test_the_feed_reads_only_while_the_watermark_stands_still(
    boards: Store, source: SettlementSource, feed: Feed
) -> None:
    await feed.look()
    listed = source.listed

    source.draw(NOON)
    await boards.record([Change(1)])
    await feed.look()
    assert source.listed == listed, "pushes move the watermark"

    await feed.look()
    assert source.listed == listed + 1, "it stands still"


async def test_a_long_gap_is_brought_page_by_page(boards: Store, source: SettlementSource, feed: Feed) -> None:
    await feed.look()
    for number in range(12_000):
        source.win(player(number % 40), 1, NOON)
    await boards.record([Change(12_000, player(11_999 % 40), 1, DAY)])
    await feed.look()
    assert await boards.watermark() == 12_000
    page = await boards.page("all", 0, 100)
    assert [(e.position, e.rank, e.player_id, e.score) for e in page.entries] == model(source.changes)["all"]


async def test_a_redis_that_lost_its_tail_gets_it_back(
    boards: Store, source: SettlementSource, feed: Feed, redis_client: Redis
) -> None:
    play(source)
    await feed.look()
    before = {key: await redis_client.dump(key) for key in await redis_client.keys("*")}
    complete = await contents(redis_client)
    play(source, seed=2)
    await feed.look()
    assert await contents(redis_client) != complete
    complete = await contents(redis_client)

    await redis_client.flushall()
    for key, value in before.items():
        await redis_client.restore(key, 0, value or b"")
    await feed.look()
    assert await contents(redis_client) == complete


async def test_a_flushed_redis_is_filled_again_at_once_and_in_the_same_order(
    redis_url: str, source: SettlementSource, port: int, clock: Clock, redis_client: Redis
) -> None:
    async with leaderboard(redis_url, port, clock) as service:  # whose feed would look again in an hour
        await service.record(play(source))
        before = await shown(service, source)

        await redis_client.flushall()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await service.record([source.win(player(1), 10, NOON)])
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "being filled" in str(caught.value.details())

        for board, listed in model(source.changes).items():
            await service.shows(listed, board)
        source.changes.pop()
        assert before == model(source.changes)


async def test_reads_of_a_flushed_redis_are_refused_and_not_answered_with_empty_boards(
    redis_url: str, source: SettlementSource, port: int, clock: Clock, redis_client: Redis
) -> None:
    play(source)
    async with leaderboard(redis_url, port, clock) as service:
        source.hold()
        await redis_client.flushall()
        calls: list[Awaitable[Any]] = [
            service.boards.ListEntries(leaderboard_pb2.ListEntriesRequest(board="all")),
            service.boards.GetEntry(leaderboard_pb2.GetEntryRequest(board="all", player_id=player(1))),
            service.boards.BatchGetEntries(leaderboard_pb2.BatchGetEntriesRequest(board="all", player_ids=[player(1)])),
            service.boards.ListEntriesAround(
                leaderboard_pb2.ListEntriesAroundRequest(board="all", player_id=player(1))
            ),
        ]
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        await service.becomes(NOT_SERVING)
        source.let_go()
        await service.becomes(SERVING)
        assert await shown(service, source) == model(source.changes)


async def test_a_replaced_player_database_replaces_the_boards(
    redis_url: str, source: SettlementSource, port: int, clock: Clock
) -> None:
    async with leaderboard(redis_url, port, clock, feed_interval=0.05) as service:
        await service.record(play(source))
        source.changes.clear()
        source.win(player(77), 3, NOON)
        await service.shows([(1, 1, player(77), 3)])
        assert (await service.record([source.win(player(78), 3, NOON)])).recorded <= 1
        await service.shows([(1, 1, player(77), 3), (2, 1, player(78), 3)])


async def test_pushes_while_new_boards_are_loaded_are_not_lost(
    redis_url: str, source: SettlementSource, port: int, clock: Clock, feed: Feed
) -> None:
    async with leaderboard(redis_url, port, clock, feed_interval=0.05) as service:
        await service.record(play(source))
        source.hold()
        rebuilding = asyncio.create_task(feed.rebuild())
        await source.held()

        scores = [source.win(player(1), 10, NOON), source.delete(player(100), NOON), source.win(player(2), 9, NOON)]
        answer = await service.record(scores)
        assert (answer.recorded, answer.watermark) == (3, 203)
        assert await shown(service, source) == model(source.changes), "the old boards serve"

        source.let_go()
        assert await rebuilding == 200
        for board, listed in model(source.changes).items():
            await service.shows(listed, board)


async def test_only_one_of_two_replicas_fills_the_boards(
    redis_url: str, source: SettlementSource, port: int, clock: Clock, feed: Feed, redis_client: Redis
) -> None:
    play(source)
    source.hold()
    async with AsyncExitStack() as stack:
        replicas = [
            await stack.enter_async_context(leaderboard(redis_url, port, clock, 0.05, ready=False)) for _ in range(2)
        ]
        await source.held()
        with pytest.raises(RebuildRefused, match="another process"):
            await feed.rebuild()
        assert source.snapshots == 1
        source.let_go()
        for replica in replicas:
            await replica.becomes(SERVING)
            assert await shown(replica, source) == model(source.changes)
        assert source.snapshots == 1


async def test_a_process_that_lost_its_lock_changes_nothing(
    boards: Store, source: SettlementSource, feed: Feed, redis_client: Redis
) -> None:
    play(source)
    await feed.look()
    source.win(player(1), 99, NOON)
    await feed.look()
    live = await contents(redis_client)

    source.hold()
    rebuilding = asyncio.create_task(feed.rebuild())
    await source.held()
    await redis_client.set(store.REBUILD, "another's")
    source.let_go()
    with pytest.raises(RebuildRefused):
        await rebuilding

    assert await redis_client.getdel(store.REBUILD) == b"another's"
    assert await contents(redis_client) == live, "nothing is changed, and nothing is left behind"


@pytest.mark.parametrize("lost", ["all of a key", "the end of a key"])
async def test_boards_that_lost_a_part_while_they_were_loaded_are_not_put_in_place(
    boards: Store, source: SettlementSource, feed: Feed, redis_client: Redis, lost: str
) -> None:
    play(source)
    await feed.look()
    live = await contents(redis_client)
    async with boards.rebuilding() as new:
        await new.add_deleted([player(1), player(2)])
        (key,) = await redis_client.keys(store.NEW + "*")
        assert 0 < await redis_client.ttl(key) <= store.LOADING_TTL, "it is gone some time after a crash"
        await redis_client.spop(key, 2 if lost == "all of a key" else 1)
        with pytest.raises(RebuildRefused):
            await new.put_in_place(1)
    assert await contents(redis_client) == live


async def test_a_snapshot_that_breaks_off_changes_nothing_and_leaves_nothing_behind(
    boards: Store, source: SettlementSource, feed: Feed, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LOADED_AT_ONCE", 1)
    play(source)
    await feed.look()
    live = await contents(redis_client)
    source.broken = True
    with pytest.raises(Unavailable, match="the player service"):
        await feed.rebuild()
    assert await contents(redis_client) == live


async def test_what_is_loaded_is_renewed_while_it_is_loaded(
    boards: Store, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LOCK_TTL", 0.6)
    monkeypatch.setattr(store, "LOADING_TTL", 1)
    async with boards.rebuilding() as new:
        await new.add_deleted([player(1)])
        renewed = 0
        before = await redis_client.pttl(store.REBUILD)
        async with asyncio.timeout(10):
            while renewed < 8:  # well beyond both
                await asyncio.sleep(0.02)
                left = await redis_client.pttl(store.REBUILD)
                renewed += left > before
                before = left
        await new.put_in_place(5)
    assert await boards.watermark() == 5
    assert await redis_client.smembers(store.DELETED) == {bytes.fromhex(player(1).replace("-", ""))}
    assert await redis_client.ttl(store.DELETED) == -1


async def test_scripts_are_sent_again_to_a_redis_that_forgot_them(
    boards: Store, feed: Feed, redis_client: Redis
) -> None:
    await feed.look()
    await boards.record([Change(1)])
    await redis_client.script_flush()
    assert await boards.record([Change(1), Change(2)]) == (1, 2)


@pytest.mark.parametrize("code", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNIMPLEMENTED])
async def test_the_feed_outlives_whatever_goes_wrong_and_tells_it_once(
    redis_url: str, source: SettlementSource, port: int, clock: Clock, code: grpc.StatusCode
) -> None:
    async with leaderboard(redis_url, port, clock, feed_interval=0.01) as service:
        await service.record(play(source))
        with capture_logs() as lines:
            source.failing = code
            tried = source.listed
            await until(lambda: source.listed > tried + 3)
            assert await shown(service, source) == model(source.changes), "reads go on"
            source.win(player(1), 99, NOON)
            source.failing = None
            await service.shows(model(source.changes)["all"])
            await until(lambda: "the feed goes on" in [line["event"] for line in lines])
        told = [line["event"] for line in lines if line["event"].startswith("the feed")]
        assert told == ["the feed stands still", "the feed goes on"]


async def test_boards_serve_without_the_player_service_and_get_what_they_missed_when_it_is_back(
    redis_url: str, source: SettlementSource, clock: Clock
) -> None:
    async with AsyncExitStack() as stack:
        async with source.serving() as port:
            service = await stack.enter_async_context(leaderboard(redis_url, port, clock, feed_interval=0.05))
            await service.record(play(source))
        assert await shown(service, source) == model(source.changes)
        await service.record([source.win(player(1), 50, NOON)])
        assert await shown(service, source) == model(source.changes)

        source.win(player(2), 50, NOON)
        async with source.serving(port):
            await service.shows(model(source.changes)["all"])


async def test_without_redis_calls_are_unavailable_and_with_it_they_are_answered_again(
    source: SettlementSource, port: int, clock: Clock, tmp_path: Path
) -> None:
    redis_port = servers.free_port()
    async with AsyncExitStack() as stack:
        with servers.redis_server(tmp_path, redis_port) as url:
            service = await stack.enter_async_context(leaderboard(url, port, clock, feed_interval=0.05))
            await service.record(play(source))
            await asyncio.gather(*(service.rows() for _ in range(20)))  # more than one connection
        missed = source.win(player(1), 50, NOON)
        for call in (service.rows(), service.record([missed])):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert caught.value.details() == "Redis does not answer; try again shortly"
        await service.becomes(NOT_SERVING)

        with servers.redis_server(tmp_path, redis_port):
            await asyncio.gather(*(service.rows() for _ in range(20)))
            for board, listed in model(source.changes).items():
                await service.shows(listed, board)
            await service.becomes(SERVING)


async def test_a_rebuild_from_the_command_line_fills_the_boards_and_says_how_far_it_is(
    redis_url: str, source: SettlementSource, port: int, redis_client: Redis
) -> None:
    for number in range(6):
        source.win(player(number), 5, NOON)
    environment = os.environ | {
        "LEADERBOARD_REDIS_URL": redis_url,
        "LEADERBOARD_PLAYER_ADDRESS": f"127.0.0.1:{port}",
    }

    async def rebuild() -> tuple[int | None, str]:
        command = (sys.executable, "-m", "services.leaderboard", "rebuild")
        process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
        _, output = await process.communicate()
        return process.returncode, output.decode()

    code, output = await rebuild()
    assert code == 0, output
    assert "players loaded" in output
    assert await redis_client.zcard("{board}:all") == 6

    await redis_client.set(store.REBUILD, "another's")
    code, output = await rebuild()
    assert code == 1
    assert output.endswith("Can't rebuild: another process is filling the boards.\n")


async def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)
