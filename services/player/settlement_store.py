"""Settlements in SQL: the accounts under lock, and the settle sequence.

Every function takes a connection and runs inside its caller's transaction.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from services.common import bulk, crash
from services.player.schema import PLAYER, SETTLE_HEAD, SETTLEMENT, SIDE_COLUMNS
from services.player.settlement import (
    Account,
    Applied,
    Change,
    FoughtBattle,
    Result,
    Round,
    Settlement,
    Turn,
    decide,
    recall,
)

DAY = 86_400_000_000
"""Microseconds."""

_CLOCKS = {
    "postgresql": "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
    # Milliseconds are all that SQLite knows.
    "sqlite": "SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000",
}

# Statements that run for every batch: built once, for that takes longer than to run them.
_LOCKED_ACCOUNTS = (
    sa.select(
        PLAYER.c.player_id,
        PLAYER.c.applied_number,
        PLAYER.c.gold,
        PLAYER.c.silver,
        PLAYER.c.resources_stolen,
        PLAYER.c.delete_time.is_not(None),
        PLAYER.c.last_battle_id,
    )
    .where(bulk.among(PLAYER.c.player_id, "player_ids"))
    .order_by(PLAYER.c.player_id)  # one order, so that two replicas wait for each other in turn instead of for ever
    .with_for_update()
)
_MOVED_HEAD = (
    sa.update(SETTLE_HEAD)
    .values(
        last_sequence=SETTLE_HEAD.c.last_sequence + sa.bindparam("count"),
        # The time was read before the lock was had, and clocks are set back.
        last_time=sa.case(
            (SETTLE_HEAD.c.last_time > sa.bindparam("time"), SETTLE_HEAD.c.last_time), else_=sa.bindparam("time")
        ),
    )
    .returning(SETTLE_HEAD.c.last_sequence, SETTLE_HEAD.c.last_time)
)
_SETTLEMENTS = sa.select(
    SETTLEMENT.c.settle_sequence,
    SETTLEMENT.c.battle_id,
    SETTLEMENT.c.effect,
    SETTLEMENT.c.player_id,
    SETTLEMENT.c.gold,
    SETTLEMENT.c.silver,
    SETTLEMENT.c.void_reason,
    SETTLEMENT.c.settle_time,
)
_OF_BATTLES = sa.select(
    SETTLEMENT.c.challenger_id,
    SETTLEMENT.c.challenger_number,
    SETTLEMENT.c.opponent_id,
    SETTLEMENT.c.opponent_number,
    *_SETTLEMENTS.selected_columns,
).where(bulk.among(SETTLEMENT.c.battle_id, "battle_ids"))
_APPENDED = [*(column.name for column in _SETTLEMENTS.selected_columns), *SIDE_COLUMNS]
_NO_SIDES = (None,) * len(SIDE_COLUMNS)
ACCOUNT_COLUMNS = [
    "applied_number",
    "adjustment_number",
    "gold",
    "silver",
    "resources_stolen",
    "update_time",
    "last_battle_id",
]
"""What a settlement changes of a player."""


class DayScore(NamedTuple):
    """What a player won on a day (days since 1970-01-01 UTC), and the place of the day's last win."""

    player_id: str
    day: int
    amount: int
    reached_sequence: int


class SnapshotPart(NamedTuple):
    """A part of the sums of all scores up to one place of the settle sequence."""

    last_sequence: int
    deleted_player_ids: Sequence[str] = ()
    scores: Sequence[DayScore] = ()


def now(connection: sa.Connection) -> int:
    """Returns the time by the database's clock, the one clock that all replicas share."""
    time: int = connection.exec_driver_sql(_CLOCKS[connection.dialect.name]).scalar_one()
    return time


def settle(connection: sa.Connection, battles: Sequence[FoughtBattle]) -> list[Result]:
    """Lets battles take effect whose turn has come. Returns what became of each, in the order given."""
    player_ids = {player_id for b in battles for player_id in (b.challenger_id, b.opponent_id)}
    locked = connection.execute(_LOCKED_ACCOUNTS, {"player_ids": player_ids}).all()
    accounts = {row[0]: Account(*row[:-1]) for row in locked}
    decided = decide(accounts, battles)
    settlements = {}
    if decided.changes:
        settlements = _write(connection, accounts, {row[0]: row[-1] for row in locked}, decided)
        crash.point("settle.before_commit")
    used = [battle for battle, decision in zip(battles, decided.decisions, strict=True) if decision is Turn.USED]
    recalled = _recall(connection, used) if used else iter(())
    results: list[Result] = []
    for decision in decided.decisions:
        if isinstance(decision, Change):
            results.append(Applied(settlements[decision.battle_id]))
        elif isinstance(decision, Turn):
            results.append(next(recalled))
        else:
            results.append(decision)
    return results


