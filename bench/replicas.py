"""Replicas of services with the empty method, beside or apart from a running set, and callers that keep them busy."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, STDOUT
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from google.protobuf.empty_pb2 import Empty

from bench import with_empty
from local import health
from local.processes import Process
from local.settings import ROOT
from services.common import channels
from tests.e2e.stack import READY_TIMEOUT, free_ports

TIMEOUT = 30.0


class Replica(NamedTuple):
    """A running service with the empty method."""

    address: str
    channel: grpc.aio.Channel
    empty: Callable[[], Awaitable[object]]
    process: asyncio.subprocess.Process


@asynccontextmanager
async def replica(
    name: str, environment: Mapping[str, str], log: Path, patience: float = READY_TIMEOUT
) -> AsyncIterator[Replica]:
    """Runs a replica of a service: "player", "battle" or "leaderboard".

    Args:
        environment: Its settings; its address is chosen here.
        patience: Seconds within which it must be ready.
    """
    address = f"127.0.0.1:{free_ports(1)[0]}"
    setting = f"{name.upper()}_ADDRESS"
    with log.open("ab") as output:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.with_empty", name),
            env={**os.environ, **environment, setting: address, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdin=DEVNULL,
            stdout=output,
            stderr=STDOUT,
            start_new_session=True,
        )
    try:
        process = Process(name, [], setting, address)
        async with asyncio.timeout(patience):
            while await health.ask(process) != health.SERVING:
                assert child.returncode is None, f"the {name} service has ended; its log is {log}"
                await asyncio.sleep(0.05)
        async with channels.open_channel(address) as channel:
            call: Any = channel.unary_unary(
                with_empty.METHOD, request_serializer=Empty.SerializeToString, response_deserializer=Empty.FromString
            )
            yield Replica(address, channel, lambda: call(Empty(), timeout=TIMEOUT), child)
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


async def rate(call: Callable[[], Awaitable[object]], concurrency: int, seconds: float) -> float:
    """Returns how many calls a second are answered while so many are always under way."""
    loop = asyncio.get_running_loop()
    answered = 0

    async def keep_calling(until: float) -> None:
        nonlocal answered
        while loop.time() < until:
            await call()
            answered += 1

    await call()
    began = loop.time()
    await asyncio.gather(*(keep_calling(began + seconds) for _ in range(concurrency)))
    return answered / (loop.time() - began)


def taking_turns(requests: list[Any], method: Any) -> Callable[[], Awaitable[object]]:
    """Returns a call that takes one request after the other, again and again."""

    def turns() -> Iterator[Any]:
        while True:
            yield from requests

    request = turns()
    return lambda: method(next(request), timeout=TIMEOUT)
