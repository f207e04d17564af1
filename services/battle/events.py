"""Tells watchers how battles end, whichever replica they watch and whichever worker ends them.

Workers announce ended battles on a small Redis Stream; each replica of the service follows it and hands them to its own
watchers. What a lost Redis swallows, a watcher of one battle finds by looking into SQL itself, now and then.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError

from services.battle.battles import Battle
from services.battle.messages import to_list
from services.battle.queue import Queue
from services.common import logs
from services.common.errors import ResourceExhausted, Unavailable
from skirmish.battle.v1 import battle_pb2

LOOK_INTERVAL = 5.0
"""Seconds after which a watcher of one battle looks into SQL, in case an announcement was lost."""
UNREAD_AT_MOST = 1000
"""How many battles a slow watcher may be behind."""
PAUSE = 0.5
EVERYTHING = ""

log = logs.get(__name__)


def to_announcement(ended: Iterable[Battle]) -> bytes:
    """Returns ended battles as one announcement."""
    return to_list(ended).SerializeToString()


class Watcher:
    """What one watch stream has not sent yet. It is closed when its reader is too slow, or the server stops: both are
    errors to the caller, who would else take it for the end of what there is to see."""

    def __init__(self) -> None:
        self._unread: asyncio.Queue[battle_pb2.Battle | None] = asyncio.Queue(UNREAD_AT_MOST)
        self._too_slow = False

    def put(self, battle: battle_pb2.Battle) -> None:
        try:
            self._unread.put_nowait(battle)
        except asyncio.QueueFull:
            self._too_slow = True
            self.close()

    def close(self) -> None:
        while self._unread.full():
            self._unread.get_nowait()
        self._unread.put_nowait(None)

    async def next(self) -> battle_pb2.Battle:
        """Returns the next ended battle.

        Raises:
            ResourceExhausted: The reader fell too far behind.
            Unavailable: The server stops.
        """
        battle = await self._unread.get()
        if self._too_slow:
            raise ResourceExhausted("you read too slowly; watch again", "WATCHER_TOO_SLOW", retry_delay=1.0)
        if battle is None:
            raise Unavailable("this server stops; watch again", "STOPPING")
        return battle


class Hub:
    """Hands announced battles to the watchers of this replica.

    Args:
        max_watchers: How many watch streams there may be.
    """

    def __init__(self, queue: Queue, max_watchers: int) -> None:
        self._queue = queue
        self._max = max_watchers
        self._count = 0
        self._closed = False
        self._watchers: dict[str, set[Watcher]] = defaultdict(set)

    @contextmanager
    def watch(self, who: str) -> Iterator[Watcher]:
        """Gives a watcher of one battle or of one player's battles, by id; of all battles for ``EVERYTHING``.

        Raises:
            ResourceExhausted: Too many streams are open.
        """
        if self._count >= self._max:
            raise ResourceExhausted(f"{self._max:,} streams are open", "TOO_MANY_WATCHERS", retry_delay=5.0)
        watcher = Watcher()
        self._count += 1
        self._watchers[who].add(watcher)
        if self._closed:
            watcher.close()
        try:
            yield watcher
        finally:
            self._count -= 1
            self._watchers[who].discard(watcher)
            if not self._watchers[who]:
                del self._watchers[who]

    def close(self) -> None:
        """Ends every watch stream: the server stops."""
        self._closed = True
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.close()

    async def run(self) -> None:
        """Follows the announcements until cancelled."""
        after = b""
        while True:
            try:
                after = after or await self._queue.last_announcement()
                for entry_id, announcement in await self._queue.listen(after):
                    after = entry_id
                    if self._count:
                        self._hand_out(battle_pb2.ListBattlesResponse.FromString(announcement).battles)
            except (RedisError, OSError) as error:
                log.warning("can't follow the ended battles, trying again", problem=repr(error))
                await asyncio.sleep(PAUSE)

    def _hand_out(self, battles: Iterable[battle_pb2.Battle]) -> None:
        for battle in battles:
            keys = (EVERYTHING, battle.battle_id, battle.challenger_id, battle.opponent_id)
            watchers = {watcher for key in keys for watcher in self._watchers.get(key, ())}
            for watcher in watchers:
                watcher.put(battle)
