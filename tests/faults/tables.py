"""What the databases hold, read straight from their tables once everything has ended."""

from __future__ import annotations  # the stubs' types exist for the type checker alone

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from skirmish.battle.v1 import battle_pb2

QUEUED, SETTLED, VOIDED = 1, 2, 3
OPENING, BATTLE, GRANT = 1, 2, 3
PLAYER_DELETED = 5

Row = Any


@dataclass(frozen=True)
class Tables:
    """Rows with the columns of their tables as attributes; ids are text.

    Battles come by sequence, ledger entries by player and place, settlements by settle sequence; reports by sequence.
    """

    last_sequence: int
    battles: list[Row]
    queued: int
    reports: dict[int, battle_pb2.BattleReport]
    players: dict[str, Row]
    ledger: list[Row]
    last_settled: int
    settlements: list[Row]


def read(player_database_url: str, battle_database_url: str) -> Tables:
    """Reads everything."""
    player, battle = (
        sa.create_engine(url, poolclass=sa.NullPool) for url in (player_database_url, battle_database_url)
    )
    with player.connect() as accounts, battle.connect() as fights:
        reports = _rows(fights, "SELECT sequence, report FROM battle_report")
        return Tables(
            _number(fights, "SELECT last_sequence FROM battle_head"),
            _rows(fights, "SELECT * FROM battle ORDER BY sequence"),
            _number(fights, "SELECT count(*) FROM battle_queue"),
            {row.sequence: battle_pb2.BattleReport.FromString(bytes(row.report)) for row in reports},
            {str(row.player_id): row for row in _rows(accounts, "SELECT * FROM player")},
            _rows(accounts, "SELECT * FROM ledger_entry ORDER BY player_id, battle_number, adjustment_number"),
            _number(accounts, "SELECT last_sequence FROM settle_head"),
            _rows(accounts, "SELECT * FROM settlement ORDER BY settle_sequence"),
        )


def _rows(connection: sa.Connection, query: str) -> list[Row]:
    return list(connection.exec_driver_sql(query))


def _number(connection: sa.Connection, query: str) -> int:
    return int(connection.exec_driver_sql(query).scalar_one())
