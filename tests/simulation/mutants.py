"""Skirmish with one of its safeguards missing: what the simulation must notice, or it proves nothing."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from services.battle import sequencing, worker
from services.battle.battles import Battle, Submission
from services.battle.queue import GROUP, WAITING, Queue
from services.battle.sweeper import Sweeper
from services.battle.worker import Worker
from services.leaderboard.feed import Feed
from services.leaderboard.store import AHEAD, DELETED, WATERMARK
from services.player import settlement
from services.player.settlement import Account, FoughtBattle, Turn, Waiting
from tests.simulation.battle_tables import BattleTables
from tests.simulation.redis_client import RedisHost
from tests.simulation.redis_server import RedisServer

Mutant = Callable[[], AbstractContextManager[None]]
"""Makes the safeguard be missing as long as its context lasts."""

MUTANTS: dict[str, Mutant] = {}


def _mutant(owner: Any, attribute: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Makes a mutant of a function that takes what the owner has there, and returns what it gets instead."""

    def register(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
        @contextmanager
        def mutated() -> Iterator[None]:
            kept = getattr(owner, attribute)
            setattr(owner, attribute, change(kept))
            try:
                yield
            finally:
                setattr(owner, attribute, kept)

        MUTANTS[change.__name__.replace("_", "-")] = mutated
        return change

    return register


def _ahead(account: Account, number: int) -> int:
    return number - account.applied_number


@_mutant(settlement, "fence")
def no_fence(_: Any) -> Any:
    """Battles take effect in the order in which they come."""

    def fence(challenger: Account, opponent: Account, battle: FoughtBattle) -> Turn:
        used = _ahead(challenger, battle.challenger_number) < 1 and _ahead(opponent, battle.opponent_number) < 1
        return Turn.USED if used else Turn.NEXT

    return fence


@_mutant(settlement, "fence")
def fence_on_the_challenger_only(_: Any) -> Any:
    """A battle takes effect when it is the challenger's next one."""

    def fence(challenger: Account, opponent: Account, battle: FoughtBattle) -> Turn | Waiting:
        ahead = _ahead(challenger, battle.challenger_number)
        if ahead > 1:
            return Waiting(challenger.player_id, challenger.applied_number + 1)
        return Turn.NEXT if ahead == 1 else Turn.USED

    return fence


@_mutant(BattleTables, "submit")
def no_dedupe_of_submissions(submit: Any) -> Any:
    """A submission that comes again makes another battle."""

    def submit_anew(tables: BattleTables, submissions: Sequence[Submission], *rest: Any) -> Any:
        return submit(tables, [one._replace(request_id="") for one in submissions], *rest)

    return submit_anew


@_mutant(settlement, "fence")
def no_dedupe_of_settlements(fence: Any) -> Any:
    """A battle that comes again takes effect again."""

    def fence_early_ones_only(*args: Any) -> Any:
        turn = fence(*args)
        return Turn.NEXT if turn is Turn.USED else turn

    return fence_early_ones_only


@_mutant(Sweeper, "run")
def no_sweeper(_: Any) -> Any:
    """Nobody publishes again what the queue has lost."""

    async def run(sweeper: Sweeper) -> None:
        await asyncio.get_running_loop().create_future()

    return run


@_mutant(Queue, "claim")
def no_takeover(_: Any) -> Any:
    """Nobody takes over what a dead worker had in hand."""

    async def claim(*_: Any) -> list[Any]:
        await asyncio.sleep(0.1)
        return []

    return claim


@_mutant(RedisServer, "_xgroup_create")
def group_made_at_the_end(create: Any) -> Any:
    """The consumer group begins after what is in the stream."""
    return lambda server, key, group, _: create(server, key, group, b"$")


@_mutant(Feed, "_catch_up")
def no_feed(_: Any) -> Any:
    """Nobody brings the boards what was not pushed to them."""

    async def stand_still(feed: Feed, watermark: int) -> int:
        return watermark

    return stand_still


@_mutant(RedisHost, "restart")
def marks_kept_outside_redis(restart: Any) -> Any:
    """What the boards count is remembered, though Redis forgets the scores."""

    def remember(host: RedisHost, saved: bytes | None) -> None:
        marks = {key: host.server._keys.get(key.encode()) for key in (WATERMARK, AHEAD, DELETED)}
        restart(host, saved)
        host.server._keys |= {key.encode(): value for key, value in marks.items() if value is not None}

    return remember


@_mutant(RedisServer, "evaluate")
def boards_without_marks(evaluate: Any) -> Any:
    """A push that comes again counts again."""

    def count_always(server: RedisServer, script: str, *rest: Any) -> Any:
        return evaluate(server, script.replace("if is_new(sequence) then", "if is_new(sequence) or true then"), *rest)

    return count_always


@_mutant(sequencing, "place")
def numbers_burnt_on_duplicates(place: Any) -> Any:
    """A submission that comes again takes numbers, though it makes no battle."""

    def burn(submissions: Sequence[Submission], combatants: Any, known: Any, places: Any, *rest: Any) -> Any:
        results, new = place(submissions, combatants, known, places, *rest)
        for submission, result in zip(submissions, results, strict=True):
            if isinstance(result, Battle) and result not in new:
                places.take(submission.challenger_id, submission.opponent_id)
        return results, new

    return burn


@_mutant(sequencing, "place")
def numbers_burnt_on_refusals(place: Any) -> Any:
    """A submission that is refused takes numbers, though it makes no battle."""

    def burn(submissions: Sequence[Submission], combatants: Any, known: Any, places: Any, *rest: Any) -> Any:
        results, new = place(submissions, combatants, known, places, *rest)
        for submission, result in zip(submissions, results, strict=True):
            if not isinstance(result, Battle):
                places.take(submission.challenger_id, submission.opponent_id)
        return results, new

    return burn


# What the simulation found in Skirmish, brought back


@_mutant(Worker, "_fight")
def poison_comes_for_ever(fight: Any) -> Any:
    """A battle that can't be fought and comes again after it was voided counts as one that waits."""

    async def forget_what_ended(worker: Worker, battles: Sequence[Battle]) -> Any:
        fought, _ = await fight(worker, battles)
        return fought, set()

    return forget_what_ended


@_mutant(worker, "_can_finish")
def ends_without_reports(_: Any) -> Any:
    """A worker that can't fight a battle stores its end, if another has settled it."""
    return lambda how, settlement: True


@_mutant(RedisServer, "evaluate")
def boards_put_in_place_uncounted(evaluate: Any) -> Any:
    """New boards are put in place though Redis has lost a part of them."""

    def look_for_keys(server: RedisServer, script: str, *rest: Any) -> Any:
        return evaluate(server, script.replace("~= tonumber(ARGV[3 * i + 3])", "== 0"), *rest)

    return look_for_keys


@_mutant(Queue, "leave")
def leaves_in_two_steps(_: Any) -> Any:
    """A worker that ends looks whether it has something in hand, and then removes its consumer."""
    look = "return redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2])"
    remove = "return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])"

    async def leave(queue: Queue, consumer: str) -> None:
        if not await queue._redis.register_script(look)([WAITING], [GROUP, consumer]):
            await queue._redis.register_script(remove)([WAITING], [GROUP, consumer])

    return leave
