"""Judges what came of an example: by the oracle, by the databases, and by what the public doors tell."""

from __future__ import annotations  # the stubs' types exist for the type checker alone

import asyncio
import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import grpc

from skirmish.battle.v1 import battle_pb2
from skirmish.leaderboard.v1 import leaderboard_pb2
from skirmish.player.v1 import player_pb2
from tests import checks, oracle
from tests.statemachine.arena import Arena

GRANT = player_pb2.LedgerEntry.GRANT
SETTLED = battle_pb2.Battle.SETTLED
VOIDED = battle_pb2.Battle.VOIDED
BOARD_TIMEOUT = 20.0
"""Seconds that boards get to show everything, Redis being lost meanwhile."""


class Grant(NamedTuple):
    """Gold and silver that were granted, and the reason given."""

    amounts: tuple[int, int]
    reason: str


@dataclass
class Fighter:
    """A player as the example knows it: its stats now, gold and silver at first, and the grants."""

    player_id: str
    stats: oracle.Stats
    start: tuple[int, int]
    grants: list[Grant] = field(default_factory=list)
    deleted: bool = False


class Battle(NamedTuple):
    """A battle as it was acknowledged, with the combatants' stats at that time."""

    sequence: int
    challenger_id: str
    opponent_id: str
    challenger: oracle.Stats
    opponent: oracle.Stats


