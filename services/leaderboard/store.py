"""The boards in Redis: the only module that knows its keys and scripts.

A board is a sorted set. Its members are the inverted place in the settle sequence at which a player reached the score
(8 bytes), followed by the player's id (16 bytes), so that among equal scores the one reached first stands first. Beside
it, under ``:reached``, a hash gives that place for each player. All keys share a hash tag, so that a cluster keeps them
together, and a script may touch keys whose names it finds in another.

    {board}:all                 a board, with {board}:all:reached; likewise {board}:daily@2026-11-21 and so on
    {board}:boards              the boards there are, by the time when they expire
    {board}:watermark           the place up to which every change is recorded
    {board}:ahead               places above it that are recorded too
    {board}:deleted             players that may not come back
    {board}:rebuild             the lock of the one who loads new boards
    {board}:new:<token>:all     a board that is being loaded, and likewise all the others

Marks change in the same atomic step as scores, so a Redis that lost its tail has lost both together. It must not evict
keys (``maxmemory-policy noeviction``, its default).
"""

import asyncio
import struct
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.asyncio.lock import Lock
from redis.exceptions import RedisError

from services.common import redis
from services.common.errors import Unavailable
from services.leaderboard.boards import Board, Change, Entry, Retention, Total, kept, ranked

PREFIX = "{board}:"
REACHED = ":reached"
BOARDS = PREFIX + "boards"
WATERMARK = PREFIX + "watermark"
AHEAD = PREFIX + "ahead"
DELETED = PREFIX + "deleted"
REBUILD = PREFIX + "rebuild"
NEW = PREFIX + "new:"

LAST_SEQUENCE = 2**53 - 1
"""The last place that Lua's numbers tell from its neighbours."""
RECORDED_AT_ONCE = 250
"""How many changes one script call records: about 15 ms, on boards of a million, in which Redis answers nobody else."""
LOADED_AT_ONCE = 5000
"""How many rows are collected before they are sent to boards being loaded."""
LOCK_TTL = 10.0
"""Seconds after which the lock of a process that died while loading is free again."""
LOADING_TTL = 60
"""Seconds after which what it loaded is gone."""

_SCRIPTS = {path.stem: path.read_text() for path in (Path(__file__).parent / "scripts").glob("*.lua")}
_CHANGE = struct.Struct(">QQB16s")
_MARK, _WON, _DELETED = range(3)
_PLACE = struct.Struct(">Q")


_Rows = list[tuple[Any, ...]]
_COUNTS = {"ZADD": "ZCARD", "HSET": "HLEN", "SADD": "SCARD"}


class NotFilled(Unavailable):
    """There are no marks: Redis is new or was flushed, and the boards have yet to be filled."""

    def __init__(self) -> None:
        super().__init__("the boards are being filled; try again shortly", "BOARDS_NOT_FILLED")


class RebuildRefused(Exception):
    """New boards can't be loaded now, or can't be put in place. The live ones are as they were."""


class Recorded(NamedTuple):
    """How many changes were new, and the place up to which every change is recorded."""

    new: int
    watermark: int


class Page(NamedTuple):
    """Entries that stand together, and the size of their board."""

    entries: list[Entry]
    size: int


