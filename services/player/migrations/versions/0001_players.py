"""Players, their ledger, the settle sequence and used request ids."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

ID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")


def upgrade() -> None:
    op.create_table(
        "player",
        sa.Column("player_id", ID, primary_key=True),
        sa.Column(
            "name",
            sa.String(20).with_variant(postgresql.VARCHAR(20, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("description", sa.String(1000), nullable=False),
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
        sa.UniqueConstraint("name", name="player_name"),
        sa.CheckConstraint("gold BETWEEN 0 AND 1000000000", name="player_gold"),
        sa.CheckConstraint("silver BETWEEN 0 AND 1000000000", name="player_silver"),
        postgresql_with={"fillfactor": 80},
    )
    op.create_table(
        "ledger_entry",
        sa.Column("player_id", ID, primary_key=True),
        sa.Column("battle_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("adjustment_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("battle_id", ID),
        sa.Column("reason", sa.String(200)),
        sa.Column("gold_change", sa.Integer, nullable=False),
        sa.Column("silver_change", sa.Integer, nullable=False),
        sa.Column("gold_balance", sa.Integer, nullable=False),
        sa.Column("silver_balance", sa.Integer, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "settlement",
        sa.Column(
            "settle_sequence",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("battle_id", ID),
        sa.Column("effect", sa.SmallInteger, nullable=False),
        sa.Column("player_id", ID),
        sa.Column("gold", sa.Integer, nullable=False),
        sa.Column("silver", sa.Integer, nullable=False),
        sa.Column("void_reason", sa.Text, nullable=False),
        sa.Column("settle_time", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("battle_id", name="settlement_battle"),
    )
    head = op.create_table(
        "settle_head",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("last_sequence", sa.BigInteger, nullable=False),
        sa.Column("last_time", sa.BigInteger, nullable=False),
        sa.CheckConstraint("id = 1", name="settle_head_single"),
    )
    op.bulk_insert(head, [{"id": 1, "last_sequence": 0, "last_time": 0}])
    op.create_table(
        "request",
        sa.Column("method", sa.String(32), primary_key=True),
        sa.Column("request_id", sa.String(64), primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("player_id", ID, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
