"""Real processes are killed, paused and robbed of their data while battles are submitted. Nothing may show."""

import asyncio
import itertools
import random
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest

from services.common import channels, redis
from skirmish.battle.v1 import battle_pb2
from skirmish.player.v1 import player_pb2
from tests import checks, servers
from tests.e2e.stack import Stack

CLIENTS, LISTS, LENGTH, PACE = 3, 16, 10, 0.1
"""How many clients submit, how many lists each at the least, how many battles in one, and seconds between two lists."""
TRY_AGAIN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def crashing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A set with two workers, on either database. Every test adds its battles, and all of them are checked again."""
    settings = {"BATTLE_CLAIM_IDLE": "1"}
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
        for service in ("PLAYER", "BATTLE"):
            settings[f"{service}_DATABASE_URL"] = servers.new_postgresql_database(url)
    with Stack(tmp_path_factory.mktemp("crashing"), 2, **settings).running() as stack:
        yield stack


@asynccontextmanager
async def doors(stack: Stack) -> AsyncIterator[checks.Skirmish]:
    async with AsyncExitStack() as opened:
        addresses = (stack.player, stack.battle, stack.leaderboard)
        made = [await opened.enter_async_context(channels.open_channel(address)) for address in addresses]
        yield checks.connect(stack.environment["PLAYER_DATABASE_URL"], *made)


async def fight_through(stack: Stack, disturb: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Submits battles from several clients, each in lists one after the other, for as long as it disturbs.

    A client sends a list again, with the same request ids, until it is answered.
    """
    async with doors(stack) as skirmish:
        run = uuid.uuid4().hex[:12]
        wanted = [player_pb2.CreatePlayerRequest(name=f"{run}-{number}", luck=20) for number in range(12)]
        players = [(await skirmish.players.CreatePlayer(one, timeout=10)).player_id for one in wanted]
        places: list[list[int]] = []
        acknowledged: list[str] = []

        async def client(name: int) -> None:
            mine: list[int] = []
            places.append(mine)
            dice = random.Random(name)
            for number in itertools.count():
                if number >= LISTS and disturbing.done():
                    return
                requests = []
                for index in range(LENGTH):
                    challenger, opponent = dice.sample(players, 2)
                    requests.append(
                        battle_pb2.SubmitBattleRequest(
                            request_id=f"{run}-{name}-{number}-{index}", challenger_id=challenger, opponent_id=opponent
                        )
                    )
                answer = await insist(skirmish, battle_pb2.SubmitBattlesRequest(requests=requests))
                mine += [result.battle.sequence for result in answer.results]
                acknowledged.extend(result.battle.battle_id for result in answer.results)
                await asyncio.sleep(PACE)  # all of it has to be checked, so there is no more than it takes

        disturbing = asyncio.create_task(disturb())
        await asyncio.gather(*map(client, range(CLIENTS)))
        await disturbing
        assert len(set(acknowledged)) == len(acknowledged) >= CLIENTS * LISTS * LENGTH
        assert all(mine == sorted(mine) for mine in places), "what was acknowledged first has to come first"
        await stack.until_serving()
        await checks.all_ended(skirmish)
        await checks.boards_complete(skirmish)
        await checks.check(skirmish, acknowledged)


async def insist(
    skirmish: checks.Skirmish, request: battle_pb2.SubmitBattlesRequest
) -> battle_pb2.SubmitBattlesResponse:
    """Sends submissions until they are answered."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await skirmish.battles.SubmitBattles(request, timeout=5)
            except grpc.aio.AioRpcError as error:
                if error.code() not in TRY_AGAIN:
                    raise
                await asyncio.sleep(0.05)


async def work_in_hand(stack: Stack) -> None:
    """Waits until some worker holds battles that are not settled."""
    async with doors(stack) as skirmish, asyncio.timeout(30):
        while True:
            status = await skirmish.battles.GetQueueStatus(battle_pb2.GetQueueStatusRequest(), timeout=10)
            if any(consumer.pending for consumer in status.consumers):
                return


async def killed_and_back(stack: Stack, name: str) -> None:
    """Kills a process and waits until it was started again."""
    killed = stack.kill(name)
    await asyncio.to_thread(stack.wait_until, lambda: stack.pids().get(name, killed) != killed)


async def test_workers_killed_with_work_in_hand(crashing: Stack) -> None:
    async def disturb() -> None:
        for name in itertools.islice(itertools.cycle(["worker-1", "worker-2"]), 4):
            await work_in_hand(crashing)
            await killed_and_back(crashing, name)

    await fight_through(crashing, disturb)


async def test_the_player_service_killed_during_settlement(crashing: Stack) -> None:
    async def disturb() -> None:
        for _ in range(3):
            await work_in_hand(crashing)
            crashing.kill("player")
            await crashing.until_serving()

    await fight_through(crashing, disturb)


async def test_the_battle_service_killed_while_it_takes_submissions(crashing: Stack) -> None:
    async def disturb() -> None:
        for _ in range(3):
            await asyncio.sleep(0.3)
            crashing.kill("battle")
            await crashing.until_serving()

    await fight_through(crashing, disturb)


async def test_redis_robbed_of_everything(crashing: Stack) -> None:
    async def disturb() -> None:
        client = redis.connect(crashing.redis_url)
        for _ in range(4):
            await work_in_hand(crashing)
            await client.flushall()
        await client.aclose()

    await fight_through(crashing, disturb)


async def test_redis_and_the_leaderboard_killed(crashing: Stack) -> None:
    async def disturb() -> None:
        for name in ("redis", "leaderboard", "redis"):
            await asyncio.sleep(0.3)
            crashing.kill(name)
            await crashing.until_serving()

    await fight_through(crashing, disturb)


async def test_a_worker_that_was_paused_wakes_up_late(crashing: Stack) -> None:
    async def disturb() -> None:
        await work_in_hand(crashing)
        crashing.pause("worker-1")
        await asyncio.sleep(3)  # longer than others leave its work alone
        crashing.resume("worker-1")

    await fight_through(crashing, disturb)
