"""The checker: holds what is in the databases and on the boards against what clients were told, and against the oracle.

It runs when everything is over and knows nothing of the services but their tables, their contracts and the rules.
"""

from __future__ import annotations  # the stubs' types exist for the type checker alone

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from skirmish.battle.v1 import battle_pb2
from tests import checks, oracle
from tests.faults.history import INFINITY, History, Wish
from tests.faults.tables import BATTLE, GRANT, OPENING, PLAYER_DELETED, QUEUED, SETTLED, VOIDED, Row, Tables

VERIFIED_AT_MOST = 300
"""How many reports are verified through the public door, too; the oracle verifies all."""
TOLD_AT_MOST = 20


@dataclass
class Verdict:
    """What is wrong, and how much was looked at."""

    wrong: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def check(self, right: bool, problem: str) -> bool:
        """Notes a problem unless all is right. Returns whether it is."""
        if not right:
            self.wrong.append(problem)
        return right

    def summary(self) -> str:
        """Returns what is wrong; of very much, the beginning."""
        more = len(self.wrong) - TOLD_AT_MOST
        return "\n".join([*self.wrong[:TOLD_AT_MOST], *([f"and {more:,} more"] if more > 0 else [])])


def check(history: History, tables: Tables) -> Verdict:
    """Checks all that needs no running service."""
    verdict = Verdict()
    unhelpful = history.refusals["RESOURCE_EXHAUSTED", False]
    verdict.check(not unhelpful, f"{unhelpful} refusals for want of room do not say when to try again")
    _check_places(tables, verdict)
    check_submissions(history, tables.battles, verdict)
    check_real_time(history.wishes["submit"], tables.battles, verdict)
    _check_settlements(tables, verdict)
    check_ledger(tables, verdict)
    _check_players(history, tables, verdict)
    check_grants(history, tables, verdict)
    world = _replay(tables, verdict)
    _check_results(tables, world, verdict)
    return verdict


async def check_doors(tables: Tables, skirmish: checks.Skirmish, draw: random.Random, verdict: Verdict) -> None:
    """Checks that the public doors tell the same: players, boards, and a part of the reports."""
    told = {player.player_id: player async for player in checks.list_players(skirmish)}
    alive = {player_id: row for player_id, row in tables.players.items() if row.delete_time is None}
    verdict.check(told.keys() == alive.keys(), "ListPlayers does not list exactly the players that were not deleted")
    for player_id in told.keys() & alive.keys():
        shown, stored = told[player_id], alive[player_id]
        same = (shown.gold, shown.silver, shown.resources_stolen)
        verdict.check(same == (stored.gold, stored.silver, stored.resources_stolen), f"GetPlayer of {player_id}")
    boards = _boards(tables)
    for name, expected in boards.items():
        entries = [(e.rank, e.player_id, e.score) for e in await checks.list_board(skirmish, name)]
        verdict.check(entries == expected, f"board {name}: shown {entries[:5]}…, and must be {expected[:5]}…")
        verdict.counts["board entries"] += len(entries)
    settled = [battle for battle in tables.battles if battle.state == SETTLED]
    for battle in draw.sample(settled, min(VERIFIED_AT_MOST, len(settled))):
        request = battle_pb2.VerifyBattleRequest(battle_id=str(battle.battle_id))
        answer = await skirmish.battles.VerifyBattle(request, timeout=30)
        verdict.check(answer.matches, f"VerifyBattle of {battle.battle_id}: {answer.differences}")
        verdict.counts["reports verified by the service"] += 1


def _check_places(tables: Tables, verdict: Verdict) -> None:
    sequences = [battle.sequence for battle in tables.battles]
    verdict.check(sequences == list(range(1, len(sequences) + 1)), "the sequence has a gap or a place twice")
    verdict.check(tables.last_sequence == len(sequences), "the head is not at the end of the sequence")
    verdict.check(len({battle.battle_id for battle in tables.battles}) == len(sequences), "a battle id comes twice")
    verdict.check(not tables.queued, f"{tables.queued} battles are in the queue's table")
    numbers: dict[str, list[int]] = defaultdict(list)
    for battle in tables.battles:
        verdict.check(battle.state != QUEUED, f"battle {battle.sequence} has not ended")
        numbers[str(battle.challenger_id)].append(battle.challenger_number)
        numbers[str(battle.opponent_id)].append(battle.opponent_number)
    for player_id, taken in numbers.items():
        verdict.check(taken == list(range(1, len(taken) + 1)), f"the numbers of {player_id} are not 1, 2, 3 …")
    verdict.counts["battles"] = len(sequences)
    verdict.counts["battles voided"] = sum(battle.state == VOIDED for battle in tables.battles)


