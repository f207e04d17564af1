"""SettleBattles over gRPC: in order, exactly once, nothing missed, nothing made or lost."""

import asyncio
import random
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from services.common.clock import from_timestamp
from services.common.database import Database
from services.player.players import MOST_RESOURCES
from services.player.schema import SETTLE_HEAD
from skirmish.player.v1 import player_pb2, settlement_pb2
from tests.player import CHALLENGER_WON, DRAW, PLAYER_DELETED, VOIDED, PlayerService, Season, migrate, serving

Status = settlement_pb2.SettleResult.Status
APPLIED, ALREADY_APPLIED, BLOCKED, CONFLICT = Status.APPLIED, Status.ALREADY_APPLIED, Status.BLOCKED, Status.CONFLICT
FOR_EVER = 60.0
SOON = 0.05


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[PlayerService]:
    """A player service with a database of its own, in which battles wait for ever."""
    await migrate(database_url)
    async with serving(database_url, block_timeout=FOR_EVER) as running:
        yield running


@pytest.fixture
async def hasty(database_url: str) -> AsyncIterator[PlayerService]:
    """The same, in which battles hardly wait."""
    await migrate(database_url)
    async with serving(database_url, block_timeout=SOON) as running:
        yield running


async def players_of(service: PlayerService, count: int, **values: int) -> list[str]:
    return [(await service.create(**values)).player_id for _ in range(count)]


async def get_all(service: PlayerService, player_ids: list[str]) -> list[player_pb2.Player]:
    """Reads players, all at one moment."""
    request = player_pb2.BatchGetPlayersRequest(player_ids=player_ids)
    return list((await service.players.BatchGetPlayers(request)).players)


def assert_ledger_adds_up(player: player_pb2.Player, entries: list[player_pb2.LedgerEntry]) -> None:
    """Holds a player's balances against its ledger."""
    gold = silver = 0
    for entry in entries:
        gold, silver = gold + entry.gold_change, silver + entry.silver_change
        assert (entry.gold_balance, entry.silver_balance) == (gold, silver)
    assert (player.gold, player.silver) == (gold, silver)


async def assert_books_are_right(
    service: PlayerService, player_ids: list[str], battles: list[settlement_pb2.FoughtBattle]
) -> None:
    """Holds ledgers, balances and the settle sequence against each other, after all of the battles took effect."""
    order: defaultdict[str, list[str]] = defaultdict(list)
    for battle in sorted(battles, key=lambda battle: battle.sequence):
        order[battle.challenger_id].append(battle.battle_id)
        order[battle.opponent_id].append(battle.battle_id)
    for player in await get_all(service, player_ids):
        entries = await service.ledger(player.player_id)
        assert_ledger_adds_up(player, entries)
        fought = [entry for entry in entries if entry.kind == player_pb2.LedgerEntry.BATTLE]
        assert [entry.battle_id for entry in fought] == order[player.player_id]
        assert [entry.battle_number for entry in fought] == list(range(1, len(fought) + 1))
        stolen = sum(max(e.gold_change, 0) + max(e.silver_change, 0) for e in fought)
        assert player.resources_stolen == stolen
    changes = await service.changes()
    assert [change.settle_sequence for change in changes] == list(range(1, len(battles) + 1))
    times = [from_timestamp(change.settle_time) for change in changes]
    assert times == sorted(times)


async def test_a_battle_takes_effect_on_both_players(service: PlayerService) -> None:
    a, b = await players_of(service, 2, gold=1000, silver=503)
    battle = Season().fight(a, b, share=1999)

    (result,) = await service.settle(battle)

    assert (result.battle_id, result.status) == (battle.battle_id, APPLIED)
    settlement = result.settlement
    assert (settlement.settle_sequence, settlement.effect, settlement.winner_id) == (1, CHALLENGER_WON, a)
    assert (settlement.gold_stolen, settlement.silver_stolen, settlement.void_reason) == (199, 100, "")
    winner, loser = await get_all(service, [a, b])
    assert (winner.gold, winner.silver, winner.resources_stolen) == (1199, 603, 299)
    assert (loser.gold, loser.silver, loser.resources_stolen) == (801, 403, 0)
    entry = (await service.ledger(b))[-1]
    assert (entry.kind, entry.battle_id, entry.battle_number) == (player_pb2.LedgerEntry.BATTLE, battle.battle_id, 1)
    assert (entry.gold_change, entry.silver_change, entry.gold_balance, entry.silver_balance) == (-199, -100, 801, 403)
    await assert_books_are_right(service, [a, b], [battle])


