"""Battles in SQL, on both databases."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

import services.battle  # noqa: F401  # migrations are found beside the package
from services.battle import store
from services.battle.battles import Battle, State, Submission
from services.battle.rules import Combatant, Outcome
from services.battle.schema import METADATA
from services.common import clock, migrations, schema_version
from services.common.database import Database
from tests import servers

A, B, C = (clock.uuid7() for _ in range(3))
PLAYERS = {player_id: Combatant(player_id, 70, 100, 10) for player_id in (A, B, C)}
BIG_SEED = 2**64 - 5


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    migrations.migrate(database, "services.battle")
    yield database
    await database.close()


async def submit(database: Database, *wishes: tuple[str, str, str], publish_time: int = 0) -> list[Battle]:
    submissions = [Submission(*wish) for wish in wishes]
    results, _ = await database.write(
        store.submit, submissions, PLAYERS, 5, publish_time, clock.uuid7, lambda: BIG_SEED
    )
    battles = [result for result in results if isinstance(result, Battle)]
    assert len(battles) == len(wishes)
    return battles


def settled(battle: Battle) -> Battle:
    return battle._replace(
        state=State.SETTLED, outcome=Outcome.OPPONENT_WON, gold_stolen=3, silver_stolen=4, settle_time=9
    )


async def test_the_migrated_schema_is_the_one_in_code(database: Database) -> None:
    with database.engine.connect() as connection:
        options = {"compare_type": True, "version_table": schema_version.version_table("services.battle")}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []


async def test_a_schema_that_is_not_at_head_is_refused_with_what_to_run(
    new_database: Callable[[], str],
) -> None:
    database = Database(new_database())
    with pytest.raises(SystemExit, match=r"is at schema nothing, .*\n.*python -m services\.battle migrate"):
        schema_version.require_head(database, "services.battle")
    migrations.migrate(database, "services.battle", "0001")
    with pytest.raises(SystemExit, match=r"is at schema 0001, .*\n.*python -m services\.battle migrate"):
        schema_version.require_head(database, "services.battle")
    migrations.migrate(database, "services.battle")
    migrations.migrate(database, "services.battle")
    schema_version.require_head(database, "services.battle")
    await database.close()


async def test_battles_stored_before_there_were_chains_are_in_them(new_database: Callable[[], str]) -> None:
    database = Database(new_database())
    migrations.migrate(database, "services.battle", "0001")
    old = sa.Table("battle", sa.MetaData(), autoload_with=database.engine)
    numbers = sa.Table("player_sequence", sa.MetaData(), autoload_with=database.engine)
    names = ("attack", "hit_points", "luck")
    combatants = {f"{side}_{name}": 70 for side in ("challenger", "opponent") for name in names}

    def store_old(connection: sa.Connection) -> None:
        for sequence, (challenger, opponent, *own) in enumerate([(A, B, 1, 1), (B, C, 2, 1), (C, A, 2, 2)], 1):
            sides = {"challenger_id": challenger, "opponent_id": opponent}
            places = {"sequence": sequence, "challenger_number": own[0], "opponent_number": own[1]}
            others = {"battle_id": clock.uuid7(), "seed": 1, "rules_version": 1, "submit_time": 1, "state": 2}
            connection.execute(sa.insert(old).values(**sides, **places, **combatants, **others, outcome=3))
        rows = [{"player_id": player_id, "last_number": 2} for player_id in (A, B, C)]
        connection.execute(sa.insert(numbers), rows)
        connection.execute(sa.text("UPDATE battle_head SET last_sequence = 3"))

    await database.write(store_old)
    migrations.migrate(database, "services.battle")
    (battle,) = await submit(database, ("", B, A))
    assert (battle.sequence, battle.challenger_number, battle.opponent_number) == (4, 3, 3)
    for player_id, sequences in ((A, [4, 3, 1]), (B, [4, 2, 1]), (C, [3, 2])):
        found = await database.read(store.list_battles, player_id, None, None, 9)
        assert [battle.sequence for battle in found] == sequences
    await database.close()


async def test_a_stored_battle_comes_back_as_it_was_placed(database: Database) -> None:
    (battle,) = await submit(database, ("r", A, B))
    assert await database.read(store.get, battle.battle_id) == battle
    assert battle.seed == BIG_SEED
    assert await database.read(store.get, clock.uuid7()) is None


async def test_places_go_on_over_transactions_and_requests_are_found_again(database: Database) -> None:
    first = await submit(database, ("r1", A, B), ("r1", B, C), ("", C, A))
    again = await submit(database, ("r1", B, C), ("r2", A, B), ("r1", A, B))
    assert [again[0], again[2]] == [first[1], first[0]]
    assert (again[1].sequence, again[1].challenger_number, again[1].opponent_number) == (4, 3, 3)


async def test_work_that_fails_burns_no_number(database: Database) -> None:
    def fail(connection: sa.Connection) -> None:
        store.submit(connection, [Submission("", A, B)], PLAYERS, 5, 0, clock.uuid7, lambda: 1)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await database.write(fail)
    (battle,) = await submit(database, ("", A, B))
    assert (battle.sequence, battle.challenger_number) == (1, 1)


async def test_finishing_stores_the_end_once_and_empties_the_queue(database: Database) -> None:
    battle, waiting = await submit(database, ("", A, B), ("", A, B))
    end = settled(battle)
    await database.write(store.finish, [end], {battle.sequence: b"report"})
    later = end._replace(gold_stolen=99)
    await database.write(store.finish, [later], {battle.sequence: b"another"})
    assert await database.read(store.get, battle.battle_id) == end
    assert await database.read(store.get_report, battle.sequence) == b"report"
    assert await database.read(store.count_queued, 1) == (1, {A: 1})
    assert await database.read(store.look_at_queue) == (1, 0, 0, 0, 5)
    assert await database.read(store.list_battles, None, State.QUEUED, None, 10) == [waiting]


async def test_lists_are_newest_first_and_filtered(database: Database) -> None:
    battles = await submit(database, ("", A, B), ("", B, C), ("", C, A), ("", A, B))
    voided = battles[1]._replace(state=State.VOIDED, void_reason="why", settle_time=3)
    await database.write(store.finish, [settled(battles[0]), voided], {})
    read = database.read
    assert [b.sequence for b in await read(store.list_battles, None, None, None, 3)] == [4, 3, 2]
    assert [b.sequence for b in await read(store.list_battles, None, None, 2, 3)] == [1]
    assert [b.sequence for b in await read(store.list_battles, None, State.QUEUED, None, 9)] == [4, 3]
    assert await read(store.list_battles, None, State.VOIDED, None, 9) == [voided]
    assert [b.sequence for b in await read(store.list_battles, A, None, None, 9)] == [4, 3, 1]
    assert [b.sequence for b in await read(store.list_battles, A, None, 4, 1)] == [3]
    assert [b.sequence for b in await read(store.list_battles, A, None, 1, 9)] == []
    assert [b.sequence for b in await read(store.list_battles, clock.uuid7(), None, None, 9)] == []
    assert [b.sequence for b in await read(store.list_battles, B, State.VOIDED, None, 9)] == [2]
    assert [b.sequence for b in await read(store.list_battles, A, State.QUEUED, 4, 9)] == [3]
    assert [b.sequence for b in await read(store.list_battles, A, State.SETTLED, None, 9)] == [1]


@pytest.mark.parametrize(
    "look",
    [
        lambda connection: store.list_battles(connection, None, State.QUEUED, None, 10),
        lambda connection: store.list_battles(connection, None, State.QUEUED, 5, 10),
        lambda connection: store.list_battles(connection, None, State.VOIDED, None, 10),
        lambda connection: store.list_battles(connection, A, State.QUEUED, None, 10),
        lambda connection: store.list_battles(connection, A, State.VOIDED, 5, 10),
        lambda connection: store.list_battles(connection, A, State.SETTLED, None, 10),
        lambda connection: store.list_battles(connection, A, None, 5, 10),
        lambda connection: store.predecessors(connection, [A, B], 5, 10),
        lambda connection: store.take_due(connection, 0, 0, 1, 10),
        lambda connection: store.look_at_queue(connection),
    ],
)
async def test_battles_are_found_without_a_look_at_every_one(
    tmp_path: Path, look: Callable[[sa.Connection], object]
) -> None:
    database = Database(f"sqlite:///{tmp_path}/battle.db")
    migrations.migrate(database, "services.battle")
    seen: list[tuple[str, Any]] = []

    def plans(connection: sa.Connection) -> str:
        sa.event.listen(connection, "before_cursor_execute", lambda *args: seen.append((args[2], args[3])))
        look(connection)
        read = [(statement, parameters) for statement, parameters in seen if not statement.startswith("UPDATE")]
        return "\n".join(
            str(row)
            for statement, parameters in read
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        )

    told = await database.write(plans)
    await database.close()
    assert "battle" in told
    assert "SCAN battle'" not in told, told


async def test_finishing_is_planned_well_where_statistics_know_of_no_waiting_battle(postgresql_url: str) -> None:
    database = Database(servers.new_postgresql_database(postgresql_url))
    migrations.migrate(database, "services.battle")
    first = await submit(database, *[("", A, B)] * 1000)
    await database.write(store.finish, [settled(battle) for battle in first], {})
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    waiting = await submit(database, *[("", B, C)] * 1000)
    seen: list[tuple[str, Any]] = []

    def plan(connection: sa.Connection) -> str:
        sa.event.listen(connection, "before_cursor_execute", lambda *args: seen.append((args[2], args[3])))
        store.finish(connection, [settled(battle) for battle in waiting[:50]], {})
        ((statement, parameters),) = [one for one in seen if "UPDATE battle " in one[0]]
        return "\n".join(map(str, connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)))

    told = await database.write(plan)
    await database.close()
    assert "Join Filter" not in told, told  # each against each


async def test_what_is_due_is_taken_by_one_caller_with_growing_pauses(database: Database) -> None:
    battles = await submit(database, ("", A, B), ("", B, C), publish_time=100)
    assert await database.write(store.take_due, 99, 99, 10, 9) == []
    assert await database.write(store.take_due, 100, 100, 10, 1) == battles[:1]
    assert await database.write(store.take_due, 100, 100, 10, 9) == battles[1:]
    assert await database.write(store.take_due, 119, 119, 10, 9) == []
    assert await database.write(store.take_due, 120, 120, 10, 9) == battles
    assert await database.write(store.take_due, 159, 159, 10, 9) == []
    await database.write(store.make_all_due)
    assert await database.write(store.take_due, 130, 130, 10, 9) == battles


async def test_predecessors_are_the_waiting_battles_of_players_before_a_place(database: Database) -> None:
    battles = await submit(database, ("", A, B), ("", C, A), ("", A, C), ("", B, C), ("", A, B))
    await database.write(store.finish, [settled(battles[0])], {})
    assert await database.read(store.predecessors, [A], 5, 9) == battles[1:3]
    assert await database.read(store.predecessors, [A], 5, 1) == battles[1:2]
    assert await database.read(store.predecessors, [A, B], 5, 9) == battles[1:4]
    assert await database.read(store.predecessors, [B], 4, 9) == []


async def test_failures_are_counted_for_each_battle(database: Database) -> None:
    await submit(database, ("", A, B), ("", B, C))
    assert await database.write(store.count_failures, [1, 2]) == {1: 1, 2: 1}
    assert await database.write(store.count_failures, [2]) == {2: 2}