def check_submissions(history: History, battles: Sequence[Row], verdict: Verdict) -> None:
    """Checks that what was acknowledged is there once, what is unknown at most once, what was refused never."""
    stored: dict[tuple[str, ...], Row] = {}
    for battle in battles:
        key: tuple[str, ...] = (str(battle.challenger_id), battle.request_id)
        verdict.check(key not in stored, f"request {key} made two battles")
        stored[key] = battle
    wishes = history.wishes["submit"]
    verdict.check(stored.keys() <= wishes.keys(), "there is a battle that nobody asked for")
    for key, wish in wishes.items():
        found = stored.get(key)
        _check_wish("battle", key, wish, found is not None, verdict)
        if found is not None:
            verdict.check(str(found.opponent_id) == wish.what[1], f"battle {key} is against somebody else")
            right = all(told == [str(found.battle_id), found.sequence] for told in wish.oks)
            verdict.check(right, f"battle {key} was acknowledged as {wish.oks} and is {found.battle_id}")
    for wish in history.impostors:
        verdict.check(not wish.must_be, f"{wish.what} was taken under a request id that was used before")
        verdict.counts["reused request ids refused"] += not wish.may_be


def check_real_time(wishes: dict[tuple[str, ...], Wish], battles: Sequence[Row], verdict: Verdict) -> None:
    """Checks that what was acknowledged before another submission was sent, by any client, comes before it."""
    earliest_told = INFINITY  # of all battles with a higher sequence
    for battle in reversed(battles):
        wish = wishes.get((str(battle.challenger_id), battle.request_id))
        if wish:
            right = earliest_told >= wish.first_asked
            verdict.check(right, f"battle {battle.sequence} was sent after a later one was acknowledged")
            earliest_told = min(earliest_told, wish.first_told)


def _check_wish(kind: str, key: tuple[str, ...], wish: Wish, is_there: bool, verdict: Verdict) -> None:
    if wish.must_be:
        verdict.counts[f"{kind}: acknowledged"] += 1
        verdict.check(is_there, f"{kind} {key} was acknowledged and is lost")
    elif wish.may_be:
        verdict.counts[f"{kind}: never known, {'done' if is_there else 'not done'}"] += 1
    else:
        verdict.counts[f"{kind}: refused"] += 1
        verdict.check(not is_there, f"{kind} {key} was refused and done all the same")
    if wish.must_be and wish.unknown:
        verdict.counts[f"{kind}: unknown at first, then acknowledged"] += 1


def _check_settlements(tables: Tables, verdict: Verdict) -> None:
    places = [settlement.settle_sequence for settlement in tables.settlements]
    verdict.check(places == list(range(1, len(places) + 1)), "the settle sequence has a gap or a place twice")
    verdict.check(tables.last_settled == len(places), "the settle head is not at the end")
    times = [settlement.settle_time for settlement in tables.settlements]
    verdict.check(times == sorted(times), "the settle time runs backwards")
    deleted: set[str] = set()
    settled: Counter[str] = Counter()
    battles = {str(battle.battle_id): battle for battle in tables.battles}
    last: dict[str, int] = defaultdict(int)  # each player's number that took effect last
    for settlement in tables.settlements:
        if settlement.effect == PLAYER_DELETED:
            verdict.check(str(settlement.player_id) not in deleted, f"{settlement.player_id} was deleted twice")
            deleted.add(str(settlement.player_id))
            continue
        battle = battles.get(str(settlement.battle_id))
        if not battle:
            verdict.check(False, f"settlement {settlement.settle_sequence} is of a battle that is not there")
            continue
        settled[str(settlement.battle_id)] += 1
        involved = {str(battle.challenger_id), str(battle.opponent_id)}
        voided = battle.state == VOIDED
        verdict.check(voided == bool(involved & deleted), f"battle {battle.sequence} is voided or not, and wrongly so")
        winner = str(settlement.player_id) if settlement.player_id else ""
        told = (battle.gold_stolen or 0, battle.silver_stolen or 0, battle.settle_time, _winner(battle))
        here = (settlement.gold, settlement.silver, settlement.settle_time, winner)
        verdict.check(told == here, f"battle {battle.sequence} does not tell how it was settled")
        for player_id, number in _numbers(battle):
            verdict.check(number == last[player_id] + 1, f"battle {battle.sequence} took effect before its turn")
            last[player_id] = number
    verdict.check(settled == Counter(dict.fromkeys(battles, 1)), "not every battle was settled exactly once")
    gone = {player_id for player_id, row in tables.players.items() if row.delete_time is not None}
    verdict.check(gone == deleted, "deletions are not in the settle sequence exactly once")
    verdict.counts["players deleted"] = len(deleted)


