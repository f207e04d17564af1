"""Battles, their places, the queue and the reports."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

UUID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    head = op.create_table(
        "battle_head",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("last_sequence", sa.BigInteger, nullable=False),
        sa.CheckConstraint("id = 1", name="battle_head_single"),
    )
    op.bulk_insert(head, [{"id": 1, "last_sequence": 0}])
    op.create_table(
        "player_sequence",
        sa.Column("player_id", UUID, primary_key=True),
        sa.Column("last_number", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "battle",
        sa.Column("sequence", SEQUENCE, primary_key=True, autoincrement=False),
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
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("rules_version", sa.SmallInteger, nullable=False),
        sa.Column("submit_time", sa.BigInteger, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("outcome", sa.SmallInteger),
        sa.Column("gold_stolen", sa.Integer),
        sa.Column("silver_stolen", sa.Integer),
        sa.Column("void_reason", sa.Text),
        sa.Column("settle_time", sa.BigInteger),
        sa.CheckConstraint("challenger_id <> opponent_id", name="battle_two_players"),
        sa.UniqueConstraint("challenger_id", "challenger_number", name="battle_challenger_number"),
        sa.UniqueConstraint("opponent_id", "opponent_number", name="battle_opponent_number"),
        sa.UniqueConstraint("challenger_id", "request_id", name="battle_request"),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(
        "battle_voided",
        "battle",
        ["sequence"],
        postgresql_where=sa.text("void_reason IS NOT NULL"),
        sqlite_where=sa.text("void_reason IS NOT NULL"),
    )
    op.create_table(
        "battle_queue",
        sa.Column("sequence", SEQUENCE, primary_key=True, autoincrement=False),
        sa.Column("challenger_id", UUID, nullable=False),
        sa.Column("next_publish_time", sa.BigInteger, nullable=False),
        sa.Column("published", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
    )
    op.create_table(
        "battle_report",
        sa.Column("sequence", SEQUENCE, primary_key=True, autoincrement=False),
        sa.Column("report", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    for table in ("battle_report", "battle_queue", "battle", "player_sequence", "battle_head"):
        op.drop_table(table)
