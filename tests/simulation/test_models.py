"""The models in memory against what they stand for: the same seeds, with every step done on both."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import redis
import sqlalchemy as sa
from redis.exceptions import ResponseError

from services.battle import schema as battle_schema
from services.battle import store as battle_store
from services.common import migrations
from services.common.database import Database
from services.common.errors import SkirmishError
from services.player import schema as player_schema
from services.player import settlement_store, store
from services.player.players import Kind
from tests.simulation import plan
from tests.simulation.redis_server import RedisServer
from tests.simulation.world import World

SQL_SEEDS = range(40)
REDIS_SEEDS = range(30)

WORKS = {
    *("submit", "finish", "predecessors", "take_due", "make_all_due", "count_failures", "count_queued"),
    *("find", "settle", "list_changes", "snapshot", "delete", "grant"),
}
COMMANDS = {
    *("XADD", "XREADGROUP", "XAUTOCLAIM", "XACK", "XDEL", "XRANGE", "XINFO", "XGROUP", "EVAL"),
    *("XREAD", "XREVRANGE", "XLEN", "GET", "SET", "UNLINK", "ZADD", "HSET", "EXPIRE", "ZRANGE"),
}


class Mirror:
    """Rows in memory, and the same in a real database: each transaction is done on both, and must give the same."""

    def __init__(self, tables: Any, engine: sa.Engine) -> None:
        self._tables = tables
        self._engine = engine
        self.transactions = 0

    def transact(self, work: Callable[..., Any], *args: Any) -> Any:
        self.transactions += 1
        made: list[Any] = []
        expected = _outcome(lambda: self._tables.transact(work, *(_remembering(arg, made) for arg in args)))
        made.reverse()  # ids and seeds are made once, and used again
        with self._engine.connect() as connection:
            transaction = connection.begin()
            found = _outcome(
                lambda: work(connection, *((lambda: made.pop()) if callable(arg) else arg for arg in args))
            )
            if isinstance(found, Exception):
                transaction.rollback()
            else:
                transaction.commit()
        assert _comparable(found) == _comparable(expected), f"{work.__name__}{args}"
        if isinstance(expected, Exception):
            raise expected
        return iter(expected) if work is settlement_store.snapshot else expected


def _remembering(arg: Any, made: list[Any]) -> Any:
    if not callable(arg):
        return arg

    def make() -> Any:
        made.append(arg())
        return made[-1]

    return make


def _outcome(do: Callable[[], Any]) -> Any:
    try:
        result = do()
    except SkirmishError as error:
        return error
    return list(result) if isinstance(result, Iterator) else result


def _comparable(value: Any) -> Any:
    if isinstance(value, SkirmishError):
        return type(value), value.reason
    if isinstance(value, list | tuple):
        return [_comparable(item) for item in value]
    return value


@pytest.fixture
def new_engine(new_database: Callable[[], str]) -> Iterator[Callable[[str], sa.Engine]]:
    """Makes engines of new databases with the schema of a service."""
    engines: list[sa.Engine] = []

    def make(package: str) -> sa.Engine:
        database = Database(new_database())
        migrations.migrate(database, package)
        database.engine.dispose()  # its connection holds the lock of a migration
        engines.append(database.engine)
        return database.engine

    yield make
    for engine in engines:
        engine.dispose()


@pytest.mark.timeout(600)
def test_the_tables_in_memory_do_what_the_databases_do(
    new_engine: Callable[[str], sa.Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    battle_engine, player_engine = new_engine("services.battle"), new_engine("services.player")
    done: set[str] = set()
    mirrored = [0, 0]
    for seed in SQL_SEEDS:
        _empty(battle_engine, battle_schema.METADATA)
        _empty(player_engine, player_schema.METADATA)
        world = World(plan.make(seed), traced=True)
        for module in (settlement_store, store):
            monkeypatch.setattr(module, "now", lambda _, world=world: world.player_tables.now())
        _copy_players(world, player_engine)
        mirrors = {
            world.battle_database: Mirror(world.battle_tables, battle_engine),
            world.player_database: Mirror(world.player_tables, player_engine),
        }
        for host, mirror in mirrors.items():
            host.tables = mirror
        world.run()
        assert not world.referee.found, world.referee.found[0]
        mirrored = [count + mirror.transactions for count, mirror in zip(mirrored, mirrors.values(), strict=True)]
        done |= {what for _, _, what, _ in world.trace or ()}
        _compare_rows(world, battle_engine, player_engine)
    assert all(mirrored)
    assert done >= WORKS, f"never done: {WORKS - done}"


def _empty(engine: sa.Engine, metadata: sa.MetaData) -> None:
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            if table.name.endswith("_head"):
                values = {column.name: 0 for column in table.columns if column.name != "id"}
                connection.execute(sa.update(table).values(values))
            else:
                connection.execute(sa.delete(table))


def _copy_players(world: World, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        for row in world.player_tables.players.values():
            values = row.player._asdict() | {"applied_number": 0, "adjustment_number": 0}
            connection.execute(sa.insert(player_schema.PLAYER).values(values))
        for (player_id, _, _), entry in world.player_tables.ledger.items():
            assert entry.kind == Kind.OPENING
            values = {name: value for name, value in entry._asdict().items() if name in player_schema.ADJUSTMENT.c}
            connection.execute(sa.insert(player_schema.ADJUSTMENT).values(player_id=player_id, **values))


def _compare_rows(world: World, battle_engine: sa.Engine, player_engine: sa.Engine) -> None:
    """Compares what is in the tables in the end."""
    battles, players = world.battle_tables, world.player_tables
    with battle_engine.connect() as connection:
        head = connection.execute(sa.select(battle_schema.HEAD.c.last_sequence)).scalar_one()
        numbers = {
            row.player_id: row.last_number for row in connection.execute(sa.select(battle_schema.PLAYER_SEQUENCE))
        }
        reports = {row.sequence: row.report for row in connection.execute(sa.select(battle_schema.REPORT))}
        stored = battle_store.list_battles(connection, None, None, None, 1000)
        queued = connection.execute(sa.select(sa.func.count()).select_from(battle_schema.QUEUE)).scalar_one()
    assert (head, numbers, reports) == (battles.last_sequence, battles.last_numbers, battles.reports)
    assert stored[::-1] == list(battles.battles.values())
    assert queued == len(battles.queue)
    with player_engine.connect() as connection:
        rows = connection.execute(sa.select(player_schema.PLAYER)).all()
        owned = {row.player_id: (row.gold, row.silver, row.applied_number, row.adjustment_number) for row in rows}
        ledger = {
            (row.player_id, row.battle_number, row.adjustment_number): (row.kind, row.battle_id, row.gold_balance)
            for row in connection.execute(sa.text("SELECT * FROM ledger_entry"))
        }
        last = connection.execute(sa.select(player_schema.SETTLE_HEAD)).one()
    assert owned == {
        player_id: (row.player.gold, row.player.silver, row.applied_number, row.adjustment_number)
        for player_id, row in players.players.items()
    }
    assert ledger == {key: (entry.kind, entry.battle_id, entry.gold_balance) for key, entry in players.ledger.items()}
    assert (last.last_sequence, last.last_time) == (len(players.settlements), players.last_time)


class RedisMirror(RedisServer):
    """A server in memory, and a real one: each command is done on both, and must give the same.

    The real one gets the entry ids of the one in memory, and is told how long entries have been in somebody's hands,
    since its clock is another.
    """

    def __init__(self, now: Callable[[], float], client: redis.Redis) -> None:
        super().__init__(now)
        self._client = client
        self._connection: Any = client.connection_pool.get_connection()
        self._real("FLUSHALL")
        self.commands: set[str] = set()
        self._added: list[tuple[Any, ...]] = []

    def call(self, name: str | bytes, *args: Any) -> Any:
        if isinstance(name, bytes):  # from within a script
            reply = super().call(name, *args)
            if name == b"XADD":
                self._added.append(("XADD", *(reply if arg == b"*" else arg for arg in args)))
            return reply
        self.commands.add(name)
        if name == "XAUTOCLAIM":
            self._tell_idle_times(*args[:2])
        expected = _redis_outcome(lambda: super(RedisMirror, self).call(name, *args))
        found = _redis_outcome(lambda: _TRANSLATED[name](self._real(*_command(name, args, expected))))
        assert _same(found) == _same(expected), (name, args)
        if isinstance(expected, ResponseError):
            raise expected
        return expected

    def evaluate(self, script: str, keys: Sequence[Any], arguments: Sequence[Any]) -> Any:
        self.commands.add("EVAL")
        self._added.clear()
        expected = super().evaluate(script, keys, arguments)
        for command in self._added:
            self._real(*command)
        if not self._added:  # else it would give the entries ids of its own
            assert self._real("EVAL", script, len(keys), *keys, *arguments) == expected, (script, keys, arguments)
        return expected

    def expire_keys(self) -> None:
        before = set(self._keys)
        super().expire_keys()
        for key in before - set(self._keys):
            self._real("DEL", key)

    def save(self) -> Any:
        return super().save(), {key: self._real("DUMP", key) for key in self._keys}

    def load(self, saved: Any) -> None:
        super().load(saved and saved[0])
        self._real("FLUSHALL")
        for key, dumped in (saved[1] if saved else {}).items():
            self._real("RESTORE", key, 0, dumped)

    def close(self) -> None:
        self._client.connection_pool.release(self._connection)

    def _tell_idle_times(self, key: str, group: str) -> None:
        stream = self._keys.get(key.encode())
        if stream is None or group.encode() not in stream.groups:
            return
        now = int(self._now() * 1000)
        for (milliseconds, number), pending in stream.groups[group.encode()].pending.items():
            where = (key, group, pending.consumer, 0, f"{milliseconds}-{number}")
            self._real("XCLAIM", *where, "IDLE", max(0, now - pending.since), "JUSTID")

    def _real(self, *command: Any) -> Any:
        self._connection.send_command(*command)
        return self._connection.read_response()


def _redis_outcome(do: Callable[[], Any]) -> Any:
    try:
        return do()
    except ResponseError as error:
        return error


def _command(name: str, args: Sequence[Any], expected: Any) -> Sequence[Any]:
    """Returns a command of the model as the real server takes it."""
    match name:
        case "XGROUP":
            return (name, *args, "MKSTREAM")
        case "XADD":
            return (name, *(expected if arg == "*" else arg for arg in args[:-1]), b"b", args[-1])
        case "XREADGROUP":
            key, group, consumer, count = args
            return (name, "GROUP", group, consumer, "COUNT", count, "STREAMS", key, ">")
        case "XREAD":
            return (name, "STREAMS", *args)
        case "XREVRANGE":
            return (name, *args, "+", "-")
        case "XAUTOCLAIM":
            return (name, *args[:-1], "COUNT", args[-1])
    return (name, *args)


def _same(reply: Any) -> Any:
    return type(reply) if isinstance(reply, Exception) else reply


def _entries(reply: Any) -> list[tuple[bytes, bytes]]:
    return [(entry_id, fields[1]) for entry_id, fields in reply]


class _Translations(dict[str, Callable[[Any], Any]]):
    def __missing__(self, name: str) -> Callable[[Any], Any]:
        return lambda reply: True if reply == b"OK" else reply


_TRANSLATED = _Translations(
    {
        "XINFO": lambda reply: [(group[1], group[7]) for group in reply],
        "XREADGROUP": lambda reply: _entries(reply[0][1]) if reply else [],
        "XREAD": lambda reply: _entries(reply[0][1]) if reply else [],
        "XRANGE": _entries,
        "XREVRANGE": _entries,
        "XAUTOCLAIM": lambda reply: _entries(reply[1]),
        "SMEMBERS": sorted,
    }
)


@pytest.mark.timeout(600)
def test_the_server_in_memory_does_what_a_real_one_does(redis_server_url: str) -> None:
    client = redis.Redis.from_url(redis_server_url, protocol=2)
    commands: set[str] = set()
    for seed in REDIS_SEEDS:
        world = World(plan.make(seed))
        mirror = RedisMirror(lambda world=world: world.wall_clock(world.redis_skew) / 1e6, client)  # type: ignore[misc]
        world.redis.server = mirror
        try:
            world.run()
        finally:
            mirror.close()
        assert not world.referee.found, world.referee.found[0]
        commands |= mirror.commands
    client.close()
    assert commands >= COMMANDS, f"never called: {COMMANDS - commands}"
