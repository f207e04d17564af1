"""One run: clients and a nemesis on a set of processes for a while, then everything is mended, and checked."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import checks, servers
from tests.faults import checker, history, tables
from tests.faults.arena import Arena
from tests.faults.clients import Client, Roster
from tests.faults.nemesis import Nemesis

CLIENTS = 6
FIRST_PLAYERS = 16
ASKED_AGAIN = 0.7
"""The part of what clients do not know at the end that they ask for again; the rest stays unknown."""
ENDED_TIMEOUT = 120.0
REPORT_INTERVAL = 10.0


@dataclass(frozen=True)
class Plan:
    """What to run.

    Args:
        seconds: How long clients and nemesis are at it.
        seed: Decides what they do; when it meets what, the machine decides.
        database: "sqlite" or "postgresql".
    """

    seconds: float
    seed: int
    database: str
    workers: int = 2
    replicas: int = 1

    @property
    def command(self) -> str:
        """The command that repeats the run."""
        return (
            f"make faults MINUTES={self.seconds / 60:g} DATABASE={self.database} SEED={self.seed} "
            f"WORKERS={self.workers} REPLICAS={self.replicas}"
        )


@contextmanager
def database_server(database: str) -> Iterator[servers.Postgresql | None]:
    """Gives the PostgreSQL server of a run of its own, None for SQLite."""
    if database == "sqlite":
        yield None
    else:
        with servers.postgresql() as server:
            yield server


@asynccontextmanager
async def clients(
    arena: Arena, seed: int, written: history.Writer, count: int = CLIENTS, pause: float = 0.4
) -> AsyncIterator[list[Client]]:
    """Gives clients that have created their players."""
    roster = Roster(f"p{seed}")
    addresses = (arena.links["clients-player"].address, arena.links["clients-battle"].address)
    async with AsyncExitStack() as stack:
        made = []
        for number in range(count):
            client = Client(number, random.Random(f"{seed}-{number}"), roster, written, addresses, pause)
            stack.push_async_callback(client.close)
            made.append(client)
        while len(roster.players) < FIRST_PLAYERS:
            await made[0].create()
        yield made


async def run(plan: Plan, folder: Path, say: Callable[[str], None]) -> checker.Verdict:
    """Runs a plan and checks what came of it. Everything is kept in the folder.

    Raises:
        AssertionError: Something does not come back.
    """
    with database_server(plan.database) as postgresql, history.writing(folder / "history.jsonl") as written:
        arena = Arena(folder, plan.workers, plan.replicas, postgresql)
        async with arena.running():
            async with clients(arena, plan.seed, written) as made:
                nemesis = Nemesis(arena, random.Random(f"{plan.seed}-nemesis"), written)
                await _fight(plan, made, nemesis, written, say)
                say("mended; waiting until everything serves and every battle has ended")
                await arena.until_serving()
                await asyncio.gather(*(client.settle_unknown(ASKED_AGAIN) for client in made))
            written.close()
            return await judge(arena, plan.seed)


async def judge(arena: Arena, seed: int) -> checker.Verdict:
    """Waits until everything has ended, and checks all of it.

    Raises:
        AssertionError: Something does not come back, or to its end.
    """
    await arena.until_serving()
    async with arena.doors() as skirmish:
        with _explained("battles wait for ever"):
            await checks.all_ended(skirmish, ENDED_TIMEOUT)
        with _explained("the boards do not get complete"):
            await checks.boards_complete(skirmish, ENDED_TIMEOUT)
        told = history.read(arena.folder / "history.jsonl")
        stored = tables.read(arena.player_database_url, arena.battle_database_url)
        verdict = await asyncio.to_thread(checker.check, told, stored)
        await checker.check_doors(stored, skirmish, random.Random(seed), verdict)
    verdict.wrong += arena.unexpected()
    for (kind, outcome), count in sorted(told.outcomes.items()):
        verdict.counts[f"calls: {kind} {outcome}"] = count
    for (code, _), count in sorted(told.refusals.items()):
        verdict.counts[f"refused: {code}"] = count
    for fault, count in sorted(told.faults.items()):
        verdict.counts[f"fault: {fault}"] = count
    verdict.counts["crashes at a crash point"] = sum(program.crashes() for program in arena.programs)
    verdict.counts["starts of processes"] = sum(program.starts for program in arena.programs)
    verdict.counts["transactions rolled back by the database and tried again"] = arena.count_in_logs(
        "transaction rolled back, trying again"
    )
    return verdict


async def _fight(
    plan: Plan, made: list[Client], nemesis: Nemesis, written: history.Writer, say: Callable[[str], None]
) -> None:
    end = asyncio.Event()
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for client in made:
            group.create_task(client.run(end))
        group.create_task(nemesis.run(end))
        while (passed := time.monotonic() - began) < plan.seconds:
            counts = written.counts
            say(
                f"{passed:5.0f} s of {plan.seconds:.0f}: {counts['ok']:,} calls ok, {counts['fail']:,} refused, "
                f"{counts['unknown']:,} unknown; {counts['fault']:,} faults, the last: {nemesis.last}"
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(REPORT_INTERVAL, plan.seconds - passed)):
                    await end.wait()
        end.set()


@contextmanager
def _explained(problem: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise AssertionError(f"{problem}: not in {ENDED_TIMEOUT:.0f} seconds") from None
