"""A running leaderboard service for tests, and a model that tells what its boards must show."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from redis.asyncio import Redis

from services.common.server import running
from services.leaderboard.__main__ import build
from services.leaderboard.settings import LeaderboardSettings
from skirmish.leaderboard.v1 import leaderboard_pb2, leaderboard_pb2_grpc
from skirmish.player.v1 import settlement_pb2

NEVER = 3600.0
"""A feed interval of which a test sees the first look alone, and those that empty boards call for."""

Row = tuple[int, int, str, int]
"""An entry: position, rank, player, score."""


class Clock:
    """A clock that a test sets, with times as "2026-11-22 12:00"."""

    def __init__(self, text: str = "2026-11-22 12:00") -> None:
        self.set(text)

    def set(self, text: str) -> None:
        self.time = at(text)

    def __call__(self) -> int:
        return int(self.time.timestamp()) * 1_000_000


def at(text: str) -> datetime:
    """Returns a time, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def player(number: int) -> str:
    """Returns the id of a player; higher numbers do not stand higher among equals."""
    return f"01900000-0000-7000-8000-{number:012x}"


@dataclass
class Service:
    """A leaderboard service that serves."""

    boards: "leaderboard_pb2_grpc.LeaderboardServiceAsyncStub"
    health: Any
    port: int

    async def record(self, scores: Iterable[leaderboard_pb2.Score]) -> leaderboard_pb2.RecordScoresResponse:
        """Pushes changes."""
        return await self.boards.RecordScores(leaderboard_pb2.RecordScoresRequest(scores=scores))

    async def rows(self, board: str = "all", page_size: int = 100) -> list[Row]:
        """Returns a whole board, page by page."""
        found: list[Row] = []
        request = leaderboard_pb2.ListEntriesRequest(board=board, page_size=page_size)
        while True:
            page = await self.boards.ListEntries(request)
            found += rows(page.entries)
            if not page.next_page_token:
                assert page.total_size == len(found)
                return found
            request.page_token = page.next_page_token

    async def becomes(self, status: int) -> None:
        """Waits for a state of health: one of HealthCheckResponse."""
        async with asyncio.timeout(20):
            async for answer in self.health.Watch(health_pb2.HealthCheckRequest()):
                if answer.status == status:
                    return

    async def shows(self, expected: list[Row], board: str = "all") -> None:
        """Waits until a board is as expected."""
        found: object = None
        with suppress(TimeoutError):
            async with asyncio.timeout(20):
                while found != expected:
                    await asyncio.sleep(0.01)
                    try:
                        found = await self.rows(board)
                    except grpc.aio.AioRpcError as error:
                        found = error
                        if error.code() is not grpc.StatusCode.UNAVAILABLE:
                            break
        assert found == expected


@asynccontextmanager
async def leaderboard(
    redis_url: str, source_port: int, clock: Clock, feed_interval: float = NEVER, ready: bool = True, **settings: Any
) -> AsyncIterator[Service]:
    """Runs a leaderboard service, with its boards filled unless told otherwise."""
    known = LeaderboardSettings(
        address="127.0.0.1:0",
        redis_url=redis_url,
        player_address=f"127.0.0.1:{source_port}",
        feed_interval=feed_interval,
        shutdown_grace=1,
        **settings,
    )
    async with (
        running(partial(build, now=clock), known) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        service = Service(
            leaderboard_pb2_grpc.LeaderboardServiceStub(channel), health_pb2_grpc.HealthStub(channel), server.port
        )
        if ready:
            await service.becomes(health_pb2.HealthCheckResponse.SERVING)
        yield service


def rows(entries: Iterable[leaderboard_pb2.Entry]) -> list[Row]:
    """Returns entries as tuples."""
    return [(entry.position, entry.rank, entry.player_id, entry.score) for entry in entries]


def model(changes: Iterable[settlement_pb2.ScoreChange]) -> dict[str, list[Row]]:
    """Returns what every board must show after a settle sequence: a replay in order, with nothing clever."""
    totals: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    for change in changes:
        if change.effect == settlement_pb2.EFFECT_PLAYER_DELETED:
            for board in totals.values():
                board.pop(change.player_id, None)
        elif change.amount:
            day = datetime.fromtimestamp(change.settle_time.seconds, UTC)
            year, week, _ = day.isocalendar()
            month = f"{day.year}-{day.month:02}"
            for name in ("all", f"daily@{month}-{day.day:02}", f"weekly@{year}-W{week:02}", f"monthly@{month}"):
                score, _ = totals[name].get(change.player_id, (0, 0))
                totals[name][change.player_id] = (score + change.amount, -change.settle_sequence)
    return {name: list(_ranked(board)) for name, board in totals.items()}


def _ranked(board: dict[str, tuple[int, int]]) -> Iterator[Row]:
    scores = [score for score, _ in board.values()]
    for position, player_id in enumerate(sorted(board, key=lambda one: board[one], reverse=True), 1):
        score, _ = board[player_id]
        yield position, 1 + sum(other > score for other in scores), player_id, score


async def contents(client: Redis) -> dict[str, Any]:
    """Returns everything that is kept for the boards, key by key."""
    read: dict[Any, Callable[[Any], Any]] = {
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"string": client.get,
    }
    keys: list[Any] = await client.keys("{board}:*")
    return {key.decode(): await read[await client.type(key)](key) for key in keys}


def violations(error: Any) -> list[str]:
    """Returns the fields that an INVALID_ARGUMENT names."""
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, error
    status = rpc_status.from_call(error)
    request = error_details_pb2.BadRequest()
    assert any(detail.Unpack(request) for detail in status.details)
    return [violation.field for violation in request.field_violations]