def check_ledger(tables: Tables, verdict: Verdict) -> None:
    """Checks that ledgers are dense, add up, stay in range and tell battles in order, and that nothing is made."""
    ledgers: dict[str, list[Row]] = defaultdict(list)
    for entry in tables.ledger:
        ledgers[str(entry.player_id)].append(entry)
    verdict.check(ledgers.keys() == tables.players.keys(), "not every player has a ledger")
    mine: dict[str, list[str]] = defaultdict(list)
    for battle in tables.battles:
        for player_id, _ in _numbers(battle):
            mine[player_id].append(str(battle.battle_id))
    opened = granted = owned = 0
    for player_id, entries in ledgers.items():
        gold = silver = 0
        place = (0, -1)
        fought = []
        for entry in entries:
            follows = (place[0], place[1] + 1) if entry.kind != BATTLE else (place[0] + 1, 0)
            place = (entry.battle_number, entry.adjustment_number)
            verdict.check(place == follows, f"the ledger of {player_id} has {place} where {follows} must be")
            verdict.check((entry.kind == OPENING) == (place == (0, 0)), f"the ledger of {player_id} does not open once")
            gold += entry.gold_change
            silver += entry.silver_change
            right = (entry.gold_balance, entry.silver_balance) == (gold, silver)
            verdict.check(right, f"the ledger of {player_id} does not add up at {place}")
            inside = 0 <= gold <= oracle.LIMIT and 0 <= silver <= oracle.LIMIT
            verdict.check(inside, f"a balance of {player_id} is {gold} gold, {silver} silver")
            moved = entry.gold_change + entry.silver_change
            if entry.kind == BATTLE:
                fought.append(str(entry.battle_id))
            elif entry.kind == GRANT:
                granted += moved
            else:
                opened += moved
        verdict.check(fought == mine[player_id], f"the battles of {player_id} took effect out of order")
        player = tables.players.get(player_id)
        if player:
            same = (player.gold, player.silver, player.applied_number) == (gold, silver, len(fought))
            verdict.check(same, f"{player_id} is not what the ledger says")
            owned += player.gold + player.silver
    verdict.check(owned == opened + granted, f"{owned} are owned; {opened} were given at first, {granted} later")
    verdict.counts["ledger entries"] = len(tables.ledger)


def _check_players(history: History, tables: Tables, verdict: Verdict) -> None:
    by_name = {row.name: row for row in tables.players.values()}
    stats: dict[str, set[tuple[int, ...]]] = defaultdict(set)
    openings = {
        str(entry.player_id): (entry.gold_change, entry.silver_change)
        for entry in tables.ledger
        if entry.kind == OPENING
    }
    for key, wish in history.wishes["create"].items():
        row = by_name.pop(key[0], None)
        _check_wish("player", key, wish, row is not None, verdict)
        if row is not None:
            player_id = str(row.player_id)
            verdict.check(all(told == player_id for told in wish.oks), f"player {key} was created twice")
            gold, silver, *combat = wish.what[1:]
            verdict.check(openings.get(player_id) == (gold, silver), f"player {key} started with something else")
            stats[player_id].add(tuple(combat))
    verdict.check(not by_name, f"there are players that nobody asked for: {list(by_name)[:5]}")
    for (player_id, _), wish in history.wishes["update"].items():
        if wish.may_be:
            stats[player_id].add(tuple(wish.what[1:]))
    for battle in tables.battles:
        for (player_id, _), values in zip(_numbers(battle), _stats(battle), strict=True):
            verdict.check(values in stats[player_id], f"{player_id} never had the {values} of battle {battle.sequence}")
    for (player_id,), wish in history.wishes["delete"].items():
        is_deleted = player_id in tables.players and tables.players[player_id].delete_time is not None
        _check_wish("deletion", (player_id,), wish, is_deleted, verdict)
    asked_for = {player_id for (player_id,) in history.wishes["delete"]}
    gone = {player_id for player_id, row in tables.players.items() if row.delete_time is not None}
    verdict.check(gone <= asked_for, "a player was deleted and nobody asked for it")


def check_grants(history: History, tables: Tables, verdict: Verdict) -> None:
    """Checks that what was granted is what was asked for, once."""
    granted: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for entry in tables.ledger:
        if entry.kind == GRANT:
            granted[(entry.reason,)].append(entry)
    wishes = history.wishes["grant"]
    verdict.check(granted.keys() <= wishes.keys(), "there is a grant that nobody asked for")
    for key, wish in wishes.items():
        entries = granted.get(key, [])
        verdict.check(len(entries) <= 1, f"grant {key} was given {len(entries)} times")
        _check_wish("grant", key, wish, bool(entries), verdict)
        for entry in entries:
            same = [str(entry.player_id), entry.gold_change, entry.silver_change] == list(wish.what[1:])
            verdict.check(same, f"grant {key} is not what was asked for")


