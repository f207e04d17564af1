"""What a seed stands for: who plays, what they do, and what goes wrong meanwhile."""

import dataclasses
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.player.players import MOST_RESOURCES, Player
from tests.simulation.faults import Fault

# Moments before a day, and with it a week, a month or a year begins: boards change in the middle of a run.
_BEGINNINGS = [
    int(datetime(*date, 23, 59, 58, tzinfo=UTC).timestamp() * 1_000_000)
    for date in ((2026, 11, 21), (2026, 11, 22), (2026, 11, 30), (2026, 12, 31), (2027, 1, 3))
]

PLENTY = 1000

DISASTERS = (
    "lose_redis",
    "roll_redis_back",
    "cut_redis_off",
    "cut_players_off",
    "cut_battles_off",
    "stop_a_worker",
    "make_a_worker_sick",
    "set_a_clock",
)
"""Methods of the world: things that happen to all of it at some exchange."""


@dataclass(frozen=True)
class Submit:
    """Submits battles in one call: request id, challenger and opponent of each."""

    battles: Sequence[tuple[str, str, str]]
    copies: int = 1


@dataclass(frozen=True)
class Delete:
    """Deletes a player."""

    player_id: str


@dataclass(frozen=True)
class Grant:
    """Grants to a player."""

    request_id: str
    player_id: str
    gold: int
    silver: int


Action = Submit | Delete | Grant


@dataclass
class Plan:
    """All that is decided before anything happens.

    Attributes:
        players: Who plays.
        clients: What each client does, one after the other, with the seconds it waits before.
        odds: How likely each fault is at each exchange.
        disasters: What happens at which exchange, as a method of the world.
        replicas: How many processes each service has.
        small_steps: Whether services do little at once, and so everything in several steps.
        faults_end: The second after which nothing goes wrong any more.
        filled: Whether the boards were filled before, with nothing as yet; else that is the first thing to happen.
        most_queued: How many battles may wait before submissions are refused.
        watching: Whether clients watch battles until they end.
        poison: How likely the fight of a battle fails, whoever fights it.
        skew: How far clocks may be off, in seconds.
    """

    seed: int
    beginning: int
    players: list[Player] = field(default_factory=list)
    clients: list[list[tuple[float, Action]]] = field(default_factory=list)
    odds: dict[Fault, float] = field(default_factory=dict)
    disasters: dict[int, str] = field(default_factory=dict)
    faults_end: float = 0.0
    replicas: dict[str, int] = field(default_factory=dict)
    small_steps: bool = False
    batch_size: int = 4
    batches_at_once: int = 2
    claim_idle: float = 0.5
    publish_pause: float = 0.5
    filled: bool = False
    most_queued: int = PLENTY
    watching: bool = False
    poison: float = 0.0
    skew: float = 0.0

    def calmed(self) -> "Plan":
        """Returns the same plan without anything that goes wrong."""
        return dataclasses.replace(self, odds={}, disasters={}, faults_end=1.5, poison=0.0, skew=0.0)


def make(seed: int) -> Plan:
    """Returns the plan of a seed. Each seed has some kinds of faults and lacks others, so that none hides another."""
    r = random.Random(seed)
    plan = Plan(seed, r.choice(_BEGINNINGS))
    _cast(plan, r)
    clients, calls, most = (2, 2, 2) if r.random() < 0.93 else (3, 5, 5)
    plan.clients = [_act(plan, r, client, r.randint(1, calls), most) for client in range(r.randint(1, clients))]
    if r.random() < 0.3:
        victim = r.choice(plan.players).player_id
        plan.clients.append([(r.uniform(0, 1.5), Delete(victim))])
    if r.random() < 0.3:
        plan.clients.append([(r.uniform(0, 1), _grant(plan, r, number)) for number in range(r.randint(1, 2))])
    plan.odds = {fault: r.choice((0.005, 0.015, 0.05)) for fault in Fault if r.random() < 0.35}
    if r.random() < 0.6:
        kinds = r.sample(DISASTERS, r.randint(1, 3))
        plan.disasters = {int(200 * r.random() ** 1.5): r.choice(kinds) for _ in range(r.randint(1, 8))}
    plan.faults_end = r.uniform(0.3, 1.5)
    plan.replicas = {service: r.choice((1, 1, 2)) for service in ("player", "battle", "board")}
    plan.replicas["worker"] = r.choice((1, 2, 2, 3))
    plan.small_steps = r.random() < 0.5
    plan.batch_size = r.choice((1, 2, 4, 8))
    plan.batches_at_once = r.choice((1, 2, 3))
    plan.claim_idle = r.uniform(0.8, 1.6)
    plan.publish_pause = r.uniform(2.5, 5)
    plan.filled = r.random() < 0.7
    plan.most_queued = r.choice((PLENTY, PLENTY, PLENTY, 5))
    plan.watching = r.random() < 0.2
    plan.poison = r.choice((0, 0, 0, 0, 0.1))
    plan.skew = r.choice((0, 0, 0.1, 3))
    return plan


def _cast(plan: Plan, r: random.Random) -> None:
    for number in range(1, r.randint(3, 6) + 1):
        player_id = f"a0000000-0000-7000-8000-{number:012x}"
        gold, silver = (_balance(r) for _ in range(2))
        stats = (r.randint(60, 120), r.randint(80, 200), r.choice((0, 10, 30)))
        if r.random() < 0.003:
            stats = (1, 10_000, 0)  # whose battles end as draws, after a thousand turns
        plan.players.append(
            Player(player_id, f"Player {number}", "", gold, silver, *stats, 0, plan.beginning, plan.beginning)
        )


def _balance(r: random.Random) -> int:
    return r.choice((1000, 1000, r.randint(0, 10), r.randint(0, 100_000), MOST_RESOURCES - r.randint(0, 10)))


def _act(plan: Plan, r: random.Random, client: int, calls: int, most: int) -> list[tuple[float, Action]]:
    ids = [player.player_id for player in plan.players]
    actions: list[tuple[float, Action]] = []
    used: list[tuple[str, str, str]] = []
    for call in range(calls):
        battles = []
        for index in range(r.choice((1, 1, 1, most))):
            challenger, opponent = r.sample(ids, 2)
            battles.append((f"r{client}.{call}.{index}" if r.random() < 0.9 else "", challenger, opponent))
        if used and r.random() < 0.4:
            battles.append(r.choice(used))
        if used and r.random() < 0.2:
            request_id, challenger, opponent = r.choice(used)
            others = [player_id for player_id in ids if player_id not in (challenger, opponent)]
            battles.append((request_id, challenger, r.choice(others)))
        used += battles
        actions.append((r.uniform(0, 1) ** 2, Submit(battles, r.choice((1, 1, 1, 2)))))
    return actions


def _grant(plan: Plan, r: random.Random, number: int) -> Grant:
    return Grant(f"g{number}", r.choice(plan.players).player_id, r.randint(-500, 500), r.randint(1, 5000))
