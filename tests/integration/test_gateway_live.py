"""Hundreds of watchers over HTTP while battles are fought: the real gateway in front of the real services."""

import asyncio
import gc
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import psutil
import pytest
from grpc.aio import UnaryStreamCall

import services.battle.__main__ as battle
from gateway.protocol import Protocol
from gateway.streams import _Stream
from services.battle.events import Hub, Watcher
from services.common.server import running
from services.leaderboard.live import LiveBoards
from skirmish.battle.v1 import battle_pb2
from skirmish.player.v1 import player_pb2
from tests import checks
from tests.events import Event, open_events
from tests.trio import Trio, running_trio
from tests.upstreams import gateway_client

PLAYERS = 40
BATTLES = 200
OF_ONE_BATTLE, OF_ONE_PLAYER, OF_ALL, OF_THE_BOARD = 100, 60, 20, 20
WATCHERS = OF_ONE_BATTLE + OF_ONE_PLAYER + OF_ALL + OF_THE_BOARD
BOARD = "/v1/leaderboards/all/entries"


@pytest.fixture
async def trio(tmp_path: Path, redis_url: str) -> AsyncIterator[Trio]:
    numbers = itertools.count()
    async with running_trio(lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db", redis_url) as trio:
        yield trio


@pytest.fixture
async def player_ids(trio: Trio) -> list[str]:
    players = [
        await trio.skirmish.players.CreatePlayer(player_pb2.CreatePlayerRequest(name=f"Player {number}", luck=0))
        for number in range(PLAYERS)
    ]
    return [player.player_id for player in players]


async def submit(trio: Trio, player_ids: list[str], count: int) -> list[battle_pb2.Battle]:
    """Submits battles of everybody against the next one."""
    pairs = zip(itertools.cycle(player_ids), itertools.cycle(player_ids[1:] + player_ids[:1]), strict=False)
    fights = [
        battle_pb2.SubmitBattleRequest(challenger_id=one, opponent_id=other)
        for one, other in itertools.islice(pairs, count)
    ]
    submitted = await trio.skirmish.battles.SubmitBattles(battle_pb2.SubmitBattlesRequest(requests=fights))
    return [result.battle for result in submitted.results]


async def until(condition: Callable[[], bool]) -> None:
    """Waits until a condition holds."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


def left_over() -> Counter[str]:
    """Counts what streams are made of, and what services know of their watchers."""
    counted: Counter[str] = Counter()
    for thing in gc.get_objects():
        if isinstance(thing, _Stream | Watcher | UnaryStreamCall):
            counted[type(thing).__name__] += 1
        elif isinstance(thing, Protocol) and not (thing.cycle is None or thing.cycle.response_complete):
            counted["answering"] += not thing.transport.is_closing()
        elif isinstance(thing, Hub):
            counted["watched"] += thing._count + len(thing._watchers)
        elif isinstance(thing, LiveBoards):
            counted["watched"] += thing._watchers
    return +counted


class Watchers:
    """Clients that watch, each with what it was told so far.

    Args:
        http: Sends their requests.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._tasks: list[asyncio.Task[None]] = []
        self._opened = 0

    def watch(self, path: str) -> list[Event]:
        """Begins to watch, and returns where what is told will be found."""
        told: list[Event] = []
        self._tasks.append(asyncio.create_task(self._read(path, told)))
        return told

    async def all_open(self) -> None:
        """Waits until every stream is open."""
        await until(lambda: self._opened == len(self._tasks))

    async def leave(self) -> None:
        """Leaves every stream that has not ended."""
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            assert result is None or isinstance(result, asyncio.CancelledError), result

    async def _read(self, path: str, told: list[Event]) -> None:
        async with open_events(self._http, path) as events:
            self._opened += 1
            while event := await anext(events, None):
                told.append(event)


async def test_200_watchers_are_all_told_and_leave_nothing_behind(trio: Trio, player_ids: list[str]) -> None:
    async with gateway_client(**trio.addresses, max_streams=WATCHERS) as client:
        await client.get(BOARD)
        tasks, memory = len(asyncio.all_tasks()), []
        for _ in range(3):
            limits = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(base_url=client.base_url, timeout=60, limits=limits) as http:
                watchers = Watchers(http)
                await watch_battles(trio, client, watchers, player_ids)
                await watchers.leave()
            await until(lambda: not left_over())
            await until(lambda: len(asyncio.all_tasks()) <= tasks)
            memory.append(psutil.Process().memory_info().rss)
    assert memory[2] - memory[1] < 20 << 20


async def watch_battles(trio: Trio, client: httpx.AsyncClient, watchers: Watchers, player_ids: list[str]) -> None:
    """Has as many clients as the gateway takes watch battles, and waits until each was told all that it should be."""
    await trio.stop_workers()
    battles = await submit(trio, player_ids, BATTLES)
    of_battles = {
        each.battle_id: watchers.watch(f"/v1/battles/{each.battle_id}:watch") for each in battles[:OF_ONE_BATTLE]
    }
    of_players = [
        (id_, watchers.watch(f"/v1/battles:watch?player_id={id_}")) for id_ in (player_ids * 2)[:OF_ONE_PLAYER]
    ]
    of_all = [watchers.watch("/v1/battles:watch") for _ in range(OF_ALL)]
    of_board = [watchers.watch(f"{BOARD}:watch?page_size=100") for _ in range(OF_THE_BOARD)]
    await watchers.all_open()
    refused = await client.get("/v1/battles:watch")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")

    await trio.start_worker()
    await checks.all_ended(trio.skirmish)
    await checks.boards_complete(trio.skirmish)
    for id_, told in of_battles.items():
        await until(lambda told=told: len(told) == 3)  # type: ignore[misc]
        assert [event.name for event in told] == ["", "", "end"]
        assert [event.data.get("battle_id") for event in told] == [id_, id_, None]
        assert [event.data.get("state") for event in told] == ["QUEUED", "SETTLED", None]
    for player_id, told in of_players:
        own = {each.battle_id for each in battles if player_id in (each.challenger_id, each.opponent_id)}
        await until(lambda told=told, own=own: ids(told) == own)  # type: ignore[misc]
    for told in of_all:
        await until(lambda told=told: ids(told) == {each.battle_id for each in battles})  # type: ignore[misc]
    board = (await client.get(f"{BOARD}?page_size=100")).json()
    for told in of_board:
        await until(lambda told=told: told[-1].data["entries"] == board["entries"])  # type: ignore[misc]


def ids(told: list[Event]) -> set[str]:
    """Returns the battles that were told of, each of them as it ended."""
    assert all(event.name == "" and event.data["state"] == "SETTLED" for event in told)
    return {event.data["battle_id"] for event in told}


async def test_a_service_that_stops_is_an_error_and_not_an_end(trio: Trio, player_ids: list[str]) -> None:
    await trio.stop_workers()
    (queued,) = await submit(trio, player_ids, 1)
    paths = ("/v1/battles:watch", f"/v1/battles/{queued.battle_id}:watch")
    async with AsyncExitStack() as stack:
        async with running(battle.build, trio.battle_settings) as replica:
            addresses = {**trio.addresses, "battle_address": f"127.0.0.1:{replica.port}"}
            client = await stack.enter_async_context(gateway_client(**addresses))
            streams = [await stack.enter_async_context(open_events(client, path)) for path in paths]
        for events in streams:
            *_, last = [event async for event in events]
            assert (last.name, last.data["error"]["status"]) == ("error", "UNAVAILABLE")
            assert last.data["error"]["details"][0]["reason"] == "STOPPING"


async def test_a_gateway_with_hundreds_of_streams_stops_at_once(trio: Trio, player_ids: list[str]) -> None:
    limits = httpx.Limits(max_connections=None)
    async with AsyncExitStack() as stack:
        async with gateway_client(**trio.addresses) as client:
            http = await stack.enter_async_context(
                httpx.AsyncClient(base_url=client.base_url, timeout=60, limits=limits)
            )
            watchers = Watchers(http)
            told = [
                watchers.watch(path) for path in ("/v1/battles:watch", f"{BOARD}:watch") for _ in range(WATCHERS // 2)
            ]
            await watchers.all_open()
            began = time.monotonic()
        assert time.monotonic() - began < 5
        await until(lambda: all(task.done() for task in watchers._tasks))
        assert not [event for events in told for event in events if event.name]
    await until(lambda: not left_over())