async def test_draws_and_voids_are_written_down_too(service: PlayerService) -> None:
    a, b = await players_of(service, 2)
    season = Season()
    battles = [season.fight(a, b, DRAW), season.fight(b, a, VOIDED)]

    results = await service.settle(*battles)

    assert [(r.status, r.settlement.effect, r.settlement.void_reason) for r in results] == [
        (APPLIED, DRAW, ""),
        (APPLIED, VOIDED, "no reason"),
    ]
    assert {(r.settlement.winner_id, r.settlement.gold_stolen, r.settlement.silver_stolen) for r in results} == {
        ("", 0, 0)
    }
    for player_id in (a, b):
        assert [entry.gold_change for entry in await service.ledger(player_id)] == [1000, 0, 0]
    await assert_books_are_right(service, [a, b], battles)


async def test_grants_keep_their_place_between_battles(service: PlayerService, database_url: str) -> None:
    a, b = await players_of(service, 2, gold=1000, silver=0)
    season = Season()
    grant = player_pb2.GrantResourcesRequest(player_id=a, gold=100)

    await service.players.GrantResources(grant)
    await service.settle(season.fight(a, b))
    await service.players.GrantResources(grant)
    await service.players.GrantResources(grant)
    await service.settle(season.fight(b, a))

    entries = [(entry.battle_number, entry.gold_change) for entry in await service.ledger(a)]
    assert entries == [(0, 1000), (0, 100), (1, 100), (1, 100), (1, 100), (2, -140)]
    for page_size in range(1, len(entries) + 2):
        request = player_pb2.ListLedgerEntriesRequest(player_id=a, page_size=page_size)
        paged = []
        while True:
            page = await service.players.ListLedgerEntries(request)
            assert 0 < len(page.ledger_entries) <= page_size
            paged += [(entry.battle_number, entry.gold_change) for entry in page.ledger_entries]
            request.page_token = page.next_page_token
            if not request.page_token:
                break
        assert paged == entries[::-1]
    places = sa.text("SELECT battle_number, adjustment_number FROM ledger_entry WHERE player_id = :a")
    database = Database(database_url)
    stored = await database.read(lambda connection: [tuple(row) for row in connection.execute(places, {"a": a})])
    await database.close()
    assert sorted(stored) == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 0)]


async def test_a_batch_may_come_in_any_order(service: PlayerService) -> None:
    players = await players_of(service, 5)
    season, rng = Season(), random.Random(1)
    battles = [season.random(rng, players) for _ in range(300)]
    mixed = rng.sample(battles, len(battles))

    results = await service.settle(*mixed)

    assert [result.battle_id for result in results] == [battle.battle_id for battle in mixed]
    assert {result.status for result in results} == {APPLIED}
    await assert_books_are_right(service, players, battles)


async def test_concurrent_calls_wait_for_each_other(service: PlayerService) -> None:
    a, b = await players_of(service, 2)
    season = Season()
    battles = [season.fight(a, b) for _ in range(30)]

    results = await asyncio.gather(*(service.settle(battle) for battle in reversed(battles)))

    assert {result.status for (result,) in results} == {APPLIED}
    await assert_books_are_right(service, [a, b], battles)


async def test_an_early_battle_is_answered_blocked_with_what_is_missing(hasty: PlayerService) -> None:
    a, b, c = await players_of(hasty, 3)
    season = Season()
    first, second, third = season.fight(a, b), season.fight(b, c), season.fight(c, a)

    blocked = await hasty.settle(third, second)

    assert [(r.battle_id, r.status) for r in blocked] == [(third.battle_id, BLOCKED), (second.battle_id, BLOCKED)]
    assert [(r.missing_player_id, r.missing_number) for r in blocked] == [(c, 1), (b, 1)]
    assert not any(result.HasField("settlement") for result in blocked)
    await hasty.settle(first)
    (after,) = await hasty.settle(third)
    assert (after.status, after.missing_player_id, after.missing_number) == (BLOCKED, c, 1)
    assert [result.status for result in await hasty.settle(third, second)] == [APPLIED, APPLIED]
    await assert_books_are_right(hasty, [a, b, c], [first, second, third])


