"""Battles in SQL: the truth about what was submitted and how it ended.

Every function takes a connection and runs inside its caller's transaction.
"""

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from services.battle.battles import Battle, State, Submission
from services.battle.rules import Combatant, Outcome
from services.battle.schema import BATTLE, HEAD, PLAYER_SEQUENCE, QUEUE, REPORT
from services.battle.sequencing import Key, Places, place
from services.common import bulk, crash
from services.common.errors import SkirmishError

_PLACED = [column.name for column in BATTLE.columns if not column.nullable]
INSERTED = [*_PLACED, "challenger_previous", "opponent_previous", "request_id"]
"""What a submission writes of a battle."""
MOVE_PLAYER = "(player_id) DO UPDATE SET last_number = excluded.last_number, last_sequence = excluded.last_sequence"
"""What follows ON CONFLICT where players' last places are written."""
_ENDING = ["state", "outcome", "gold_stolen", "silver_stolen", "void_reason", "settle_time"]

# Statements that run for every batch, or for every call: built once, for that takes longer than to run them.
_LOCKED_HEAD = sa.select(HEAD.c.last_sequence).with_for_update()
_MOVED_HEAD = sa.update(HEAD).values(last_sequence=sa.bindparam("last"))
_NUMBERS = sa.select(PLAYER_SEQUENCE).where(bulk.among(PLAYER_SEQUENCE.c.player_id, "player_ids"))
_REQUESTED = sa.select(BATTLE).where(bulk.matching([BATTLE.c.challenger_id, BATTLE.c.request_id], "keys"))
_OFF_THE_QUEUE = sa.delete(QUEUE).where(bulk.among(QUEUE.c.sequence, "sequences"))
_ONE = sa.select(BATTLE).where(BATTLE.c.battle_id == sa.bindparam("battle_id"))
_REPORT = sa.select(REPORT.c.report).where(REPORT.c.sequence == sa.bindparam("sequence"))

_BY_SEQUENCE = operator.attrgetter("sequence")


class QueueCounts(NamedTuple):
    """How many battles wait, were published again, failed to be fought, were ever voided, and the oldest's time."""

    queued: int
    blocked: int
    failing: int
    voided: int
    oldest_submit_time: int | None


def submit(
    connection: sa.Connection,
    submissions: Sequence[Submission],
    combatants: Mapping[str, Combatant],
    now: int,
    publish_time: int,
    new_id: Callable[[], str],
    new_seed: Callable[[], int],
) -> tuple[list[Battle | SkirmishError], list[Battle]]:
    """Places submissions behind all that came before; see ``sequencing.place`` for arguments and result.

    Args:
        publish_time: When to publish the new battles again, if they still wait then.
    """
    # The lock serializes submissions of all replicas, which is what makes the numbers gapless and in commit order.
    last_sequence = connection.execute(_LOCKED_HEAD).scalar_one()
    known = _find_requests(connection, {(s.challenger_id, s.request_id) for s in submissions if s.request_id})
    players = {player_id for s in submissions for player_id in (s.challenger_id, s.opponent_id)}
    numbers = connection.execute(_NUMBERS, {"player_ids": players}).all()
    places = Places(last_sequence, {row[0]: row[1] for row in numbers})
    results, new = place(submissions, combatants, known, places, now, new_id, new_seed)
    if new:
        request_ids = {id(result): s.request_id for result, s in zip(results, submissions, strict=True)}
        last_sequences = {row[0]: row[2] for row in numbers}
        rows = []
        for battle in new:
            ids = battle.challenger.player_id, battle.opponent.player_id
            previous = map(last_sequences.get, ids)
            rows.append((*_to_row(battle), *previous, request_ids[id(battle)] or None))
            last_sequences.update(dict.fromkeys(ids, battle.sequence))
        bulk.insert(connection, BATTLE, INSERTED, rows)
        bulk.insert(
            connection,
            QUEUE,
            ["sequence", "challenger_id", "next_publish_time", "published", "failures"],
            [(battle.sequence, battle.challenger.player_id, publish_time, 1, 0) for battle in new],
        )
        moved = {player_id for b in new for player_id in (b.challenger.player_id, b.opponent.player_id)}
        bulk.insert(
            connection,
            PLAYER_SEQUENCE,
            ["player_id", "last_number", "last_sequence"],
            [(player_id, places.last_numbers[player_id], last_sequences[player_id]) for player_id in moved],
            on_conflict=MOVE_PLAYER,
        )
        connection.execute(_MOVED_HEAD, {"last": places.last_sequence})
        crash.point("submit.before_commit")
    return results, new


