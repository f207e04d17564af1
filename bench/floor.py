"""The floor: a bare script that makes the same SQL and Redis writes in the same batches, with no service between.

What it writes is read from the databases of a set that has just fought: every row, with the transaction that wrote it,
which is told by its time. Nothing is computed while the clock runs, and nothing is read but the entries of the stream.
Two processes share the work, as two cores allow: one submits, the other settles and finishes what the first submitted.

Usage: python -m bench.floor PLAN, with a pickled plan; prints the seconds that it took.
"""

import asyncio
import multiprocessing
import pickle
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from multiprocessing.synchronize import Barrier
from operator import attrgetter
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from redis import Redis

from bench.sets import Skirmish
from local.settings import ROOT
from services.battle import queue, schema, store
from services.battle.battles import Battle, State
from services.battle.events import to_announcement
from services.common import bulk, migrations
from services.common.database import Database
from services.leaderboard import store as board_store
from services.leaderboard.boards import DAY, Change
from services.leaderboard.settings import LeaderboardSettings
from services.player import settlement, settlement_store
from services.player.schema import PLAYER, SETTLEMENT, SIDE_COLUMNS

FINISHED_AT_ONCE = 256
"""Battles that a worker takes at once, and so stores at once."""
QUEUED = ["sequence", "challenger_id", "next_publish_time", "published", "failures"]
PLAYERS, BATTLES = "PLAYER_DATABASE_URL", "BATTLE_DATABASE_URL"
PACKAGES = {PLAYERS: "services.player", BATTLES: "services.battle"}

Rows = list[tuple[Any, ...]]
Script = tuple[list[str], list[Any]]
"""The keys and the arguments of a script's call."""


@dataclass
class Submission:
    """What one transaction of submissions writes, and the entries of the stream after it."""

    battles: Rows
    queued: Rows
    places: Rows
    last_sequence: int
    entries: list[bytes]


@dataclass
class Finish:
    """What a worker writes of the battles that it took at once."""

    ended: list[Battle]
    reports: dict[int, bytes]
    announcement: bytes
    scores: list[Script]


@dataclass
class Settlement:
    """What one transaction of settlements writes, and the workers after it."""

    needed: int
    """How many entries of the stream come before it."""
    accounts: Rows
    sides: Rows
    changes: list[settlement.Change]
    time: int
    finishes: list[Finish]


@dataclass
class Plan:
    """All that is written, and where to."""

    players: list[dict[str, Any]]
    submissions: list[Submission]
    settlements: list[Settlement]
    record_script: str
    databases: dict[str, str] = field(default_factory=dict)
    """The URL of each, by the setting of its service."""
    redis_url: str = ""

    @property
    def battles(self) -> int:
        """How many battles it brings to their end."""
        return sum(len(submission.battles) for submission in self.submissions)


async def make_plan(skirmish: Skirmish, battles: int) -> Plan:
    """Returns what the last battles of a set have written."""
    battle_url, player_url = (skirmish.stack.environment[setting] for setting in (BATTLES, PLAYERS))
    recorder = _Recorder(skirmish.redis, LeaderboardSettings().retention, now=lambda: 0)
    return await asyncio.to_thread(_make_plan, battle_url, player_url, battles, recorder)


async def run(plan: Plan, folder: Path) -> float:
    """Does what a plan says, on empty databases. Returns the seconds it took.

    Raises:
        AssertionError: Not everything arrived.
    """
    await asyncio.to_thread(_prepare, plan)
    path = folder / "plan"
    path.write_bytes(pickle.dumps(plan))
    command = [sys.executable, "-m", "bench.floor", str(path)]
    child = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        output, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode == 0, "the floor has failed"
    await asyncio.to_thread(_check, plan)
    return float(output)


