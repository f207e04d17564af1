"""A past for an empty database: millions of battles that were never fought, written by the database itself.

Players meet in rounds in which each fights once, so a player's number in a round is the round's. The first round moved
resources, all others were draws: sums and boards are right, and every table is as long as it would be.
"""

import sqlite3
from dataclasses import dataclass

import sqlalchemy as sa

from services.battle import reports, rules
from services.battle.battles import Battle, State
from services.battle.rules import Combatant, Outcome
from services.common import migrations
from services.common.database import Database
from services.player.settlement import Effect

LOOT = 100
"""The gold, and the silver, that the winner of a battle in the first round took."""
START = 1_735_689_600_000_000
"""When the first battle was: 2025-01-01, in microseconds. Then there was one a millisecond."""
PURSE = 1000
_SCRAMBLER = 0x9E3779B97F
_48_BITS = (1 << 48) - 1
_PLAYER_PREFIX = "019419b8-0000-7000-8000-"


@dataclass(frozen=True)
class History:
    """How much has happened.

    Args:
        battles: How many battles were fought: whole rounds, or a part of the first one.
        players: How many players there are, an even number.
    """

    battles: int
    players: int

    def __post_init__(self) -> None:
        assert self.players % 2 == 0
        assert self.battles < self.round or self.battles % self.round == 0

    @property
    def round(self) -> int:
        """How many battles a round has."""
        return self.players // 2

    @property
    def rounds(self) -> int:
        """How many rounds there were, the first one counted even if it is not complete."""
        return max(1, self.battles // self.round)

    def player_ids(self) -> list[str]:
        """Returns the id of every player."""
        return [f"{_PLAYER_PREFIX}{number * _SCRAMBLER & _48_BITS:012x}" for number in range(self.players)]


def write(history: History, player_url: str, battle_url: str) -> None:
    """Brings two empty databases to their schema, and writes the past into them."""
    for package, url, statements in (
        ("services.player", player_url, _player_statements),
        ("services.battle", battle_url, _battle_statements),
    ):
        database = Database(url)
        migrations.migrate(database, package)
        database.engine.dispose()
        if database.engine.dialect.name == "sqlite":
            _write_sqlite(str(sa.make_url(url).database), statements(history, _SQLite()))
        else:
            _write_postgresql(database.engine, statements(history, _PostgreSQL()))
        database.engine.dispose()


class _SQLite:
    """What SQLite has a word of its own for."""

    def series(self, count: int) -> str:
        """Returns a table with a column i: 0, 1, 2 and so on."""
        steps = f"SELECT 0 UNION ALL SELECT i + 1 FROM steps WHERE i < {count} - 1"
        return f"(WITH RECURSIVE steps(i) AS ({steps}) SELECT i FROM steps) AS series"

    def hexadecimal(self, number: str, width: int) -> str:
        """Returns a number as text."""
        return f"printf('%0{width}x', {number})"

    def uuid(self, text: str) -> str:
        """Returns a text as an id."""
        return text

    def bytes(self, content: bytes) -> str:
        """Returns bytes."""
        return f"x'{content.hex()}'"


class _PostgreSQL(_SQLite):
    def series(self, count: int) -> str:
        return f"generate_series(0::bigint, {count} - 1) AS series(i)"

    def hexadecimal(self, number: str, width: int) -> str:
        return f"lpad(to_hex({number}), {width}, '0')"

    def uuid(self, text: str) -> str:
        return f"({text})::uuid"

    def bytes(self, content: bytes) -> str:
        return f"'\\x{content.hex()}'::bytea"


def _write_sqlite(path: str, statements: list[tuple[str, str]]) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -4000000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    for _, statement in statements:
        connection.execute(statement)
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def _write_postgresql(engine: sa.Engine, statements: list[tuple[str, str]]) -> None:
    tables = sorted({table for table, _ in statements})
    listed = ", ".join(f"'{table}'::regclass" for table in tables)
    # Indexes are built at the end: kept up row by row they would take many times as long.
    kept_up = f"UPDATE pg_index SET indisready = {{0}}, indisvalid = {{0}} WHERE indrelid IN ({listed})"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT", no_parameters=True) as connection:
        connection.exec_driver_sql("SET maintenance_work_mem = '1GB'")
        connection.exec_driver_sql(kept_up.format("false"))
        for _, statement in statements:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(kept_up.format("true"))
        for table in tables:
            connection.exec_driver_sql(f"REINDEX TABLE {table}")
            connection.exec_driver_sql(f"VACUUM ANALYZE {table}")
        connection.exec_driver_sql("CHECKPOINT")


def _player(words: _SQLite, number: str) -> str:
    return words.uuid(f"'{_PLAYER_PREFIX}' || {words.hexadecimal(f'(({number}) * {_SCRAMBLER}) & {_48_BITS}', 12)}")


def _battle(words: _SQLite, index: str = "i") -> str:
    parts = words.hexadecimal(f"26482104 + ({index}) / 65536", 8), words.hexadecimal(f"({index}) % 65536", 4)
    random = words.hexadecimal(f"(({index}) * {_SCRAMBLER}) & {_48_BITS}", 12)
    return words.uuid(f"{parts[0]} || '-' || {parts[1]} || '-7000-8000-' || {random}")


def _fought(history: History, words: _SQLite) -> str:
    """Returns a table of all battles: i, the round r, both players by number: the challenger c, the opponent o, and the
    battles before it of both: pc and po, NULL in the first round."""
    size = history.round
    one, other = f"i % {size}", f"{size} + (i % {size} + i / {size}) % {size}"
    # Player j of the first half has the battle j of every round, one of the second half has an earlier one in each.
    before_one, before_other = f"i - {size}", f"(i / {size} - 1) * {size} + (i % {size} + 1) % {size}"
    return (
        f"(SELECT i, i / {size} AS r, CASE i % 2 WHEN 0 THEN {one} ELSE {other} END AS c, "
        f"CASE i % 2 WHEN 0 THEN {other} ELSE {one} END AS o, "
        f"CASE WHEN i < {size} THEN NULL WHEN i % 2 = 0 THEN {before_one} ELSE {before_other} END AS pc, "
        f"CASE WHEN i < {size} THEN NULL WHEN i % 2 = 1 THEN {before_one} ELSE {before_other} END AS po "
        f"FROM {words.series(history.battles)}) AS fought"
    )


def _last_battle(history: History) -> str:
    """Returns the last battle of player i, who has fought."""
    size, last = history.round, history.rounds - 1
    return f"{last * size} + CASE WHEN i < {size} THEN i ELSE (i + {size * last} - {last}) % {size} END"


def _insert(table: str, source: str, **columns: str) -> tuple[str, str]:
    names, values = ", ".join(columns), ", ".join(columns.values())
    return table, f"INSERT INTO {table} ({names}) SELECT {values} FROM {source}"


def _in_first_round(then: str, otherwise: str) -> str:
    return f"CASE r WHEN 0 THEN {then} ELSE {otherwise} END"


def _player_statements(history: History, words: _SQLite) -> list[tuple[str, str]]:
    size = history.round
    source, time = _fought(history, words), f"{START} + i * 1000"
    fought = f"i % {size} < {history.battles}"
    # In the first round number j meets number j + size. The challenger wins: the former where j is even.
    won = f"{fought} AND (i < {size}) = (i % {size} % 2 = 0)"
    balance = f"{PURSE} + CASE WHEN {won} THEN {LOOT} WHEN {fought} THEN -{LOOT} ELSE 0 END"
    loot = _in_first_round(str(LOOT), "0")
    sides = {
        f"{side}_{name}": value
        for side, who, sign in (("challenger", "c", "+"), ("opponent", "o", "-"))
        for name, value in (
            ("id", _player(words, who)),
            ("number", "r + 1"),
            ("gold", f"{PURSE} {sign} {LOOT}"),
            ("silver", f"{PURSE} {sign} {LOOT}"),
            ("previous", f"CASE WHEN r = 0 THEN NULL ELSE {_battle(words, f'p{who}')} END"),
        )
    }
    return [
        _insert(
            "player",
            words.series(history.players),
            player_id=_player(words, "i"),
            name="'Player ' || i",
            description="''",
            gold=balance,
            silver=balance,
            attack="70",
            hit_points="100",
            luck="10",
            resources_stolen=f"CASE WHEN {won} THEN {2 * LOOT} ELSE 0 END",
            applied_number=f"CASE WHEN {fought} THEN {history.rounds} ELSE 0 END",
            adjustment_number="0",
            create_time=str(START),
            update_time=str(START),
            last_battle_id=f"CASE WHEN {fought} THEN {_battle(words, _last_battle(history))} END",
        ),
        _insert(
            "settlement",
            source,
            settle_sequence="i + 1",
            battle_id=_battle(words),
            effect=_in_first_round(f"{Effect.CHALLENGER_WON:d}", f"{Effect.DRAW:d}"),
            player_id=_in_first_round(_player(words, "c"), "NULL"),
            gold=loot,
            silver=loot,
            void_reason="''",
            settle_time=time,
            **sides,
        ),
        (
            "settle_head",
            f"UPDATE settle_head SET last_sequence = {history.battles}, last_time = {START + history.battles * 1000}",
        ),
    ]


def _battle_statements(history: History, words: _SQLite) -> list[tuple[str, str]]:
    time, loot = f"{START} + i * 1000", _in_first_round(str(LOOT), "0")
    return [
        _insert(
            "battle",
            _fought(history, words),
            sequence="i + 1",
            battle_id=_battle(words),
            challenger_id=_player(words, "c"),
            challenger_number="r + 1",
            challenger_attack="70",
            challenger_hit_points="100",
            challenger_luck="10",
            opponent_id=_player(words, "o"),
            opponent_number="r + 1",
            opponent_attack="70",
            opponent_hit_points="100",
            opponent_luck="10",
            request_id="'past-' || i",
            seed=f"i * {_SCRAMBLER}",
            rules_version="1",
            submit_time=time,
            state=f"{State.SETTLED:d}",
            outcome=_in_first_round(f"{Outcome.CHALLENGER_WON:d}", f"{Outcome.DRAW:d}"),
            gold_stolen=loot,
            silver_stolen=loot,
            settle_time=time,
            challenger_previous="pc + 1",
            opponent_previous="po + 1",
        ),
        _insert(
            "battle_report",
            words.series(history.battles),
            sequence="i + 1",
            report=words.bytes(_typical_report()),
        ),
        _insert(
            "player_sequence",
            f"{words.series(history.players)} WHERE i % {history.round} < {history.battles}",
            player_id=_player(words, "i"),
            last_number=str(history.rounds),
            last_sequence=f"{_last_battle(history)} + 1",
        ),
        ("battle_head", f"UPDATE battle_head SET last_sequence = {history.battles}"),
    ]


def _typical_report() -> bytes:
    """Returns the report of a battle between two new players."""
    one, other = (Combatant(player_id, 70, 100, 10) for player_id in History(0, 2).player_ids())
    battle = Battle(1, one.player_id, one, 1, other, 1, 8, rules.RULES_VERSION, START)
    fight = rules.fight(battle.seed, one, other)
    return reports.make_report(battle, fight, fight.outcome, LOOT, LOOT).SerializeToString()