def finish(connection: sa.Connection, ended: Collection[Battle], reports: Mapping[int, bytes]) -> None:
    """Stores how battles ended, with reports by sequence, and takes them off the queue. Harmless when repeated."""
    ended = sorted(ended, key=_BY_SEQUENCE)  # one order for all workers, so that two of them don't deadlock
    rows = [
        (
            int(b.state),
            b.outcome and int(b.outcome),
            b.gold_stolen,
            b.silver_stolen,
            b.void_reason or None,
            b.settle_time,
            b.sequence,
        )
        for b in ended
    ]
    # The sum keeps from PostgreSQL that hardly any battle is queued. Else it begins with those and, where there are
    # more than its statistics say, holds each against every row: seven times the time of all statements.
    bulk.update(connection, BATTLE, "sequence", _ENDING, rows, where=f"battle.state + 0 = {State.QUEUED:d}")
    bulk.insert(
        connection, REPORT, ["sequence", "report"], sorted(reports.items()), on_conflict="(sequence) DO NOTHING"
    )
    connection.execute(_OFF_THE_QUEUE, {"sequences": [battle.sequence for battle in ended]})


def get(connection: sa.Connection, battle_id: str) -> Battle | None:
    """Returns a battle, None when there is no such one."""
    row = connection.execute(_ONE, {"battle_id": battle_id}).one_or_none()
    return None if row is None else _from_row(row)


def get_report(connection: sa.Connection, sequence: int) -> bytes | None:
    """Returns the report of a battle as it was stored, None when there is none."""
    report: bytes | None = connection.execute(_REPORT, {"sequence": sequence}).scalar_one_or_none()
    return report


def list_battles(
    connection: sa.Connection, player_id: str | None, state: State | None, before: int | None, limit: int
) -> list[Battle]:
    """Returns battles by falling sequence.

    Args:
        player_id: The player whose battles they are; None for everybody's.
        state: Their state; None for any.
        before: The sequence of the battle that comes before the first, one of the player's; None for the newest.
        limit: How many at most.
    """
    sequence: sa.ColumnElement[int] = BATTLE.c.sequence
    its_state: sa.ColumnElement[int] = BATTLE.c.state
    if player_id and state in (None, State.SETTLED):  # most of a player's battles are settled
        chain = _chain(player_id, before)
        its_state, query = chain.c.state, sa.select(chain)
    else:
        query = sa.select(BATTLE)
        if state is State.QUEUED:
            # By the sequence of the queue: by that of all battles, SQLite looks at every one, back to the first.
            query, sequence = query.join(QUEUE, QUEUE.c.sequence == BATTLE.c.sequence), QUEUE.c.sequence
        elif state is State.VOIDED:
            query = query.where(BATTLE.c.void_reason.is_not(None))
        if player_id:
            query = query.where(sa.or_(BATTLE.c.challenger_id == player_id, BATTLE.c.opponent_id == player_id))
        if before is not None:
            query = query.where(sequence < before)
        query = query.order_by(sequence.desc())
    if state is not None:
        query = query.where(its_state == state)
    return [_from_row(row) for row in connection.execute(query.limit(limit)).all()]


def predecessors(connection: sa.Connection, player_ids: Collection[str], before: int, limit: int) -> list[Battle]:
    """Returns the waiting battles of some players that stand before a place, the oldest first."""
    of_them = sa.or_(bulk.among(BATTLE.c.challenger_id, "player_ids"), bulk.among(BATTLE.c.opponent_id, "player_ids"))
    query = (
        sa.select(BATTLE)
        .join(QUEUE, QUEUE.c.sequence == BATTLE.c.sequence)
        .where(QUEUE.c.sequence < before, of_them)
        .order_by(QUEUE.c.sequence)
        .limit(limit)
    )
    return [_from_row(row) for row in connection.execute(query, {"player_ids": player_ids}).all()]


