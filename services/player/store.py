"""Players in SQL, with the ledger of what they own and the request ids that were used.

Every function takes a connection and runs inside its caller's transaction.
"""

import operator
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from services.common import bulk
from services.common.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Violation
from services.player.players import MOST_RESOURCES, Kind, LedgerEntry, NewPlayer, Player
from services.player.schema import ADJUSTMENT, PLAYER, REQUEST, SETTLEMENT
from services.player.settlement import Change, Effect
from services.player.settlement_store import append, now

_PLAYERS = [PLAYER.c[name] for name in Player._fields]
_ADJUSTMENT_FIELDS = [name for name in LedgerEntry._fields if name in ADJUSTMENT.c]
_EXISTS = PLAYER.c.delete_time.is_(None)
_FOUND = sa.select(*_PLAYERS).where(bulk.among(PLAYER.c.player_id, "player_ids"), _EXISTS)
"""Built once, for that takes longer than to run it."""
_PLACE = operator.attrgetter("place")
_LAST_CHARACTER = "\U0010ffff"
"""Sorts behind every character that a name can have."""


class LedgerCursor(NamedTuple):
    """Where a page of a ledger ended: the place of its last entry, and the newest battle before that, if any."""

    battle_number: int
    adjustment_number: int
    battle_id: str


class Request(NamedTuple):
    """What makes a call safe to repeat: the method, the caller's id for it, and a hash of all that was asked for."""

    method: str
    request_id: str
    fingerprint: bytes


def create(connection: sa.Connection, player_id: str, new: NewPlayer, request: Request) -> Player:
    """Creates a player, or returns the one that an earlier call with this request id created.

    Raises:
        AlreadyExists: The name is taken.
        InvalidArgument: The request id was used for something else.
        NotFound: The player created earlier was deleted.
    """
    time = now(connection)
    if earlier := _claim(connection, request, player_id, time):
        return get(connection, earlier)
    insert = (
        sa.insert(PLAYER)
        .values(
            **new._asdict(),
            player_id=player_id,
            resources_stolen=0,
            applied_number=0,
            adjustment_number=0,
            create_time=time,
            update_time=time,
        )
        .returning(*_PLAYERS)
    )
    try:
        row = connection.execute(insert).one()
    except sa.exc.IntegrityError:  # the name is all that can be in the way, and what stands here is rolled back
        raise AlreadyExists(f"the name {new.name} is taken", "NAME_TAKEN", name=new.name) from None
    opening = LedgerEntry(0, 0, Kind.OPENING, None, None, new.gold, new.silver, new.gold, new.silver, time)
    _enter(connection, player_id, opening)
    return Player(*row)


def get(connection: sa.Connection, player_id: str) -> Player:
    """Returns a player.

    Raises:
        NotFound: There is no such player, or no longer.
    """
    row = connection.execute(sa.select(*_PLAYERS).where(PLAYER.c.player_id == player_id, _EXISTS)).one_or_none()
    if row is None:
        raise NotFound("player", player_id)
    return Player(*row)


def find(connection: sa.Connection, player_ids: Collection[str]) -> dict[str, Player]:
    """Returns those of the players that exist."""
    return {row[0]: Player(*row) for row in connection.execute(_FOUND, {"player_ids": player_ids}).all()}


def list_by_name(connection: sa.Connection, prefix: str, after: str, limit: int) -> list[Player]:
    """Returns players in the order of their names.

    Args:
        prefix: What the names begin with; empty for all.
        after: The name that comes before the first; empty to begin at the beginning.
        limit: How many at most.
    """
    name = PLAYER.c.name
    # A range instead of LIKE: it is exact about case and wildcards, and runs along the index of the names.
    of_prefix = sa.and_(name >= prefix, name < prefix + _LAST_CHARACTER)
    found = sa.select(*_PLAYERS).where(of_prefix, name > after, _EXISTS).order_by(name).limit(limit)
    return [Player(*row) for row in connection.execute(found).all()]


def update(connection: sa.Connection, player_id: str, values: Mapping[str, int | str]) -> Player:
    """Sets fields of a player.

    Raises:
        NotFound: There is no such player, or no longer.
    """
    if not values:
        return get(connection, player_id)
    changed = (
        sa.update(PLAYER)
        .where(PLAYER.c.player_id == player_id, _EXISTS)
        .values(**values, update_time=now(connection))
        .returning(*_PLAYERS)
    )
    row = connection.execute(changed).one_or_none()
    if row is None:
        raise NotFound("player", player_id)
    return Player(*row)


def delete(connection: sa.Connection, player_id: str) -> None:
    """Deletes a player, and puts that into the settle sequence for the boards to learn.

    Raises:
        NotFound: There is no such player, or no longer.
    """
    time = now(connection)
    gone = (
        sa.update(PLAYER)
        .where(PLAYER.c.player_id == player_id, _EXISTS)
        .values(delete_time=time, update_time=time)
        .returning(PLAYER.c.player_id)
    )
    if connection.execute(gone).one_or_none() is None:
        raise NotFound("player", player_id)
    append(connection, [Change(None, Effect.PLAYER_DELETED, player_id, 0, 0, "")], time)


