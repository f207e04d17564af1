"""A battle's entries in the ledger become a part of its settlement, and a player's settlements a chain."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

ID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
SIDES = ("challenger", "opponent")
ADJUSTMENTS = (
    "player_id, battle_number, adjustment_number, kind, reason,"
    " gold_change, silver_change, gold_balance, silver_balance, create_time"
)
# Who challenged whom was not stored: it is told by who won and how, and does not matter where nobody did.
ENTRIES = """
WITH entry AS (
  SELECT
    ledger_entry.*,
    lag(battle_id) OVER (PARTITION BY player_id ORDER BY battle_number) AS previous,
    row_number() OVER (PARTITION BY battle_id ORDER BY player_id) AS place
  FROM ledger_entry
  WHERE battle_id IS NOT NULL
)
"""
CHALLENGER = """
CASE settlement.effect
  WHEN 1 THEN entry.player_id = settlement.player_id
  WHEN 2 THEN entry.player_id <> settlement.player_id
  ELSE entry.place = 1
END
"""
VIEW = """
CREATE VIEW ledger_entry AS
SELECT
  challenger_id AS player_id, challenger_number AS battle_number, 0 AS adjustment_number, 2 AS kind, battle_id,
  NULL AS reason,
  CASE WHEN player_id = challenger_id THEN gold ELSE -gold END AS gold_change,
  CASE WHEN player_id = challenger_id THEN silver ELSE -silver END AS silver_change,
  challenger_gold AS gold_balance, challenger_silver AS silver_balance, settle_time AS create_time
FROM settlement WHERE battle_id IS NOT NULL
UNION ALL
SELECT
  opponent_id, opponent_number, 0, 2, battle_id,
  NULL,
  CASE WHEN player_id = opponent_id THEN gold ELSE -gold END,
  CASE WHEN player_id = opponent_id THEN silver ELSE -silver END,
  opponent_gold, opponent_silver, settle_time
FROM settlement WHERE battle_id IS NOT NULL
UNION ALL
SELECT
  player_id, battle_number, adjustment_number, kind, NULL,
  reason, gold_change, silver_change, gold_balance, silver_balance, create_time
FROM adjustment
"""


def upgrade() -> None:
    op.add_column("player", sa.Column("last_battle_id", ID))
    op.execute(
        "UPDATE player SET last_battle_id = ledger_entry.battle_id FROM ledger_entry "
        "WHERE ledger_entry.player_id = player.player_id AND ledger_entry.battle_number = player.applied_number "
        "AND ledger_entry.adjustment_number = 0 AND ledger_entry.battle_id IS NOT NULL"
    )
    columns = (("id", ID), ("number", sa.BigInteger), ("gold", sa.Integer), ("silver", sa.Integer), ("previous", ID))
    for side, is_side in zip(SIDES, (CHALLENGER, f"NOT ({CHALLENGER})"), strict=True):
        for name, kind in columns:
            op.add_column("settlement", sa.Column(f"{side}_{name}", kind))
        op.execute(
            f"{ENTRIES} UPDATE settlement SET {side}_id = entry.player_id, {side}_number = entry.battle_number, "
            f"{side}_gold = entry.gold_balance, {side}_silver = entry.silver_balance, {side}_previous = entry.previous "
            f"FROM entry WHERE entry.battle_id = settlement.battle_id AND {is_side}"
        )
    op.create_table(
        "adjustment",
        sa.Column("player_id", ID, primary_key=True),
        sa.Column("battle_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("adjustment_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("reason", sa.String(200)),
        sa.Column("gold_change", sa.Integer, nullable=False),
        sa.Column("silver_change", sa.Integer, nullable=False),
        sa.Column("gold_balance", sa.Integer, nullable=False),
        sa.Column("silver_balance", sa.Integer, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute(f"INSERT INTO adjustment ({ADJUSTMENTS}) SELECT {ADJUSTMENTS} FROM ledger_entry WHERE battle_id IS NULL")
    op.drop_table("ledger_entry")
    op.execute(VIEW)