async def test_a_battle_sent_again_is_answered_with_what_it_did(service: PlayerService) -> None:
    players = await players_of(service, 4)
    season, rng = Season(), random.Random(2)
    battles = [season.random(rng, players) for _ in range(50)]
    first = await service.settle(*battles)

    again = await service.settle(*battles)

    assert {result.status for result in again} == {ALREADY_APPLIED}
    assert [result.settlement for result in again] == [result.settlement for result in first]
    await assert_books_are_right(service, players, battles)


async def test_a_battle_that_comes_twice_at_once_takes_effect_once(service: PlayerService) -> None:
    a, b = await players_of(service, 2)
    battle = Season().fight(a, b)

    calls = await asyncio.gather(*(service.settle(battle, battle) for _ in range(5)))

    results = [result for call in calls for result in call]
    assert sorted(result.status for result in results) == [APPLIED] + [ALREADY_APPLIED] * 9
    assert all(result.settlement == results[0].settlement for result in results)
    await assert_books_are_right(service, [a, b], [battle])


async def test_what_can_not_be_is_a_conflict_and_holds_nothing_up(service: PlayerService) -> None:
    a, b, c = await players_of(service, 3)
    season = Season()
    first = season.fight(a, b)
    await service.settle(first)
    good = season.fight(a, b)

    def other(**changes: str | int) -> settlement_pb2.FoughtBattle:
        battle = settlement_pb2.FoughtBattle()
        battle.CopyFrom(first)
        battle.battle_id = str(uuid.uuid4())
        battle.MergeFrom(settlement_pb2.FoughtBattle(**changes))  # type: ignore[arg-type]
        return battle

    unknown = str(uuid.uuid4())
    conflicts = [
        other(),
        other(challenger_number=2),
        other(opponent_number=2),
        other(opponent_number=7),
        other(opponent_id=c),
        other(challenger_id=unknown),
        other(opponent_id=unknown, opponent_number=5),
        other(battle_id=first.battle_id, challenger_number=2),
    ]
    results = await service.settle(*conflicts, good)

    assert [result.status for result in results] == [CONFLICT] * len(conflicts) + [APPLIED]
    assert all(result.conflict for result in results[:-1])
    assert "number 1 of player" in results[0].conflict
    assert unknown in results[5].conflict
    assert unknown in results[6].conflict
    await assert_books_are_right(service, [a, b], [first, good])


@pytest.mark.parametrize("effect", [CHALLENGER_WON, DRAW])
async def test_a_battle_of_a_deleted_player_is_void_and_uses_its_numbers(
    service: PlayerService, effect: settlement_pb2.Effect
) -> None:
    a, b, c = await players_of(service, 3)
    season = Season()
    before, with_deleted, after = season.fight(a, b), season.fight(b, a, effect), season.fight(a, c)
    await service.settle(before)
    await service.delete(b)

    results = await service.settle(after, with_deleted)

    assert [result.status for result in results] == [APPLIED, APPLIED]
    void = results[1].settlement
    assert (void.effect, void.winner_id, void.void_reason) == (VOIDED, "", "player deleted")
    assert [entry.gold_change for entry in await service.ledger(a)] == [1000, 100, 0, 100]
    changes = await service.changes()
    assert [(change.effect, change.player_id, change.amount) for change in changes] == [
        (CHALLENGER_WON, a, 200),
        (PLAYER_DELETED, b, 0),
        (VOIDED, "", 0),
        (CHALLENGER_WON, a, 200),
    ]
    (again,) = await service.settle(with_deleted)
    assert (again.status, again.settlement) == (ALREADY_APPLIED, void)


async def test_what_the_winner_can_not_hold_stays_with_the_loser(service: PlayerService) -> None:
    a, b = await players_of(service, 2, gold=MOST_RESOURCES - 7, silver=MOST_RESOURCES)
    battle = Season().fight(a, b)

    (result,) = await service.settle(battle)

    assert (result.settlement.gold_stolen, result.settlement.silver_stolen) == (7, 0)
    winner, loser = await get_all(service, [a, b])
    assert (winner.gold, winner.silver) == (MOST_RESOURCES, MOST_RESOURCES)
    assert (loser.gold, loser.silver) == (MOST_RESOURCES - 14, MOST_RESOURCES)


async def test_everybody_against_one(service: PlayerService) -> None:
    one, *others = await players_of(service, 21, gold=100_000)
    season, rng = Season(), random.Random(3)
    battles = [season.random(rng, [one, other]) for _ in range(30) for other in others]
    parts = [battles[start::20] for start in range(20)]

    calls = await asyncio.gather(*(service.settle(*part) for part in rng.sample(parts, len(parts))))

    assert {result.status for call in calls for result in call} == {APPLIED}
    await assert_books_are_right(service, [one, *others], battles)


