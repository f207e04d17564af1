"""A whole Skirmish in one process: the real services, wired as their own ``__main__`` does it, on a simulated world."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable
from typing import Any

from redis.exceptions import RedisError

from services.battle import rules
from services.battle.queue import WAITING
from services.battle.rules import Combatant, Fight
from services.common.errors import Unavailable
from services.leaderboard.store import WATERMARK
from tests.simulation import wiring
from tests.simulation.battle_tables import BattleTables
from tests.simulation.client import Client
from tests.simulation.database import DatabaseHost
from tests.simulation.faults import Fate
from tests.simulation.loop import Stuck, VirtualLoop
from tests.simulation.plan import Plan
from tests.simulation.player_tables import PlayerTables
from tests.simulation.process import CURRENT, NEVER, Process
from tests.simulation.redis_client import RedisHost
from tests.simulation.redis_server import RedisServer
from tests.simulation.referee import Referee
from tests.simulation.wire import Channel

PATIENCE = 400.0
"""Seconds after the last fault within which everything must have come to its end."""
STANDSTILLS = ("Unavailable", "RebuildRefused", "NotFilled")
"""What the board feed may be held up by, as its log tells it."""

_FIGHT = rules.fight

Event = tuple[float, str, str, object]
"""Something that happened: when, to whom, what, and with what outcome."""


class Role:
    """A place for one process, which gets a new one when that ends."""

    def __init__(self, world: World, service: str, number: int) -> None:
        self._world = world
        self._service = service
        self._number = number
        self._starts = 0
        self.process: Process | None = None
        self.start()

    def start(self) -> None:
        """Starts a process."""
        self._starts += 1
        world = self._world
        self.process = Process(world, f"{self._service}{self._number}.{self._starts}")
        self.process.skew = world.fate.uniform(-1, 1) * world.plan.skew
        self.process.on_end = self._ended
        wiring.BUILDERS[self._service](self.process)

    def _ended(self) -> None:
        self.process = None
        if not self._world.over:
            self._world.loop.call_later(self._world.fate.uniform(0.02, 1), self.start)


class World:
    """Everything there is, for one seed.

    Args:
        plan: What is to happen.
        crash_at: At which exchange a process dies, whatever else is planned; see ``Fate``.
        disaster: What happens to all of it there, if anything.
        traced: Whether all that happens is written down.

    Attributes:
        over: Whether everything is being taken down.
        trace: What happened, if it is written down.
        streams: The answers of servers that may not have come to their end.
    """

    def __init__(self, plan: Plan, crash_at: int = 0, disaster: str = "", traced: bool = False) -> None:
        self.plan = plan
        self.loop = VirtualLoop()  # type: ignore[abstract]  # the rest of it is never called
        self.trace: list[Event] | None = [] if traced else None
        self.over = False
        self.streams: list[AsyncGenerator[Any, None]] = []
        randomness = random.Random(~plan.seed)
        disasters = {count: getattr(self, name) for count, name in plan.disasters.items()}
        if disaster:
            disasters[(crash_at + 1) // 2] = getattr(self, disaster)
        self.fate = Fate(randomness, plan.odds, disasters, crash_at)
        self._bits = randomness.getrandbits
        self._ids = 0
        self.clock_steps = 0.0
        self.poisoned: set[int] = set()
        self.sickness = False
        self.sick_until = 0.0
        skews = [self.fate.uniform(-1, 1) * plan.skew for _ in range(2)]
        self.redis_skew, self.database_skew = skews
        self.redis = RedisHost(RedisServer(lambda: self.wall_clock(self.redis_skew) / 1e6))
        if plan.filled:
            self.redis.server.call("SET", WATERMARK, 0)
        self.battle_tables = BattleTables()
        self.player_tables = PlayerTables(lambda: self.wall_clock(self.database_skew) // 1000 * 1000)
        for player in plan.players:
            self.player_tables.add(player)
        self.referee = Referee(self)
        self.battle_database = DatabaseHost(self.battle_tables)
        self.player_database = DatabaseHost(self.player_tables, self.referee.after_settlement)
        self.redis.on_script = self.referee.after_record

    # What processes ask for

    def wall_clock(self, skew: float) -> int:
        """Returns the time of a clock that is wrong by some seconds, in microseconds."""
        return self.plan.beginning + int((self.loop.now + skew) * 1_000_000)

    def new_id(self) -> str:
        """Returns a new UUID, in order."""
        self._ids += 1
        return f"b0000000-0000-7000-8000-{self._ids:012x}"

    def new_seed(self) -> int:
        """Returns the seed of a battle, and decides whether it can be fought."""
        seed = self._bits(64)
        if self.fate.happens(self.plan.poison):
            self.poisoned.add(seed)
        return seed

    # Its life

    def run(self) -> None:
        """Lets it all happen, and has the referee judge it."""
        try:
            with wiring.applied(self):
                self.loop.run(self._live())
        except Stuck:
            self.referee.blame("missed: everything stands still")

    async def _live(self) -> None:
        plan, fate = self.plan, self.fate
        self.roles = {
            service: [Role(self, service, number + 1) for number in range(count)]
            for service, count in plan.replicas.items()
        }
        acting = [self.loop.create_task(self._act(number, actions)) for number, actions in enumerate(plan.clients, 1)]
        await self.loop.sleep(plan.faults_end)
        fate.relent()
        for process in self._processes():
            process.surprise = None
        self.redis.away = self.battle_database.away = self.player_database.away = False
        while not self.referee.found and self.loop.now < plan.faults_end + PATIENCE:
            await self.loop.sleep(0.1)
            if all(task.done() for task in acting) and self._is_quiet():
                break
        for task in acting:
            if task.done():
                task.result()
        if not self.referee.found and not all(task.done() for task in acting):
            self.referee.blame("missed: a client waits for an answer")
        if not self.referee.found and not self._is_quiet():
            self.referee.blame(self._unfinished())
        if not self.referee.found:
            self.referee.judge()
        await self._take_down()

    async def _act(self, number: int, actions: list[tuple[float, Any]]) -> None:
        process = self._visitor(f"client{number}")
        client = Client(process, self.channel(process, "battle"), self.channel(process, "player"))
        self.referee.clients.append(client)
        for pause, action in actions:
            await self.loop.sleep(pause)
            await client.act(action)

    def _visitor(self, name: str) -> Process:
        return Process(self, name, mortal=False)

    def _is_quiet(self) -> bool:
        server = self.redis.server
        watermark = server.call("GET", WATERMARK)
        return (
            not self.battle_tables.queue
            and not server.call("XLEN", WAITING)
            and watermark is not None
            and int(watermark) == len(self.player_tables.settlements)
        )

    def _unfinished(self) -> str:
        server = self.redis.server
        waiting, entries = sorted(self.battle_tables.queue), server.call("XLEN", WAITING)
        settled, watermark = len(self.player_tables.settlements), server.call("GET", WATERMARK)
        return (
            f"missed: {PATIENCE:.0f} s after the last fault, battles {waiting} wait, "
            f"{entries} entries are in the stream, and the boards are at {watermark} of {settled}"
        )

    async def _take_down(self) -> None:
        self.over = True
        here = asyncio.current_task()
        while tasks := [task for task in self.loop.tasks if not task.done() and task is not here]:
            for process in self._processes():
                process.standing_until = NEVER
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for stream in self.streams:
            with contextlib.suppress(asyncio.CancelledError):
                await stream.aclose()

    def _processes(self) -> list[Process]:
        return [role.process for roles in self.roles.values() for role in roles if role.process]

    def channel(self, process: Process, service: str) -> Channel:
        """Returns a channel to a service, which sometimes finds a process that has just died."""

        def pick() -> Process | None:
            role, *others = self.roles[service]
            if not others:
                return role.process
            processes = [role.process for role in (role, *others)]
            alive = [process for process in processes if process]
            return self.fate.choice(alive if self.fate.happens(0.9) and alive else processes)

        return Channel(process, pick)

    def fight(self, seed: int, challenger: Combatant, opponent: Combatant, rules_version: int = 1) -> Fight:
        """Fights a battle, if it can be fought by whoever fights it."""
        if seed in self.poisoned or max(self.sick_until, CURRENT.get().sick_until) > self.loop.now:
            raise ArithmeticError("this fight can't be fought")
        return _FIGHT(seed, challenger, opponent, rules_version)

    def read_log(self, level: str, event: str, values: dict[str, Any]) -> None:
        """Reads a log line: an error is a fault of the services, unless it was meant to happen."""
        process = CURRENT.get(None)
        if process is None or self.over:
            return
        process.tell(f"[{level}] {event}", values)
        if level == "critical":
            self.referee.blame(f"{process.name}: {event} {values}")
        elif level == "error" and event != "fight failed":
            error = values.get("exc_info")
            if not (process.stopping and isinstance(error, Unavailable | RedisError | OSError)):
                self.referee.blame(f"{process.name}: {event} {values}", error)
        elif event == "the feed stands still" and not values["problem"].startswith(STANDSTILLS):
            self.referee.blame(f"{process.name}: {event}: {values['problem']}")

    # Disasters

    def lose_redis(self) -> None:
        """Redis loses everything."""
        self._tell("Redis loses everything")
        self.redis.restart(None)
        board = self.fate.choice(self.roles["board"]).process
        if board and self.fate.happens(0.5):  # and while it is made anew, the last of that

            def save() -> None:
                board.surprise = self._way_back()

            board.surprise = save

    def roll_redis_back(self, most: int = 100) -> None:
        """Redis keeps what it has now, works on, and then loses all that came after."""
        self.fate.after(int(self.fate.uniform(1, most)), self._way_back())

    def _way_back(self) -> Callable[[], None]:
        """Saves what Redis has now. Returns what makes it go back there."""
        self._tell("Redis saves everything")
        saved = self.redis.server.save()

        def load() -> None:
            self._tell("Redis goes back to what it saved")
            self.redis.restart(saved)

        return load

    def cut_redis_off(self) -> None:
        """Redis can't be reached for a while."""
        self._cut_off(self.redis, "Redis")

    def cut_players_off(self) -> None:
        """The database of the player service can't be reached for a while."""
        self._cut_off(self.player_database, "the players' database")

    def cut_battles_off(self) -> None:
        """The database of the battle service can't be reached for a while."""
        self._cut_off(self.battle_database, "the battles' database")

    def _cut_off(self, host: Any, name: str) -> None:
        def come_back() -> None:
            host.away = False

        self._tell(f"{name} is out of reach")
        host.away = True
        self.loop.call_later(self.fate.uniform(0.01, 2), come_back)

    def stop_a_worker(self) -> None:
        """A worker is told to stop. Redis may lose what it then does, up to any of its last steps."""
        role = self.fate.choice(self.roles["worker"])
        if role.process:
            role.process.stop()
            if self.fate.happens(0.5):
                role.process.surprise = self._way_back()

    def make_a_worker_sick(self) -> None:
        """All fights of a worker fail for a while, or those of all workers."""
        role = self.fate.choice(self.roles["worker"])
        until = self.loop.now + self.fate.uniform(0.1, 5)
        self.sickness = True
        if self.fate.happens(0.3):
            self._tell("no worker can fight")
            self.sick_until = until
        elif role.process:
            self._tell(f"{role.process.name} can't fight")
            role.process.sick_until = until

    def set_a_clock(self) -> None:
        """The clock of the player service's database, or of Redis, is set."""
        step = self.fate.uniform(-5, 5)
        if self.fate.happens(0.5):
            self._tell(f"the database's clock is set by {step:.1f} s")
            self.database_skew += step
        else:
            self._tell(f"the clock of Redis is set by {step:.1f} s")
            self.redis_skew += step

    def _tell(self, what: str) -> None:
        if self.trace is not None:
            self.trace.append((self.loop.now, "WORLD", what, ""))
