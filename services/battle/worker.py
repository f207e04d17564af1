"""The worker: takes battles from the queue, fights them, has them settled, and stores how they ended.

Every step may be done twice, by this worker or another, and does its work once. So a worker may die anywhere.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import TypeVar

from redis.exceptions import RedisError

from services.battle import reports, rules, store
from services.battle.battles import Battle, State
from services.battle.events import to_announcement
from services.battle.neighbours import Blocked, Boards, Conflict, Players, Settlement
from services.battle.queue import Entry, GroupLost, Queue
from services.common import crash, logs
from services.common.database import Database
from services.common.errors import SkirmishError, Unavailable

R = TypeVar("R")

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds before something out of reach is tried again: at first, and at most."""
MOST_FAILURES = 5
"""How often fighting a battle may fail before it is voided. Only exceptions of the fight itself count."""
HELPED_AT_ONCE = 256
ROUNDS = 3
"""How often battles are tried, with more and more of what they wait for, before they are let go. While a long queue is
published anew, the newest battles come first and wait for the others; held, they would keep a worker from them."""
FIGHTS_IN_A_ROW = 32

log = logs.get(__name__)


class Worker:
    """Fights battles until told to stop.

    Args:
        name: The consumer's name, new for each process.
        batch_size: How many battles it takes at once.
        batches_at_once: How many batches it has in hand, so that one is fought while another waits to be settled.
        claim_idle: Seconds after which it takes over what another worker has in hand.
        uniform: Draws a number from a range, so that workers differ in their pauses.
    """

    def __init__(
        self,
        name: str,
        database: Database,
        queue: Queue,
        players: Players,
        boards: Boards,
        batch_size: int,
        batches_at_once: int,
        claim_idle: float,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._name = name
        self._database = database
        self._queue = queue
        self._players = players
        self._boards = boards
        self._batch_size = batch_size
        self._claim_idle = claim_idle
        self._uniform = uniform
        self._slots = asyncio.Semaphore(batches_at_once)
        self._batches: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Makes ``run`` end once what is in hand has ended."""
        self._stopping.set()

    async def run(self) -> None:
        """Takes and ends battles until stopped, then ends what is in hand."""
        loops = [asyncio.create_task(self._read_on()), asyncio.create_task(self._claim_on())]
        try:
            await self._recover()
            await asyncio.gather(*loops)
        finally:
            for task in loops:
                task.cancel()
            await asyncio.gather(*self._batches, return_exceptions=True)
        try:
            await self._queue.leave(self._name)
        except (RedisError, OSError) as error:
            log.warning("can't leave the consumer group", problem=repr(error))

    async def drain(self) -> None:
        """Ends what waits in the queue now, and returns."""
        await self._queue.make_group()
        while entries := await self._queue.read(self._name, self._batch_size):
            await self._end(entries)

    async def _read_on(self) -> None:
        """Takes new entries."""
        while not self._stopping.is_set():
            await self._take(lambda: self._queue.read(self._name, self._batch_size))

    async def _claim_on(self) -> None:
        """Takes over what other workers have in hand for too long."""
        taken = 0
        while not self._stopping.is_set():
            if not taken:
                pause = self._claim_idle * self._uniform(0.4, 0.6)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._stopping.wait()
            taken = await self._take(lambda: self._queue.claim(self._name, self._claim_idle, self._batch_size))
            if taken:
                log.info("took over from another worker", battles=taken)

    async def _take(self, source: Callable[[], Awaitable[list[Entry]]]) -> int:
        """Takes entries, when there is room for another batch, and ends them beside the others. Returns how many."""
        await self._slots.acquire()
        entries: list[Entry] = []
        try:
            entries = await source()
        except GroupLost:
            await self._recover()
        except (RedisError, OSError) as error:
            log.warning("can't read the queue, trying again", problem=repr(error))
            await asyncio.sleep(FIRST_PAUSE * 10)
        finally:
            if entries:
                batch = asyncio.create_task(self._end(entries))
                self._batches.add(batch)
                batch.add_done_callback(self._on_batch_end)
            else:
                self._slots.release()
        return len(entries)

    def _on_batch_end(self, batch: asyncio.Task[None]) -> None:
        self._slots.release()
        self._batches.discard(batch)
        if not batch.cancelled() and (error := batch.exception()):
            # Nothing was acknowledged: the battles come again, to this worker or another.
            log.error("a batch failed and will come again", exc_info=error)

    async def _recover(self) -> None:
        """Makes the group where there is none, and has all that waits published again: Redis is new, or lost it all."""
        if await self._insist(self._queue.make_group, "make the consumer group"):
            log.warning("the queue is new; all that waits is published again")
            await self._insist(lambda: self._database.write(store.make_all_due), "mark what waits")

    async def _end(self, entries: Sequence[Entry]) -> None:
        """Brings the battles of some entries to their end and takes them off the queue."""
        crash.point("work.after_read")
        battles = {entry.battle.sequence: entry.battle for entry in entries if entry.battle}
        ended = await self.end_battles(battles.values())
        finished = [e.entry_id for e in entries if e.battle is None or e.battle.sequence in ended]
        if finished:
            crash.point("work.before_acknowledge")
            await self._insist(lambda: self._queue.acknowledge(finished), "acknowledge")

    async def end_battles(self, battles: Iterable[Battle]) -> set[int]:
        """Fights, settles and finishes battles, and what they wait for. Returns the sequences of all that ended.

        Battles of rules that this code does not know are left to a worker that does, and what waits for too much is let
        go. Neither is acknowledged, so it comes again.
        """
        todo = sorted(
            (b for b in battles if b.rules_version in rules.KNOWN_VERSIONS), key=lambda battle: battle.sequence
        )
        ended: set[int] = set()
        rounds = 0
        while todo:
            fought, ended_before = await self._fight(todo)
            ended |= ended_before
            results = await self._insist(lambda: self._players.settle(fought), "settle")  # noqa: B023
            settled: list[tuple[Battle, rules.Fight | str, Settlement]] = []
            blocked: list[tuple[Battle, Blocked]] = []
            for (battle, how), result in zip(fought, results, strict=True):
                if isinstance(result, Settlement):
                    if _can_finish(how, result):
                        settled.append((battle, how, result))
                    else:  # it comes again, to a worker that can
                        log.warning("a battle that can't be fought here was settled", battle_id=battle.battle_id)
                elif isinstance(result, Blocked):
                    blocked.append((battle, result))
                else:
                    self._alarm(battle, result)
            await self._finish(settled)
            ended |= {battle.sequence for battle, _, _ in settled}
            rounds += 1
            if blocked and (rounds == ROUNDS or self._stopping.is_set()):
                log.info("letting go", blocked=len(blocked))
                break
            todo = await self._with_predecessors(blocked)
        return ended

    async def _fight(self, battles: Sequence[Battle]) -> tuple[list[tuple[Battle, rules.Fight | str]], set[int]]:
        """Fights battles. One whose fight fails is left out, to come again, until it has failed too often.

        Returns the fights, and the sequences of those that failed but had ended before.
        """
        fought: list[tuple[Battle, rules.Fight | str]] = []
        ended: set[int] = set()
        failed: dict[int, tuple[Battle, Exception]] = {}
        for index, battle in enumerate(battles):
            if index % FIGHTS_IN_A_ROW == 0:
                await asyncio.sleep(0)  # long fights must not keep other batches waiting
            try:
                fight = rules.fight(battle.seed, battle.challenger, battle.opponent, battle.rules_version)
                fought.append((battle, fight))
            except Exception as error:  # whatever it is, other battles go on
                failed[battle.sequence] = (battle, error)
        if failed:
            counts = await self._insist(
                lambda: self._database.write(store.count_failures, list(failed)), "count failures"
            )
            for sequence, (battle, problem) in failed.items():
                if sequence not in counts:  # it waits no longer: this is not its first delivery
                    ended.add(sequence)
                    continue
                log.error("fight failed", battle_id=battle.battle_id, times=counts[sequence], exc_info=problem)
                if counts[sequence] >= MOST_FAILURES:
                    fought.append((battle, f"the fight failed {MOST_FAILURES} times: {type(problem).__name__}"))
            fought.sort(key=lambda pair: pair[0].sequence)
        return fought, ended

    async def _with_predecessors(self, blocked: Sequence[tuple[Battle, Blocked]]) -> list[Battle]:
        """Returns blocked battles with what they wait for, which nobody may be working on."""
        if not blocked:
            return []
        player_ids = {block.player_id for _, block in blocked}
        last = max(battle.sequence for battle, _ in blocked)
        helped = await self._insist(
            lambda: self._database.read(store.predecessors, player_ids, last, HELPED_AT_ONCE), "load predecessors"
        )
        log.info("helping on", blocked=len(blocked), predecessors=len(helped))
        every = {battle.sequence: battle for battle in (*helped, *(battle for battle, _ in blocked))}
        return [every[sequence] for sequence in sorted(every)]

    async def _finish(self, settled: Collection[tuple[Battle, rules.Fight | str, Settlement]]) -> None:
        """Stores reports and end states, tells the watchers, and pushes the settlements to the boards."""
        if not settled:
            return
        crash.point("work.after_settle")
        ended = []
        stored_reports = {}
        for battle, how, settlement in settled:
            ended.append(_ended(battle, settlement))
            if settlement.outcome is not None and isinstance(how, rules.Fight):
                report = reports.make_report(
                    battle, how, settlement.outcome, settlement.gold_stolen, settlement.silver_stolen
                )
                stored_reports[battle.sequence] = report.SerializeToString()
        await self._insist(lambda: self._database.write(store.finish, ended, stored_reports), "finish")
        crash.point("work.after_finish")
        await asyncio.gather(self._announce(ended), self._push_scores([settlement for _, _, settlement in settled]))

    async def _announce(self, ended: Sequence[Battle]) -> None:
        try:
            await self._queue.announce(to_announcement(ended))
        except (RedisError, OSError) as error:
            log.warning("can't announce; watchers look for themselves", battles=len(ended), problem=repr(error))

    async def _push_scores(self, settlements: Collection[Settlement]) -> None:
        try:
            await self._boards.record(settlements)
        except Unavailable as error:
            log.warning("can't push scores; the board feed will bring them", problem=error.message)

    def _alarm(self, battle: Battle, conflict: Conflict) -> None:
        log.critical(
            "ALARM: a battle conflicts with what was settled",
            battle_id=battle.battle_id,
            sequence=battle.sequence,
            conflict=conflict.reason,
        )

    async def _insist(self, step: Callable[[], Awaitable[R]], what: str) -> R:
        """Does a step again and again while what it needs is out of reach, as long as it takes."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await step()
            except (Unavailable, RedisError, OSError) as error:
                if self._stopping.is_set():
                    raise
                problem = error.message if isinstance(error, SkirmishError) else repr(error)
                log.warning(f"can't {what}, trying again", problem=problem)
                await asyncio.sleep(pause * self._uniform(0.5, 1.5))
                pause = min(2 * pause, LONGEST_PAUSE)


def _can_finish(how: rules.Fight | str, settlement: Settlement) -> bool:
    """Tells whether the whole end of a battle can be stored: only who could fight it can report how it was won."""
    return settlement.outcome is None or isinstance(how, rules.Fight)


def _ended(battle: Battle, settlement: Settlement) -> Battle:
    return battle._replace(
        state=State.SETTLED if settlement.outcome is not None else State.VOIDED,
        outcome=settlement.outcome,
        gold_stolen=settlement.gold_stolen,
        silver_stolen=settlement.silver_stolen,
        void_reason=settlement.void_reason,
        settle_time=settlement.settle_time,
    )
