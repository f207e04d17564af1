"""The tables of the player service. Times are microseconds since the epoch, by the database's clock.

There are no foreign keys: every row that could be pointed at is written in the same transaction or is locked by it, and
no row is ever deleted, so a check for each row of the ledger would cost much and find nothing.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from services.common.bulk import UUID
from services.player.players import DESCRIPTION_LENGTH, MOST_RESOURCES, NAME_LENGTH, REASON_LENGTH

METADATA = sa.MetaData()

# Names are ordered by code point on SQLite; "C" is that on PostgreSQL, where a locale would order them otherwise.
_NAME = sa.String(NAME_LENGTH).with_variant(postgresql.VARCHAR(NAME_LENGTH, collation="C"), "postgresql")
_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # INTEGER makes it SQLite's own row number

_SIDE: dict[str, Any] = {
    "id": UUID,
    "number": sa.BigInteger,
    "gold": sa.Integer,
    "silver": sa.Integer,
    "previous": UUID,
}
_SIDES = {f"{side}_{name}": kind for side in ("challenger", "opponent") for name, kind in _SIDE.items()}
SIDE_COLUMNS = list(_SIDES)
"""The columns of SETTLEMENT that tell of both sides of a battle: five of the challenger, then five of the opponent."""

PLAYER = sa.Table(
    "player",
    METADATA,
    sa.Column("player_id", UUID, primary_key=True),
    sa.Column("name", _NAME, nullable=False),
    sa.Column("description", sa.String(DESCRIPTION_LENGTH), nullable=False),
    sa.Column("gold", sa.Integer, nullable=False),
    sa.Column("silver", sa.Integer, nullable=False),
    sa.Column("attack", sa.Integer, nullable=False),
    sa.Column("hit_points", sa.Integer, nullable=False),
    sa.Column("luck", sa.Integer, nullable=False),
    sa.Column("resources_stolen", sa.BigInteger, nullable=False),
    sa.Column("applied_number", sa.BigInteger, nullable=False),
    sa.Column("adjustment_number", sa.BigInteger, nullable=False),
    sa.Column("create_time", sa.BigInteger, nullable=False),
    sa.Column("update_time", sa.BigInteger, nullable=False),
    sa.Column("delete_time", sa.BigInteger),
    sa.Column("last_battle_id", UUID),
    sa.UniqueConstraint("name", name="player_name"),
    sa.CheckConstraint(f"gold BETWEEN 0 AND {MOST_RESOURCES}", name="player_gold"),
    sa.CheckConstraint(f"silver BETWEEN 0 AND {MOST_RESOURCES}", name="player_silver"),
    postgresql_with={"fillfactor": 80},  # room to rewrite a row in place when a battle changes it
)
"""Every player ever created, with its balances. ``applied_number`` counts the battles that have taken effect, the last
of them ``last_battle_id``, and ``adjustment_number`` the grants since. A deleted player stays, and so does its name."""

ADJUSTMENT = sa.Table(
    "adjustment",
    METADATA,
    sa.Column("player_id", UUID, primary_key=True),
    sa.Column("battle_number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("adjustment_number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("reason", sa.String(REASON_LENGTH)),
    sa.Column("gold_change", sa.Integer, nullable=False),
    sa.Column("silver_change", sa.Integer, nullable=False),
    sa.Column("gold_balance", sa.Integer, nullable=False),
    sa.Column("silver_balance", sa.Integer, nullable=False),
    sa.Column("create_time", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""What changed balances beside battles. The grants after battle N of a player are (N, 1), (N, 2) and so on, the opening
is (0, 0): so the key is their place among the battles. All changes together are the view ``ledger_entry``."""

SETTLEMENT = sa.Table(
    "settlement",
    METADATA,
    sa.Column("settle_sequence", _SEQUENCE, primary_key=True, autoincrement=False),
    sa.Column("battle_id", UUID),
    sa.Column("effect", sa.SmallInteger, nullable=False),
    sa.Column("player_id", UUID),
    sa.Column("gold", sa.Integer, nullable=False),
    sa.Column("silver", sa.Integer, nullable=False),
    sa.Column("void_reason", sa.Text, nullable=False),
    sa.Column("settle_time", sa.BigInteger, nullable=False),
    *(sa.Column(name, kind) for name, kind in _SIDES.items()),
    sa.UniqueConstraint("battle_id", name="settlement_battle"),
)
"""Everything that took effect, in order. ``player_id`` is the winner, or the player whose deletion it is; then there is
no battle.

A battle is told from both sides: whose it was, its number among that player's battles, what the player owned after it,
and the battle before it: so a player's battles are a chain, back from its ``last_battle_id``. A ledger by player would
have a page for each of them, and every transaction would write hundreds of those."""

SETTLE_HEAD = sa.Table(
    "settle_head",
    METADATA,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("last_sequence", sa.BigInteger, nullable=False),
    sa.Column("last_time", sa.BigInteger, nullable=False),
    sa.CheckConstraint("id = 1", name="settle_head_single"),
)
"""The end of the settle sequence. Who moves it holds its lock until the commit, so places are gapless and in commit
order."""

REQUEST = sa.Table(
    "request",
    METADATA,
    sa.Column("method", sa.String(32), primary_key=True),
    sa.Column("request_id", sa.String(64), primary_key=True),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False),
    sa.Column("player_id", UUID, nullable=False),
    sa.Column("create_time", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""The request ids that were used, with a hash of the request and the player it was about."""
