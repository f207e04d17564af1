"""Running sets of Skirmish, driven through their public doors."""

import asyncio
import random
import xmlrpc.client
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, NamedTuple

import psutil
import sqlalchemy as sa
from redis.asyncio import Redis
from supervisor.xmlrpc import SupervisorTransport

from bench.machine import cpu_seconds, used_with_children
from bench.run import Run
from local import health
from local.processes import socket_path
from services.common import channels, redis
from services.leaderboard.store import WATERMARK
from skirmish.battle.v1 import battle_pb2, battle_pb2_grpc
from skirmish.leaderboard.v1 import leaderboard_pb2, leaderboard_pb2_grpc
from skirmish.player.v1 import player_pb2, player_pb2_grpc
from tests import servers
from tests.e2e.stack import READY_TIMEOUT, Stack

TIMEOUT = 60.0
"""Seconds that a call may take, and that battles may go on without any of them ending."""
POLL = 0.01
"""Seconds between two looks at the watermark, a GET: the error of what a leg takes."""
QUIET = 0.3
"""Seconds after which boards that stand still have everything."""
SUBMISSIONS = 500
"""Battles in one SubmitBattles: the most it takes."""
IN_FLIGHT = 4
"""SubmitBattles calls at once."""
PLAYERS = 1000
PURSE = 1000
"""A new player's gold, and its silver."""
VERIFIED = 5
"""Battles of each leg that are fought again and compared."""


class PostgreSQL(NamedTuple):
    """A running server: its URL and its process id."""

    url: str
    pid: int

    def new_databases(self) -> dict[str, str]:
        """Returns the settings of a set with two new databases."""
        return {f"{name}_DATABASE_URL": servers.new_postgresql_database(self.url) for name in ("PLAYER", "BATTLE")}


@contextmanager
def postgresql_server(run: Run) -> Iterator[PostgreSQL]:
    """Runs a PostgreSQL server with the settings it comes with, fsync among them."""
    with servers.postgresql_server() as url:
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            durable = [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in ("fsync", "synchronous_commit")]
            assert durable == ["on", "on"], "commits are not durable, so they are not comparable"
            backend = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            pid = psutil.Process(backend).ppid()
        run.roots.append(pid)
        yield PostgreSQL(url, pid)


@asynccontextmanager
async def both(run: Run, workers: int) -> AsyncIterator[tuple[list["Skirmish"], PostgreSQL]]:
    """Runs a set on SQLite and one on PostgreSQL, each with players. Gives them, and the PostgreSQL server."""
    with postgresql_server(run) as postgresql:
        every = [
            Skirmish("SQLite", Stack(run.new_folder("sqlite"), workers)),
            Skirmish(
                "PostgreSQL", Stack(run.new_folder("postgresql"), workers, **postgresql.new_databases()), postgresql.pid
            ),
        ]
        async with AsyncExitStack() as stack:
            for skirmish in every:
                await stack.enter_async_context(skirmish.running())
                await skirmish.muster(PLAYERS)
            yield every, postgresql


