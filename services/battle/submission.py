"""Takes submissions from all running calls and makes them durable together, one transaction after the other."""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from services.battle import store
from services.battle.backlog import Backlog
from services.battle.battles import Battle, Submission
from services.battle.neighbours import Players
from services.battle.queue import Queue
from services.common import clock, crash, logs
from services.common.database import Database
from services.common.errors import ResourceExhausted, SkirmishError

MERGED_AT_MOST = 2000
"""Submissions in one transaction: many, to share the wait for the disk, but few enough that it stays short."""
IN_LINE_AT_MOST = 20_000
"""Submissions that wait for a transaction; beyond it the service is far behind, and memory is not for queueing."""

log = logs.get(__name__)

Result = Battle | SkirmishError


@dataclass
class _Call:
    submissions: Sequence[Submission]
    results: asyncio.Future[list[Result]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Submitter:
    """Submits battles for every caller of one replica.

    While a transaction runs, what arrives waits for the next one: under load many calls share one wait for the disk,
    and a lone call waits for nobody.

    Args:
        backlog: Says when too many battles wait.
        publish_pause: Seconds after which a battle that still waits is published again.
    """

    def __init__(
        self,
        database: Database,
        players: Players,
        queue: Queue,
        backlog: Backlog,
        publish_pause: float,
        now: Callable[[], int] = clock.now,
        new_id: Callable[[], str] = clock.uuid7,
        new_seed: Callable[[], int] = lambda: secrets.randbits(64),
    ) -> None:
        self._database = database
        self._players = players
        self._queue = queue
        self._backlog = backlog
        self._publish_pause = int(publish_pause * 1_000_000)
        self._now, self._new_id, self._new_seed = now, new_id, new_seed
        self._calls: deque[_Call] = deque()
        self._arrived = asyncio.Event()
        self._in_line = 0
        self._publishing: set[asyncio.Task[None]] = set()

    async def submit(self, submissions: Sequence[Submission]) -> list[Result]:
        """Returns a result for each submission, in order, once all that were taken are durable.

        A challenger with too many waiting battles is refused in its own results.

        Raises:
            ResourceExhausted: Too many battles wait. None was taken.
            Unavailable: The database or the player service is out of reach. Submit again with the same request ids.
        """
        if refusal := self._backlog.refusal() or self._full_line():
            raise refusal
        refused = {s.challenger_id: self._backlog.refusal_of(s.challenger_id) for s in submissions}
        taken = [submission for submission in submissions if not refused[submission.challenger_id]]
        results = iter(await self._wait_in_line(taken) if taken else ())
        return [refused[submission.challenger_id] or next(results) for submission in submissions]

    def _full_line(self) -> ResourceExhausted | None:
        if self._in_line < IN_LINE_AT_MOST:
            return None
        return ResourceExhausted("too many submissions at once; try again shortly", "TOO_MANY_SUBMISSIONS", 0.2)

    async def _wait_in_line(self, submissions: Sequence[Submission]) -> list[Result]:
        call = _Call(submissions)
        self._calls.append(call)
        self._in_line += len(submissions)
        self._arrived.set()
        return await call.results

    async def run(self) -> None:
        """Takes calls until cancelled."""
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while calls := self._next_calls():
                    await self._submit_together(calls)
        finally:
            await asyncio.gather(*self._publishing, return_exceptions=True)

    def _next_calls(self) -> list[_Call]:
        calls: list[_Call] = []
        room = MERGED_AT_MOST
        while self._calls and (not calls or len(self._calls[0].submissions) <= room):
            call = self._calls.popleft()
            self._in_line -= len(call.submissions)
            if not call.results.done():  # else its caller left before anything was done for it
                calls.append(call)
                room -= len(call.submissions)
        return calls

    async def _submit_together(self, calls: list[_Call]) -> None:
        submissions = [submission for call in calls for submission in call.submissions]
        try:
            results, new = await self._commit(submissions)
        except Exception as error:
            for call in calls:
                if not call.results.done():
                    call.results.set_exception(error)
            return
        if new:
            crash.point("submit.after_commit")
        start = 0
        for call in calls:
            end = start + len(call.submissions)
            if not call.results.done():
                call.results.set_result(results[start:end])
            start = end
        if new:
            self._backlog.add(new)
            task = asyncio.create_task(self._publish(new))
            self._publishing.add(task)
            task.add_done_callback(self._publishing.discard)

    async def _commit(self, submissions: list[Submission]) -> tuple[list[Result], list[Battle]]:
        ids = {player_id for s in submissions for player_id in (s.challenger_id, s.opponent_id)}
        combatants = await self._players.combatants(ids)
        now = self._now()
        return await self._database.write(
            store.submit,
            submissions,
            combatants,
            now,
            now + self._publish_pause,
            self._new_id,
            self._new_seed,
        )

    async def _publish(self, battles: list[Battle]) -> None:
        crash.point("submit.before_publish")
        try:
            await self._queue.publish(battles)
        except (RedisError, OSError) as error:
            log.warning("can't publish, the sweeper will", battles=len(battles), problem=repr(error))
