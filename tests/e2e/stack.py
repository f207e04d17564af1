"""A whole set of processes, as `make run` starts it, on ports and in a folder of its own."""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from local import health, processes
from local.settings import ROOT, Settings

READY_TIMEOUT = 110.0
WAIT_TIMEOUT = 60.0


class Stack:
    """A set of processes. It is started by ``start`` or ``running``; stopped and started again, it keeps its data.

    Args:
        folder: Where it keeps its data, its logs and what it prints.
        workers: How many battle workers run.
        settings: Settings on top, as in the environment: PLAYER_DATABASE_URL for PostgreSQL, for example.
    """

    def __init__(self, folder: Path, workers: int = 1, **settings: str) -> None:
        self.data = folder / "data"
        self.output_path = folder / "output.txt"
        self.ports = free_ports(5 + workers)
        addresses = [f"127.0.0.1:{port}" for port in self.ports]
        self.player, self.battle, self.leaderboard, self.gateway, self.redis, *self.workers = addresses
        self.redis_url = f"redis://{self.redis}/0"
        self.url = f"http://{self.gateway}"
        self.environment = {
            **os.environ,
            "LOCAL_DATA": str(self.data),
            "LOCAL_WORKERS": str(workers),
            "LOCAL_REDIS_PORT": str(self.ports[4]),
            "PLAYER_ADDRESS": self.player,
            "PLAYER_DATABASE_URL": f"sqlite:///{self.data}/player.db",
            "BATTLE_ADDRESS": self.battle,
            "BATTLE_WORKER_ADDRESS": self.workers[0],
            "BATTLE_DATABASE_URL": f"sqlite:///{self.data}/battle.db",
            "BATTLE_REDIS_URL": self.redis_url,
            "BATTLE_PLAYER_ADDRESS": self.player,
            "BATTLE_LEADERBOARD_ADDRESS": self.leaderboard,
            "LEADERBOARD_ADDRESS": self.leaderboard,
            "LEADERBOARD_REDIS_URL": self.redis_url,
            "LEADERBOARD_PLAYER_ADDRESS": self.player,
            "GATEWAY_ADDRESS": self.gateway,
            "GATEWAY_PLAYER_ADDRESS": self.player,
            "GATEWAY_BATTLE_ADDRESS": self.battle,
            "GATEWAY_LEADERBOARD_ADDRESS": self.leaderboard,
            "PYTHONPATH": str(ROOT),
            **settings,
        }
        known = Settings.model_fields
        self.processes = processes.all_processes(
            Settings(**{name.lower(): value for name, value in self.environment.items() if name.lower() in known})  # type: ignore[arg-type]
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._paused: set[int] = set()

    @contextmanager
    def running(self) -> Iterator["Stack"]:
        """Runs the set as long as the context."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        """Starts everything and returns when it is ready.

        Raises:
            AssertionError: It is not ready in time, or ended; the message has what it printed.
        """
        self.launch()
        try:
            self.wait_until(lambda: self.has_ended or "\nready: " in self.output, READY_TIMEOUT)
            assert not self.has_ended
        except AssertionError:
            self.stop()
            raise AssertionError(f"the set of processes did not get ready:\n{self.output}") from None

    def launch(self) -> None:
        """Starts everything and returns at once."""
        with self.output_path.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local", "run"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def stop(self, number: int = signal.SIGINT) -> int:
        """Stops everything, as Ctrl-C in a terminal does, and returns the exit code."""
        assert self._process
        for pid in self._paused:
            os.kill(pid, signal.SIGCONT)
        self._paused.clear()
        if not self.has_ended:
            os.killpg(self._process.pid, number)
        return self._process.wait(WAIT_TIMEOUT)

    @property
    def output(self) -> str:
        """What it has printed since the start."""
        return self.output_path.read_text()

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, or was never started."""
        return self._process is None or self._process.poll() is not None

    def log(self, name: str) -> str:
        """Returns the log of a process: redis, player, battle, leaderboard, worker-1, gateway, supervisord."""
        return (self.data / "logs" / f"{name}.log").read_text()

    def pids(self) -> dict[str, int]:
        """Returns the process ids of all that run, by name."""
        return {name: state["pid"] for name, state in processes.states(self.data).items() if state["pid"]}

    async def health(self) -> dict[str, str]:
        """Returns the health of every process by name, as it says itself: SERVING, or what is wrong."""
        answers = await asyncio.gather(*map(health.ask, self.processes))
        return {process.name: answer for process, answer in zip(self.processes, answers, strict=True)}

    async def until_serving(self) -> None:
        """Waits until everything says SERVING."""
        async with asyncio.timeout(WAIT_TIMEOUT):
            while set((await self.health()).values()) != {health.SERVING}:
                await asyncio.sleep(0.05)

    def kill_supervisord(self) -> None:
        """Kills the process manager itself with SIGKILL."""
        os.kill(int((self.data / "supervisord.pid").read_text()), signal.SIGKILL)

    def kill(self, name: str) -> int:
        """Kills a process with SIGKILL, and returns its id; it is started again, under another."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGKILL)
        return pid

    def pause(self, name: str) -> None:
        """Holds a process with SIGSTOP: it keeps its connections, and does nothing."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGSTOP)
        self._paused.add(pid)

    def resume(self, name: str) -> None:
        """Lets a paused process go on."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGCONT)
        self._paused.discard(pid)

    def command(self, *arguments: str, timeout: float = WAIT_TIMEOUT) -> "subprocess.CompletedProcess[str]":
        """Runs ``python -m …`` with the settings of this set, and returns its exit code and what it printed."""
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    @staticmethod
    def wait_until(condition: Callable[[], object], timeout: float = WAIT_TIMEOUT) -> None:
        """Waits until a condition is true.

        Raises:
            AssertionError: It is not in time.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, "not in time"
            time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    """Returns ports in a row that nobody listens on.

    They lie below those that the system gives to outgoing connections, so that none is taken while a service restarts,
    and each process of a test run has a range of its own, so that none is taken between this look and the start.
    """
    own = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    while True:
        first = 12_000 + own * 5_000 + random.randrange(4_900)
        ports = list(range(first, first + count))
        if all(map(is_free, ports)):
            return ports


def is_free(port: int) -> bool:
    """Tells whether a port of this machine can be listened on."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
