"""Boards of many sizes, against Redis without a service."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import psutil
from google.protobuf.timestamp_pb2 import Timestamp
from redis.asyncio import Redis

from bench.figures import Samples, at_least, at_most
from bench.replicas import TIMEOUT, Replica, rate, replica, taking_turns
from bench.run import Run
from bench.source import MOST, player_id
from local.settings import ROOT
from services.common import clock, redis
from services.leaderboard.store import WATERMARK
from skirmish.leaderboard.v1 import leaderboard_pb2, leaderboard_pb2_grpc
from tests import servers
from tests.e2e.stack import free_ports

GROUP = "Boards"
BATCH = 256
"""Changes in one RecordScores, and commands in one pipeline: what a worker sends."""
IN_FLIGHT = 4
"""RecordScores calls, and pipelines, at once: what a worker has in hand."""
PAGE = 100
BOARDS = 4
"""Boards that a win counts for: of all time, of the day, the week and the month."""
PLAIN = "plain:{}"
"""Sorted sets of the same sizes, with no service around them."""
MEMORY_OF_5_MILLION = 8 << 30
"""Bytes that must be free before five million players are tried: boards, plain copies and the log of both."""


class Boards:
    """A leaderboard service over a board of a size, with its own Redis.

    Attributes:
        size: How many players are on the board.
        megabytes: Redis memory of the board, a million players, in units of a million bytes.
        filled: How many players a second the service has put onto the board.
    """

    def __init__(self, size: int, server: Replica, client: Redis) -> None:
        self.size = size
        self.server = server
        self.redis: Any = client
        self.stub = leaderboard_pb2_grpc.LeaderboardServiceStub(server.channel)
        self.megabytes = self.filled = 0.0
        self._chance = random.Random(size)

    @property
    def name(self) -> str:
        """What the figures call it."""
        return f"{self.size:,} players"

    def player(self) -> str:
        """Returns one of the players."""
        return player_id(self._chance.randrange(self.size))

    async def record(self, count: int) -> float:
        """Records so many wins. Returns how many a second."""
        sequence = int(await self.redis.get(WATERMARK) or 0)
        now = Timestamp()
        clock.fill(now, clock.now())
        scores = [
            leaderboard_pb2.Score(
                settle_sequence=sequence + number,
                change=leaderboard_pb2.Score.WON,
                player_id=self.player(),
                amount=self._chance.randrange(1, 400),
                settle_time=now,
            )
            for number in range(1, count + 1)
        ]
        method: Any = self.server.channel.unary_unary("/skirmish.leaderboard.v1.LeaderboardService/RecordScores")
        requests = [
            leaderboard_pb2.RecordScoresRequest(scores=scores[start : start + BATCH]).SerializeToString()
            for start in range(0, count, BATCH)
        ]
        seconds = await _in_flight(requests, lambda request: method(request, timeout=TIMEOUT))
        assert int(await self.redis.get(WATERMARK) or 0) == sequence + count
        return count / seconds

    async def pipeline(self, count: int, command: str, boards: int) -> float:
        """Sends so many commands for each of some boards in pipelines. Returns how many rounds of boards a second."""
        members = [self.player().encode() for _ in range(count)]
        amounts = [self._chance.randrange(1, MOST) for _ in range(count)]
        keys = [PLAIN.format("all"), *(PLAIN.format(number) for number in range(1, boards))]

        async def send(start: int) -> None:
            async with self.redis.pipeline(transaction=False) as pipe:
                for member, amount in zip(members[start : start + BATCH], amounts[start : start + BATCH], strict=True):
                    for key in keys:
                        pipe.execute_command(command, key, amount, member)
                await pipe.execute()

        return count / await _in_flight(range(0, count, BATCH), send)

    async def fill_plain(self) -> None:
        """Loads the plain sorted set, and waits until Redis has no work of its own."""
        for start in range(0, self.size, 5000):
            scores: list[Any] = []
            for number in range(start, min(start + 5000, self.size)):
                scores += (self._chance.randrange(1, MOST), player_id(number))
            await self.redis.execute_command("ZADD", PLAIN.format("all"), *scores)
        await self.until_calm()

    async def until_calm(self) -> None:
        """Waits until Redis is not rewriting its log."""
        while (await self.redis.info("persistence"))["aof_rewrite_in_progress"]:
            await asyncio.sleep(0.1)

    def reads(self) -> dict[str, Callable[[], Any]]:
        """Returns the calls that read, by name."""
        players = [self.player() for _ in range(1000)]
        get = [leaderboard_pb2.GetEntryRequest(board="all", player_id=player) for player in players]
        page = [leaderboard_pb2.ListEntriesRequest(board="all", page_size=PAGE)]
        around = [leaderboard_pb2.ListEntriesAroundRequest(board="all", player_id=p, count=PAGE) for p in players]
        plain = PLAIN.format("all")
        return {
            "Empty": self.server.empty,
            "GetEntry": taking_turns(get, self.stub.GetEntry),
            f"ListEntries({PAGE})": taking_turns(page, self.stub.ListEntries),
            f"ListEntriesAround({PAGE})": taking_turns(around, self.stub.ListEntriesAround),
            "plain ZREVRANK": lambda: self.redis.zrevrank(plain, self.player()),
            f"plain ZREVRANGE {PAGE}": lambda: self.redis.zrevrange(plain, 0, PAGE - 1, withscores=True),
        }


async def measure(run: Run) -> None:
    """Compares what the service does with a board with what Redis does with a plain sorted set of the same size."""
    sizes = [run.size(10_000, 1_000), run.size(1_000_000, 100_000)]
    if not run.quick and psutil.virtual_memory().available > MEMORY_OF_5_MILLION:
        sizes.append(5_000_000)
    recorded, seconds = run.size(20_000, 5_000), 0.5 if run.quick else 1.0
    run.begin(GROUP, run.rounds * len(sizes) * 9)
    samples = Samples()
    async with AsyncExitStack() as stack:
        every = []
        for size in sizes:
            run.say(f"filling a board of {size:,}")
            every.append(await stack.enter_async_context(_boards(run, size)))
        for _ in range(run.rounds):
            for boards in every:
                await boards.until_calm()
                with run.leg(f"{boards.name}: RecordScores"):
                    samples.add(f"{boards.name}: RecordScores", await boards.record(recorded))
                with run.leg(f"{boards.name}: pipelined ZINCRBY"):
                    pipelined = await boards.pipeline(recorded, "ZINCRBY", BOARDS)
                    samples.add(f"{boards.name}: pipelined ZINCRBY on four", pipelined)
                with run.leg(f"{boards.name}: pipelined ZADD"):
                    samples.add(f"{boards.name}: pipelined ZADD on one", await boards.pipeline(recorded, "ZADD", 1))
                for name, call in boards.reads().items():
                    with run.leg(f"{boards.name}: {name}"):
                        samples.add(f"{boards.name}: {name}", 1000 / await rate(call, 1, seconds))
    _report(run, samples, every)


def _report(run: Run, samples: Samples, every: list[Boards]) -> None:
    for boards in every:
        million = boards.size == 1_000_000

        def goal(target: Any, holds: bool = million) -> Any:
            return target if holds else None

        name = boards.name
        record = f"{name}: RecordScores"
        run.add(f"{name}: RecordScores onto four boards", "battles/s", samples.of[record], goal(at_least(10_000)))
        for other in ("pipelined ZINCRBY on four", "pipelined ZADD on one"):
            run.add(f"{name}: {other}", "rounds/s", samples.of[f"{name}: {other}"])
        updates = [BOARDS * ratio for ratio in samples.ratios(record, f"{name}: pipelined ZADD on one")]
        run.add(f"{name}: a board update to a ZADD", "", updates, goal(at_least(0.25)))
        to_four = samples.ratios(record, f"{name}: pipelined ZINCRBY on four")
        run.add(f"{name}: RecordScores to four ZINCRBYs", "", to_four)
        for call in boards.reads():
            run.add(f"{name}: {call}, one after the other", "ms", samples.of[f"{name}: {call}"])
        page = samples.ratios(f"{name}: ListEntries({PAGE})", f"{name}: Empty")
        run.add(f"{name}: time of ListEntries({PAGE}) to Empty", "", page, at_most(2))
        memory = [boards.megabytes] if boards.size >= 100_000 else []
        if memory:
            run.add(f"{name}: Redis memory of a million", "MB", memory, goal(at_most(200)))
            run.add(f"{name}: filling the board", "players/s", [boards.filled])


@asynccontextmanager
async def _boards(run: Run, size: int) -> AsyncIterator[Boards]:
    async with AsyncExitStack() as stack:
        url = stack.enter_context(servers.redis_server(run.new_folder("boards")))
        client = redis.connect(url)
        stack.push_async_callback(client.aclose)
        empty = (await client.info("memory"))["used_memory"]
        source = f"127.0.0.1:{free_ports(1)[0]}"
        await stack.enter_async_context(winners(source, size))
        began = asyncio.get_running_loop().time()
        environment = {"LEADERBOARD_REDIS_URL": url, "LEADERBOARD_PLAYER_ADDRESS": source}
        server = await stack.enter_async_context(
            replica("leaderboard", environment, run.folder / "boards.log", patience=600)
        )
        boards = Boards(size, server, client)
        boards.filled = size / (asyncio.get_running_loop().time() - began)
        await boards.until_calm()
        boards.megabytes = ((await client.info("memory"))["used_memory"] - empty) / size
        await boards.fill_plain()
        yield boards


@asynccontextmanager
async def winners(address: str, size: int) -> AsyncIterator[None]:
    """Runs a player service that knows so many winners, for a leaderboard service to fill its board from."""
    command = [sys.executable, "-m", "bench.source", address, str(size)]
    child = await asyncio.create_subprocess_exec(*command, cwd=ROOT, start_new_session=True)
    try:
        yield
    finally:
        child.kill()
        await child.wait()


async def _in_flight(items: Any, send: Callable[[Any], Any]) -> float:
    """Sends every item, so many at once. Returns the seconds that took."""
    waiting = iter(items)

    async def sender() -> None:
        for item in waiting:
            await send(item)

    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(sender() for _ in range(IN_FLIGHT)))
    return asyncio.get_running_loop().time() - began
