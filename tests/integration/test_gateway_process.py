"""The gateway as a process: started, asked for its health, told to stop."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from skirmish.player.v1 import player_pb2
from tests.events import open_events
from tests.servers import free_port
from tests.upstreams import Context, Upstreams, gateway_client, running_upstreams


@pytest.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    async with running_upstreams() as upstreams:
        yield upstreams


async def start(command: str, **settings: object) -> asyncio.subprocess.Process:
    """Starts a subcommand of the gateway."""
    environment = {f"GATEWAY_{name.upper()}": str(value) for name, value in settings.items()}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        command,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def serving(**settings: object) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    """Runs the gateway on a free port, and gives the process and a client of it."""
    process = await start("serve", address="127.0.0.1:0", log_format="json", **settings)
    assert process.stderr
    try:
        line = json.loads(await asyncio.wait_for(process.stderr.readline(), 30))
        assert line["event"] == "listening"
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{line['port']}", timeout=30) as client:
            yield process, client
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.communicate(), 30)


def children(process: asyncio.subprocess.Process) -> set[int]:
    """Returns the ids of the processes that serve for a process."""
    ids = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return {int(each) for each in ids if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()}


async def until(condition: Callable[[], bool]) -> None:
    """Waits until a condition holds."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.05)


def listens(url: httpx.URL) -> bool:
    """Tells whether anybody listens at an address."""
    try:
        socket.create_connection((url.host, url.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("processes", [1, 2])
async def test_it_ends_gracefully_when_told_to(upstreams: Upstreams, number: int, processes: int) -> None:
    came, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_: Any, __: Context) -> player_pb2.Player:
        came.set()
        await go_on.wait()
        return player_pb2.Player(name="A")

    upstreams.answers["GetPlayer"] = wait
    async with serving(**upstreams.addresses(), processes=processes) as (process, client):
        running = asyncio.create_task(client.get("/v1/players/p"))
        await asyncio.wait_for(came.wait(), 30)
        process.send_signal(number)
        await until(lambda: not listens(client.base_url))
        go_on.set()
        assert (await running).json()["name"] == "A"
        assert await asyncio.wait_for(process.wait(), 30) == 0


@pytest.mark.parametrize("processes", [1, 2])
async def test_open_streams_do_not_hold_it_up_and_are_told_to_come_back(upstreams: Upstreams, processes: int) -> None:
    async def watch(_: Any, context: Context) -> AsyncIterator[Any]:
        await context.send_initial_metadata(())
        await asyncio.Event().wait()
        yield

    upstreams.streams["WatchBattles"] = watch
    async with (
        serving(**upstreams.addresses(), processes=processes, shutdown_grace=60) as (process, client),
        AsyncExitStack() as stack,
    ):
        streams = [await stack.enter_async_context(open_events(client, "/v1/battles:watch")) for _ in range(8)]
        process.terminate()
        for events in streams:
            assert [event async for event in events] == []
            assert events.retry == [1000, 1000]
        assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_requests_that_outlast_the_grace_are_told_so(upstreams: Upstreams) -> None:
    came = asyncio.Event()

    async def forever(_: Any, __: Context) -> Any:
        came.set()
        await asyncio.Event().wait()

    upstreams.answers["GetPlayer"] = forever
    async with serving(**upstreams.addresses(), shutdown_grace=0.1) as (process, client):
        running = asyncio.create_task(client.get("/v1/players/p"))
        await asyncio.wait_for(came.wait(), 30)
        process.terminate()
        response = await running
        assert (response.status_code, response.json()["error"]["status"]) == (503, "UNAVAILABLE")
        assert await asyncio.wait_for(process.wait(), 30) == 0


async def test_several_processes_share_the_port_and_one_that_dies_is_replaced(upstreams: Upstreams) -> None:
    async with serving(**upstreams.addresses(), processes=2) as (process, client):
        await until(lambda: len(children(process)) == 2)
        dead, alive = children(process)
        os.kill(dead, signal.SIGKILL)
        await until(lambda: len(children(process) - {dead}) == 2)
        assert alive in children(process)
        os.kill(alive, signal.SIGSTOP)  # so that the new one has to answer
        try:
            assert (await client.get("/v1/players/p")).status_code == 200
        finally:
            os.kill(alive, signal.SIGCONT)


async def test_a_port_that_is_taken_stops_the_start_with_a_sentence(upstreams: Upstreams) -> None:
    async with gateway_client(**upstreams.addresses()) as client:
        process = await start("serve", address=f"127.0.0.1:{client.base_url.port}")
        _, told = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert told.decode().strip() == (
        f"Can't listen on 127.0.0.1:{client.base_url.port}: it is in use, or not an address of this machine."
    )


async def test_a_wrong_setting_stops_the_start_with_its_name() -> None:
    process = await start("serve", timeout=-1)
    _, told = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert "GATEWAY_TIMEOUT: Input should be greater than 0; it is '-1'" in told.decode()


async def test_the_health_command_says_whether_all_is_well(upstreams: Upstreams) -> None:
    async with gateway_client(**upstreams.addresses()) as well:
        process = await start("health", address=f"127.0.0.1:{well.base_url.port}")
        told, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0
        assert '"status":"SERVING"' in told.decode()
    async with gateway_client(**{**upstreams.addresses(), "battle_address": f"127.0.0.1:{free_port()}"}) as unwell:
        process = await start("health", address=f"127.0.0.1:{unwell.base_url.port}")
        told, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 1
        assert '"battle":"UNAVAILABLE"' in told.decode()


async def test_the_health_command_fails_when_nobody_answers() -> None:
    process = await start("health", address=f"127.0.0.1:{free_port()}")
    _, told = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert "refused" in told.decode()
