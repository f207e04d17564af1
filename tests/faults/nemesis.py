"""The nemesis: does one bad thing after the other to a set of processes, as a seed says."""

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Awaitable, Callable, Sequence

import sqlalchemy as sa
from redis.exceptions import RedisError

from tests.faults.arena import Arena
from tests.faults.history import Writer
from tests.faults.program import Program

CRASH_POINTS = {
    "submit.before_commit": "battle",
    "submit.after_commit": "battle",
    "submit.before_publish": "battle",
    "work.after_read": "worker",
    "settle.before_commit": "player",
    "settle.after_commit": "player",
    "work.after_settle": "worker",
    "work.after_finish": "worker",
    "work.before_acknowledge": "worker",
    "sweep.before_publish": "worker",
}
"""Where a process can be told to die, in the order in which a battle comes by, and which process that is."""
FEW_QUEUED = 40
"""The limit of waiting battles while the queue is to be exhausted."""

PATIENCE = 0.6
"""How often the next fault waits until the last one is mended; the others come on top of it."""
PATIENCE_TIMEOUT = 15.0


class Nemesis:
    """Does bad things, mends them again, and notes what it does.

    Args:
        draw: What decides.
    """

    def __init__(self, arena: Arena, draw: random.Random, history: Writer) -> None:
        self._arena = arena
        self._draw = draw
        self._history = history
        self.last = "nothing yet"
        self._faults: dict[Callable[[], Awaitable[None]], float] = {
            self._kill: 8,
            self._kill_several: 2,
            self._terminate: 2,
            self._pause: 6,
            self._crash: 6,
            self._delay_replies: 3,
            self._drop_replies: 4,
            self._cut: 4,
            self._flush_redis: 2,
            self._make_redis_stale: 2,
            self._exhaust_the_queue: 2,
            **(
                {self._kill_postgresql: 2, self._cut_off_sessions: 2, self._deadlock: 2}
                if arena.postgresql
                else {self._hold_the_write_lock: 3}
            ),
        }

    async def run(self, end: asyncio.Event) -> None:
        """Does one bad thing after the other until the end, each of them at least once if there is time."""
        order: list[Callable[[], Awaitable[None]]] = []
        while not end.is_set():
            if not order:  # rare ones come in every round, frequent ones several times
                order = [fault for fault, weight in self._faults.items() for _ in range(int(weight + 1) // 2)]
                self._draw.shuffle(order)
            await order.pop()()
            await asyncio.sleep(self._draw.uniform(0.1, 1.5))
            if self._draw.random() < PATIENCE:
                await self._wait_for_work(end)

    async def _wait_for_work(self, end: asyncio.Event) -> None:
        """Waits until everything serves again, so that the next fault meets work and not only ruins."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_TIMEOUT):
                while not end.is_set() and not await self._arena.is_serving():
                    await asyncio.sleep(0.2)

    def _note(self, fault: str, target: str, detail: str = "") -> None:
        self.last = f"{fault} {target} {detail}".rstrip()
        self._history.note(fault, target, detail)

    def _any(self, programs: Sequence[Program] | None = None) -> Program:
        return self._draw.choice(programs or self._arena.programs)

    async def _kill(self) -> None:
        program = self._any()
        self._note("kill", program.name)
        program.kill()

    async def _kill_several(self) -> None:
        programs = self._draw.sample(self._arena.programs, 3)
        for program in programs:
            self._note("kill", program.name, "with others")
            program.kill()

    async def _terminate(self) -> None:
        program = self._any()
        self._note("terminate", program.name)
        program.terminate()

    async def _pause(self) -> None:
        program, seconds = self._any(), self._draw.uniform(0.2, 4)
        self._note("pause", program.name, f"for {seconds:.1f} s")
        program.pause()
        await asyncio.sleep(seconds)
        program.resume()

    async def _crash(self) -> None:
        point, time = self._draw.choice(list(CRASH_POINTS)), self._draw.choice([1, 1, 2, 5])
        program = self._any(self._arena.that_do(CRASH_POINTS[point]))
        self._note("crash", program.name, f"at {point}:{time}")
        program.crash_at(point, time)
        await asyncio.sleep(2)

    async def _delay_replies(self) -> None:
        name = self._draw.choice(list(self._arena.links))
        delay, seconds = self._draw.uniform(0.05, 0.6), self._draw.uniform(0.5, 3)
        self._note("delay replies", name, f"by {delay:.2f} s for {seconds:.1f} s")
        self._arena.links[name].delay = delay
        await asyncio.sleep(seconds)
        self._arena.links[name].delay = 0

    async def _drop_replies(self) -> None:
        name, seconds = self._draw.choice(list(self._arena.links)), self._draw.uniform(0.05, 3)
        self._note("drop replies", name, f"for {seconds:.1f} s")
        link = self._arena.links[name]
        link.swallows = True
        await asyncio.sleep(seconds)
        link.cut()
        link.swallows = False

    async def _cut(self) -> None:
        name = self._draw.choice(list(self._arena.links))
        self._note("cut", name)
        self._arena.links[name].cut()

    async def _flush_redis(self) -> None:
        self._note("flush", "redis")
        with contextlib.suppress(RedisError, OSError):  # it may be on its way up
            await self._arena.flush_redis()

    async def _make_redis_stale(self) -> None:
        part = self._draw.uniform(0.3, 1)
        self._note("make stale", "redis", f"back to {part:.0%} of its append-only file")
        await self._arena.make_redis_stale(part)

    async def _exhaust_the_queue(self) -> None:
        seconds = self._draw.uniform(2, 4)
        self._note("exhaust", "queue", f"for {seconds:.1f} s")
        battles, workers = self._arena.that_do("battle"), self._arena.that_do("worker")
        for program in battles:
            program.process.environment["BATTLE_MAX_QUEUED"] = str(FEW_QUEUED)
            program.kill()
        with contextlib.suppress(TimeoutError):  # until they are back, with the new limit
            async with asyncio.timeout(PATIENCE_TIMEOUT):
                await asyncio.gather(*(program.until_serving() for program in battles))
        for program in workers:
            program.pause()
        await asyncio.sleep(seconds)
        for program in workers:
            program.resume()
        await asyncio.sleep(1)
        for program in battles:
            del program.process.environment["BATTLE_MAX_QUEUED"]
            program.kill()

    async def _kill_postgresql(self) -> None:
        seconds = self._draw.uniform(0, 2)
        self._note("kill", "postgresql", f"and keep it away for {seconds:.1f} s")
        await self._arena.restart_postgresql(seconds)

    async def _cut_off_sessions(self) -> None:
        self._note("cut off sessions", "postgresql")
        await asyncio.to_thread(self._on_database, self._terminate_backends)

    async def _deadlock(self) -> None:
        self._note("deadlock", "postgresql", "with a session of ours")
        await asyncio.to_thread(self._on_database, self._lock_players_backwards)

    def _on_database(self, work: Callable[[sa.Connection], None]) -> None:
        engine = sa.create_engine(self._arena.player_database_url, poolclass=sa.NullPool)
        with contextlib.suppress(sa.exc.OperationalError), engine.connect() as connection:
            work(connection)

    def _terminate_backends(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' "
            "AND pid <> pg_backend_pid()"
        )

    def _lock_players_backwards(self, connection: sa.Connection) -> None:
        # Whoever waits longer than its deadlock_timeout looks for a deadlock and gives way. That is never us.
        connection.exec_driver_sql("SET deadlock_timeout = '20s'")
        connection.exec_driver_sql("SET statement_timeout = '10s'")
        for player_id in connection.exec_driver_sql("SELECT player_id FROM player ORDER BY player_id DESC").scalars():
            connection.exec_driver_sql("SELECT 1 FROM player WHERE player_id = %s FOR UPDATE", (str(player_id),))
            connection.exec_driver_sql("SELECT pg_sleep(0.02)")
        connection.rollback()

    async def _hold_the_write_lock(self) -> None:
        url = self._draw.choice([self._arena.player_database_url, self._arena.battle_database_url])
        seconds = self._draw.uniform(0.2, 2)
        path = url.removeprefix("sqlite:///")
        self._note("hold the write lock", path.rpartition("/")[2], f"for {seconds:.1f} s")
        connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        try:
            await asyncio.to_thread(connection.execute, "BEGIN IMMEDIATE")
            await asyncio.sleep(seconds)
            connection.execute("ROLLBACK")
        finally:
            connection.close()
