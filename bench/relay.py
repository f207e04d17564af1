"""The least that a lone battle's way can take: its hops between processes, threads and disk, with nothing done at them.

Three processes take the places of a battle service, a player service and a worker, on the same libraries and with the
same clients. Every call is empty but for a number, every transaction is one row, and there is nobody else. The hops:
a call to submit, a call that reads, a commit, an entry of a stream; a call that commits, a commit, another entry; and
a stream of two messages to whoever watches, who looks into the database first.

Usage: python -m bench.relay battle|player|worker, with the rest in the environment; see ``running``.
"""

import asyncio
import itertools
import os
import sys
from asyncio.subprocess import Process
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import grpc
import sqlalchemy as sa

from bench.run import Run
from local.settings import ROOT
from services.common import channels, redis
from services.common.database import Database
from tests.e2e.stack import READY_TIMEOUT, free_ports

SERVICE = "bench.Relay"
WAITING, ENDED = "relay:waiting", "relay:ended"
GROUP, FIELD = "workers", b"b"
TIMEOUT = 30.0
BLOCK = 500
"""Milliseconds that a read of a stream waits."""

ROW = sa.Table(
    "relay", sa.MetaData(), sa.Column("number", sa.BigInteger, primary_key=True), sa.Column("state", sa.Integer)
)
_BATTLE = sa.bindparam("battle", type_=sa.BigInteger)
_INSERT = sa.insert(ROW).values(number=_BATTLE, state=1)
_UPDATE = sa.update(ROW).where(ROW.c.number == _BATTLE).values(state=2)
_SELECT = sa.select(ROW.c.state).where(ROW.c.number == _BATTLE)


class Relay:
    """A running relay. One battle after the other goes its way."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._submit: Any = channel.unary_unary(f"/{SERVICE}/Submit")
        self._watch: Any = channel.unary_stream(f"/{SERVICE}/Watch")
        self._numbers = itertools.count(1)

    async def pass_on(self) -> None:
        """Submits a battle, and returns when its end was told."""
        battle = b"%d" % next(self._numbers)
        await self._submit(battle, timeout=TIMEOUT)
        told = [message async for message in self._watch(battle, timeout=TIMEOUT)]
        assert told == [b"1", b"2"], told


@asynccontextmanager
async def running(run: Run, redis_url: str, databases: dict[str, str] | None = None) -> AsyncIterator[Relay]:
    """Runs a relay, by default on SQLite.

    Args:
        redis_url: A server where it may use streams of its own.
        databases: PLAYER_DATABASE_URL and BATTLE_DATABASE_URL, both empty.
    """
    folder = run.new_folder("relay")
    player, battle = (f"127.0.0.1:{port}" for port in free_ports(2))
    environment = {
        **{f"{name}_DATABASE_URL": f"sqlite:///{folder}/{name.lower()}.db" for name in ("PLAYER", "BATTLE")},
        **(databases or {}),
        "RELAY_PLAYER": player,
        "RELAY_BATTLE": battle,
        "REDIS_URL": redis_url,
        "PYTHONPATH": str(ROOT),
    }
    for name in ("PLAYER", "BATTLE"):
        database = Database(environment[f"{name}_DATABASE_URL"])
        await database.write(ROW.metadata.create_all)
        await database.close()
    children: list[Process] = []
    try:
        for role in ROLES:
            command = [sys.executable, "-m", "bench.relay", role]
            child = await asyncio.create_subprocess_exec(*command, env=os.environ | environment, cwd=ROOT)
            children.append(child)
        async with channels.open_channel(battle) as channel:
            await asyncio.wait_for(channel.channel_ready(), READY_TIMEOUT)
            yield Relay(channel)
    finally:
        for child in children:
            child.terminate()
        await asyncio.gather(*(child.wait() for child in children))


async def _serve_player() -> None:
    database = Database(os.environ["PLAYER_DATABASE_URL"])

    async def read(request: bytes, _: Any) -> bytes:
        await database.read(_look, request)
        return request

    async def settle(request: bytes, _: Any) -> bytes:
        await database.write(_do, _INSERT, request)
        return request

    await _serve(os.environ["RELAY_PLAYER"], {"Read": read, "Settle": settle}, {})


async def _serve_battle() -> None:
    database = Database(os.environ["BATTLE_DATABASE_URL"])
    streams = redis.connect(os.environ["REDIS_URL"])
    read: Any = channels.open_channel(os.environ["RELAY_PLAYER"]).unary_unary(f"/{SERVICE}/Read")
    ended: dict[bytes, asyncio.Event] = defaultdict(asyncio.Event)
    beside: set[asyncio.Task[None]] = set()

    async def submit(request: bytes, _: Any) -> bytes:
        await read(request)
        await database.write(_do, _INSERT, request)
        task = asyncio.create_task(publish(request))
        beside.add(task)
        task.add_done_callback(beside.discard)
        return request

    async def publish(battle: bytes) -> None:
        await streams.xadd(WAITING, {FIELD: battle})

    async def watch(request: bytes, _: Any) -> AsyncIterator[bytes]:
        await database.read(_look, request)
        yield b"1"
        await ended[request].wait()
        yield b"2"

    async def listen() -> None:
        after = b"0"
        while True:
            reply: Any = await streams.xread({ENDED: after}, block=BLOCK)
            for entry_id, entry in reply[0][1] if reply else ():
                after = entry_id
                ended[entry[FIELD]].set()

    beside.add(asyncio.create_task(listen()))
    await _serve(os.environ["RELAY_BATTLE"], {"Submit": submit}, {"Watch": watch})


async def _work() -> None:
    database = Database(os.environ["BATTLE_DATABASE_URL"])
    streams = redis.connect(os.environ["REDIS_URL"])
    settle: Any = channels.open_channel(os.environ["RELAY_PLAYER"]).unary_unary(f"/{SERVICE}/Settle")
    await streams.xgroup_create(WAITING, GROUP, id="0", mkstream=True)
    while True:
        reply: Any = await streams.xreadgroup(GROUP, "worker", {WAITING: ">"}, block=BLOCK)
        for entry_id, entry in reply[0][1] if reply else ():
            await settle(entry[FIELD])
            await database.write(_do, _UPDATE, entry[FIELD])
            await streams.xadd(ENDED, entry)
            await streams.xack(WAITING, GROUP, entry_id)


def _do(connection: sa.Connection, statement: sa.Executable, battle: bytes) -> None:
    connection.execute(statement, {"battle": int(battle)})


def _look(connection: sa.Connection, battle: bytes) -> None:
    connection.execute(_SELECT, {"battle": int(battle)}).all()


async def _serve(address: str, calls: dict[str, Any], streams: dict[str, Any]) -> None:
    methods: dict[str, Any] = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in calls.items()}
    methods |= {name: grpc.unary_stream_rpc_method_handler(method) for name, method in streams.items()}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, methods)])
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


ROLES: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
    "player": _serve_player,
    "battle": _serve_battle,
    "worker": _work,
}

if __name__ == "__main__":
    asyncio.run(ROLES[sys.argv[1]]())