def _replay(tables: Tables, verdict: Verdict) -> oracle.World:
    places = {str(s.battle_id): s.settle_sequence for s in tables.settlements if s.battle_id}
    start = {
        str(entry.player_id): (entry.gold_change, entry.silver_change)
        for entry in tables.ledger
        if entry.kind == OPENING
    }
    grants = [
        oracle.Grant(str(entry.player_id), entry.battle_number, entry.gold_change, entry.silver_change)
        for entry in tables.ledger
        if entry.kind == GRANT
    ]
    battles = [_told(battle, places.get(str(battle.battle_id), 0)) for battle in tables.battles]
    world = oracle.replay(start, battles, grants)
    for player_id, row in tables.players.items():
        right = (row.gold, row.silver) == world.balances.get(player_id)
        verdict.check(
            right, f"{player_id} has {row.gold} gold, {row.silver} silver, not {world.balances.get(player_id)}"
        )
    return world


def _check_results(tables: Tables, world: oracle.World, verdict: Verdict) -> None:
    for battle in tables.battles:
        result = world.results[str(battle.battle_id)]
        report = tables.reports.get(battle.sequence)
        if battle.state != SETTLED:
            verdict.check(report is None, f"battle {battle.sequence} was voided and has a report")
            continue
        name = battle_pb2.Battle.Outcome.Name(battle.outcome)
        told = (name, _winner(battle), battle.gold_stolen, battle.silver_stolen)
        verdict.check(told == result[:4], f"battle {battle.sequence} ended as {told}, and must as {result[:4]}")
        if verdict.check(report is not None, f"battle {battle.sequence} has no report") and report is not None:
            _check_report(battle, report, result, verdict)


def _check_report(battle: Row, report: battle_pb2.BattleReport, result: oracle.Result, verdict: Verdict) -> None:
    challenger, opponent = _stats(battle)
    _, turns, _ = oracle.fight(battle.seed % 2**64, challenger, opponent)
    told = [
        (t.attacker_id == report.challenger.player_id, t.attack, t.hit, t.damage, t.defender_hit_points)
        for t in report.turns
    ]
    loot = (report.loot.gold, report.loot.silver, report.loot.share_basis_points)
    same = told == turns and loot == (result.gold, result.silver, result.share) and report.seed == battle.seed % 2**64
    verdict.check(same, f"the report of battle {battle.sequence} is not what the rules give")
    verdict.counts["reports verified by the oracle"] += 1


def _boards(tables: Tables) -> dict[str, list[tuple[int, str, int]]]:
    """Returns what every board must show: rank, player and score from the top."""
    gone = {player_id for player_id, row in tables.players.items() if row.delete_time is not None}
    scores: dict[str, Counter[str]] = {"all": Counter()}
    reached: dict[tuple[str, str], int] = {}
    for settlement in tables.settlements:
        amount = settlement.gold + settlement.silver
        winner = str(settlement.player_id)
        if not amount or winner in gone:
            continue
        time = datetime.fromtimestamp(settlement.settle_time // 1_000_000, UTC)
        for name in ("all", f"{time:daily@%Y-%m-%d}", f"{time:weekly@%G-W%V}", f"{time:monthly@%Y-%m}"):
            scores.setdefault(name, Counter())[winner] += amount
            reached[name, winner] = settlement.settle_sequence
    boards = {}
    for name, table in scores.items():
        order = sorted(table, key=lambda player: (-table[player], reached[name, player]))
        best: dict[int, int] = {}
        for position, player in enumerate(order, 1):
            best.setdefault(table[player], position)
        boards[name] = [(best[table[player]], player, table[player]) for player in order]
    return boards


def _told(battle: Row, settle_sequence: int) -> oracle.Battle:
    challenger, opponent = _stats(battle)
    return oracle.Battle(
        battle.sequence,
        str(battle.battle_id),
        str(battle.challenger_id),
        str(battle.opponent_id),
        battle.seed % 2**64,
        challenger,
        opponent,
        voided=battle.state == VOIDED,
        settle_sequence=settle_sequence,
    )


def _stats(battle: Row) -> tuple[oracle.Stats, oracle.Stats]:
    return (
        oracle.Stats(battle.challenger_attack, battle.challenger_hit_points, battle.challenger_luck),
        oracle.Stats(battle.opponent_attack, battle.opponent_hit_points, battle.opponent_luck),
    )


def _numbers(battle: Row) -> list[tuple[str, int]]:
    return [
        (str(battle.challenger_id), battle.challenger_number),
        (str(battle.opponent_id), battle.opponent_number),
    ]


def _winner(battle: Row) -> str:
    if battle.outcome == battle_pb2.Battle.CHALLENGER_WON:
        return str(battle.challenger_id)
    return str(battle.opponent_id) if battle.outcome == battle_pb2.Battle.OPPONENT_WON else ""
