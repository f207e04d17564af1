"""Battles end to end, beside other queues doing nothing and beside the bare databases."""

import random

from bench import floor
from bench.figures import Samples, at_least
from bench.peers import runner
from bench.run import Run
from bench.sets import PostgreSQL, Skirmish, both
from bench.shapes import SHAPES
from tests import servers

GROUP = "Battles end to end"
GOALS = {"SQLite": 5000, "PostgreSQL": 4000}


async def measure(run: Run) -> None:
    """Runs everything that is compared in rounds, so that a noisy minute is noisy for all of it."""
    battles, warm_up = run.size(12_000, 3_000), run.size(2_000, 1_000)
    workers = run.size_of((1, 2, 4), (1, 2))
    peers = [peer._replace(jobs=run.size(peer.jobs, peer.jobs // 3)) for peer in runner.PEERS]
    run.begin(GROUP, run.rounds * (2 * (len(workers) * len(SHAPES) + 1) + len(peers)))
    rates, cpu = Samples(), Samples()
    run.say("starting")
    with servers.redis_server(run.new_folder("redis")) as redis_url:
        async with both(run, max(workers)) as (sets, postgresql):
            for number in range(run.rounds):
                chance = random.Random(number)
                for skirmish in sets:
                    for count in workers:
                        await skirmish.set_workers(count)
                        await skirmish.fight(_requests(skirmish, "uniform", warm_up, chance))
                        for shape in chance.sample(list(SHAPES), len(SHAPES)):
                            requests = _requests(skirmish, shape, battles, chance)
                            name = _name(skirmish.name, shape, count)
                            with run.leg(name):
                                rates.add(name, battles / await skirmish.fight(requests))
                            if (shape, count) == ("uniform", 1):
                                plan = await floor.make_plan(skirmish, battles)
                                for process, seconds in skirmish.cpu.items():
                                    cpu.add(f"{skirmish.name}, {process}", 1e6 * seconds / battles)
                    plan.databases = _new_databases(run, skirmish.name, postgresql)
                    plan.redis_url = redis_url
                    with run.leg(f"{skirmish.name}, floor"):
                        seconds = await floor.run(plan, run.folder)
                    rates.add(f"{skirmish.name}, floor", battles / seconds)
                for peer in peers:
                    with run.leg(peer.name):
                        rates.add(peer.name, await runner.rate(peer, redis_url, peer.jobs, run.folder / "peers.log"))
    _report(run, rates, cpu, workers)


def _requests(skirmish: Skirmish, shape: str, count: int, chance: random.Random) -> list[bytes]:
    return skirmish.requests(SHAPES[shape](skirmish.player_ids, count, chance))


def _new_databases(run: Run, name: str, postgresql: PostgreSQL) -> dict[str, str]:
    if name == "PostgreSQL":
        return postgresql.new_databases()
    folder = run.new_folder("floor")
    return {f"{service}_DATABASE_URL": f"sqlite:///{folder}/{service}.db" for service in ("PLAYER", "BATTLE")}


def _name(database: str, shape: str, workers: int) -> str:
    return f"{database}, {shape}, {workers} worker{'s' * (workers > 1)}"


def _report(run: Run, rates: Samples, cpu: Samples, workers: tuple[int, ...]) -> None:
    for name, samples in rates.of.items():
        goals = [at_least(goal) for database, goal in GOALS.items() if name == _name(database, "uniform", 1)]
        unit = "jobs/s" if name in {peer.name for peer in runner.PEERS} else "battles/s"
        run.add(name, unit, samples, goals[0] if goals else None)
    for database in GOALS:
        base = _name(database, "uniform", 1)
        run.add(f"{database}, part of the floor", "", rates.ratios(base, f"{database}, floor"), at_least(0.5))
        for shape in list(SHAPES)[1:]:
            run.add(f"{database}, {shape} to uniform", "", rates.ratios(_name(database, shape, 1), base), at_least(0.8))
        for count in workers[1:]:
            target = at_least(1) if count == 2 else None
            run.add(
                f"{database}, {count} workers to 1", "", rates.ratios(_name(database, "uniform", count), base), target
            )
        for peer, factor in (("Dramatiq", 3), ("RQ", 100)):
            run.add(f"{database} to {peer}'s empty jobs", "", rates.ratios(base, peer), at_least(factor))
    for name, samples in cpu.of.items():
        run.add(f"{name}, CPU", "µs/battle", samples)
