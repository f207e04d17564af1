"""The tables of the battle service. Times are microseconds since the epoch."""

import sqlalchemy as sa

from services.common.bulk import UUID

METADATA = sa.MetaData()

HEAD = sa.Table(
    "battle_head",
    METADATA,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("last_sequence", sa.BigInteger, nullable=False),
    sa.CheckConstraint("id = 1", name="battle_head_single"),
)
"""The last place of the global sequence. Its row is locked for the length of a submission."""

PLAYER_SEQUENCE = sa.Table(
    "player_sequence",
    METADATA,
    sa.Column("player_id", UUID, primary_key=True),
    sa.Column("last_number", sa.BigInteger, nullable=False),
    sa.Column("last_sequence", sa.BigInteger, nullable=False),
)
"""The last number of each player, and the sequence of that battle. Written only under the lock of the head."""

BATTLE = sa.Table(
    "battle",
    METADATA,
    sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("battle_id", UUID, nullable=False, unique=True),
    sa.Column("challenger_id", UUID, nullable=False),
    sa.Column("challenger_number", sa.BigInteger, nullable=False),
    sa.Column("challenger_attack", sa.Integer, nullable=False),
    sa.Column("challenger_hit_points", sa.Integer, nullable=False),
    sa.Column("challenger_luck", sa.Integer, nullable=False),
    sa.Column("opponent_id", UUID, nullable=False),
    sa.Column("opponent_number", sa.BigInteger, nullable=False),
    sa.Column("opponent_attack", sa.Integer, nullable=False),
    sa.Column("opponent_hit_points", sa.Integer, nullable=False),
    sa.Column("opponent_luck", sa.Integer, nullable=False),
    sa.Column("request_id", sa.String(64)),
    sa.Column("seed", sa.BigInteger, nullable=False),  # the same 64 bits, signed
    sa.Column("rules_version", sa.SmallInteger, nullable=False),
    sa.Column("submit_time", sa.BigInteger, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("outcome", sa.SmallInteger),
    sa.Column("gold_stolen", sa.Integer),
    sa.Column("silver_stolen", sa.Integer),
    sa.Column("void_reason", sa.Text),
    sa.Column("settle_time", sa.BigInteger),
    sa.Column("challenger_previous", sa.BigInteger),
    sa.Column("opponent_previous", sa.BigInteger),
    sa.CheckConstraint("challenger_id <> opponent_id", name="battle_two_players"),
    # The id first: ids that begin with the time, as UUIDv7 do, are then written at the end of the index.
    sa.UniqueConstraint("request_id", "challenger_id", name="battle_request"),
    # On the reason, not on the state: PostgreSQL can then rewrite a row that settles in place, without touching any
    # index. Battles that wait have a table of their own for the same reason.
    sa.Index(
        "battle_voided",
        "sequence",
        postgresql_where=sa.text("void_reason IS NOT NULL"),
        sqlite_where=sa.text("void_reason IS NOT NULL"),
    ),
    postgresql_with={"fillfactor": 80},
)
"""Every battle ever submitted, with how it ended once it has.

``challenger_previous`` and ``opponent_previous`` are the sequences of these players' battles before it: so a player's
battles are a chain, back from the one in PLAYER_SEQUENCE. An index on players would have a page for each of them, and
every transaction would write hundreds of those; what is written here is at the end of the table."""

QUEUE = sa.Table(
    "battle_queue",
    METADATA,
    sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("challenger_id", UUID, nullable=False),
    sa.Column("next_publish_time", sa.BigInteger, nullable=False),
    sa.Column("published", sa.Integer, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
)
"""The battles that wait: when to publish each again, how often it was published, how often fighting it failed."""

REPORT = sa.Table(
    "battle_report",
    METADATA,
    sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("report", sa.LargeBinary, nullable=False),
)
"""The reports of settled battles, as serialized BattleReport messages. By sequence, so that new ones are appended."""
