"""The processes of a simulated world: the real services, put together as their own ``__main__`` does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from services.battle import neighbours, queue, rules, servicer, submission, sweeper, worker
from services.battle.backlog import Backlog
from services.battle.events import Hub
from services.battle.neighbours import Boards, Players
from services.battle.queue import Queue
from services.battle.servicer import BattleServicer
from services.battle.submission import Submitter
from services.battle.sweeper import Sweeper
from services.battle.worker import Worker
from services.leaderboard import feed, store
from services.leaderboard.boards import Retention
from services.leaderboard.feed import Feed
from services.leaderboard.live import LiveBoards
from services.leaderboard.servicer import LeaderboardServicer
from services.leaderboard.store import Store
from services.player import settlement_servicer, settlement_store, settler
from services.player.servicer import PlayerServicer
from services.player.settings import PlayerSettings
from services.player.settlement_servicer import SettlementServicer
from services.player.settler import Settler
from skirmish.battle.v1 import battle_pb2
from skirmish.leaderboard.v1 import leaderboard_pb2
from skirmish.player.v1 import player_pb2, settlement_pb2
from tests.simulation import logbook
from tests.simulation.database import Database
from tests.simulation.plan import PLENTY
from tests.simulation.process import Process
from tests.simulation.redis_client import RedisClient

if TYPE_CHECKING:
    from tests.simulation.world import World

RETENTION = Retention(35, 26, 24)
BLOCK_TIMEOUT = 0.25
FEED_INTERVAL = 1.0
MOST_WATCHERS = 1000

_PLAYERS = player_pb2.DESCRIPTOR.services_by_name["PlayerService"].full_name
_SETTLEMENT = settlement_pb2.DESCRIPTOR.services_by_name["SettlementService"].full_name
_BATTLES = battle_pb2.DESCRIPTOR.services_by_name["BattleService"].full_name
_BOARDS = leaderboard_pb2.DESCRIPTOR.services_by_name["LeaderboardService"].full_name

TIMES: list[tuple[Any, str, float]] = [
    (queue, "BLOCK", 2000),  # milliseconds
    (servicer, "LOOK_INTERVAL", 1.0),
    (store, "LOCK_TTL", 2.0),
    (feed, "LONGEST_PAUSE", 2.0),
]
"""For how long something is waited, where a run would mostly be that waiting."""

SIZES: list[tuple[Any, str, int]] = [
    (submission, "MERGED_AT_MOST", 3),
    (neighbours, "MOST_BATTLES", 3),
    (worker, "HELPED_AT_ONCE", 2),
    (worker, "MOST_FAILURES", 2),
    (sweeper, "SWEPT_AT_ONCE", 3),
    (settler, "ROUND_LIMIT", 3),
    (settlement_servicer, "MOST_CHANGES", 2),
    (feed, "PAGE_SIZE", 2),
    (store, "RECORDED_AT_ONCE", 2),
    (store, "LOADED_AT_ONCE", 2),
]
"""How much is done at once, and how often it is tried, where everything is done in small steps."""


@contextmanager
def applied(world: World) -> Iterator[None]:
    """Puts the services into a world: it decides about fights and sizes, and reads what they log."""
    changes = [(rules, "fight", world.fight), *TIMES, *(SIZES if world.plan.small_steps else ())]
    kept = [(module, name, getattr(module, name)) for module, name, _ in changes]
    for module, name, value in changes:
        setattr(module, name, value)
    try:
        with logbook.read_by(world.read_log):
            yield
    finally:
        for module, name, value in kept:
            setattr(module, name, value)


def build_player(process: Process) -> None:
    """The player service."""
    database: Any = Database(process, process.world.player_database)

    async def settle(battles: Any) -> Any:
        return await database.write(settlement_store.settle, battles)

    merging = Settler(settle, BLOCK_TIMEOUT)
    process.servicers[_PLAYERS] = PlayerServicer(database, _player_settings(), process.world.new_id)
    process.servicers[_SETTLEMENT] = SettlementServicer(database, merging)
    process.run(merging.run())


def build_battle(process: Process) -> None:
    """The battle service."""
    world, plan = process.world, process.world.plan
    database: Any = Database(process, world.battle_database)
    queue = _queue(process)
    backlog = Backlog(database, plan.most_queued, plan.most_queued)
    submitter = Submitter(
        database,
        Players(_channel(process, "player")),
        queue,
        backlog,
        plan.publish_pause,
        process.now,
        world.new_id,
        world.new_seed,
    )
    hub = Hub(queue, MOST_WATCHERS)
    process.servicers[_BATTLES] = BattleServicer(database, queue, submitter, backlog, hub)
    process.run(submitter.run())
    # What these do shows only in some seeds, and in all of them it would take time.
    if plan.most_queued < PLENTY:
        process.run(backlog.run())
    if plan.watching:
        process.run(hub.run())


def build_board(process: Process) -> None:
    """The leaderboard service."""
    client: Any = RedisClient(process, process.world.redis)
    boards = Store(client, RETENTION, process.now)
    live = LiveBoards(boards, process.now, MOST_WATCHERS)
    process.servicers[_BOARDS] = LeaderboardServicer(boards, live, process.now)
    process.run(Feed(boards, _channel(process, "player"), RETENTION, process.now).run(FEED_INTERVAL))


def build_worker(process: Process) -> None:
    """A worker, and its sweeper."""
    world, plan = process.world, process.world.plan
    database: Any = Database(process, world.battle_database)
    queue = _queue(process)
    fighting = Worker(
        process.name,
        database,
        queue,
        Players(_channel(process, "player")),
        Boards(_channel(process, "board")),
        plan.batch_size,
        plan.batches_at_once,
        plan.claim_idle,
        world.fate.uniform,
    )
    process.on_stop = fighting.stop
    process.run(fighting.run(), process.end)
    process.run(Sweeper(database, queue, plan.publish_pause, process.now, world.fate.uniform).run())


BUILDERS: dict[str, Callable[[Process], None]] = {
    "player": build_player,
    "battle": build_battle,
    "board": build_board,
    "worker": build_worker,
}
"""What makes a process what it is."""


def _queue(process: Process) -> Queue:
    client: Any = RedisClient(process, process.world.redis)
    return Queue(client, client)


def _channel(process: Process, service: str) -> Any:
    return process.world.channel(process, service)


@cache
def _player_settings() -> PlayerSettings:
    return PlayerSettings(_env_file=None)