class Referee:
    """Judges one example, whose players nobody had before and whose battles follow each other.

    Args:
        arena: The Skirmish.
        fighters: The players of the example, by id; it goes on to grow.
        battles: The battles that were acknowledged, by id; likewise.
    """

    def __init__(self, arena: Arena, fighters: Mapping[str, Fighter], battles: Mapping[str, Battle]) -> None:
        self._arena = arena
        self._fighters = fighters
        self._battles = battles
        ((last_sequence,),) = arena.battles_sql("SELECT last_sequence FROM battle_head")
        self.first_sequence: int = last_sequence + 1
        """The place of the example's first battle."""
        ((self._settled_before,),) = arena.players_sql("SELECT last_sequence FROM settle_head")

    def wait(self) -> None:
        """Waits until every battle has ended."""
        self._arena.run(checks.all_ended(self._arena.skirmish))

    def check_balances(self) -> None:
        """Asserts that nothing was made or lost, and every balance is in its range; at any time."""
        if not self._fighters:
            return
        rows = self._arena.players_sql(
            "SELECT gold, silver FROM player WHERE player_id IN :players", players=list(self._fighters)
        )
        assert len(rows) == len(self._fighters)
        assert all(0 <= balance <= oracle.LIMIT for row in rows for balance in row)
        for index in (0, 1):
            given = sum(f.start[index] for f in self._fighters.values())
            given += sum(grant.amounts[index] for f in self._fighters.values() for grant in f.grants)
            assert sum(row[index] for row in rows) == given, ("gold", "silver")[index]

    def check(self) -> None:
        """Asserts that everything is as the rules and the order of submission say, once all battles have ended."""
        self.check_balances()
        told = self._arena.run(self._list_battles())
        assert [b.sequence for b in told] == [self.first_sequence + index for index in range(len(told))]
        assert [b.battle_id for b in told] == list(self._battles), "an acknowledged battle is lost, or there is another"
        for battle in told:
            gone = {i for i in (battle.challenger_id, battle.opponent_id) if self._fighters[i].deleted}
            assert battle.state == SETTLED or (battle.state == VOIDED and gone)
        places = self._settle_sequences()
        assert set(places) == set(self._battles), "not every battle was settled exactly once"
        reports = self._check_reports(told)
        ledgers = self._ledgers()
        grants = [grant for player_id, entries in ledgers.items() for grant in self._check_ledger(player_id, entries)]

        start = {player_id: fighter.start for player_id, fighter in self._fighters.items()}
        world = oracle.replay(start, [_told(b, reports.get(b.battle_id), places[b.battle_id]) for b in told], grants)
        loot: Counter[str] = Counter()
        for battle in told:
            result = world.results[battle.battle_id]
            name = "VOIDED" if battle.state == VOIDED else battle_pb2.Battle.Outcome.Name(battle.outcome)
            assert (name, battle.winner_id, battle.gold_stolen, battle.silver_stolen) == result[:4]
            if battle.battle_id in reports:
                _check_turns(reports[battle.battle_id], result)
            loot[battle.winner_id] += battle.gold_stolen + battle.silver_stolen
        self._check_players(world, loot, ledgers)
        self._arena.run(self._check_boards(world))

    async def _list_battles(self) -> list[battle_pb2.Battle]:
        """Returns the battles of the example as anybody can list them, oldest first."""
        request = battle_pb2.ListBattlesRequest(page_size=100)
        battles: list[battle_pb2.Battle] = []
        while True:
            page = await self._arena.skirmish.battles.ListBattles(request)
            battles += [battle for battle in page.battles if battle.sequence >= self.first_sequence]
            request.page_token = page.next_page_token
            if not request.page_token or page.battles[-1].sequence < self.first_sequence:
                return battles[::-1]

    def _settle_sequences(self) -> dict[str, int]:
        rows = self._arena.players_sql(
            "SELECT settle_sequence, battle_id FROM settlement WHERE settle_sequence > :before ORDER BY 1",
            before=self._settled_before,
        )
        assert [row[0] for row in rows] == [self._settled_before + number for number in range(1, len(rows) + 1)]
        battles = [(str(row[1]), row[0]) for row in rows if row[1]]
        assert len(rows) - len(battles) == sum(fighter.deleted for fighter in self._fighters.values())
        assert len(dict(battles)) == len(battles), "a battle was settled twice"
        return dict(battles)

    def _check_reports(self, told: list[battle_pb2.Battle]) -> dict[str, battle_pb2.BattleReport]:
        rows = self._arena.battles_sql(
            "SELECT sequence FROM battle_report WHERE sequence >= :first ORDER BY sequence", first=self.first_sequence
        )
        settled = [battle for battle in told if battle.state == SETTLED]
        assert [row[0] for row in rows] == [battle.sequence for battle in settled], "want one report for each"
        verify = self._arena.skirmish.battles.VerifyBattle
        reports = {}
        for battle in settled:
            verified = self._arena.call(verify, battle_pb2.VerifyBattleRequest(battle_id=battle.battle_id))
            assert verified.matches, verified.differences
            report = verified.stored_report
            mine = self._battles[battle.battle_id]
            assert (_stats(report.challenger), _stats(report.opponent)) == (mine.challenger, mine.opponent)
            assert (report.challenger.player_id, report.opponent.player_id) == (mine.challenger_id, mine.opponent_id)
            reports[battle.battle_id] = report
        return reports

    def _ledgers(self) -> dict[str, list[Any]]:
        ledgers = defaultdict(list)
        for row in self._arena.players_sql(
            "SELECT player_id, battle_number, adjustment_number, kind, battle_id, reason,"
            " gold_change, silver_change, gold_balance, silver_balance FROM ledger_entry WHERE player_id IN :players"
            " ORDER BY player_id, battle_number, adjustment_number",
            players=list(self._fighters),
        ):
            ledgers[str(row.player_id)].append(row)
        return ledgers

    def _check_ledger(self, player_id: str, entries: list[Any]) -> list[oracle.Grant]:
        """Asserts that a ledger is dense, in the order of submission, and adds up. Returns the grants in it."""
        fighter = self._fighters[player_id]
        assert (entries[0].gold_change, entries[0].silver_change) == fighter.start
        gold = silver = 0
        for entry in entries:
            gold, silver = gold + entry.gold_change, silver + entry.silver_change
            assert (entry.gold_balance, entry.silver_balance) == (gold, silver)
            assert 0 <= gold <= oracle.LIMIT
            assert 0 <= silver <= oracle.LIMIT
        for before, entry in itertools.pairwise(entries):
            dense = [(before.battle_number, before.adjustment_number + 1), (before.battle_number + 1, 0)]
            assert (entry.battle_number, entry.adjustment_number) in dense, "the ledger has a gap"
        fought = [str(entry.battle_id) for entry in entries if entry.battle_id]
        mine = [i for i, battle in self._battles.items() if player_id in (battle.challenger_id, battle.opponent_id)]
        assert fought == mine, "a player's battles took effect out of order"
        granted = [entry for entry in entries if entry.kind == GRANT]
        assert [Grant((e.gold_change, e.silver_change), e.reason) for e in granted] == fighter.grants
        return [oracle.Grant(player_id, e.battle_number, e.gold_change, e.silver_change) for e in granted]

    def _check_players(self, world: oracle.World, loot: Counter[str], ledgers: dict[str, list[Any]]) -> None:
        balances = {player_id: (rows[-1].gold_balance, rows[-1].silver_balance) for player_id, rows in ledgers.items()}
        assert balances == world.balances
        players = self._arena.skirmish.players
        for player_id, fighter in self._fighters.items():
            player = self._arena.call(players.GetPlayer, player_pb2.GetPlayerRequest(player_id=player_id))
            if fighter.deleted:
                assert player is grpc.StatusCode.NOT_FOUND
                continue
            assert (player.gold, player.silver) == world.balances[player_id]
            assert player.resources_stolen == loot[player_id]
            page = self._arena.call(
                players.ListLedgerEntries, player_pb2.ListLedgerEntriesRequest(player_id=player_id, page_size=100)
            )
            shown = [(e.battle_number, e.gold_balance, e.silver_balance) for e in page.ledger_entries]
            kept = [(e.battle_number, e.gold_balance, e.silver_balance) for e in reversed(ledgers[player_id])]
            assert shown == kept[:100]

    async def _check_boards(self, world: oracle.World) -> None:
        """Asserts that every board shows the sums of the loot of those who are left, once it has caught up."""
        gone = {player_id for player_id, fighter in self._fighters.items() if fighter.deleted}
        nobody: dict[str, list[oracle.Entry]] = {"all": []}
        for board, entries in (nobody | world.boards).items():
            expected = _ranked([(entry.player_id, entry.score) for entry in entries if entry.player_id not in gone])
            shown: list[oracle.Entry] | None = None
            try:
                async with asyncio.timeout(BOARD_TIMEOUT):
                    while shown != expected:
                        await asyncio.sleep(0.02 if shown is None else 0.1)
                        shown = await self._board(board)
            except TimeoutError:
                assert shown == expected, f"board {board}"

    async def _board(self, board: str) -> list[oracle.Entry] | None:
        try:
            page = await self._arena.skirmish.boards.ListEntries(
                leaderboard_pb2.ListEntriesRequest(board=board, page_size=100)
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:  # the boards are being filled
                return []
            raise
        assert page.total_size == len(page.entries)
        assert [entry.position for entry in page.entries] == list(range(1, page.total_size + 1))
        return [oracle.Entry(entry.rank, entry.player_id, entry.score) for entry in page.entries]


def _stats(combatant: battle_pb2.Combatant) -> oracle.Stats:
    return oracle.Stats(combatant.attack, combatant.hit_points, combatant.luck)


def _told(battle: battle_pb2.Battle, report: battle_pb2.BattleReport | None, place: int) -> oracle.Battle:
    who = (battle.sequence, battle.battle_id, battle.challenger_id, battle.opponent_id)
    time = datetime.fromtimestamp(battle.settle_time.seconds, UTC)
    if report is None:
        nobody = oracle.Stats(1, 1, 0)
        return oracle.Battle(*who, 0, nobody, nobody, True, time, place)
    return oracle.Battle(*who, report.seed, _stats(report.challenger), _stats(report.opponent), False, time, place)


def _check_turns(report: battle_pb2.BattleReport, result: oracle.Result) -> None:
    _, turns, _ = oracle.fight(report.seed, _stats(report.challenger), _stats(report.opponent))
    told = [
        (t.attacker_id == report.challenger.player_id, t.attack, t.hit, t.damage, t.defender_hit_points)
        for t in report.turns
    ]
    assert told == turns
    assert (report.loot.gold, report.loot.silver, report.loot.share_basis_points) == (
        result.gold,
        result.silver,
        result.share,
    )


def _ranked(scores: list[tuple[str, int]]) -> list[oracle.Entry]:
    """Returns the entries of a board, given those left on it from the top."""
    ranks: dict[int, int] = {}
    for position, (_, score) in enumerate(scores, 1):
        ranks.setdefault(score, position)
    return [oracle.Entry(ranks[score], player_id, score) for player_id, score in scores]
