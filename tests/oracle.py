"""The oracle: what must come of battles, from the written rules alone. It shares no code with what it judges."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

LIMIT = 1_000_000_000


class Stats(NamedTuple):
    """A combatant at submission; luck in percent."""

    attack: int
    hit_points: int
    luck: int


class Battle(NamedTuple):
    """A battle that was acknowledged, and when it took effect; the last two are for boards alone."""

    sequence: int
    battle_id: str
    challenger_id: str
    opponent_id: str
    seed: int
    challenger: Stats
    opponent: Stats
    voided: bool = False
    settle_time: datetime | None = None
    settle_sequence: int = 0


class Grant(NamedTuple):
    """Gold and silver given to a player, or taken, after so many of the player's battles had taken effect."""

    player_id: str
    after: int
    gold: int
    silver: int


class Result(NamedTuple):
    """How a battle ended: "CHALLENGER_WON", "OPPONENT_WON", "DRAW" or "VOIDED", the winner, and what moved."""

    outcome: str
    winner_id: str = ""
    gold: int = 0
    silver: int = 0
    share: int = 0


class Entry(NamedTuple):
    """A place on a board."""

    rank: int
    player_id: str
    score: int


Turn = tuple[bool, int, bool, int, int]
"""Whether the challenger attacked, with what attack, whether it hit, the damage, the defender's hit points left."""


@dataclass
class World:
    """What is after all battles: balances (gold, silver) by player, results by battle, boards from the top."""

    balances: dict[str, tuple[int, int]]
    results: dict[str, Result] = field(default_factory=dict)
    boards: dict[str, list[Entry]] = field(default_factory=dict)


def draws(seed: int) -> Iterator[int]:
    """SplitMix64."""
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) % 2**64
        z = (seed ^ seed >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        yield z ^ z >> 31


def ceil(number: int, by: int) -> int:
    """Divides whole numbers, rounding up, as exactly as they are."""
    return -(-number // by)


def fight(seed: int, *stats: Stats) -> tuple[str, list[Turn], int]:
    """Returns the outcome of challenger against opponent, the turns, and the share in basis points."""
    draw, lost, turns = draws(seed), [0, 0], list[Turn]()
    for me, other in [(0, 1), (1, 0)] * 500:
        a, h, _ = stats[me]
        attack = max(ceil(a, 2), a - ceil(a * lost[me], h))
        hit = next(draw) % 100 >= stats[other].luck
        damage = min(attack, stats[other].hit_points - lost[other]) if hit else 0
        lost[other] += damage
        left = stats[other].hit_points - lost[other]
        turns.append((me == 0, attack, hit, damage, left))
        if left == 0:
            return ("CHALLENGER_WON", "OPPONENT_WON")[me], turns, 1000 + next(draw) % 1001
    return "DRAW", turns, 0


def loot(balance: int, share: int, room: int) -> int:
    """Returns what moves of one of the loser's balances."""
    low, high = ceil(balance, 10), balance // 5
    wanted = sorted((low, balance * share // 10_000, high))[1] if low <= high else 0
    return min(wanted, room)


def replay(players: Mapping[str, tuple[int, int]], battles: Iterable[Battle], grants: Iterable[Grant] = ()) -> World:
    """Returns what must be after all battles and grants, given the players' gold and silver before them.

    Every battle given takes effect. Those without a settle time count on no board.
    """
    world, wins = World(dict(players)), []
    fought: Counter[str] = Counter()
    due: dict[tuple[str, int], list[Grant]] = defaultdict(list)
    for grant in grants:
        due[grant.player_id, grant.after].append(grant)

    def give(player_id: str) -> None:
        for grant in due.pop((player_id, fought[player_id]), ()):
            gold, silver = world.balances[player_id]
            world.balances[player_id] = (gold + grant.gold, silver + grant.silver)

    for battle in sorted(battles, key=lambda battle: battle.sequence):
        for player_id in (battle.challenger_id, battle.opponent_id):
            give(player_id)
            fought[player_id] += 1
        outcome, _, share = fight(battle.seed, battle.challenger, battle.opponent)
        result = Result("VOIDED" if battle.voided else outcome)
        if result.outcome in ("CHALLENGER_WON", "OPPONENT_WON"):
            winner, loser = battle.challenger_id, battle.opponent_id
            if outcome == "OPPONENT_WON":
                winner, loser = loser, winner
            has, gives = world.balances[winner], world.balances[loser]
            gold, silver = (loot(b, share, LIMIT - own) for b, own in zip(gives, has, strict=True))
            world.balances[winner] = (has[0] + gold, has[1] + silver)
            world.balances[loser] = (gives[0] - gold, gives[1] - silver)
            result = Result(outcome, winner, gold, silver, share)
            if battle.settle_time and gold + silver:
                wins.append((battle.settle_sequence, battle.settle_time.astimezone(UTC), winner, gold + silver))
        world.results[battle.battle_id] = result
    for player_id in players:
        give(player_id)

    scores: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    reached = {}
    for settled, time, winner, amount in sorted(wins):
        for board in ("all", f"{time:daily@%Y-%m-%d}", f"{time:weekly@%G-W%V}", f"{time:monthly@%Y-%m}"):
            scores[board][winner] += amount
            reached[board, winner] = settled
    for board, table in scores.items():
        order = sorted(table, key=lambda player: (-table[player], reached[board, player]))
        ranks: dict[int, int] = {}
        for position, player in enumerate(order, 1):
            ranks.setdefault(table[player], position)
        world.boards[board] = [Entry(ranks[table[player]], player, table[player]) for player in order]
    return world
