"""Backpressure: bounds what waits, so that a flood is refused clearly instead of drowning everybody."""

import asyncio
from collections.abc import Collection, Mapping

from services.battle import store
from services.battle.battles import Battle
from services.common import logs
from services.common.database import Database
from services.common.errors import ResourceExhausted, Unavailable

COUNT_INTERVAL = 0.5
"""Seconds between two counts. In between, what this replica submits is added; the limits hold about, not exactly."""
RELAX = 0.8
"""Once a limit was reached, submissions are taken again below this part of it, so that callers don't flap."""
RETRY_DELAY = 1.0

log = logs.get(__name__)


class Limit:
    """A limit with hysteresis: reached at the top, relaxed only well below."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.reached = False

    def look(self, count: int) -> bool:
        """Takes the present count, and returns whether the limit is reached."""
        self.reached = count >= self._most * (RELAX if self.reached else 1)
        return self.reached


class Backlog:
    """Knows how many battles wait, of all challengers and of each that has many.

    Args:
        most: How many battles may wait in all.
        most_of_challenger: How many battles of one challenger may wait.
    """

    def __init__(self, database: Database, most: int, most_of_challenger: int) -> None:
        self._database = database
        self._most = most
        self._most_of_challenger = most_of_challenger
        self._all = Limit(most)
        self._queued = 0
        self._of_challenger: dict[str, int] = {}
        self._limits: dict[str, Limit] = {}

    @property
    def accepting(self) -> bool:
        """Whether submissions are taken."""
        return not self._all.reached

    def refusal(self) -> ResourceExhausted | None:
        """Returns why no submission at all is taken now, None when they are."""
        if not self._all.look(self._queued):
            return None
        return ResourceExhausted(
            f"about {self._queued:,} battles wait, and {self._most:,} may; try again shortly",
            "TOO_MANY_QUEUED_BATTLES",
            RETRY_DELAY,
        )

    def refusal_of(self, challenger_id: str) -> ResourceExhausted | None:
        """Returns why no submission of a challenger is taken now, None when they are."""
        waiting = self._of_challenger.get(challenger_id, 0)
        limit = self._limits.get(challenger_id)
        if not (limit.look(waiting) if limit else waiting >= self._most_of_challenger):
            return None
        self._limits.setdefault(challenger_id, Limit(self._most_of_challenger)).look(waiting)
        return ResourceExhausted(
            f"about {waiting:,} battles of this challenger wait, and {self._most_of_challenger:,} may; "
            "try again shortly",
            "TOO_MANY_QUEUED_BATTLES_OF_CHALLENGER",
            RETRY_DELAY,
            challenger_id=challenger_id,
        )

    def add(self, battles: Collection[Battle]) -> None:
        """Adds battles that were just submitted, until the next count knows them."""
        self._queued += len(battles)
        for battle in battles:
            challenger_id = battle.challenger.player_id
            self._of_challenger[challenger_id] = self._of_challenger.get(challenger_id, 0) + 1

    async def run(self) -> None:
        """Counts, every now and then, until cancelled."""
        while True:
            try:
                # Those that are far from the limit need not be known.
                many = max(1, self._most_of_challenger // 2)
                self._set(*await self._database.read(store.count_queued, many))
            except Unavailable as error:
                log.warning("can't count the queue", problem=error.message)
            await asyncio.sleep(COUNT_INTERVAL)

    def _set(self, queued: int, of_challenger: Mapping[str, int]) -> None:
        self._queued = queued
        self._of_challenger = dict(of_challenger)
        self._limits = {c: limit for c, limit in self._limits.items() if limit.look(self._of_challenger.get(c, 0))}