class _Recorder(board_store.Store):
    """Boards that note what they would send."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.script = str(self._record.script)
        self.sent: list[Script] = []

    async def _run(self, script: Any, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        self.sent.append((list(keys), list(arguments)))
        return [0, 0]

    def scores(self, rows: Iterable[Any]) -> list[Script]:
        """Returns the calls that record settlements."""
        self.sent = []
        wins = (settlement.Effect.CHALLENGER_WON, settlement.Effect.OPPONENT_WON)
        changes = [
            Change(row.settle_sequence, row.player_id, row.gold + row.silver, row.settle_time // DAY)
            if row.effect in wins
            else Change(row.settle_sequence)
            for row in rows
        ]
        asyncio.run(self.record(changes))
        return self.sent


def _make_plan(battle_url: str, player_url: str, count: int, recorder: _Recorder) -> Plan:
    with _begin(battle_url) as connection:
        battles = store.list_battles(connection, None, None, None, count)[::-1]
        first = battles[0].sequence
        rows = connection.execute(sa.select(schema.BATTLE).where(schema.BATTLE.c.sequence >= first)).mappings()
        stored = {row["sequence"]: {**row, "state": State.QUEUED} for row in rows}
        found = connection.execute(sa.select(schema.REPORT).where(schema.REPORT.c.sequence >= first))
        reports = {row.sequence: row.report for row in found}
    with _begin(player_url) as connection:
        players = [dict(row) for row in connection.execute(sa.select(PLAYER)).mappings()]
        newest = sa.select(SETTLEMENT).order_by(SETTLEMENT.c.settle_sequence.desc()).limit(count)
        settled = list(connection.execute(newest))[::-1]
    by_id = {battle.battle_id: battle for battle in battles}

    submissions = []
    for _, group in groupby(battles, attrgetter("submit_time")):
        part = list(group)
        places = {}
        for b in part:
            places[b.challenger.player_id] = b.challenger_number, b.sequence
            places[b.opponent.player_id] = b.opponent_number, b.sequence
        submissions.append(
            Submission(
                battles=[tuple(stored[b.sequence][name] for name in store.INSERTED) for b in part],
                queued=[(b.sequence, b.challenger.player_id, b.submit_time, 1, 0) for b in part],
                places=[(player_id, *place) for player_id, place in places.items()],
                last_sequence=part[-1].sequence,
                entries=[queue.encode(b) for b in part],
            )
        )

    settlements = []
    needed = done = 0
    for when, group in groupby(settled, attrgetter("settle_time")):
        together = list(group)
        done += len(together)
        ended = [by_id[row.battle_id] for row in together]
        needed = max(needed, done, *(b.sequence - first + 1 for b in ended))
        sides = [tuple(getattr(row, name) for name in SIDE_COLUMNS) for row in together]
        accounts = {}
        for row, both in zip(together, sides, strict=True):
            for one, number, gold, silver, _ in (both[:5], both[5:]):
                accounts[one] = (number, 0, gold, silver, 0, when, row.battle_id, one)
        settlements.append(
            Settlement(
                needed=needed,
                accounts=list(accounts.values()),
                sides=sides,
                changes=[settlement.Change(*(getattr(row, n) for n in settlement.Change._fields)) for row in together],
                time=when,
                finishes=[
                    Finish(
                        ended=ended[start : start + FINISHED_AT_ONCE],
                        reports={b.sequence: reports[b.sequence] for b in ended[start : start + FINISHED_AT_ONCE]},
                        announcement=to_announcement(ended[start : start + FINISHED_AT_ONCE]),
                        scores=recorder.scores(together[start : start + FINISHED_AT_ONCE]),
                    )
                    for start in range(0, len(ended), FINISHED_AT_ONCE)
                ],
            )
        )
    return Plan(players, submissions, settlements, recorder.script)


def _prepare(plan: Plan) -> None:
    for setting, url in plan.databases.items():
        migrations.migrate(Database(url), PACKAGES[setting])
    with _begin(plan.databases[PLAYERS]) as connection:
        connection.execute(sa.insert(PLAYER), plan.players)
    with Redis.from_url(plan.redis_url) as client:
        client.flushall()
        client.set(board_store.WATERMARK, 0)
        client.xgroup_create(queue.WAITING, queue.GROUP, id="0", mkstream=True)


def _check(plan: Plan) -> None:
    with _begin(plan.databases[BATTLES]) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.QUEUE)).scalar_one() == 0
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.REPORT)).scalar_one() == plan.battles
    with _begin(plan.databases[PLAYERS]) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(SETTLEMENT)).scalar_one() == plan.battles
    with Redis.from_url(plan.redis_url) as client:
        assert client.xlen(queue.WAITING) == 0


def _begin(url: str) -> Any:
    return Database(url).engine.begin()


def _submit(plan: Plan, client: Redis) -> None:
    engine = Database(plan.databases[BATTLES]).engine
    for one in plan.submissions:
        with engine.begin() as connection:
            bulk.insert(connection, schema.BATTLE, store.INSERTED, one.battles)
            bulk.insert(connection, schema.QUEUE, QUEUED, one.queued)
            bulk.insert(
                connection,
                schema.PLAYER_SEQUENCE,
                ["player_id", "last_number", "last_sequence"],
                one.places,
                on_conflict=store.MOVE_PLAYER,
            )
            connection.execute(sa.update(schema.HEAD).values(last_sequence=one.last_sequence))
        with client.pipeline(transaction=False) as pipe:
            for entry in one.entries:
                pipe.xadd(queue.WAITING, {queue.FIELD: entry})
            pipe.execute()


def _settle(plan: Plan, client: Redis) -> None:
    players, battles = (Database(plan.databases[setting]).engine for setting in (PLAYERS, BATTLES))
    record = client.script_load(plan.record_script)
    entry_ids: list[bytes] = []
    taken = 0
    for one in plan.settlements:
        while taken < one.needed:
            reply: Any = client.xreadgroup(queue.GROUP, "floor", {queue.WAITING: ">"}, FINISHED_AT_ONCE, queue.BLOCK)
            for entry_id, _ in reply[0][1] if reply else ():
                entry_ids.append(entry_id)
                taken += 1
        with players.begin() as connection:
            bulk.update(connection, PLAYER, "player_id", settlement_store.ACCOUNT_COLUMNS, one.accounts)
            settlement_store.append(connection, one.changes, one.time, one.sides)
        for finish in one.finishes:
            with battles.begin() as connection:
                store.finish(connection, finish.ended, finish.reports)
            client.xadd(queue.ENDED, {queue.FIELD: finish.announcement}, maxlen=queue.ENDED_KEPT)
            for keys, arguments in finish.scores:
                client.evalsha(record, len(keys), *keys, *arguments)
            finished = entry_ids[: len(finish.ended)]
            del entry_ids[: len(finish.ended)]
            with client.pipeline(transaction=True) as pipe:
                pipe.xack(queue.WAITING, queue.GROUP, *finished)
                pipe.xdel(queue.WAITING, *finished)
                pipe.execute()


def _timed(work: Callable[[Plan, Redis], None], plan: Plan, start: Barrier, ends: Any) -> None:
    with Redis.from_url(plan.redis_url) as client:
        client.ping()
        start.wait()
        work(plan, client)
    ends.put(time.monotonic())


def main(path: Path) -> None:
    """Does what a plan says, in two processes."""
    plan = pickle.loads(path.read_bytes())  # noqa: S301  # our own
    context = multiprocessing.get_context("fork")
    start, ends = context.Barrier(3), context.SimpleQueue()
    processes = [context.Process(target=_timed, args=(work, plan, start, ends)) for work in (_submit, _settle)]
    for process in processes:
        process.start()
    start.wait()
    began = time.monotonic()
    for process in processes:
        process.join()
        if process.exitcode:
            sys.exit(1)
    print(max(ends.get() for _ in processes) - began)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
