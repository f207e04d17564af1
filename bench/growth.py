"""What a battle costs when much has happened before, and when many may fight."""

import asyncio
import random
from contextlib import nullcontext

from bench import history
from bench.figures import Samples, at_most
from bench.history import History
from bench.run import Run
from bench.sets import PostgreSQL, Skirmish, postgresql_server
from bench.shapes import SHAPES
from tests.e2e.stack import Stack

GROUP = "Growth"


async def measure(run: Run) -> None:
    """Fights the same battles, in turn, in a small world, in one with a long past and in one with many players.

    The small world is made anew for each round, since it would not stay small. Every set is started anew, too, and
    warmed up by as much, so that all processes are of one age.
    """
    few, many = 1_000, run.size(5_000_000, 100_000)
    crowd = run.size(1_000_000, 100_000)
    worlds = {
        f"{few:,} battles stored": History(few, 1000),
        f"{many:,} battles stored": History(many, 1000),
        f"{crowd:,} players": History(few, crowd),
    }
    base, *others = worlds
    battles, warm_up = run.size(5_000, 2_000), run.size(5_000, 1_000)
    run.begin(GROUP, run.rounds * 2 * len(worlds))
    costs = Samples()
    for database in ("SQLite", "PostgreSQL"):
        with postgresql_server(run) if database == "PostgreSQL" else nullcontext() as server:
            lasting = {}
            for name in others:
                run.say(f"{database}: writing {name}")
                lasting[name] = await _world(run, database, worlds[name], server)
            for number in range(run.rounds):
                chance = random.Random(number)
                small = await _world(run, database, worlds[base], server)
                for name, skirmish in ((base, small), *lasting.items()):
                    with run.leg(f"{database}, {name}"):
                        async with skirmish.running():
                            await _fight(skirmish, warm_up, chance)
                            seconds = await _fight(skirmish, battles, chance)
                    costs.add(f"{database}, {name}", 1e6 * seconds / battles)
                    costs.add(f"{database}, {name}, CPU", 1e6 * sum(skirmish.cpu.values()) / battles)
        for name in worlds:
            run.add(f"{database}, {name}", "µs/battle", costs.of[f"{database}, {name}"])
            run.add(f"{database}, {name}, CPU", "µs/battle", costs.of[f"{database}, {name}, CPU"])
        for name in others:
            target = at_most(1.1) if worlds[name].battles == many else None
            for kind in ("", ", CPU"):
                ratios = costs.ratios(f"{database}, {name}{kind}", f"{database}, {base}{kind}")
                run.add(f"{database}, {name}{kind}, to {base}", "", ratios, None if kind else target)


async def _fight(skirmish: Skirmish, count: int, chance: random.Random) -> float:
    return await skirmish.fight(skirmish.requests(SHAPES["uniform"](skirmish.player_ids, count, chance)))


async def _world(run: Run, database: str, world: History, postgresql: PostgreSQL | None) -> Skirmish:
    """Returns a set, not running, with the past of a world."""
    stack = Stack(run.new_folder("world"), 1, **postgresql.new_databases() if postgresql else {})
    stack.data.mkdir()
    urls = [stack.environment[f"{name}_DATABASE_URL"] for name in ("PLAYER", "BATTLE")]
    await asyncio.to_thread(history.write, world, *urls)
    skirmish = Skirmish(database, stack, postgresql.pid if postgresql else None)
    skirmish.player_ids = world.player_ids()
    return skirmish
