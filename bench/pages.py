"""The top of a large board over HTTP, beside a server that only sends the same bytes. Needs wrk, a Debian package."""

import asyncio
import http.client
import os
import re
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

from bench.boards import winners
from bench.figures import Samples, at_least
from bench.machine import cpu_seconds
from bench.replicas import replica
from bench.run import Run
from local.settings import ROOT
from tests import servers
from tests.e2e.stack import READY_TIMEOUT, free_ports

GROUP = "Boards over HTTP"
PATH = "/v1/leaderboards/all/entries?page_size=100"
CONNECTIONS = 32
GATEWAY, UNSHARED, ECHO = "gateway", "gateway, nothing shared", "bare echo"
UNITS = {"a second": "requests/s", "99%": "ms", "of a core each": "µs"}


class Server(NamedTuple):
    """A server to be asked."""

    name: str
    pid: int
    port: int


async def measure(run: Run) -> None:
    """Asks for the first 100 of a million again and again, of each server in turn."""
    run.begin(GROUP, run.rounds * 3)
    wrk = shutil.which("wrk")
    if not wrk:
        run.say("left out: wrk is not on the PATH")
        return
    size, seconds = run.size(1_000_000, 100_000), run.size(5, 1)
    samples = Samples()
    async with AsyncExitStack() as stack:
        run.say(f"filling a board of {size:,}")
        boards = await stack.enter_async_context(_board(run, size))
        environment = {"GATEWAY_LEADERBOARD_ADDRESS": boards}
        asked = [
            await stack.enter_async_context(_gateway(GATEWAY, environment)),
            await stack.enter_async_context(_gateway(UNSHARED, environment | {"GATEWAY_SHARE_BOARDS": "0"})),
        ]
        page = run.folder / "page.json"
        page.write_bytes(await asyncio.to_thread(_get, asked[0].port))
        asked.append(await stack.enter_async_context(_echo(str(page))))
        for _ in range(run.rounds):
            for server in asked:
                with run.leg(server.name):
                    for name, value in (await _ask(wrk, server, seconds)).items():
                        samples.add(f"{server.name}, {name}", value)
    for name, values in samples.of.items():
        run.add(name, UNITS[name.rpartition(", ")[2]], values)
    run.add("gateway to bare echo", "", samples.ratios(f"{GATEWAY}, a second", f"{ECHO}, a second"), at_least(0.7))


async def _ask(wrk: str, server: Server, seconds: int) -> dict[str, float]:
    """Has wrk ask over some connections for so many seconds. Returns what it found, by names of UNITS."""
    used = cpu_seconds(server.pid)
    child = await asyncio.create_subprocess_exec(
        *(wrk, "--threads=1", f"--connections={CONNECTIONS}", f"--duration={seconds}", "--latency"),
        f"http://127.0.0.1:{server.port}{PATH}",
        stdout=PIPE,
    )
    told = (await child.communicate())[0].decode()
    used = cpu_seconds(server.pid) - used
    assert "Non-2xx" not in told, told
    count, rate = (re.search(pattern, told) for pattern in (r"(\d+) requests in", r"Requests/sec: +([\d.]+)"))
    slow = re.search(r"99% +([\d.]+)(us|ms|s)\b", told)
    assert count
    assert rate
    assert slow
    milliseconds = float(slow[1]) * {"us": 0.001, "ms": 1, "s": 1000}[slow[2]]
    return {"a second": float(rate[1]), "99%": milliseconds, "of a core each": used / int(count[1]) * 1e6}


@asynccontextmanager
async def _board(run: Run, size: int) -> AsyncIterator[str]:
    """Runs a leaderboard service with so many on its board, and gives its address."""
    source = f"127.0.0.1:{free_ports(1)[0]}"
    with servers.redis_server(run.new_folder("http")) as url:
        environment = {"LEADERBOARD_REDIS_URL": url, "LEADERBOARD_PLAYER_ADDRESS": source}
        async with (
            winners(source, size),
            replica("leaderboard", environment, run.folder / "http.log", patience=600) as boards,
        ):
            yield boards.address


@asynccontextmanager
async def _gateway(name: str, environment: Mapping[str, str]) -> AsyncIterator[Server]:
    port = free_ports(1)[0]
    settings = {**environment, "GATEWAY_ADDRESS": f"127.0.0.1:{port}", "GATEWAY_PROCESSES": "1"}
    async with _running(name, port, settings, "-m", "gateway", "serve") as server:
        yield server


@asynccontextmanager
async def _echo(page: str) -> AsyncIterator[Server]:
    port = free_ports(1)[0]
    async with _running(ECHO, port, {}, "-m", "bench.echo", str(port), page) as server:
        yield server


@asynccontextmanager
async def _running(name: str, port: int, environment: Mapping[str, str], *arguments: Any) -> AsyncIterator[Server]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=DEVNULL,
        stderr=DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(READY_TIMEOUT):
            while not await asyncio.to_thread(_get, port):
                assert child.returncode is None, f"{name} has ended"
                await asyncio.sleep(0.05)
        yield Server(name, child.pid, port)
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


def _get(port: int) -> bytes:
    """Returns the page, nothing while it can't be had."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    try:
        connection.request("GET", PATH)
        answer = connection.getresponse()
        return answer.read() if answer.status == http.client.OK else b""
    except OSError:
        return b""
    finally:
        connection.close()
