"""Real processes meet every fault there is, for a short while. `make faults` does it for as long as one likes."""

import asyncio
import re
from collections import defaultdict
from pathlib import Path

import pytest

from local.settings import ROOT
from tests.faults import history, overload, run
from tests.faults.arena import Arena
from tests.faults.nemesis import CRASH_POINTS
from tests.faults.program import Program

SECONDS = 15.0
OVERLOADED_SECONDS = 10.0
POINT_TIMEOUT = 60.0

pytestmark = pytest.mark.timeout(400)  # a busy machine takes long to start a hundred processes
databases = pytest.mark.parametrize("database", ["sqlite", "postgresql"])


def say(line: str) -> None:
    """Tells how far a run is, to whoever looks at a test that failed."""
    print(line)  # noqa: T201


@databases
async def test_every_promise_holds_whatever_is_killed_paused_cut_off_or_robbed(database: str, tmp_path: Path) -> None:
    replicas = 1 if database == "sqlite" else 2
    plan = run.Plan(SECONDS, seed=2026, database=database, replicas=replicas)
    verdict = await run.run(plan, tmp_path, say)
    assert not verdict.wrong, f"{verdict.summary()}\n{plan.command}"
    assert verdict.counts["battle: acknowledged"] > 0


@databases
async def test_a_process_may_die_at_any_row_of_the_crash_table(database: str, tmp_path: Path) -> None:
    with run.database_server(database) as postgresql, history.writing(tmp_path / "history.jsonl") as written:
        arena = Arena(tmp_path, 2, 1, postgresql)
        async with arena.running():
            async with run.clients(arena, 1, written, count=2, pause=0.05) as clients:
                end = asyncio.Event()
                async with asyncio.TaskGroup() as group:
                    for client in clients:
                        group.create_task(client.run(end))
                    try:
                        await die_everywhere(arena)
                    finally:
                        end.set()
                await arena.until_serving()
                await asyncio.gather(*(client.settle_unknown(0.7) for client in clients))
            written.close()
            verdict = await run.judge(arena, 1)
    assert not verdict.wrong, verdict.summary()
    assert verdict.counts["crashes at a crash point"] == len(CRASH_POINTS)


async def die_everywhere(arena: Arena) -> None:
    """Lets processes die at every crash point, one after the other in each process."""
    points: dict[Program, list[str]] = defaultdict(list)
    for index, (point, kind) in enumerate(CRASH_POINTS.items()):
        programs = arena.that_do(kind)
        points[programs[index % len(programs)]].append(point)
    async with asyncio.TaskGroup() as group:
        for program, its_points in points.items():
            group.create_task(die_at(arena, program, its_points))


async def die_at(arena: Arena, program: Program, points: list[str]) -> None:
    """Lets a program die at one crash point after the other; it has to come back from each."""
    for point in points:
        program.crash_at(point)
        async with asyncio.timeout(POINT_TIMEOUT):
            while f"crash point {point}\n" not in program.log():
                if point == "sweep.before_publish":  # there is something to sweep only when something was lost
                    await arena.flush_redis()
                await asyncio.sleep(0.2)
            await program.until_serving()


def test_every_crash_point_of_the_services_is_one_of_those_that_are_tried() -> None:
    found = [
        point
        for path in (ROOT / "services").rglob("*.py")
        for point in re.findall(r'crash\.point\("(.+?)"\)', path.read_text())
    ]
    assert sorted(found) == sorted(CRASH_POINTS)


async def test_ten_times_the_load_is_refused_clearly_and_soon_forgotten(tmp_path: Path) -> None:
    plan = run.Plan(OVERLOADED_SECONDS, seed=1, database="sqlite", workers=1)
    verdict = await overload.run(plan, tmp_path, say)
    assert not verdict.wrong, verdict.summary()
    assert verdict.counts["battle: acknowledged"] > overload.MEASURED
