"""Judges a simulated world: what must hold at every step, and what must be true in the end."""

from __future__ import annotations

import traceback
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from services.battle.battles import Battle, State
from services.battle.messages import to_message
from services.leaderboard.store import AHEAD, PREFIX, WATERMARK
from services.player.players import Kind
from services.player.settlement import PLAYER_DELETED, Effect, Settlement
from skirmish.battle.v1 import battle_pb2
from tests import oracle
from tests.simulation.plan import PLENTY

if TYPE_CHECKING:
    from tests.simulation.client import Client
    from tests.simulation.world import World

ALL = (PREFIX + "all").encode()
INVALID_ARGUMENT, NOT_FOUND, RESOURCE_EXHAUSTED = 3, 5, 8


@dataclass(frozen=True)
class Violation:
    """A promise that was broken, when, and the error that told it, if one did."""

    time: float
    what: str
    details: str


class Referee:
    """Judges a world.

    Attributes:
        clients: Everybody who was answered something.
        found: What is wrong.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.clients: list[Client] = []
        self.found: list[Violation] = []
        self._settled = 0
        self._last_settled: dict[str, int] = {}

    def blame(self, what: str, error: BaseException | None = None) -> None:
        """Notes that something is wrong."""
        details = "".join(traceback.format_exception(error)) if error else ""
        self.found.append(Violation(self._world.loop.now, what, details))

    def check(self, right: bool, what: str, *facts: object) -> None:
        """Notes that something is wrong unless it is right."""
        if not right:
            self.blame(" ".join([what, *map(str, facts)]))

    # At every step

    def after_settlement(self) -> None:
        """Checks what a transaction of the player service has settled: each player's battles in their order."""
        tables = self._world.player_tables
        for place, change, time in tables.settlements[self._settled :]:
            self._settled += 1
            self.check(place == self._settled, "the settle sequence has a gap at", self._settled)
            if place > 1:
                self.check(time >= tables.settlements[place - 2].settle_time, "time runs backwards at", place)
            if change.battle_id is None:
                continue
            battle = self._battle(change.battle_id)
            for player_id in (battle.challenger.player_id, battle.opponent.player_id):
                before = self._last_settled.get(player_id, 0)
                self.check(before < battle.sequence, f"{player_id} settles", battle.sequence, "after", before)
                self._last_settled[player_id] = battle.sequence

    def after_record(self) -> None:
        """Checks that the board of all time counts exactly what its marks say, after each change of it."""
        server = self._world.redis.server
        watermark = server.call("GET", WATERMARK)
        if watermark is None:
            return
        mark, ahead = int(watermark), {int(place) for place in server.call("SMEMBERS", AHEAD)}
        settlements = self._world.player_tables.settlements
        self.check(mark <= len(settlements), "the boards count what never happened:", watermark)
        scores: dict[str, int] = defaultdict(int)
        deleted = set()
        for place, change, _ in settlements:
            if (place <= mark or place in ahead) and (player_id := change.player_id):
                if change.effect == Effect.PLAYER_DELETED:
                    deleted.add(player_id)
                elif amount := change.gold + change.silver:
                    scores[player_id] += amount
        expected = {_bytes(player_id): scores[player_id] for player_id in scores.keys() - deleted}
        found = {member[8:]: score for member, score in server.scores(ALL).items()}
        self.check(found == expected, "the board does not show what its marks say at", watermark, found, expected)

    # In the end

    def judge(self) -> None:
        """Checks everything, once all has come to its end."""
        world = self._world
        battles = list(world.battle_tables.battles.values())
        self._check_places(battles)
        self._check_answers(battles)
        self._check_settlements(battles)
        grants = self._check_ledgers(battles)
        if not self.found:
            self._check_results(battles, grants)

    def _check_places(self, battles: list[Battle]) -> None:
        self.check(
            [battle.sequence for battle in battles] == list(range(1, len(battles) + 1)), "the sequence has a gap"
        )
        numbers: dict[str, list[int]] = defaultdict(list)
        for battle in battles:
            numbers[battle.challenger.player_id].append(battle.challenger_number)
            numbers[battle.opponent.player_id].append(battle.opponent_number)
        for player_id, found in numbers.items():
            self.check(found == list(range(1, len(found) + 1)), f"the numbers of {player_id} have a gap", found)

    def _check_answers(self, battles: list[Battle]) -> None:
        by_id = {battle.battle_id: battle for battle in battles}
        made: dict[tuple[str, str], str] = {}
        answers = [answer for client in self.clients for answer in client.acknowledged]
        for answer in answers:
            request_id, challenger_id, opponent_id = answer.wish
            battle = by_id.get(answer.battle_id)
            if battle is None:
                self.blame(f"missed: {answer} was acknowledged, and is lost")
                continue
            told = (battle.sequence, battle.challenger.player_id, battle.opponent.player_id)
            self.check(told == (answer.sequence, challenger_id, opponent_id), "another battle was answered", answer)
            if request_id:
                first = made.setdefault((challenger_id, request_id), answer.battle_id)
                self.check(first == answer.battle_id, "one request id made two battles", answer, first)
        for one in answers:
            for other in answers:
                later = one.answered < other.asked and one.battle_id != other.battle_id
                self.check(not later or one.sequence < other.sequence, "a later submission came first", one, other)
        for client in self.clients:
            for refused in client.refused:
                reasons = {
                    NOT_FOUND: any(row.deleted for row in self._world.player_tables.players.values()),
                    INVALID_ARGUMENT: self._is_reused(refused.wish),
                    RESOURCE_EXHAUSTED: self._world.plan.most_queued < PLENTY,
                }
                self.check(reasons.get(refused.code, False), "refused without a reason:", refused)
            for seen in client.watched:
                battle = by_id[seen.battle_id]
                self.check(seen == to_message(battle), "another end was watched than that of", battle, seen)

    def _is_reused(self, wish: tuple[str, str, str]) -> bool:
        wishes = {asked for client in self.clients for asked in client.asked}
        return any(other[:2] == wish[:2] and other[2] != wish[2] for other in wishes)

    def _check_settlements(self, battles: list[Battle]) -> None:
        world = self._world
        tables = world.player_tables
        settled: dict[str, Settlement] = {}
        deleted: dict[str, int] = {}
        for settlement in tables.settlements:
            if settlement.change.battle_id is None:
                deleted[str(settlement.change.player_id)] = settlement.settle_sequence
            else:
                self.check(settlement.change.battle_id not in settled, "settled twice:", settlement)
                settled[settlement.change.battle_id] = settlement
        ids = {battle.battle_id for battle in battles}
        self.check(settled.keys() == ids, "not all battles were settled, or others:", settled.keys() ^ ids)
        for battle in battles:
            if battle.battle_id not in settled:
                continue
            place, change, time = settled[battle.battle_id]
            stored = (battle.winner_id, battle.gold_stolen, battle.silver_stolen, battle.settle_time)
            self.check(stored == (change.player_id or "", *change[3:5], time), "stored otherwise than settled:", battle)
            state = State.VOIDED if change.effect == Effect.VOIDED else State.SETTLED
            self.check(battle.state is state, "ended otherwise than settled:", battle, change)
            has_report = battle.sequence in world.battle_tables.reports
            self.check(has_report == (state is State.SETTLED), "report and state differ:", battle, has_report)
            gone = any(deleted.get(c.player_id, place) < place for c in (battle.challenger, battle.opponent))
            poisoned = battle.seed in world.poisoned or (world.sickness and "failed" in battle.void_reason)
            self.check((state is State.VOIDED) == (gone or poisoned), "voided without a reason, or not:", battle)
            self.check(not gone or poisoned or battle.void_reason == PLAYER_DELETED, "voided for what reason?", battle)
        acknowledged = {player_id for client in self.clients for player_id in client.deleted}
        self.check(acknowledged <= deleted.keys(), "missed: deletions", acknowledged - deleted.keys())

    def _check_ledgers(self, battles: list[Battle]) -> list[oracle.Grant]:
        """Checks the ledgers, and returns the grants in them."""
        tables = self._world.player_tables
        fought: dict[str, list[str]] = defaultdict(list)
        for battle in battles:
            for combatant in (battle.challenger, battle.opponent):
                fought[combatant.player_id].append(battle.battle_id)
        grants: list[oracle.Grant] = []
        reasons: list[str | None] = []
        for player_id, row in tables.players.items():
            entries = sorted((entry for key, entry in tables.ledger.items() if key[0] == player_id), key=_place)
            gold = silver = after = adjustment = 0
            for entry in entries:
                gold, silver = gold + entry.gold_change, silver + entry.silver_change
                balances = (entry.gold_balance, entry.silver_balance)
                self.check(balances == (gold, silver), f"the ledger of {player_id} does not add up at", entry)
                right = 0 <= gold <= oracle.LIMIT and 0 <= silver <= oracle.LIMIT
                self.check(right, f"{player_id} owns what nobody can own:", entry)
                if entry.kind == Kind.BATTLE:
                    after, adjustment = after + 1, 0
                elif entry.kind == Kind.GRANT:
                    adjustment += 1
                    grants.append(oracle.Grant(player_id, after, entry.gold_change, entry.silver_change))
                    reasons.append(entry.reason)
                self.check(entry.place == (after, adjustment), f"the ledger of {player_id} has a gap at", entry)
            self.check((row.player.gold, row.player.silver) == (gold, silver), f"{player_id} owns something else")
            found = [entry.battle_id for entry in entries if entry.kind == Kind.BATTLE]
            self.check(found == fought[player_id], f"battles of {player_id} took effect out of order:", found)
        granted = {request_id for client in self.clients for request_id in client.granted}
        self.check(len(set(reasons)) == len(reasons), "granted twice:", reasons)
        self.check(granted <= set(reasons), "missed: grants", granted, reasons)
        return grants

    def _check_results(self, battles: list[Battle], grants: list[oracle.Grant]) -> None:
        """Checks results, balances, reports and boards against the oracle."""
        world, server = self._world, self._world.redis.server
        tables = world.player_tables
        gone = {player_id for player_id, row in tables.players.items() if row.deleted}
        start = {player.player_id: (player.gold, player.silver) for player in world.plan.players}
        expected = oracle.replay(start, (self._told(battle, gone) for battle in battles), grants)
        for battle in battles:
            result = expected.results[battle.battle_id]
            outcome = battle.outcome.name if battle.outcome else "VOIDED"
            found = (outcome, battle.winner_id, battle.gold_stolen, battle.silver_stolen)
            self.check(found == result[:4], "the oracle says", result, "and not", battle)
            if battle.state is State.SETTLED:
                self._check_report(battle, result)
        owned = {player_id: (row.player.gold, row.player.silver) for player_id, row in tables.players.items()}
        self.check(owned == expected.balances, "the oracle says", expected.balances, "and not", owned)
        for name, entries in expected.boards.items():
            shown = server.call("ZRANGE", PREFIX + name, 0, -1, "REV", "WITHSCORES")
            scores = [(member[8:], int(score)) for member, score in zip(shown[::2], shown[1::2], strict=True)]
            right = scores == [(_bytes(entry.player_id), entry.score) for entry in entries]
            self.check(right, f"board {name} shows", scores, "and not", entries)
        names = {PREFIX.encode() + name.encode() for name in expected.boards}
        listed = set(server.call("ZRANGE", PREFIX + "boards", 0, -1))
        self.check(listed == names, "there are boards", listed, "and not", names)

    def _told(self, battle: Battle, gone: Iterable[str]) -> oracle.Battle:
        """Returns a battle as the oracle takes it. Wins of the deleted count on no board."""
        time = None if battle.winner_id in gone else datetime.fromtimestamp((battle.settle_time or 0) / 1e6, UTC)
        return oracle.Battle(
            battle.sequence,
            battle.battle_id,
            battle.challenger.player_id,
            battle.opponent.player_id,
            battle.seed,
            _stats(battle.challenger),
            _stats(battle.opponent),
            battle.state is State.VOIDED,
            time,
            self._world.player_tables.by_battle[battle.battle_id].settle_sequence,
        )

    def _check_report(self, battle: Battle, result: oracle.Result) -> None:
        report = battle_pb2.BattleReport.FromString(self._world.battle_tables.reports[battle.sequence])
        told = (report.battle_id, report.seed, report.loot.gold, report.loot.silver, report.loot.share_basis_points)
        expected = (battle.battle_id, battle.seed, result.gold, result.silver, result.share)
        self.check(told == expected, "the report of", battle, "says", told)

    def _battle(self, battle_id: str) -> Battle:
        found = self._world.battle_tables.get(battle_id)
        assert found
        return found


def _stats(combatant: Any) -> oracle.Stats:
    return oracle.Stats(combatant.attack, combatant.hit_points, combatant.luck)


@cache
def _bytes(player_id: str) -> bytes:
    return bytes.fromhex(player_id.replace("-", ""))


def _place(entry: Any) -> tuple[int, int]:
    return entry.battle_number, entry.adjustment_number