class Skirmish:
    """A running set.

    Attributes:
        name: What the figures call it.
        stack: Its processes.
        database_pid: The process id of its database server; None where it needs none.
        player_ids: Who fights in it.
        cpu: Seconds of a core that each process has used for the last battles fought.
    """

    def __init__(self, name: str, stack: Stack, database_pid: int | None = None) -> None:
        self.name = name
        self.stack = stack
        self.database_pid = database_pid
        self.player_ids: list[str] = []
        self.cpu: dict[str, float] = {}
        self._random = random.Random(name)
        self._number = 0
        self._workers = len(stack.workers)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Skirmish"]:
        """Starts the set, and stops it with the context."""
        stack = self.stack
        stack.launch()
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                while "\nready: " not in stack.output:
                    assert not stack.has_ended, stack.output
                    await asyncio.sleep(0.05)
            async with AsyncExitStack() as opened:
                self.player_channel, self.battle_channel, self.board_channel = [
                    await opened.enter_async_context(channels.open_channel(address))
                    for address in (stack.player, stack.battle, stack.leaderboard)
                ]
                self.redis: Redis = redis.connect(stack.redis_url)
                opened.push_async_callback(self.redis.aclose)
                self.players = player_pb2_grpc.PlayerServiceStub(self.player_channel)
                self.battles = battle_pb2_grpc.BattleServiceStub(self.battle_channel)
                self.boards = leaderboard_pb2_grpc.LeaderboardServiceStub(self.board_channel)
                yield self
        finally:
            await asyncio.to_thread(stack.stop)

    async def muster(self, count: int) -> None:
        """Creates the players that fight."""
        gate = asyncio.Semaphore(32)

        async def create(number: int) -> str:
            async with gate:
                request = player_pb2.CreatePlayerRequest(name=f"Player {number}", gold=PURSE, silver=PURSE)
                return (await self.players.CreatePlayer(request, timeout=TIMEOUT)).player_id

        self.player_ids = list(await asyncio.gather(*map(create, range(count))))

    async def set_workers(self, count: int) -> None:
        """Starts or stops workers until so many run."""
        while self._workers > count:
            await self._supervise("stopProcess", f"worker-{self._workers}", True)
            self._workers -= 1
        while self._workers < count:
            self._workers += 1
            name = f"worker-{self._workers}"
            await self._supervise("startProcess", name, False)
            process = next(process for process in self.stack.processes if process.name == name)
            async with asyncio.timeout(READY_TIMEOUT):
                while await health.ask(process) != health.SERVING:
                    await asyncio.sleep(0.05)

    def requests(self, pairs: list[tuple[str, str]]) -> list[bytes]:
        """Returns battles as serialized SubmitBattlesRequests, so that none of that falls into what is measured."""
        self._number += 1
        battles = [
            battle_pb2.SubmitBattleRequest(request_id=f"{self._number}-{index}", challenger_id=one, opponent_id=other)
            for index, (one, other) in enumerate(pairs)
        ]
        return [
            battle_pb2.SubmitBattlesRequest(requests=battles[start : start + SUBMISSIONS]).SerializeToString()
            for start in range(0, len(battles), SUBMISSIONS)
        ]

    async def fight(self, requests: list[bytes]) -> float:
        """Submits battles and waits until every one of them is final. Returns the seconds from the first to the last.

        A battle is final when its report and its end are stored (it is off the queue table), the balances are settled
        and all boards have it. The watermark of the boards counts settlements without gaps, and workers move it last;
        since the boards' feed could move it as well, the queue table must be empty, too. Afterwards, and not counted
        in, it is checked that all of that is so.
        """
        before = await self.watermark()
        used = await asyncio.to_thread(self._used)
        began = asyncio.get_running_loop().time()
        answers = await self.submit(requests)
        results = [
            result for answer in answers for result in battle_pb2.SubmitBattlesResponse.FromString(answer).results
        ]
        await self.until_final(before + len(results))
        seconds = asyncio.get_running_loop().time() - began
        self.cpu = {name: now - used[name] for name, now in (await asyncio.to_thread(self._used)).items()}
        await self.check(results)
        return seconds

    def _used(self) -> dict[str, float]:
        used = {name: cpu_seconds(pid) for name, pid in self.stack.pids().items()}
        if self.database_pid:
            used["database server"] = used_with_children([self.database_pid])
        return used

    async def submit(self, requests: list[bytes]) -> list[bytes]:
        """Submits requests, several at once, each as soon as there is room. Returns the answers, serialized."""
        call: Any = self.battle_channel.unary_unary("/skirmish.battle.v1.BattleService/SubmitBattles")
        waiting = iter(requests)
        answers: list[bytes] = []

        async def send() -> None:
            for request in waiting:
                answers.append(await call(request, timeout=TIMEOUT))  # noqa: PERF401

        await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))
        return answers

    async def watermark(self) -> int:
        """Returns the place in the settle sequence up to which the boards have everything."""
        return int(await self.redis.get(WATERMARK) or 0)

    async def until_final(self, watermark: int) -> None:
        """Waits until the boards have everything up to a place and no battle waits.

        Raises:
            AssertionError: Nothing has moved for long.
        """
        loop = asyncio.get_running_loop()
        last, changed = -1, loop.time()
        while (now := await self.watermark()) < watermark or await self._queued():
            if now != last:
                last, changed = now, loop.time()
            assert loop.time() - changed < TIMEOUT, f"{self.name} stands still at {now:,} of {watermark:,}"
            await asyncio.sleep(POLL)
        assert now == watermark, f"{now:,} settlements of {watermark:,}: something else is running here"

    async def until_quiet(self) -> None:
        """Waits until no battle waits and the boards have stood still for a while."""
        while await self._queued():
            await asyncio.sleep(POLL)
        mark = -1
        while (now := await self.watermark()) != mark:
            mark = now
            await asyncio.sleep(QUIET)

    async def _queued(self) -> bool:
        request = battle_pb2.ListBattlesRequest(state=battle_pb2.Battle.QUEUED, page_size=1)
        return bool((await self.battles.ListBattles(request, timeout=TIMEOUT)).battles)

    async def check(self, results: list[battle_pb2.SubmitBattleResult]) -> None:
        """Looks whether battles were fought, and whether purses and boards tell the same.

        Raises:
            AssertionError: They don't: then the figure is worth nothing.
        """
        assert all(result.HasField("battle") for result in results), results[0].error
        for result in self._random.sample(results, VERIFIED):
            request = battle_pb2.VerifyBattleRequest(battle_id=result.battle.battle_id)
            assert (await self.battles.VerifyBattle(request, timeout=TIMEOUT)).matches
        ids = self.player_ids[:1000]
        found = await self.players.BatchGetPlayers(player_pb2.BatchGetPlayersRequest(player_ids=ids), timeout=TIMEOUT)
        taken = {player.player_id: player.resources_stolen for player in found.players if player.resources_stolen}
        shown: dict[str, int] = {}
        for start in range(0, len(ids), 500):
            board = leaderboard_pb2.BatchGetEntriesRequest(board="all", player_ids=ids[start : start + 500])
            answer = await self.boards.BatchGetEntries(board, timeout=TIMEOUT)
            shown |= {entry.player_id: entry.score for entry in answer.entries}
        assert shown == taken, "the board does not show what was taken"
        if len(ids) == len(self.player_ids):
            owned = sum(player.gold + player.silver for player in found.players)
            assert owned == 2 * PURSE * len(ids), "resources were made or lost"

    async def _supervise(self, method: str, *arguments: Any) -> None:
        def call() -> None:
            transport = SupervisorTransport(serverurl=f"unix://{socket_path(self.stack.data)}")
            with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as server:
                getattr(server.supervisor, method)(*arguments)

        await asyncio.to_thread(call)
