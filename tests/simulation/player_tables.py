"""The player service's database in memory: what each function of its stores does, without SQL.

``test_models.py`` runs the same seeds on the real stores and compares.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.common.errors import FailedPrecondition, InvalidArgument, NotFound
from services.player import settlement, store
from services.player.players import MOST_RESOURCES, Kind, LedgerEntry, Player
from services.player.settlement import Account, Applied, Change, Effect, FoughtBattle, Result, Settlement, Turn
from services.player.settlement_store import DAY, DayScore, SnapshotPart
from tests.simulation.battle_tables import Broken


@dataclass
class Row:
    """A row of the player table."""

    player: Player
    applied_number: int = 0
    adjustment_number: int = 0
    deleted: bool = False


@dataclass
class PlayerTables:
    """All rows, by key.

    Args:
        now: The database's clock, in microseconds.
    """

    now: Callable[[], int]
    players: dict[str, Row] = field(default_factory=dict)
    ledger: dict[tuple[str, int, int], LedgerEntry] = field(default_factory=dict)
    settlements: list[Settlement] = field(default_factory=list)
    by_battle: dict[str, Settlement] = field(default_factory=dict)
    last_time: int = 0
    requests: dict[tuple[str, str], tuple[bytes, str]] = field(default_factory=dict)

    def transact(self, work: Callable[..., Any], *args: Any) -> Any:
        """Runs a function of the stores."""
        return getattr(self, work.__name__)(*args)

    def add(self, player: Player) -> None:
        """Adds a player, as CreatePlayer does."""
        self.players[player.player_id] = Row(player)
        opening = (Kind.OPENING, None, None, player.gold, player.silver, player.gold, player.silver, self.now())
        self._enter(player.player_id, LedgerEntry(0, 0, *opening))

    def find(self, player_ids: Collection[str]) -> dict[str, Player]:
        rows = {player_id: self.players.get(player_id) for player_id in player_ids}
        return {player_id: row.player for player_id, row in rows.items() if row and not row.deleted}

    def settle(self, battles: Sequence[FoughtBattle]) -> list[Result]:
        ids = {player_id for b in battles for player_id in (b.challenger_id, b.opponent_id)}
        accounts = {player_id: self._account(self.players[player_id]) for player_id in ids & self.players.keys()}
        decided = settlement.decide(accounts, battles)
        settlements: dict[str | None, Settlement] = {}
        if decided.changes:
            time = self.now()
            self._check(accounts, decided)
            for player_id in {entry.player_id for entry in decided.entries}:
                self._update(accounts[player_id], time)
            for entry in decided.entries:
                what = (Kind.BATTLE, entry.battle_id, None, *entry[3:], time)
                self._enter(entry.player_id, LedgerEntry(entry.battle_number, 0, *what))
            settlements = {s.change.battle_id: s for s in self._append(decided.changes, time)}
        results: list[Result] = []
        for battle, decision in zip(battles, decided.decisions, strict=True):
            if isinstance(decision, Change):
                results.append(Applied(settlements[decision.battle_id]))
            elif isinstance(decision, Turn):
                results.append(settlement.recall(battle, self._entered(battle), self.by_battle))
            else:
                results.append(decision)
        return results

    def list_changes(self, after: int, limit: int) -> tuple[list[Settlement], int]:
        return self.settlements[after : after + limit], len(self.settlements)

    def snapshot(self, part_size: int) -> Iterator[SnapshotPart]:
        last = len(self.settlements)
        deleted = sorted(player_id for player_id, row in self.players.items() if row.deleted)
        sums: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
        for place, change, time in self.settlements:
            amount = change.gold + change.silver
            if change.player_id is not None and amount and not self.players[change.player_id].deleted:
                of_day = sums[change.player_id, time // DAY]
                of_day[0] += amount
                of_day[1] = place
        scores = [DayScore(*key, *of_day) for key, of_day in sorted(sums.items())]
        parts = [SnapshotPart(last)]
        parts += [SnapshotPart(last, deleted[i : i + part_size]) for i in range(0, len(deleted), part_size)]
        parts += [SnapshotPart(last, (), scores[i : i + part_size]) for i in range(0, len(scores), part_size)]
        return iter(parts)

    def delete(self, player_id: str) -> None:
        row, time = self._get(player_id), self.now()
        row.deleted = True
        self._append([Change(None, Effect.PLAYER_DELETED, player_id, 0, 0, "")], time)

    def grant(self, player_id: str, gold: int, silver: int, reason: str, request: store.Request) -> Player:
        row, time = self._get(player_id), self.now()
        key = (request.method, request.request_id)
        if request.request_id and key in self.requests:
            fingerprint, earlier = self.requests[key]
            if fingerprint != request.fingerprint:
                raise InvalidArgument([], "REQUEST_ID_REUSED")
            return self._get(earlier).player
        balances = (row.player.gold + gold, row.player.silver + silver)
        if not all(0 <= balance <= MOST_RESOURCES for balance in balances):
            raise FailedPrecondition("out of range", "BALANCE_OUT_OF_RANGE")
        if request.request_id:
            self.requests[key] = (request.fingerprint, player_id)
        row.adjustment_number += 1
        row.player = row.player._replace(gold=balances[0], silver=balances[1], update_time=time)
        what = (Kind.GRANT, None, reason, gold, silver, *balances, time)
        self._enter(player_id, LedgerEntry(row.applied_number, row.adjustment_number, *what))
        return row.player

    def _get(self, player_id: str) -> Row:
        row = self.players.get(player_id)
        if row is None or row.deleted:
            raise NotFound("player", player_id)
        return row

    def _account(self, row: Row) -> Account:
        p = row.player
        return Account(p.player_id, row.applied_number, p.gold, p.silver, p.resources_stolen, row.deleted)

    def _check(self, accounts: dict[str, Account], decided: settlement.Round) -> None:
        """Checks the constraints before anything is changed: a transaction is rolled back as a whole."""
        ids = {change.battle_id for change in decided.changes}
        if len(ids) < len(decided.changes) or not ids.isdisjoint(self.by_battle):
            raise Broken("a battle was settled already")
        for account in accounts.values():
            if not (0 <= account.gold <= MOST_RESOURCES and 0 <= account.silver <= MOST_RESOURCES):
                raise Broken(f"a balance is out of range: {account}")

    def _update(self, account: Account, time: int) -> None:
        row = self.players[account.player_id]
        row.applied_number, row.adjustment_number = account.applied_number, 0
        row.player = row.player._replace(
            gold=account.gold, silver=account.silver, resources_stolen=account.resources_stolen, update_time=time
        )

    def _enter(self, player_id: str, entry: LedgerEntry) -> None:
        self.ledger[(player_id, *entry.place)] = entry

    def _entered(self, battle: FoughtBattle) -> dict[tuple[str, int], str]:
        places = ((battle.challenger_id, battle.challenger_number), (battle.opponent_id, battle.opponent_number))
        return {place: str(self.ledger[(*place, 0)].battle_id) for place in places}

    def _append(self, changes: Sequence[Change], time: int) -> list[Settlement]:
        self.last_time = max(self.last_time, time)
        first = len(self.settlements) + 1
        new = [Settlement(first + index, change, self.last_time) for index, change in enumerate(changes)]
        self.settlements += new
        self.by_battle |= {s.change.battle_id: s for s in new if s.change.battle_id}
        return new