def grant(connection: sa.Connection, player_id: str, gold: int, silver: int, reason: str, request: Request) -> Player:
    """Adds to a player's balances, unless an earlier call with this request id has. Returns the player as it is then.

    Raises:
        FailedPrecondition: A balance would leave its range.
        InvalidArgument: The request id was used for something else.
        NotFound: There is no such player, or no longer.
    """
    locked = connection.execute(
        sa.select(PLAYER).where(PLAYER.c.player_id == player_id, _EXISTS).with_for_update()
    ).one_or_none()
    if locked is None:
        raise NotFound("player", player_id)
    time = now(connection)
    if earlier := _claim(connection, request, player_id, time):
        return get(connection, earlier)
    balances = {"gold": locked.gold + gold, "silver": locked.silver + silver}
    for name, balance in balances.items():
        if not 0 <= balance <= MOST_RESOURCES:
            raise FailedPrecondition(
                f"the player would own {balance:,} {name}, and can own 0 to {MOST_RESOURCES:,}",
                "BALANCE_OUT_OF_RANGE",
                resource=name,
            )
    number = locked.adjustment_number + 1
    granted = (
        sa.update(PLAYER)
        .where(PLAYER.c.player_id == player_id)
        .values(**balances, adjustment_number=number, update_time=time)
        .returning(*_PLAYERS)
    )
    row = connection.execute(granted).one()
    entry = LedgerEntry(
        locked.applied_number, number, Kind.GRANT, None, reason, gold, silver, row.gold, row.silver, time
    )
    _enter(connection, player_id, entry)
    return Player(*row)


def list_entries(
    connection: sa.Connection, player_id: str, before: LedgerCursor | None, limit: int
) -> tuple[list[LedgerEntry], LedgerCursor | None]:
    """Returns ledger entries of a player, newest first, and where to go on; None at the end.

    Args:
        before: Where the entries before these ended; None to begin at the newest.
        limit: How many at most.

    Raises:
        NotFound: There is no such player, or no longer.
    """
    # From where the ledger is now, for the statements below may see what is written after this one.
    newest = PLAYER.c.applied_number, PLAYER.c.adjustment_number, PLAYER.c.last_battle_id
    player = connection.execute(sa.select(*newest).where(PLAYER.c.player_id == player_id, _EXISTS)).one_or_none()
    if player is None:
        raise NotFound("player", player_id)
    start = before or LedgerCursor(player.applied_number, player.adjustment_number + 1, player.last_battle_id or "")
    battles = _list_battles(connection, player_id, start.battle_id, limit + 1)
    every = sorted([*battles, *_list_adjustments(connection, player_id, start, limit + 1)], key=_PLACE, reverse=True)
    page = every[:limit]
    if len(every) == len(page):
        return page, None
    rest = battles[sum(entry.kind == Kind.BATTLE for entry in page) :]
    return page, LedgerCursor(*page[-1].place, rest[0].battle_id or "" if rest else "")


def _claim(connection: sa.Connection, request: Request, player_id: str, time: int) -> str | None:
    """Takes a request id. Returns the player of the call that took it before, None when this is the first.

    Waits for a call that is about to take the same id.
    """
    if not request.request_id:
        return None
    row = (*request, player_id, time)
    if bulk.insert(connection, REQUEST, [column.name for column in REQUEST.columns], [row], "DO NOTHING"):
        return None
    same_id = REQUEST.c.method == request.method, REQUEST.c.request_id == request.request_id
    earlier = connection.execute(sa.select(REQUEST.c.fingerprint, REQUEST.c.player_id).where(*same_id)).one()
    if earlier.fingerprint != request.fingerprint:
        wrong = Violation("request_id", "was used before, with other values; take a new one")
        raise InvalidArgument([wrong], "REQUEST_ID_REUSED")
    player: str = earlier.player_id
    return player


def _enter(connection: sa.Connection, player_id: str, entry: LedgerEntry) -> None:
    values = {name: getattr(entry, name) for name in _ADJUSTMENT_FIELDS}
    connection.execute(sa.insert(ADJUSTMENT).values(player_id=player_id, **values))


def _list_battles(connection: sa.Connection, player_id: str, newest: str, limit: int) -> list[LedgerEntry]:
    """Returns a player's entries of battles, along the chain. Only as many are read as are asked for."""
    if not newest:
        return []
    chain = sa.select(SETTLEMENT).where(SETTLEMENT.c.battle_id == newest).cte("chain", recursive=True)
    mine = chain.c.challenger_id == player_id
    previous = sa.case((mine, chain.c.challenger_previous), else_=chain.c.opponent_previous)
    chain = chain.union_all(sa.select(SETTLEMENT).join(chain, SETTLEMENT.c.battle_id == previous))
    return [_of_battle(player_id, row) for row in connection.execute(sa.select(chain).limit(limit)).all()]


def _of_battle(player_id: str, row: Any) -> LedgerEntry:
    number, gold, silver = row.opponent_number, row.opponent_gold, row.opponent_silver
    if row.challenger_id == player_id:
        number, gold, silver = row.challenger_number, row.challenger_gold, row.challenger_silver
    sign = 1 if row.player_id == player_id else -1  # where nobody won there is nothing to win
    changes = sign * row.gold, sign * row.silver
    return LedgerEntry(number, 0, Kind.BATTLE, row.battle_id, None, *changes, gold, silver, row.settle_time)


def _list_adjustments(connection: sa.Connection, player_id: str, before: LedgerCursor, limit: int) -> list[LedgerEntry]:
    place = [ADJUSTMENT.c.battle_number, ADJUSTMENT.c.adjustment_number]
    found = (
        sa.select(*(ADJUSTMENT.c[name] for name in _ADJUSTMENT_FIELDS))
        .where(ADJUSTMENT.c.player_id == player_id)
        .where(sa.tuple_(*place) < sa.tuple_(*before[:2], types=[column.type for column in place]))
        .order_by(*(column.desc() for column in place))
        .limit(limit)
    )
    return [LedgerEntry(**row._mapping, battle_id=None) for row in connection.execute(found).all()]
