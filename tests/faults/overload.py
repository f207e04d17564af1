"""Ten times the load that can be settled: it has to be refused clearly, and to be over when it is over."""

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests import checks
from tests.faults import checker, history
from tests.faults.arena import Arena, connect
from tests.faults.clients import Client
from tests.faults.run import Plan, clients, database_server, judge

FACTOR = 10
MEASURED = 2000
"""Battles that are settled in peace first, to learn how many a second that are."""
LIST = 250
CALLS_AT_ONCE = 100
"""Calls that wait for their answers at most; a server that refuses quickly never lets it come to that."""
MAX_QUEUED = 1000
HEALTH_INTERVAL = 0.2
HEALTH_TIMEOUT = 10.0
RECOVERY_TIMEOUT = 60.0


async def run(plan: Plan, folder: Path, say: Callable[[str], None]) -> checker.Verdict:
    """Offers ten times the load for the plan's time and checks what came of it.

    Raises:
        AssertionError: It does not come back by itself.
    """
    with database_server(plan.database) as postgresql, history.writing(folder / "history.jsonl") as written:
        arena = Arena(folder, plan.workers, plan.replicas, postgresql, BATTLE_MAX_QUEUED=str(MAX_QUEUED))
        async with arena.running():
            async with clients(arena, plan.seed, written) as made:
                rate = await _measure(arena, made)
                say(f"{rate:,.0f} battles a second are settled; {FACTOR * rate:,.0f} are offered now")
                before = written.counts["ok"]
                answers: list[str] = []
                looking = asyncio.create_task(_look(arena, answers))
                began = time.monotonic()
                offered = await _offer(made, plan.seconds, FACTOR * rate)
                seconds = time.monotonic() - began
                accepted = written.counts["ok"] - before
                again = await _until_accepted(made[0])
                say(f"submissions are taken again after {again:.1f} s")
                looking.cancel()
            written.close()
            verdict = await judge(arena, plan.seed)
    verdict.check(set(answers) == {"SERVING"}, f"health was {set(answers)} under load")
    verdict.check(verdict.counts["refused: RESOURCE_EXHAUSTED"] > 0, "nothing was refused")
    verdict.counts["settled a second in peace"] = round(rate)
    verdict.counts["offered a second"] = round(offered / seconds)
    verdict.counts["lists taken under load"] = accepted
    verdict.counts["looks at health under load, all of them SERVING"] = len(answers)
    verdict.counts["ms until submissions were taken again"] = round(again * 1000)
    return verdict


async def _measure(arena: Arena, made: list[Client]) -> float:
    """Returns how many battles a second are settled, from their submission to the end of the last."""
    began = time.monotonic()
    taken = 0
    while taken < MEASURED:  # a list at a time for each client, so that the limit of the queue is not reached
        answered = await asyncio.gather(*(client.submit_random(LIST // 5) for client in made))
        taken += sum(answered) * (LIST // 5)
    async with arena.doors() as skirmish:
        await checks.all_ended(skirmish)
    return taken / (time.monotonic() - began)


async def _offer(made: list[Client], seconds: float, rate: float) -> int:
    """Submits at a rate, whatever the answers. Returns how many battles were offered."""
    room = asyncio.Semaphore(CALLS_AT_ONCE)
    began = time.monotonic()
    offered = 0

    async def send(client: Client) -> None:
        async with room:
            await client.submit_random(LIST)

    async with asyncio.TaskGroup() as group:
        for client in itertools.cycle(made):
            now = time.monotonic() - began
            if now > seconds:
                break
            due = int(now * rate) - offered
            if due < LIST or room.locked():
                await asyncio.sleep(0.005)
                continue
            group.create_task(send(client))
            offered += LIST
            await asyncio.sleep(0)
    return offered


async def _until_accepted(client: Client) -> float:
    """Returns after how many seconds a submission is taken again."""
    began = time.monotonic()
    async with asyncio.timeout(RECOVERY_TIMEOUT):
        while not await client.submit_random(1):
            await asyncio.sleep(0.1)
    return time.monotonic() - began


async def _look(arena: Arena, answers: list[str]) -> None:
    """Asks the battle service for its health until cancelled."""
    async with connect(arena.that_do("battle")[0].address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]
        while True:
            try:
                answer = await check(health_pb2.HealthCheckRequest(), timeout=HEALTH_TIMEOUT)
                answers.append(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
            except grpc.aio.AioRpcError as error:
                answers.append(error.code().name)
            await asyncio.sleep(HEALTH_INTERVAL)
