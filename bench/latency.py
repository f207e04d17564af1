"""How long one battle takes, from SubmitBattle to the SETTLED that WatchBattle tells, alone and under half load."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import grpc

from bench import relay
from bench.figures import Samples, at_most, percentile
from bench.run import Run
from bench.sets import TIMEOUT, Skirmish, both
from bench.shapes import SHAPES
from skirmish.battle.v1 import battle_pb2

GROUP = "Latency of one battle"
LOAD_BATCH = 50
"""Battles in one SubmitBattles call of the load: small, so that it is even."""
PAUSE = (0.005, 0.03)
"""Seconds between two battles that are timed, so that they do not keep step with anything."""
TARGETS = {("idle", 50): at_most(15), ("idle", 99): at_most(50), ("half load", 99): at_most(150)}


async def measure(run: Run) -> None:
    """Times battles one by one: on a set that does nothing else, on the bare relay, and on a set kept busy by half."""
    timed, calibration = run.size(200, 40), run.size(10_000, 2_000)
    run.begin(GROUP, run.rounds * 2 * 3)
    samples = Samples()
    run.say("starting")
    async with both(run, workers=1) as (sets, postgresql), contextlib.AsyncExitStack() as stack:
        databases = {"PostgreSQL": postgresql.new_databases()}
        relays = [
            await stack.enter_async_context(relay.running(run, skirmish.stack.redis_url, databases.get(skirmish.name)))
            for skirmish in sets
        ]
        for number in range(run.rounds):
            chance = random.Random(number)
            for skirmish, bare in zip(sets, relays, strict=True):
                with run.leg(f"{skirmish.name}, idle"):
                    _add(samples, f"{skirmish.name}, idle", await _time_battles(skirmish, timed, chance))
                with run.leg(f"{skirmish.name}, relay"):
                    _add(samples, f"{skirmish.name}, relay", await _time(bare.pass_on, timed, chance))
                requests = skirmish.requests(SHAPES["uniform"](skirmish.player_ids, calibration, chance))
                rate = calibration / await skirmish.fight(requests) / 2
                samples.add(f"{skirmish.name}, half load (battles/s)", rate)
                with run.leg(f"{skirmish.name}, half load"):
                    async with loaded(skirmish, rate, chance) as load:
                        _add(samples, f"{skirmish.name}, half load", await _time_battles(skirmish, timed, chance))
                    samples.add(f"{skirmish.name}, refused of half load (battles)", load.refused)
    for name, values in samples.of.items():
        what, _, unit = name.removesuffix(")").partition(" (")
        _, kind, *percent = what.split(", ")
        target = TARGETS.get((kind, int(percent[0][1:]))) if percent else None
        run.add(what, unit, values, target)
    for skirmish in sets:
        ratios = samples.ratios(f"{skirmish.name}, idle, p50 (ms)", f"{skirmish.name}, relay, p50 (ms)")
        run.add(f"{skirmish.name}, idle to relay, p50", "", ratios)


@dataclass
class Load:
    """How many of its battles were refused since the set could not keep up."""

    refused: int = 0


@contextlib.asynccontextmanager
async def loaded(skirmish: Skirmish, rate: float, chance: random.Random) -> AsyncIterator[Load]:
    """Submits so many battles a second in even steps, whatever becomes of them, and waits for their end at the end."""
    load = Load()
    async with asyncio.TaskGroup() as calls:
        loading = calls.create_task(_keep_submitting(skirmish, rate, chance, load, calls))
        yield load
        loading.cancel()
    await skirmish.until_quiet()


async def _keep_submitting(
    skirmish: Skirmish, rate: float, chance: random.Random, load: Load, calls: asyncio.TaskGroup
) -> None:
    loop = asyncio.get_running_loop()
    began, sent = loop.time(), 0
    while True:
        pairs = SHAPES["uniform"](skirmish.player_ids, LOAD_BATCH, chance)
        calls.create_task(_submit(skirmish, skirmish.requests(pairs), load))
        sent += LOAD_BATCH
        await asyncio.sleep(began + sent / rate - loop.time())


async def _submit(skirmish: Skirmish, requests: list[bytes], load: Load) -> None:
    try:
        await skirmish.submit(requests)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            raise
        load.refused += LOAD_BATCH


async def _time_battles(skirmish: Skirmish, count: int, chance: random.Random) -> list[float]:
    pairs = iter(SHAPES["uniform"](skirmish.player_ids, count, chance))

    async def fight() -> None:
        challenger, opponent = next(pairs)
        request = battle_pb2.SubmitBattleRequest(challenger_id=challenger, opponent_id=opponent)
        battle = await skirmish.battles.SubmitBattle(request, timeout=TIMEOUT)
        watch = battle_pb2.WatchBattleRequest(battle_id=battle.battle_id)
        async for seen in skirmish.battles.WatchBattle(watch, timeout=TIMEOUT):
            battle = seen
        assert battle.state == battle_pb2.Battle.SETTLED

    return await _time(fight, count, chance)


async def _time(battle: Callable[[], Awaitable[None]], count: int, chance: random.Random) -> list[float]:
    """Returns the milliseconds that each of some battles took."""
    loop = asyncio.get_running_loop()
    taken = []
    for _ in range(count):
        began = loop.time()
        await battle()
        taken.append(1000 * (loop.time() - began))
        await asyncio.sleep(chance.uniform(*PAUSE))
    return taken


def _add(samples: Samples, name: str, taken: list[float]) -> None:
    for percent in (50, 99):
        samples.add(f"{name}, p{percent} (ms)", percentile(taken, percent))
