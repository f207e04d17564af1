"""Live boards: the top of a board, told whenever it changes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest

from services.leaderboard.boards import Entry
from services.leaderboard.live import LiveBoards
from services.leaderboard.store import Page
from skirmish.leaderboard.v1 import leaderboard_pb2, leaderboard_pb2_grpc
from tests.leaderboards import Clock, Service, at, leaderboard, player, rows
from tests.settlement_source import SettlementSource

NOON = at("2026-11-22 12:00")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source() -> SettlementSource:
    return SettlementSource()


@pytest.fixture
async def service(redis_url: str, source: SettlementSource, clock: Clock) -> AsyncIterator[Service]:
    async with source.serving() as port, leaderboard(redis_url, port, clock) as service:
        yield service


def watch(service: Service, board: str = "all", page_size: int = 3, **options: Any) -> Any:
    request = leaderboard_pb2.WatchEntriesRequest(board=board, page_size=page_size)
    return service.boards.WatchEntries(request, timeout=30, **options)


async def test_watchers_see_the_board_at_once_and_then_each_change_of_its_top(
    service: Service, source: SettlementSource
) -> None:
    told = aiter(watch(service))
    assert list((await anext(told)).entries) == []
    await service.record([source.win(player(number), 100 - number, NOON) for number in range(5)])
    shown = await anext(told)
    assert rows(shown.entries) == [(1, 1, player(0), 100), (2, 2, player(1), 99), (3, 3, player(2), 98)]
    assert shown.total_size == 5
    await service.record([source.win(player(4), 50, NOON)])
    assert rows((await anext(told)).entries)[0] == (1, 1, player(4), 146)


async def test_a_watch_of_today_goes_over_to_the_next_day(
    service: Service, source: SettlementSource, clock: Clock
) -> None:
    clock.set("2026-11-22 23:59")
    await service.record([source.win(player(1), 5, at("2026-11-22 23:58"))])
    told = aiter(watch(service, "daily"))
    assert len((await anext(told)).entries) == 1
    clock.set("2026-11-23 00:00")
    assert len((await anext(told)).entries) == 0


async def test_a_watch_is_told_to_watch_again_when_the_server_stops(redis_url: str, source: SettlementSource) -> None:
    async with AsyncExitStack() as stack:
        async with source.serving() as port, leaderboard(redis_url, port, Clock()) as service:
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{service.port}"))
            boards = leaderboard_pb2_grpc.LeaderboardServiceStub(channel)
            told = aiter(boards.WatchEntries(leaderboard_pb2.WatchEntriesRequest(board="all"), timeout=30))
            await anext(told)
            ending = asyncio.ensure_future(anext(told, None))
        with pytest.raises(grpc.aio.AioRpcError) as stopped:
            await ending
    assert stopped.value.code() is grpc.StatusCode.UNAVAILABLE
    assert stopped.value.details() == "this server stops; watch again"


async def test_an_unknown_board_is_refused(service: Service) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await anext(aiter(watch(service, "yearly")))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


class Counted:
    """A store that counts how often it is read."""

    def __init__(self) -> None:
        self.reads = 0

    async def page(self, board: str, before: int, count: int) -> Page:
        self.reads += 1
        return Page([Entry(1, 1, board, self.reads)], 1)


async def test_a_board_is_read_once_for_all_who_watch_it() -> None:
    store: Any = Counted()
    now: Callable[[], int] = Clock()
    live = LiveBoards(store, now, 100)
    watchers = [live.watch("all", 3) for _ in range(100)]
    shown = await asyncio.gather(*(anext(watcher) for watcher in watchers))
    assert len({page.entries[0].score for page in shown}) == store.reads == 1
    with pytest.raises(Exception, match="streams are open"):
        await anext(live.watch("all", 3))
    for watcher in watchers:
        await watcher.aclose()
    assert [page.size async for page in _first(live.watch("all", 3))] == [1]


async def _first(pages: AsyncGenerator[Page, None]) -> AsyncIterator[Page]:
    yield await anext(pages)
