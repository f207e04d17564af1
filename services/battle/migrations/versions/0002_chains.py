"""A chain of each player's battles, in place of two indexes on players; request ids are ordered by themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

SIDES = ("challenger", "opponent")
STEPS = """
WITH step AS (
  SELECT sequence, player_id, lag(sequence) OVER (PARTITION BY player_id ORDER BY sequence) AS previous
  FROM (
    SELECT sequence, challenger_id AS player_id FROM battle
    UNION ALL SELECT sequence, opponent_id FROM battle
  ) AS side
)
"""


def upgrade() -> None:
    with op.batch_alter_table("battle") as battle:
        for side in SIDES:
            battle.add_column(sa.Column(f"{side}_previous", sa.BigInteger))
            battle.drop_constraint(f"battle_{side}_number", type_="unique")
        battle.drop_constraint("battle_request", type_="unique")
        battle.create_unique_constraint("battle_request", ["request_id", "challenger_id"])
    for side in SIDES:
        op.execute(
            f"{STEPS} UPDATE battle SET {side}_previous = step.previous FROM step "
            f"WHERE step.sequence = battle.sequence AND step.player_id = battle.{side}_id"
        )
    op.add_column("player_sequence", sa.Column("last_sequence", sa.BigInteger))
    op.execute(
        f"{STEPS} UPDATE player_sequence SET last_sequence = last.sequence "
        "FROM (SELECT player_id, max(sequence) AS sequence FROM step GROUP BY player_id) AS last "
        "WHERE last.player_id = player_sequence.player_id"
    )
    with op.batch_alter_table("player_sequence") as player_sequence:
        player_sequence.alter_column("last_sequence", existing_type=sa.BigInteger, nullable=False)
