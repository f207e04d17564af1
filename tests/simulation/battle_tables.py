"""The battle service's database in memory: what each function of its store does, without SQL.

``test_models.py`` runs the same seeds on the real store and compares.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.battle import sequencing
from services.battle.battles import Battle, State, Submission
from services.battle.rules import Combatant
from services.battle.sequencing import Key, Places
from services.common.errors import SkirmishError


class Broken(Exception):
    """A constraint of the database forbids it."""


@dataclass
class Waiting:
    """A row of the queue table."""

    next_publish_time: int
    published: int = 1
    failures: int = 0


@dataclass
class BattleTables:
    """All rows, by key."""

    last_sequence: int = 0
    last_numbers: dict[str, int] = field(default_factory=dict)
    battles: dict[int, Battle] = field(default_factory=dict)
    requests: dict[Key, int] = field(default_factory=dict)
    queue: dict[int, Waiting] = field(default_factory=dict)
    reports: dict[int, bytes] = field(default_factory=dict)

    def transact(self, work: Callable[..., Any], *args: Any) -> Any:
        """Runs a function of the store."""
        return getattr(self, work.__name__)(*args)

    def submit(
        self,
        submissions: Sequence[Submission],
        combatants: Mapping[str, Combatant],
        now: int,
        publish_time: int,
        new_id: Callable[[], str],
        new_seed: Callable[[], int],
    ) -> tuple[list[Battle | SkirmishError], list[Battle]]:
        keys = {(s.challenger_id, s.request_id) for s in submissions if s.request_id}
        known = {key: self.battles[self.requests[key]] for key in keys if key in self.requests}
        places = Places(self.last_sequence, dict(self.last_numbers))
        results, new = sequencing.place(submissions, combatants, known, places, now, new_id, new_seed)
        if new:
            request_ids = {id(result): s.request_id for result, s in zip(results, submissions, strict=True)}
            for battle in new:
                self._insert(battle, request_ids[id(battle)])
                self.queue[battle.sequence] = Waiting(publish_time)
            self.last_sequence, self.last_numbers = places.last_sequence, places.last_numbers
        return results, new

    def _insert(self, battle: Battle, request_id: str) -> None:
        key = (battle.challenger.player_id, request_id)
        if battle.sequence in self.battles or key in self.requests:
            raise Broken(f"{battle} is there already")
        self.battles[battle.sequence] = battle
        if request_id:
            self.requests[key] = battle.sequence

    def finish(self, ended: Collection[Battle], reports: Mapping[int, bytes]) -> None:
        for battle in ended:
            if self.battles[battle.sequence].state is State.QUEUED:
                self.battles[battle.sequence] = battle
            self.queue.pop(battle.sequence, None)
        for sequence, report in reports.items():
            self.reports.setdefault(sequence, report)

    def get(self, battle_id: str) -> Battle | None:
        return next((battle for battle in self.battles.values() if battle.battle_id == battle_id), None)

    def predecessors(self, player_ids: Collection[str], before: int, limit: int) -> list[Battle]:
        waiting = (self.battles[sequence] for sequence in sorted(self.queue) if sequence < before)
        theirs = (b for b in waiting if not {b.challenger.player_id, b.opponent.player_id}.isdisjoint(player_ids))
        return list(itertools.islice(theirs, limit))

    def take_due(self, horizon: int, now: int, pause: int, limit: int) -> list[Battle]:
        due = [sequence for sequence, row in sorted(self.queue.items()) if row.next_publish_time <= horizon][:limit]
        for sequence in due:
            row = self.queue[sequence]
            row.next_publish_time = now + (pause << min(row.published, 6))
            row.published += 1
        return [self.battles[sequence] for sequence in due]

    def make_all_due(self) -> None:
        for row in self.queue.values():
            row.next_publish_time = row.published = 0

    def count_failures(self, sequences: Collection[int]) -> dict[int, int]:
        rows = {sequence: self.queue[sequence] for sequence in sequences if sequence in self.queue}
        for row in rows.values():
            row.failures += 1
        return {sequence: row.failures for sequence, row in rows.items()}

    def count_queued(self, many: int) -> tuple[int, dict[str, int]]:
        counts = Counter(self.battles[sequence].challenger.player_id for sequence in self.queue)
        return len(self.queue), {player_id: count for player_id, count in counts.items() if count >= many}
