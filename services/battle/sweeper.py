"""The sweeper: publishes again what waits too long, so that nothing is missed whatever the queue loses."""

import asyncio
import random
from collections.abc import Callable

from redis.exceptions import RedisError

from services.battle import store
from services.battle.queue import GroupLost, Queue
from services.common import clock, crash, logs
from services.common.database import Database
from services.common.errors import Unavailable

SWEPT_AT_ONCE = 1000

log = logs.get(__name__)


class Sweeper:
    """Publishes again what waits too long. Every worker may run one; no two publish the same battle at a time.

    Args:
        publish_pause: Seconds after which a battle that still waits is published again; doubles with each time.
        now: Gives the time in microseconds.
        uniform: Draws a number from a range, so that sweepers differ in their pauses.
    """

    def __init__(
        self,
        database: Database,
        queue: Queue,
        publish_pause: float,
        now: Callable[[], int] = clock.now,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._database = database
        self._queue = queue
        self._pause = publish_pause
        self._now = now
        self._uniform = uniform

    async def run(self) -> None:
        """Sweeps until cancelled."""
        while True:
            swept = 0
            try:
                swept = await self.sweep()
            except GroupLost:
                pass  # the worker makes it again, and then all that waits is due
            except (RedisError, OSError, Unavailable) as error:
                log.warning("can't sweep", problem=repr(error))
            if swept < SWEPT_AT_ONCE:
                await asyncio.sleep(min(1.0, self._pause / 5) * self._uniform(0.8, 1.2))

    async def sweep(self) -> int:
        """Publishes what is due, the oldest first. Returns how many battles that were."""
        now = self._now()
        horizon = await self._queue.horizon(now)
        pause = int(self._pause * 1_000_000)
        due = await self._database.write(store.take_due, horizon, now, pause, SWEPT_AT_ONCE)
        if due:
            log.info("publishing again", battles=len(due), first=due[0].sequence)
            crash.point("sweep.before_publish")
            await self._queue.publish(due)
        return len(due)
