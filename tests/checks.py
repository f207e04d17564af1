"""Holds a whole running Skirmish against the oracle: balances, results, reports, ledgers and boards."""

from __future__ import annotations  # the stubs' types exist for the type checker alone

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import grpc
import sqlalchemy as sa

from skirmish.battle.v1 import battle_pb2, battle_pb2_grpc
from skirmish.leaderboard.v1 import leaderboard_pb2, leaderboard_pb2_grpc
from skirmish.player.v1 import player_pb2, player_pb2_grpc, settlement_pb2_grpc
from tests import oracle


@dataclass(frozen=True)
class Skirmish:
    """A running Skirmish, through its public doors, and where the player service keeps its data."""

    players: player_pb2_grpc.PlayerServiceAsyncStub
    settlement: settlement_pb2_grpc.SettlementServiceAsyncStub
    battles: battle_pb2_grpc.BattleServiceAsyncStub
    boards: leaderboard_pb2_grpc.LeaderboardServiceAsyncStub
    player_database_url: str


def connect(
    player_database_url: str, player: grpc.aio.Channel, battle: grpc.aio.Channel, leaderboard: grpc.aio.Channel
) -> Skirmish:
    """Returns the stubs of a running Skirmish."""
    return Skirmish(
        player_pb2_grpc.PlayerServiceStub(player),
        settlement_pb2_grpc.SettlementServiceStub(player),
        battle_pb2_grpc.BattleServiceStub(battle),
        leaderboard_pb2_grpc.LeaderboardServiceStub(leaderboard),
        player_database_url,
    )


async def all_ended(skirmish: Skirmish, timeout: float = 60) -> None:
    """Waits until no battle is queued."""
    async with asyncio.timeout(timeout):
        request = battle_pb2.ListBattlesRequest(state=battle_pb2.Battle.QUEUED, page_size=1)
        while (await skirmish.battles.ListBattles(request)).battles:
            await asyncio.sleep(0.05)


async def boards_complete(skirmish: Skirmish, timeout: float = 30) -> None:
    """Waits until the board of all time shows everything that was ever stolen."""
    async with asyncio.timeout(timeout):
        while not await _is_board_complete(skirmish):
            await asyncio.sleep(0.1)


async def _is_board_complete(skirmish: Skirmish) -> bool:
    stolen = {p.player_id: p.resources_stolen async for p in list_players(skirmish) if p.resources_stolen}
    try:
        return stolen == {entry.player_id: entry.score for entry in await list_board(skirmish, "all")}
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNAVAILABLE:  # the boards are being filled
            return False
        raise


async def check(skirmish: Skirmish, acknowledged: Collection[str]) -> oracle.World:
    """Asserts that everything is as the rules and the order of submission say, once all battles have ended.

    Args:
        acknowledged: The ids of all battles whose submission was answered; each must be there, once.
    """
    battles = sorted([battle async for battle in _battles(skirmish)], key=lambda battle: battle.sequence)
    assert [battle.sequence for battle in battles] == list(range(1, len(battles) + 1)), "a place is missing or doubled"
    ids = [battle.battle_id for battle in battles]
    assert len(set(ids)) == len(ids)
    assert set(acknowledged) <= set(ids), "an acknowledged battle is lost"
    assert all(battle.state != battle_pb2.Battle.QUEUED for battle in battles), "a battle has not ended"

    settled = [battle for battle in battles if battle.state == battle_pb2.Battle.SETTLED]
    reports = {report.battle_id: report for report in await _reports(skirmish, settled)}
    settle_sequences = _settle_sequences(skirmish.player_database_url)
    assert set(settle_sequences) == set(ids), "not every battle was settled exactly once"

    players = {player.player_id: player async for player in list_players(skirmish)}
    ledgers = {player_id: await _ledger(skirmish, player_id) for player_id in players}
    start = {player_id: (entries[0].gold_change, entries[0].silver_change) for player_id, entries in ledgers.items()}
    world = oracle.replay(start, (_told(b, reports.get(b.battle_id), settle_sequences[b.battle_id]) for b in battles))

    for battle in battles:
        result = world.results[battle.battle_id]
        if battle.state == battle_pb2.Battle.SETTLED:
            name = battle_pb2.Battle.Outcome.Name(battle.outcome)
            assert (name, battle.winner_id, battle.gold_stolen, battle.silver_stolen) == result[:4]
            _check_report(reports[battle.battle_id], result)
    for player_id, player in players.items():
        assert (player.gold, player.silver) == world.balances[player_id], f"balances of {player_id}"
        _check_ledger(player, ledgers[player_id], battles)
    for board, entries in world.boards.items():
        shown = [oracle.Entry(entry.rank, entry.player_id, entry.score) for entry in await list_board(skirmish, board)]
        assert shown == entries, f"board {board}"
    return world