def take_due(connection: sa.Connection, horizon: int, now: int, pause: int, limit: int) -> list[Battle]:
    """Returns waiting battles that are due to be published again, oldest first, and puts off their next time.

    No two callers get the same battle. The pause doubles with each time, up to 64-fold.

    Args:
        horizon: Battles are due whose time is not after this.
        now: The time to count the next pause from.
        pause: The first pause, in microseconds.
    """
    due = (
        sa.select(QUEUE)
        .where(QUEUE.c.next_publish_time <= horizon)
        .order_by(QUEUE.c.sequence)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = [(now + (pause << min(q.published, 6)), q.published + 1, q.sequence) for q in connection.execute(due).all()]
    bulk.update(connection, QUEUE, "sequence", ["next_publish_time", "published"], rows)
    query = sa.select(BATTLE).where(bulk.among(BATTLE.c.sequence, "sequences")).order_by(BATTLE.c.sequence)
    return [_from_row(row) for row in connection.execute(query, {"sequences": [row[2] for row in rows]}).all()]


def make_all_due(connection: sa.Connection) -> None:
    """Makes every waiting battle due now: the queue was lost."""
    connection.execute(sa.update(QUEUE).values(next_publish_time=0, published=0))


def count_failures(connection: sa.Connection, sequences: Collection[int]) -> dict[int, int]:
    """Counts a failed fight for each battle and returns how many there are by now, by sequence."""
    these = bulk.among(QUEUE.c.sequence, "sequences")
    parameters = {"sequences": sequences}
    connection.execute(sa.update(QUEUE).where(these).values(failures=QUEUE.c.failures + 1), parameters)
    rows = connection.execute(sa.select(QUEUE).where(these), parameters).all()
    return {row.sequence: row.failures for row in rows}


def count_queued(connection: sa.Connection, many: int) -> tuple[int, dict[str, int]]:
    """Returns how many battles wait, and how many of each challenger that has at least ``many`` of them."""
    count = sa.func.count()
    queued = int(connection.execute(sa.select(count).select_from(QUEUE)).scalar_one())
    if queued < many:
        return queued, {}
    query = sa.select(QUEUE.c.challenger_id, count).group_by(QUEUE.c.challenger_id).having(count >= many)
    return queued, {row[0]: row[1] for row in connection.execute(query).all()}


def look_at_queue(connection: sa.Connection) -> QueueCounts:
    """Returns what the database knows of the queue."""

    def count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)

    counts = sa.select(
        sa.func.count(), count(QUEUE.c.published > 1), count(QUEUE.c.failures > 0), sa.func.min(QUEUE.c.sequence)
    )
    queued, blocked, failing, oldest = connection.execute(counts).one()
    voided = sa.select(sa.func.count()).select_from(BATTLE).where(BATTLE.c.void_reason.is_not(None))
    since = None
    if oldest is not None:  # nothing is NULL, but SQLite would look at every battle for one that is
        since = connection.execute(sa.select(BATTLE.c.submit_time).where(BATTLE.c.sequence == oldest)).scalar_one()
    return QueueCounts(queued, blocked, failing, connection.execute(voided).scalar_one(), since)


def _chain(player_id: str, before: int | None) -> sa.CTE:
    """Returns a player's battles, newest first. Only as many are read as are asked for."""
    newest = sa.select(PLAYER_SEQUENCE.c.last_sequence).where(PLAYER_SEQUENCE.c.player_id == player_id)
    if before is not None:
        newest = sa.select(_previous(BATTLE, player_id)).where(BATTLE.c.sequence == before)
    chain = sa.select(BATTLE).where(BATTLE.c.sequence == newest.scalar_subquery()).cte("chain", recursive=True)
    return chain.union_all(sa.select(BATTLE).join(chain, BATTLE.c.sequence == _previous(chain, player_id)))


def _previous(battle: sa.FromClause, player_id: str) -> sa.ColumnElement[int]:
    mine = battle.c.challenger_id == player_id
    return sa.case((mine, battle.c.challenger_previous), else_=battle.c.opponent_previous)


def _find_requests(connection: sa.Connection, keys: Collection[Key]) -> dict[Key, Battle]:
    if not keys:
        return {}
    rows = connection.execute(_REQUESTED, {"keys": keys}).all()
    return {(row.challenger_id, row.request_id): _from_row(row) for row in rows}


def _to_row(battle: Battle) -> tuple[Any, ...]:
    """Returns the columns of ``_PLACED``."""
    challenger, opponent = battle.challenger, battle.opponent
    return (
        battle.sequence,
        battle.battle_id,
        challenger.player_id,
        battle.challenger_number,
        challenger.attack,
        challenger.hit_points,
        challenger.luck,
        opponent.player_id,
        battle.opponent_number,
        opponent.attack,
        opponent.hit_points,
        opponent.luck,
        battle.seed - (battle.seed >> 63 << 64),
        battle.rules_version,
        battle.submit_time,
        int(battle.state),
    )


def _from_row(row: Any) -> Battle:
    return Battle(
        sequence=row.sequence,
        battle_id=row.battle_id,
        challenger=Combatant(row.challenger_id, row.challenger_attack, row.challenger_hit_points, row.challenger_luck),
        challenger_number=row.challenger_number,
        opponent=Combatant(row.opponent_id, row.opponent_attack, row.opponent_hit_points, row.opponent_luck),
        opponent_number=row.opponent_number,
        seed=row.seed & 0xFFFFFFFFFFFFFFFF,
        rules_version=row.rules_version,
        submit_time=row.submit_time,
        state=State(row.state),
        outcome=Outcome(row.outcome) if row.outcome else None,
        gold_stolen=row.gold_stolen or 0,
        silver_stolen=row.silver_stolen or 0,
        void_reason=row.void_reason or "",
        settle_time=row.settle_time,
    )