def append(
    connection: sa.Connection, changes: Sequence[Change], time: int, sides: Sequence[Sequence[object]] = ()
) -> list[Settlement]:
    """Puts changes at the end of the settle sequence.

    Call it last: from here to the commit, no other replica can settle anything.

    Args:
        changes: What takes effect.
        time: The database's time, read in this transaction.
        sides: For battles, the SIDE_COLUMNS of each.
    """
    end = connection.execute(_MOVED_HEAD, {"count": len(changes), "time": time}).one()
    first = end.last_sequence - len(changes) + 1
    settlements = [Settlement(first + index, change, end.last_time) for index, change in enumerate(changes)]
    rows = [
        (sequence, *change, settle_time, *both)
        for (sequence, change, settle_time), both in zip(settlements, sides or [_NO_SIDES] * len(changes), strict=True)
    ]
    bulk.insert(connection, SETTLEMENT, _APPENDED, rows)
    return settlements


def list_changes(connection: sa.Connection, after: int, limit: int) -> tuple[list[Settlement], int]:
    """Returns what stands in the settle sequence after a place, and the sequence's last place."""
    last = connection.execute(sa.select(SETTLE_HEAD.c.last_sequence)).scalar_one()
    # Up to the end just read, since more may have been settled meanwhile.
    place = SETTLEMENT.c.settle_sequence
    found = _SETTLEMENTS.where(place > after, place <= last).order_by(place).limit(limit)
    return [_to_settlement(row) for row in connection.execute(found).all()], last


def snapshot(connection: sa.Connection, part_size: int) -> Iterator[SnapshotPart]:
    """Yields the sums of all scores, and before them the deleted players; at least one part.

    The caller sees to it that the whole transaction reads one state of the database.
    """
    last = connection.execute(sa.select(SETTLE_HEAD.c.last_sequence)).scalar_one()
    yield SnapshotPart(last)
    in_parts = connection.execution_options(yield_per=part_size)
    deleted = sa.select(PLAYER.c.player_id).where(PLAYER.c.delete_time.is_not(None)).order_by(PLAYER.c.player_id)
    with in_parts.execute(deleted) as result:
        for ids in result.scalars().partitions():
            yield SnapshotPart(last, deleted_player_ids=ids)
    amount = SETTLEMENT.c.gold + SETTLEMENT.c.silver
    day: sa.ColumnClause[int] = sa.literal_column(f"settlement.settle_time / {DAY}")
    scores = (
        sa.select(SETTLEMENT.c.player_id, day, sa.func.sum(amount), sa.func.max(SETTLEMENT.c.settle_sequence))
        .join(PLAYER, PLAYER.c.player_id == SETTLEMENT.c.player_id)
        .where(PLAYER.c.delete_time.is_(None), amount > 0)
        .group_by(SETTLEMENT.c.player_id, day)
        .order_by(SETTLEMENT.c.player_id, day)
    )
    with in_parts.execute(scores) as result:
        for rows in result.partitions():
            yield SnapshotPart(last, scores=[DayScore(*row) for row in rows])


def _write(
    connection: sa.Connection, accounts: dict[str, Account], last_battle_ids: dict[str, str | None], decided: Round
) -> dict[str | None, Settlement]:
    time = now(connection)
    sides: list[list[object]] = []
    for entry in decided.entries:
        previous = last_battle_ids[entry.player_id]
        sides.append([entry.player_id, entry.battle_number, entry.gold_balance, entry.silver_balance, previous])
        last_battle_ids[entry.player_id] = entry.battle_id
    changed = (accounts[player_id] for player_id in {entry.player_id for entry in decided.entries})
    bulk.update(
        connection,
        PLAYER,
        "player_id",
        ACCOUNT_COLUMNS,
        [
            (a.applied_number, 0, a.gold, a.silver, a.resources_stolen, time, last_battle_ids[a.player_id], a.player_id)
            for a in changed
        ],
    )
    both = [[*challenger, *opponent] for challenger, opponent in zip(sides[::2], sides[1::2], strict=True)]
    return {s.change.battle_id: s for s in append(connection, decided.changes, time, both)}


def _recall(connection: sa.Connection, battles: Sequence[FoughtBattle]) -> Iterator[Result]:
    parameters = {"battle_ids": {battle.battle_id for battle in battles}}
    ledger: dict[tuple[str, int], str] = {}
    settlements: dict[str, Settlement] = {}
    for challenger_id, challenger_number, opponent_id, opponent_number, *row in connection.execute(
        _OF_BATTLES, parameters
    ).all():
        settled = _to_settlement(row)
        battle_id = str(settled.change.battle_id)
        settlements[battle_id] = settled
        ledger[challenger_id, challenger_number] = ledger[opponent_id, opponent_number] = battle_id
    return (recall(battle, ledger, settlements) for battle in battles)


def _to_settlement(row: Sequence[Any]) -> Settlement:
    sequence, *change, time = row
    return Settlement(sequence, Change(*change), time)