class Store:
    """The live boards.

    Every method raises Unavailable when Redis is out of reach, and NotFilled when there are no marks.

    Args:
        client: A client of Redis.
        retention: How long boards are kept.
        now: Gives the time in microseconds.
    """

    def __init__(self, client: Redis, retention: Retention, now: Callable[[], int]) -> None:
        self._redis = client
        self._retention = retention
        self._now = now
        self._record, self._page, self._find, self._swap = (
            client.register_script(_SCRIPTS[name]) for name in ("record", "page", "find", "swap")
        )
        self.found_empty = asyncio.Event()
        """Set when the marks turn out to be missing."""

    async def ping(self) -> None:
        """Looks whether Redis answers."""
        with redis.reached():
            await self._redis.ping()

    async def watermark(self) -> int:
        """Returns the place up to which every change is recorded."""
        with redis.reached():
            watermark = await self._redis.get(WATERMARK)
        return int(self._filled(watermark))

    async def record(self, changes: Iterable[Change]) -> Recorded:
        """Records changes, each place once, on every board they count for.

        Many go in several steps, each of them atomic; what was recorded of a call that failed is skipped when it is
        sent again.
        """
        new = watermark = 0
        for day, part in _parts(sorted(changes, key=lambda change: change.sequence)):
            now = self._now()
            boards = kept(day, self._retention, now)
            keys = [WATERMARK, AHEAD, DELETED, BOARDS, *(PREFIX + board.name for board in boards)]
            packed = b"".join(map(_pack, part))
            reply = await self._run(self._record, keys, [packed, now, *(_expiry(board) for board in boards)])
            new += reply[0]
            watermark = reply[1]
        return Recorded(new, watermark)

    async def page(self, board: str, before: int, count: int) -> Page:
        """Returns up to ``count`` entries of a board, after the first ``before`` ones."""
        return _to_page(await self._run(self._page, [WATERMARK, PREFIX + board], [count, before]))

    async def around(self, board: str, player_id: str, count: int) -> Page | None:
        """Returns ``count`` entries with a player's as near the middle as can be; None when it is not on the board."""
        arguments = [count, "", _player(player_id)]
        reply = await self._run(self._page, [WATERMARK, PREFIX + board], arguments)
        return _to_page(reply) if reply else None

    async def find(self, board: str, player_ids: Sequence[str]) -> list[Entry | None]:
        """Returns the entry of each player, None for one that is not on the board."""
        reply = await self._run(self._find, [WATERMARK, PREFIX + board], list(map(_player, player_ids)))
        return [
            found and Entry(found[0], found[1], player_id, _score(found[2]))
            for player_id, found in zip(player_ids, reply, strict=True)
        ]

    @asynccontextmanager
    async def rebuilding(self) -> AsyncIterator["NewBoards"]:
        """Gives boards to load beside the live ones, to one process at a time. What isn't put in place is dropped.

        Raises:
            RebuildRefused: Another process is at it.
        """
        lock = self._redis.lock(REBUILD, timeout=LOCK_TTL, thread_local=False)
        token = uuid.uuid4().hex
        with redis.reached():
            if not await lock.acquire(blocking=False, token=token):
                raise RebuildRefused("another process is filling the boards")
        new = NewBoards(self._redis, self._swap, token, self._now)
        done = asyncio.Event()
        renewing = asyncio.create_task(new.renew(lock, done))
        try:
            with redis.reached():
                yield new
        finally:
            done.set()
            await renewing
            with suppress(RedisError):  # then all of it expires
                await new.drop()
                await lock.release()

    async def _run(self, script: Any, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        with redis.reached():
            reply = await script(keys, arguments)
        return self._filled(reply)

    def _filled(self, reply: Any) -> Any:
        if reply is None:
            self.found_empty.set()
            raise NotFilled
        return reply


@dataclass
class _Loaded:
    """A loaded key: when it expires once it is live, the command that counts its rows, and how many there must be."""

    expiry: str | int
    counts: str
    size: int = 0


class NewBoards:
    """Boards that are being loaded. ``Store.rebuilding`` makes them.

    Args:
        client: A client of Redis.
        swap: The script that puts them in place.
        token: The token of the lock that allows it.
        now: Gives the time in microseconds.
    """

    def __init__(self, client: Redis, swap: Any, token: str, now: Callable[[], int]) -> None:
        self._redis = client
        self._swap = swap
        self._token = token
        self._now = now
        self._rows: defaultdict[Board, tuple[_Rows, _Rows]] = defaultdict(lambda: ([], []))
        self._waiting = 0
        self._loaded: dict[str, _Loaded] = {}

    async def add(self, player_id: str, totals: Mapping[Board, Total]) -> None:
        """Adds a player with its totals. A player comes once."""
        player = _player(player_id)
        for board, total in totals.items():
            place = _PLACE.pack(LAST_SEQUENCE - total.reached)
            scores, places = self._rows[board]
            scores.append((total.score, place + player))
            places.append((player, place))
        self._waiting += len(totals)
        if self._waiting >= LOADED_AT_ONCE:
            await self._flush()

    async def add_deleted(self, player_ids: Collection[str]) -> None:
        """Adds players that may not come back."""
        if player_ids:
            async with self._redis.pipeline(transaction=False) as pipe:
                self._load(pipe, "deleted", "+inf", "SADD", [(_player(player_id),) for player_id in player_ids])
                await pipe.execute()

    async def put_in_place(self, sequence: int) -> None:
        """Replaces the live boards, in one step.

        Args:
            sequence: The place up to which these count: the watermark from now on.

        Raises:
            RebuildRefused: The lock, or something that was loaded, was lost meanwhile.
        """
        await self._flush()
        loaded = [self._key(name) for name in self._loaded]
        live = [PREFIX + name for name in self._loaded]
        arguments = [self._token, sequence, self._now()]
        for key in self._loaded.values():
            arguments += (key.expiry, key.counts, key.size)
        if not await self._swap([REBUILD, WATERMARK, AHEAD, DELETED, BOARDS, *loaded, *live], arguments):
            raise RebuildRefused("Redis lost something while the boards were filled, so that has to begin anew")

    async def renew(self, lock: Lock, done: asyncio.Event) -> None:
        """Keeps the lock, and what was loaded, from expiring; whether it could shows when they are put in place."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOCK_TTL / 3):
                    await done.wait()
                    return
            with suppress(RedisError):
                await lock.extend(LOCK_TTL, replace_ttl=True)
                async with self._redis.pipeline(transaction=False) as pipe:
                    for name in self._loaded:
                        pipe.expire(self._key(name), LOADING_TTL)
                    await pipe.execute()

    async def drop(self) -> None:
        """Deletes what was loaded and not put in place."""
        if self._loaded:
            await self._redis.unlink(*map(self._key, self._loaded))

    async def _flush(self) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            for board, (scores, places) in self._rows.items():
                expiry = _expiry(board)
                if board.name not in self._loaded:
                    self._load(pipe, "boards", "+inf", "ZADD", [(expiry, PREFIX + board.name)])
                self._load(pipe, board.name, expiry, "ZADD", scores)
                self._load(pipe, board.name + REACHED, expiry, "HSET", places)
            await pipe.execute()
        self._rows.clear()
        self._waiting = 0

    def _load(self, pipe: Any, name: str, expiry: str | int, command: str, rows: _Rows) -> None:
        self._loaded.setdefault(name, _Loaded(expiry, _COUNTS[command])).size += len(rows)
        pipe.execute_command(command, self._key(name), *(value for row in rows for value in row))
        pipe.expire(self._key(name), LOADING_TTL)

    def _key(self, name: str) -> str:
        return f"{NEW}{self._token}:{name}"


def _parts(changes: Iterable[Change]) -> Iterator[tuple[int, list[Change]]]:
    """Cuts ordered changes into parts, each with wins of one day only, and so for the same boards."""
    day: int | None = None
    part: list[Change] = []
    for change in changes:
        if len(part) == RECORDED_AT_ONCE or (change.amount and day not in (None, change.day)):
            yield day or 0, part
            day, part = None, []
        if change.amount:
            day = change.day
        part.append(change)
    if part:
        yield day or 0, part


def _pack(change: Change) -> bytes:
    kind = _DELETED if change.deleted else _WON if change.amount else _MARK
    return _CHANGE.pack(change.sequence, change.amount, kind, _player(change.player_id))


def _expiry(board: Board) -> str | int:
    return "+inf" if board.expire_time is None else board.expire_time


def _to_page(reply: Any) -> Page:
    size, before, rank, entries = reply
    members = zip(entries[::2], entries[1::2], strict=True)
    scores = [(_player_id(member[_PLACE.size :]), _score(score)) for member, score in members]
    return Page(ranked(before, rank, scores), size)


def _player(player_id: str) -> bytes:
    return bytes.fromhex(player_id.replace("-", ""))


@lru_cache(10_000)  # many read the same few pages
def _player_id(player: bytes) -> str:
    # As str(uuid.UUID(bytes=player)) would, in a fifth of the time: a page has a hundred of them.
    text = player.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _score(text: bytes) -> int:
    return int(float(text))  # exact: a score is a whole number below 2**53, though it may be written as 9.1e+15
