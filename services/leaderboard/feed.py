"""The feed: brings the boards what they miss, and fills them anew when they were lost.

The player service's settle sequence is the truth. Pushes of the battle workers keep the boards up to date; the feed
sees to it that nothing is missing where a push was lost, and that a Redis which lost everything is filled again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import cache

import grpc

from services.common import channels, logs
from services.common.errors import Unavailable
from services.leaderboard.boards import Board, Change, Retention, Total, kept
from services.leaderboard.store import NewBoards, NotFilled, Store
from skirmish.player.v1 import settlement_pb2, settlement_pb2_grpc

LIST_TIMEOUT = 10.0
"""Seconds that the player service gets to list changes."""
PAGE_SIZE = 5000
"""How many changes are asked for at once: the most there are."""
SNAPSHOT_TIMEOUT = 3600.0
"""Seconds that a snapshot may take in all."""
SNAPSHOT_STALL = 300.0
"""Seconds that it may take until its first part, or its next."""
LONGEST_PAUSE = 5.0
"""Seconds between two looks, at most, while something is out of reach."""

_WINS = (settlement_pb2.EFFECT_CHALLENGER_WON, settlement_pb2.EFFECT_OPPONENT_WON)

log = logs.get(__name__)


def _ignore(_: int) -> None:
    pass


class Feed:
    """Keeps the boards complete.

    Args:
        store: The boards.
        channel: A channel to the player service.
        retention: How long boards are kept.
        now: Gives the time in microseconds.
    """

    def __init__(self, store: Store, channel: grpc.aio.Channel, retention: Retention, now: Callable[[], int]) -> None:
        self._store = store
        self._settlement = settlement_pb2_grpc.SettlementServiceStub(channel)
        self._retention = retention
        self._now = now
        self._seen: int | None = None

    async def run(self, interval: float) -> None:
        """Looks after the boards for ever: every ``interval`` seconds, and at once when they turn out to be empty.

        Nothing that goes wrong ends it. It is logged when it begins and when it is over; meanwhile looks get rarer.
        """
        problem, pause = "", interval
        while True:
            try:
                await self.look()
            except Exception as error:
                if repr(error) != problem:
                    problem = repr(error)
                    log.warning("the feed stands still", problem=problem, cause=repr(error.__cause__))
                pause = min(2 * pause, max(interval, LONGEST_PAUSE))
                await asyncio.sleep(pause)
            else:
                if problem:
                    log.info("the feed goes on")
                problem, pause = "", interval
                with suppress(TimeoutError):
                    async with asyncio.timeout(interval):
                        await self._store.found_empty.wait()

    async def look(self) -> None:
        """Looks after the boards once: fills them when they are empty, brings what they miss when they stand still.

        While pushes move the watermark nothing is missing below it, and the player service is left alone.

        Raises:
            Unavailable: Redis or the player service is out of reach.
            RebuildRefused: The boards have to be filled, and another process is at it.
        """
        self._store.found_empty.clear()
        seen, self._seen = self._seen, None  # after a look that failed, the next one asks in any case
        try:
            watermark = await self._store.watermark()
        except NotFilled:
            watermark = await self.rebuild()
        else:
            if seen is not None and watermark > seen:
                self._seen = watermark
                return
        self._seen = await self._catch_up(watermark)

    async def rebuild(self, progress: Callable[[int], None] = _ignore) -> int:
        """Fills the boards anew from a snapshot of all scores, and returns the place up to which it counts.

        The boards there are serve, and take pushes, until the new ones take their place. Pushes of changes after the
        snapshot are lost with the old boards; the next look brings them.

        Args:
            progress: Is told from time to time how many players were loaded.

        Raises:
            Unavailable: Redis or the player service is out of reach.
            RebuildRefused: Another process is at it, or it has to begin anew.
        """
        async with self._store.rebuilding() as new:
            log.info("filling the boards")
            try:
                sequence = await self._load(new, progress)
            except grpc.aio.AioRpcError as error:
                raise channels.to_error(error, "player") from error
            except TimeoutError as error:
                raise Unavailable("the player service stopped in the middle of its snapshot") from error
            await new.put_in_place(sequence)
        log.info("the boards are filled", watermark=sequence)
        return sequence

    async def _load(self, new: NewBoards, progress: Callable[[int], None]) -> int:
        now = self._now()
        boards_of = cache(lambda day: kept(day, self._retention, now))
        players, sequence, player_id = 0, 0, ""
        totals: dict[Board, Total] = {}  # of this player, whose days may come in several parts
        async for part in self._snapshot():
            sequence = part.last_sequence
            await new.add_deleted(part.deleted_player_ids)
            for day_score in part.scores:
                if day_score.player_id != player_id:
                    await new.add(player_id, totals)
                    players += 1
                    player_id, totals = day_score.player_id, {}
                if day_score.amount:
                    for board in boards_of(day_score.day):
                        score, reached = totals.get(board, (0, 0))
                        totals[board] = Total(score + day_score.amount, max(reached, day_score.reached_sequence))
            progress(players)
        await new.add(player_id, totals)
        return sequence

    async def _snapshot(self) -> AsyncIterator[settlement_pb2.SnapshotScoresResponse]:
        call = self._settlement.SnapshotScores(settlement_pb2.SnapshotScoresRequest(), timeout=SNAPSHOT_TIMEOUT)
        try:
            while True:
                async with asyncio.timeout(SNAPSHOT_STALL):
                    part = await call.read()
                if not isinstance(part, settlement_pb2.SnapshotScoresResponse):  # the end
                    return
                yield part
        finally:
            call.cancel()

    async def _catch_up(self, watermark: int) -> int:
        """Brings all changes after a place. Returns the watermark that the boards then have."""
        while True:
            request = settlement_pb2.ListScoreChangesRequest(after_sequence=watermark, page_size=PAGE_SIZE)
            try:
                page = await self._settlement.ListScoreChanges(request, timeout=LIST_TIMEOUT)
            except grpc.aio.AioRpcError as error:
                raise channels.to_error(error, "player") from error
            if page.last_sequence < watermark:
                log.error("the boards count what never happened", watermark=watermark, last_sequence=page.last_sequence)
                return await self.rebuild()
            if not page.changes:
                return watermark
            recorded = await self._store.record(map(_to_change, page.changes))
            log.debug("brought changes", new=recorded.new, watermark=recorded.watermark)
            if recorded.watermark <= watermark:  # older boards were put in place meanwhile; the next look sees to them
                return recorded.watermark
            watermark = recorded.watermark


def _to_change(change: settlement_pb2.ScoreChange) -> Change:
    if change.effect in _WINS:
        day = change.settle_time.seconds // 86_400
        return Change(change.settle_sequence, change.player_id, change.amount, day)
    deleted = change.effect == settlement_pb2.EFFECT_PLAYER_DELETED
    return Change(change.settle_sequence, change.player_id if deleted else "", deleted=deleted)