def _told(battle: battle_pb2.Battle, report: battle_pb2.BattleReport | None, settle_sequence: int) -> oracle.Battle:
    def stats(combatant: battle_pb2.Combatant) -> oracle.Stats:
        return oracle.Stats(combatant.attack, combatant.hit_points, combatant.luck)

    settle_time = datetime.fromtimestamp(battle.settle_time.seconds, UTC)
    who = (battle.sequence, battle.battle_id, battle.challenger_id, battle.opponent_id)
    if report is None:
        nobody = oracle.Stats(1, 1, 0)
        return oracle.Battle(*who, 0, nobody, nobody, True, settle_time, settle_sequence)
    challenger, opponent = stats(report.challenger), stats(report.opponent)
    return oracle.Battle(*who, report.seed, challenger, opponent, False, settle_time, settle_sequence)


def _check_report(report: battle_pb2.BattleReport, result: oracle.Result) -> None:
    def stats(combatant: battle_pb2.Combatant) -> oracle.Stats:
        return oracle.Stats(combatant.attack, combatant.hit_points, combatant.luck)

    _, turns, _ = oracle.fight(report.seed, stats(report.challenger), stats(report.opponent))
    told = [
        (t.attacker_id == report.challenger.player_id, t.attack, t.hit, t.damage, t.defender_hit_points)
        for t in report.turns
    ]
    assert told == turns
    loot = (report.loot.gold, report.loot.silver, report.loot.share_basis_points)
    assert loot == (result.gold, result.silver, result.share)


def _check_ledger(
    player: player_pb2.Player, entries: list[player_pb2.LedgerEntry], battles: list[battle_pb2.Battle]
) -> None:
    gold = silver = 0
    for entry in entries:
        gold += entry.gold_change
        silver += entry.silver_change
        assert (entry.gold_balance, entry.silver_balance) == (gold, silver)
        assert 0 <= gold <= oracle.LIMIT
        assert 0 <= silver <= oracle.LIMIT
    assert (player.gold, player.silver) == (gold, silver)
    fought = [entry for entry in entries if entry.kind == player_pb2.LedgerEntry.BATTLE]
    mine = [b.battle_id for b in battles if player.player_id in (b.challenger_id, b.opponent_id)]
    assert [entry.battle_id for entry in fought] == mine, "a player's battles took effect out of order"
    assert [entry.battle_number for entry in fought] == list(range(1, len(mine) + 1))


async def list_players(skirmish: Skirmish) -> AsyncIterator[player_pb2.Player]:
    request = player_pb2.ListPlayersRequest(page_size=100)
    while True:
        page = await skirmish.players.ListPlayers(request)
        for player in page.players:
            yield player
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


async def _battles(skirmish: Skirmish) -> AsyncIterator[battle_pb2.Battle]:
    request = battle_pb2.ListBattlesRequest(page_size=100)
    while True:
        page = await skirmish.battles.ListBattles(request)
        for battle in page.battles:
            yield battle
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


async def _ledger(skirmish: Skirmish, player_id: str) -> list[player_pb2.LedgerEntry]:
    """Returns the entries of a player, oldest first."""
    request = player_pb2.ListLedgerEntriesRequest(player_id=player_id, page_size=100)
    entries: list[player_pb2.LedgerEntry] = []
    while True:
        page = await skirmish.players.ListLedgerEntries(request)
        entries += page.ledger_entries
        if not page.next_page_token:
            return entries[::-1]
        request.page_token = page.next_page_token


async def list_board(skirmish: Skirmish, board: str) -> list[leaderboard_pb2.Entry]:
    request = leaderboard_pb2.ListEntriesRequest(board=board, page_size=100)
    entries: list[leaderboard_pb2.Entry] = []
    while True:
        page = await skirmish.boards.ListEntries(request)
        entries += page.entries
        if not page.next_page_token:
            assert [entry.position for entry in entries] == list(range(1, page.total_size + 1))
            return entries
        request.page_token = page.next_page_token


async def _reports(
    skirmish: Skirmish, settled: Iterable[battle_pb2.Battle], at_once: int = 50
) -> list[battle_pb2.BattleReport]:
    room = asyncio.Semaphore(at_once)

    async def get(battle_id: str) -> battle_pb2.BattleReport:
        async with room:
            return await skirmish.battles.GetBattleReport(battle_pb2.GetBattleReportRequest(battle_id=battle_id))

    return await asyncio.gather(*(get(battle.battle_id) for battle in settled))


def _settle_sequences(player_database_url: str) -> dict[str, int]:
    """Returns the place of each battle in the settle sequence, from the database itself, which keeps all of them."""
    engine = sa.create_engine(player_database_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT settle_sequence, battle_id FROM settlement ORDER BY settle_sequence")
        places = [(row[0], str(row[1]) if row[1] else None) for row in rows]
    assert [place for place, _ in places] == list(range(1, len(places) + 1)), "the settle sequence has a gap"
    return {battle_id: place for place, battle_id in places if battle_id}
