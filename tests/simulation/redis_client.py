"""A client of the server in memory, in the shape of redis-py: as much of it as the queue and the boards use."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from redis.asyncio.lock import Lock
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.simulation.process import Process
from tests.simulation.redis_server import RedisServer

R = TypeVar("R")

_FIELD = b"b"


class RedisHost:
    """The machine that a server runs on: it can be out of reach, restart, and forget.

    Attributes:
        server: The server.
        away: Whether it is out of reach.
        restarts: How often it was restarted.
        on_script: Is called after every script.
    """

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.away = False
        self.restarts = 0
        self.on_script: Callable[[], object] = lambda: None
        self._waiting: defaultdict[str, list[Callable[[], object]]] = defaultdict(list)

    def reached(self) -> RedisServer:
        """Returns the server.

        Raises:
            RedisConnectionError: It is out of reach.
        """
        if self.away:
            raise RedisConnectionError("out of reach")
        self.server.expire_keys()
        return self.server

    def restart(self, saved: bytes | None) -> None:
        """Goes back to what was saved, or to nothing, and breaks off every read that waits."""
        self.server.load(saved)
        self.restarts += 1
        for key in list(self._waiting):
            self.wake(key)

    def wake(self, key: str) -> None:
        """Lets those that wait for entries of a stream look again."""
        for look in self._waiting.pop(key, ()):
            look()

    def wait(self, key: str, look: Callable[[], object]) -> None:
        """Calls back once, when a stream may have something new."""
        self._waiting[key].append(look)


class RedisClient:
    """A client that one process has.

    Args:
        process: The process.
        host: Where the server runs.
    """

    def __init__(self, process: Process, host: RedisHost) -> None:
        self._process = process
        self._host = host

    def _do(self, what: str, do: Callable[[RedisServer], R]) -> Awaitable[R]:
        return self._process.exchange(what, lambda: do(self._host.reached()), _broken)

    def _call(self, *command: Any) -> Awaitable[Any]:
        return self._process.exchange(command[0], lambda: self._host.reached().call(*command), _broken)

    async def ping(self) -> Any:
        return await self._call("PING")

    async def get(self, key: str) -> Any:
        return await self._call("GET", key)

    async def set(self, key: str, value: bytes, *, nx: bool, px: int) -> Any:
        return await self._call("SET", key, value, *["NX"] * nx, "PX", px)

    async def unlink(self, *keys: str) -> Any:
        return await self._call("UNLINK", *keys)

    async def xgroup_create(self, key: str, group: str, id: str, mkstream: bool) -> Any:  # noqa: A002
        return await self._call("XGROUP", "CREATE", key, group, id)

    async def xinfo_groups(self, key: str) -> Any:
        groups = await self._call("XINFO", "GROUPS", key)
        return [{"name": name, "last-delivered-id": delivered} for name, delivered in groups]

    async def xrange(self, key: str, min: bytes, count: int) -> Any:  # noqa: A002
        return _with_fields(await self._call("XRANGE", key, min, "+", "COUNT", count))

    async def xrevrange(self, key: str, count: int) -> Any:
        return _with_fields((await self._call("XREVRANGE", key))[:count])

    async def xadd(self, key: str, fields: Mapping[bytes, bytes], maxlen: int, approximate: bool) -> Any:
        return await self._do("XADD", lambda server: self._add(server, key, "MAXLEN", maxlen, "*", *fields.values()))

    async def xautoclaim(self, key: str, group: str, consumer: str, idle: int, start: str, count: int) -> Any:
        return [b"0-0", _with_fields(await self._call("XAUTOCLAIM", key, group, consumer, idle, start, count)), []]

    async def xreadgroup(self, group: str, consumer: str, streams: Mapping[str, str], count: int, block: int) -> Any:
        (key,) = streams
        return await self._read(key, block, "XREADGROUP", key, group, consumer, count)

    async def xread(self, streams: Mapping[str, bytes], block: int) -> Any:
        ((key, after),) = streams.items()
        return await self._read(key, block, "XREAD", key, after)

    def pipeline(self, transaction: bool) -> "_Pipeline":
        return _Pipeline(self._do, transaction)

    def register_script(self, script: str) -> "_Script":
        return _Script(self, script)

    def lock(self, name: str, timeout: float, thread_local: bool) -> Lock:
        return _Lock(self, name, timeout, thread_local=thread_local)  # type: ignore[arg-type]

    async def evaluate(self, script: str, keys: Sequence[Any], arguments: Sequence[Any]) -> Any:
        def run(server: RedisServer) -> Any:
            reply = server.evaluate(script, keys, arguments)
            self._host.on_script()
            for key in keys:
                self._host.wake(key)
            return reply

        return await self._do("EVALSHA", run)

    def _add(self, server: RedisServer, key: str, *rest: Any) -> Any:
        reply = server.call("XADD", key, *rest)
        self._host.wake(key)
        return reply

    async def _read(self, key: str, block: int, *command: Any) -> Any:
        """Reads from a stream, and waits for entries where there are none yet."""
        entries: Any = await self._call(*command)
        if not entries:
            restarts = self._host.restarts
            loop = self._process.loop
            news = loop.sleep(block / 1000)
            self._host.wait(key, lambda: None if news.done() else news.set_result(True))
            woken = await news
            if self._host.restarts != restarts:
                raise RedisConnectionError("the server closed the connection")
            if not woken:
                return None  # a read that finds nothing is one exchange, however long it waits
            entries = await self._call(*command)
        return [[key.encode(), _with_fields(entries)]] if entries else None


class _Pipeline:
    """Commands that go in one step; as a transaction, or one after the other."""

    def __init__(self, do: Callable[..., Any], transaction: bool) -> None:
        self._do = do
        self._transaction = transaction
        self._commands: list[tuple[Any, ...]] = []

    async def __aenter__(self) -> "_Pipeline":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._commands.clear()

    def execute_command(self, *command: Any) -> None:
        self._commands.append(command)

    def expire(self, key: str, seconds: int) -> None:
        self._commands.append(("EXPIRE", key, seconds))

    def xack(self, key: str, group: str, *ids: bytes) -> None:
        self._commands.append(("XACK", key, group, *ids))

    def xdel(self, key: str, *ids: bytes) -> None:
        self._commands.append(("XDEL", key, *ids))

    async def execute(self) -> Any:
        commands, self._commands = self._commands, []

        def run(server: RedisServer) -> list[Any]:
            return [server.call(*command) for command in commands]

        return await self._do("+".join(dict.fromkeys(command[0] for command in commands)), run) if commands else []


class _Script:
    """A script, as redis-py registers it."""

    def __init__(self, client: RedisClient, script: str) -> None:
        self._client = client
        self._script = script

    async def __call__(
        self, keys: Sequence[Any] = (), args: Sequence[Any] = (), client: RedisClient | None = None
    ) -> Any:
        return await (client or self._client).evaluate(self._script, keys, args)


class _Lock(Lock):
    """redis-py's lock. A class of its own, since redis-py keeps the scripts, and their first client, on the class."""

    lua_release = None
    lua_extend = None
    lua_reacquire = None

    async def acquire(self, blocking: bool | None = None, blocking_timeout: Any = None, token: Any = None) -> bool:
        self.local.token = token.encode()
        acquired: bool = await self.do_acquire(self.local.token)
        return acquired


def _with_fields(entries: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, dict[bytes, bytes]]]:
    return [(entry_id, {_FIELD: value}) for entry_id, value in entries]


def _broken() -> Exception:
    return RedisConnectionError("the connection broke")
