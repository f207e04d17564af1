"""ListScoreChanges and SnapshotScores over gRPC: what boards are made of."""

import asyncio
import random
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Callable

import pytest
import sqlalchemy as sa

from services.common import bulk
from services.common.clock import from_timestamp
from services.common.database import Database
from services.player.schema import PLAYER, SETTLE_HEAD, SETTLEMENT
from services.player.settlement_store import DAY
from skirmish.player.v1 import settlement_pb2
from tests.player import CHALLENGER_WON, PlayerService, Season, migrate, serving

Score = tuple[str, int, int, int]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A migrated database."""
    await migrate(database_url)
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def service(database: Database, database_url: str) -> AsyncIterator[PlayerService]:
    """A player service on that database."""
    async with serving(database_url) as running:
        yield running


async def snapshot(service: PlayerService) -> tuple[int, list[Score], list[str]]:
    """Returns a whole snapshot: its last sequence, the scores and who is deleted."""
    parts = [part async for part in service.settlement.SnapshotScores(settlement_pb2.SnapshotScoresRequest())]
    scores = [
        (score.player_id, score.day, score.amount, score.reached_sequence) for part in parts for score in part.scores
    ]
    (last_sequence,) = {part.last_sequence for part in parts}
    return last_sequence, scores, [player_id for part in parts for player_id in part.deleted_player_ids]


def sums_of(changes: list[settlement_pb2.ScoreChange], deleted: set[str]) -> list[Score]:
    """Returns what a snapshot of the changes has to be."""
    amounts: defaultdict[tuple[str, int], int] = defaultdict(int)
    reached: dict[tuple[str, int], int] = {}
    for change in changes:
        if change.amount and change.player_id not in deleted:
            key = change.player_id, from_timestamp(change.settle_time) // DAY
            amounts[key] += change.amount
            reached[key] = change.settle_sequence
    return [(player_id, day, amounts[player_id, day], reached[player_id, day]) for player_id, day in sorted(amounts)]


async def spread_over_days(database: Database, per_day: int) -> None:
    """Moves what was settled to the past, so many settlements a day."""
    late = SETTLEMENT.c.settle_sequence // per_day * DAY
    await database.write(
        lambda connection: connection.execute(sa.update(SETTLEMENT).values(settle_time=SETTLEMENT.c.settle_time + late))
    )


async def win_every_day(database: Database, player_id: str, days: int) -> None:
    """Writes a win a day into the settle sequence."""
    columns = ["settle_sequence", "effect", "player_id", "gold", "silver", "void_reason", "settle_time"]
    rows = [(day, CHALLENGER_WON, player_id, day, 1, "", day * DAY) for day in range(1, days + 1)]

    def work(connection: sa.Connection) -> None:
        bulk.insert(connection, SETTLEMENT, columns, rows)
        connection.execute(sa.update(SETTLE_HEAD).values(last_sequence=days, last_time=days * DAY))

    await database.write(work)


async def test_changes_are_listed_page_by_page_without_gaps(service: PlayerService) -> None:
    players = [(await service.create()).player_id for _ in range(4)]
    season, rng = Season(), random.Random(1)
    results = await service.settle(*(season.random(rng, players) for _ in range(50)))
    await service.delete(players[0])

    changes = await service.changes()

    assert [change.settle_sequence for change in changes] == list(range(1, 52))
    for result in results:
        change, settlement = changes[result.settlement.settle_sequence - 1], result.settlement
        assert (change.effect, change.player_id) == (settlement.effect, settlement.winner_id)
        assert change.amount == settlement.gold_stolen + settlement.silver_stolen
        assert change.settle_time == settlement.settle_time
    for page_size in (1, 7, 51):
        assert await service.changes(page_size) == changes


async def test_behind_the_end_there_are_no_changes(service: PlayerService) -> None:
    for after in (0, 7, 2**62):
        page = await service.settlement.ListScoreChanges(
            settlement_pb2.ListScoreChangesRequest(after_sequence=after, page_size=2**31 - 1)
        )
        assert (list(page.changes), page.last_sequence) == ([], 0)


async def test_a_page_has_a_thousand_changes_or_what_is_asked_for_up_to_five_thousand(
    service: PlayerService, database: Database
) -> None:
    player = await service.create()
    await win_every_day(database, player.player_id, 6000)
    for asked, given in ((0, 1000), (3, 3), (5001, 5000)):
        page = await service.settlement.ListScoreChanges(settlement_pb2.ListScoreChangesRequest(page_size=asked))
        assert (len(page.changes), page.last_sequence) == (given, 6000)


async def test_a_snapshot_of_nothing_is_one_empty_part(service: PlayerService) -> None:
    call = service.settlement.SnapshotScores(settlement_pb2.SnapshotScoresRequest())

    assert [part async for part in call] == [settlement_pb2.SnapshotScoresResponse()]


async def test_a_snapshot_is_the_sum_of_all_changes(service: PlayerService, database: Database) -> None:
    players = [(await service.create()).player_id for _ in range(9)]
    deleted = {players[0], players[1]}
    season, rng = Season(), random.Random(2)
    battles = [season.random(rng, players) for _ in range(300)]
    await service.settle(*battles[:200])
    for player_id in deleted:
        await service.delete(player_id)
    await service.settle(*battles[200:])
    await spread_over_days(database, per_day=25)

    last_sequence, scores, deleted_ids = await snapshot(service)

    changes = await service.changes()
    assert last_sequence == len(changes) == 302
    assert deleted_ids == sorted(deleted)
    assert len({day for _, day, _, _ in scores}) >= 12
    assert scores == sums_of(changes, deleted)


async def test_a_win_that_moved_nothing_is_no_score(service: PlayerService) -> None:
    a, b = [(await service.create(gold=0, silver=0)).player_id for _ in range(2)]
    await service.settle(Season().fight(a, b))

    assert await snapshot(service) == (1, [], [])


async def test_a_long_snapshot_comes_in_parts(service: PlayerService, database: Database) -> None:
    player = await service.create()
    await win_every_day(database, player.player_id, 12_000)

    parts = [part async for part in service.settlement.SnapshotScores(settlement_pb2.SnapshotScoresRequest())]

    assert max(len(part.scores) for part in parts) == 5000
    assert await snapshot(service) == (
        12_000,
        [(player.player_id, day, day + 1, day) for day in range(1, 12_001)],
        [],
    )


async def test_a_snapshot_counts_what_was_settled_when_it_began(service: PlayerService, database: Database) -> None:
    a, b = [(await service.create()).player_id for _ in range(2)]
    await win_every_day(database, a, 100_000)  # more than is sent before the first part is read
    call = service.settlement.SnapshotScores(settlement_pb2.SnapshotScoresRequest())
    parts = aiter(call)
    first = await anext(parts)

    await service.settle(Season().fight(b, a))
    await service.delete(a)
    rest = [part async for part in parts]

    assert {part.last_sequence for part in (first, *rest)} == {100_000}
    assert {score.player_id for part in rest for score in part.scores} == {a}
    assert sum(len(part.scores) for part in rest) == 100_000
    assert not any(part.deleted_player_ids for part in rest)
    _, scores, deleted_ids = await snapshot(service)
    assert [score[0] for score in scores] == [b]
    assert deleted_ids == [a]


@pytest.fixture
def snapshots_held(database_url: str) -> Callable[[], bool]:
    """Tells whether any transaction on the database is held open."""
    url = sa.make_url(database_url)
    if url.get_backend_name() == "sqlite":

        def held() -> bool:
            with sqlite3.connect(str(url.database), timeout=0) as connection:
                busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            connection.close()
            return bool(busy)

    else:
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start < now()"

        def held() -> bool:
            with engine.connect() as connection:
                return bool(connection.exec_driver_sql(count).scalar())

    return held


async def test_a_snapshot_whose_reader_leaves_is_let_go(
    service: PlayerService, database: Database, snapshots_held: Callable[[], bool]
) -> None:
    player = await service.create()
    await win_every_day(database, player.player_id, 100_000)
    call = service.settlement.SnapshotScores(settlement_pb2.SnapshotScoresRequest())
    await anext(aiter(call))
    # What a later transaction writes stays in the log as long as an older one is read from.
    await database.write(lambda connection: connection.execute(sa.update(PLAYER).values(luck=1)))
    assert await asyncio.to_thread(snapshots_held)

    call.cancel()

    async with asyncio.timeout(10):
        while await asyncio.to_thread(snapshots_held):
            await asyncio.sleep(0.01)
