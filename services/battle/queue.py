"""The queue of waiting battles on a Redis Stream, and the stream of ended ones. Every key name is here.

Redis is fast and may lose everything: what waits is known to SQL, and published again from there.
"""

import json
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from services.battle.battles import Battle
from services.battle.rules import Combatant

# One hash tag, so that a cluster keeps the keys together and MULTI works.
WAITING = "{battle}:waiting"
ENDED = "{battle}:ended"
GROUP = "workers"
FIELD = b"b"

ENDED_KEPT = 1000
"""About how many announcements are kept for a listener that was away, each of up to a batch of battles: some 50 KB."""
BLOCK = 500
"""Milliseconds that a read waits for something new, and so how long a worker that is told to stop may take to notice.
A client that reads needs a longer socket timeout."""


# One command with one answer for any number of entries: an answer each would cost more to read than all the rest.
_PUBLISH = """
for i = 2, #ARGV do
  redis.call('XADD', KEYS[1], '*', ARGV[1], ARGV[i])
end
"""

# One step, for between two of them a Redis that goes back in time may give the consumer something.
_LEAVE = """
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) == 0 then
  redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
end
"""


class GroupLost(Exception):
    """The consumer group is gone, and with it whatever was in the stream: Redis lost its data."""


class Entry(NamedTuple):
    """A battle as it came from the stream. The battle is None where the entry can't be read."""

    entry_id: bytes
    battle: Battle | None


class Consumer(NamedTuple):
    """A worker as Redis knows it: what it has in hand, and the milliseconds since it was last heard of."""

    name: str
    pending: int
    idle: int


class Queue:
    """The waiting battles.

    Args:
        redis: A client for commands that answer at once.
        blocking: A client for reads that wait, with a socket timeout above ``BLOCK``.
    """

    def __init__(self, redis: Redis, blocking: Redis) -> None:
        self._redis = redis
        self._blocking = blocking
        self._publish = redis.register_script(_PUBLISH)
        self._leave = redis.register_script(_LEAVE)

    async def ping(self) -> None:
        """Raises when Redis does not answer."""
        await self._redis.ping()

    async def make_group(self) -> bool:
        """Makes sure that the consumer group exists, from the beginning of the stream. Returns whether it was made."""
        try:
            await self._redis.xgroup_create(WAITING, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" in str(error):
                return False
            raise
        return True

    async def publish(self, battles: Sequence[Battle]) -> None:
        """Appends battles."""
        await self._publish([WAITING], [FIELD, *map(encode, battles)])

    async def read(self, consumer: str, count: int) -> list[Entry]:
        """Takes up to ``count`` new entries, waiting a while for the first.

        Raises:
            GroupLost: The group is gone.
        """
        try:
            reply: Any = await self._blocking.xreadgroup(GROUP, consumer, {WAITING: ">"}, count=count, block=BLOCK)
        except ResponseError as error:
            raise _lost(error) from error
        return _entries(reply[0][1]) if reply else []

    async def claim(self, consumer: str, idle: float, count: int) -> list[Entry]:
        """Takes over up to ``count`` entries that were in another worker's hands for ``idle`` seconds.

        Raises:
            GroupLost: The group is gone.
        """
        try:
            reply: Any = await self._redis.xautoclaim(WAITING, GROUP, consumer, int(idle * 1000), "0", count=count)
        except ResponseError as error:
            raise _lost(error) from error
        return _entries(reply[1])

    async def acknowledge(self, entry_ids: Collection[bytes]) -> None:
        """Takes entries off the stream: their battles have ended."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.xack(WAITING, GROUP, *entry_ids)
            pipe.xdel(WAITING, *entry_ids)
            await pipe.execute()

    async def horizon(self, now: int) -> int:
        """Returns the time, in microseconds, up to which all that was published has reached some worker.

        A battle published before it that still waits is in a worker's hands, or was lost. One published after it may
        just be in line, however long the line is.

        Raises:
            GroupLost: The group is gone.
        """
        try:
            groups = await self._redis.xinfo_groups(WAITING)
        except ResponseError as error:
            raise GroupLost from error  # no stream
        delivered = next((group["last-delivered-id"] for group in groups if group["name"] == GROUP.encode()), None)
        if delivered is None:
            raise GroupLost
        first: Any = await self._redis.xrange(WAITING, min=b"(" + delivered, count=1)
        # Not after now, though the clock of Redis may be ahead: else all that waits would be due, again and again.
        return min(now, int(first[0][0].split(b"-")[0]) * 1000) if first else now

    async def look(self) -> tuple[int, list[Consumer]]:
        """Returns the length of the stream, and the workers."""
        try:
            consumers: Any = await self._redis.xinfo_consumers(WAITING, GROUP)
        except ResponseError:  # no stream, or no group: no worker has ever come by
            consumers = []
        found = [Consumer(c["name"].decode(), c["pending"], c["idle"]) for c in consumers]
        return await self._redis.xlen(WAITING), found

    async def leave(self, consumer: str) -> None:
        """Removes a consumer that has nothing in hand; one that has stays, since removing it would drop that."""
        await self._leave([WAITING], [GROUP, consumer])

    async def announce(self, ended: bytes) -> None:
        """Tells every replica of the service that battles ended: a serialized ListBattlesResponse."""
        await self._redis.xadd(ENDED, {FIELD: ended}, maxlen=ENDED_KEPT, approximate=True)

    async def listen(self, after: bytes) -> list[tuple[bytes, bytes]]:
        """Returns announcements after an id, waiting a while for the first: the id and what was announced."""
        reply: Any = await self._blocking.xread({ENDED: after}, block=BLOCK)
        return [(entry_id, fields[FIELD]) for entry_id, fields in reply[0][1]] if reply else []

    async def last_announcement(self) -> bytes:
        """Returns the id of the last announcement, to listen after."""
        last: Any = await self._redis.xrevrange(ENDED, count=1)
        return last[0][0] if last else b"0-0"


def encode(battle: Battle) -> bytes:
    """Returns a waiting battle as a JSON list: readable in a terminal, and quick."""
    # Numbers and UUIDs only, so nothing needs to be escaped.
    sequence, battle_id, challenger, challenger_number, opponent, opponent_number, seed, version, submit, *_ = battle
    return (
        f'[{version},{sequence},"{battle_id}",["{challenger[0]}",{challenger[1]},{challenger[2]},{challenger[3]}],'
        f'{challenger_number},["{opponent[0]}",{opponent[1]},{opponent[2]},{opponent[3]}],{opponent_number},'
        f"{seed},{submit}]"
    ).encode()


def decode(data: bytes) -> Battle:
    """Returns the battle of an encoded one.

    Raises:
        ValueError, TypeError: It is not one.
    """
    version, sequence, battle_id, challenger, challenger_number, opponent, opponent_number, seed, submit = json.loads(
        data
    )
    return Battle(
        sequence,
        battle_id,
        Combatant(*challenger),
        challenger_number,
        Combatant(*opponent),
        opponent_number,
        seed,
        version,
        submit,
    )


def _entries(raw: list[Any]) -> list[Entry]:
    entries = []
    for entry_id, fields in raw:
        try:
            entries.append(Entry(entry_id, decode(fields[FIELD])))
        except (ValueError, TypeError, KeyError):
            entries.append(Entry(entry_id, None))
    return entries


def _lost(error: ResponseError) -> Exception:
    return GroupLost() if "NOGROUP" in str(error) or "no longer exists" in str(error) else error