async def test_two_replicas_settle_interleaved_chains(database_url: str) -> None:
    await migrate(database_url)
    async with (
        serving(database_url, block_timeout=FOR_EVER) as one,
        serving(database_url, block_timeout=FOR_EVER) as other,
    ):
        players = await players_of(one, 6, gold=10_000)
        season, rng = Season(), random.Random(4)
        battles = [season.random(rng, players) for _ in range(400)]
        parts = [battles[start : start + 10] for start in range(0, len(battles), 10)]
        rng.shuffle(parts)

        calls = await asyncio.gather(
            *(service.settle(*part) for part, service in zip(parts, [one, other] * 20, strict=True))
        )

        assert {result.status for call in calls for result in call} == {APPLIED}
        await assert_books_are_right(other, players, battles)


async def test_two_replicas_that_get_the_same_battles_settle_each_once(database_url: str) -> None:
    await migrate(database_url)
    async with (
        serving(database_url, block_timeout=FOR_EVER) as one,
        serving(database_url, block_timeout=FOR_EVER) as other,
    ):
        players = await players_of(one, 6, gold=10_000)
        season, rng = Season(), random.Random(5)
        battles = [season.random(rng, players) for _ in range(200)]
        parts = [battles[start : start + 20] for start in range(0, len(battles), 20)]

        calls = await asyncio.gather(*(service.settle(*part) for part in parts for service in (one, other)))

        results = [result for call in calls for result in call]
        assert sorted(result.status for result in results) == [APPLIED] * 200 + [ALREADY_APPLIED] * 200
        settled = {result.battle_id: result.settlement for result in results}
        assert all(settled[result.battle_id] == result.settlement for result in results)
        await assert_books_are_right(one, players, battles)


async def test_nothing_is_made_or_lost_at_any_time(service: PlayerService) -> None:
    players = await players_of(service, 8, gold=10_000, silver=7_000)
    season, rng = Season(), random.Random(6)
    battles = [season.random(rng, players) for _ in range(600)]

    async def settle_all() -> None:
        for start in range(0, len(battles), 20):
            await service.settle(*battles[start : start + 20])

    settling = asyncio.create_task(settle_all())
    looks = 0
    while not settling.done():
        found = await get_all(service, players)
        assert sum(player.gold for player in found) == 80_000
        assert sum(player.silver for player in found) == 56_000
        looks += 1
    await settling
    assert looks > 3
    await assert_books_are_right(service, players, battles)


async def test_grants_battles_and_deletions_on_two_replicas_at_once_all_count(database_url: str) -> None:
    await migrate(database_url)
    async with serving(database_url, block_timeout=FOR_EVER) as one, serving(database_url, block_timeout=5) as other:
        players, doomed = await players_of(one, 5), await players_of(one, 5)
        season, rng = Season(), random.Random(7)
        battles = [season.random(rng, players + doomed) for _ in range(300)]
        grants = [player_pb2.GrantResourcesRequest(player_id=player_id, gold=1) for player_id in players] * 20

        await asyncio.gather(
            *(one.settle(*battles[start : start + 10]) for start in range(0, len(battles), 10)),
            *(other.players.GrantResources(grant) for grant in grants),
            *(other.delete(player_id) for player_id in doomed),
        )

        for player in await get_all(one, players):
            entries = await one.ledger(player.player_id)
            assert [entry.kind for entry in entries].count(player_pb2.LedgerEntry.GRANT) == 20
            assert_ledger_adds_up(player, entries)
        changes = await one.changes()
        assert [change.settle_sequence for change in changes] == list(range(1, 306))
        deletions = [change.player_id for change in changes if change.effect == PLAYER_DELETED]
        assert sorted(deletions) == sorted(doomed)


async def test_the_settle_time_never_runs_backwards(service: PlayerService, database_url: str) -> None:
    a, b = await players_of(service, 2)
    season = Season()
    future = 4_000_000_000_000_000
    database = Database(database_url)
    await database.write(lambda connection: connection.execute(sa.update(SETTLE_HEAD).values(last_time=future)))
    await database.close()

    (result,) = await service.settle(season.fight(a, b))
    await service.delete(b)

    assert from_timestamp(result.settlement.settle_time) == future
    assert [from_timestamp(change.settle_time) for change in await service.changes()] == [future, future]
