"""gRPC between processes of one simulation: real stubs, real servicers, real messages, and a wire of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache, partial
from typing import Any, NamedTuple

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from services.common.errors import SkirmishError
from tests.simulation.faults import Fault
from tests.simulation.process import Process, hang_up, rpc_error

Code = grpc.StatusCode

_END = b"\0end of stream"


class Channel:
    """A channel from a process to a service.

    Args:
        process: Who calls.
        pick: Chooses one of the service's processes for a call; None when there is none.
    """

    def __init__(self, process: Process, pick: Callable[[], Process | None]) -> None:
        self.process = process
        self.pick = pick

    # Generated stubs ask for their methods with these two.
    def unary_unary(self, path: str, **_: Any) -> Callable[..., Awaitable[Any]]:
        """Returns a method with one answer."""
        return partial(_call, self, path)

    def unary_stream(self, path: str, **_: Any) -> Callable[..., _Stream]:
        """Returns a method with many answers."""
        return partial(_Stream, self, path)


class _Method(NamedTuple):
    """A method of a contract."""

    service: str
    name: str
    request: type[Message]
    response: type[Message]


@cache
def _method(path: str) -> _Method:
    _, service, name = path.split("/")
    found = descriptor_pool.Default().FindMethodByName(f"{service}.{name}")
    return _Method(service, name, GetMessageClass(found.input_type), GetMessageClass(found.output_type))


async def _call(channel: Channel, path: str, request: Message, timeout: float) -> Message:
    """Calls a method with one answer."""
    service, name, kind_of_request, kind_of_response = _method(path)
    data = request.SerializeToString()
    client = channel.process
    fate = client.fate
    if client.loop.now < client.standing_until:
        await client.moving()
    fault = fate.draw()
    if fault is not None and await client.suffer_before(fault, name):
        raise rpc_error(Code.UNAVAILABLE, "connection refused")
    server = channel.pick()
    if server is None:
        await client.loop.sleep(0.02)
        raise rpc_error(Code.UNAVAILABLE, "nobody listens")
    serve = getattr(server.servicers[service], name)

    async def answer() -> bytes:
        response: Message = await serve(kind_of_request.FromString(data), None)
        return response.SerializeToString()

    if fault is Fault.TWICE:
        _serve(server, answer, client.loop.create_future(), fate.uniform(0, 0.5))
    late = fate.uniform(0.01, 12) if fault is Fault.LATE else 0.0
    return kind_of_response.FromString(await _ask(client, server, answer, name, timeout, fault, late))


class _Stream:
    """A call with many answers, one asked for after the other."""

    def __init__(self, channel: Channel, path: str, request: Message, timeout: float) -> None:
        self._channel = channel
        self._method = _method(path)
        self._data = request.SerializeToString()
        self._timeout = timeout
        self._server: Process | None = None
        self._answers: Any

    async def read(self) -> Any:
        """Returns the next answer, grpc.aio.EOF at the end."""
        client = self._channel.process
        service, name, kind_of_request, kind_of_response = self._method
        if client.loop.now < client.standing_until:
            await client.moving()
        fault = client.fate.draw()
        if fault is not None and await client.suffer_before(fault, name):
            raise rpc_error(Code.UNAVAILABLE, "connection refused")
        if self._server is None:
            self._server = self._channel.pick()
            if self._server is None:
                raise rpc_error(Code.UNAVAILABLE, "nobody listens")
            serve = getattr(self._server.servicers[service], name)
            self._answers = serve(kind_of_request.FromString(self._data), None)
            client.world.streams.append(self._answers)

        async def answer() -> bytes:
            async for response in self._answers:
                data: bytes = response.SerializeToString()
                return data
            return _END

        reply = await _ask(client, self._server, answer, name, self._timeout, fault, 0)
        return grpc.aio.EOF if reply == _END else kind_of_response.FromString(reply)

    def cancel(self) -> None:
        """Ends the call; the server does not learn of it."""


async def _ask(
    client: Process,
    server: Process,
    answer: Callable[[], Awaitable[bytes]],
    name: str,
    timeout: float,
    fault: Fault | None,
    late: float,
) -> bytes:
    """Has a server answer, and returns what reaches the client of it in time."""
    loop = client.loop
    if server.dead:
        raise rpc_error(Code.UNAVAILABLE, "the server died")
    reply: asyncio.Future[bytes] = loop.create_future()
    server.calls[reply] = None
    served = _serve(server, answer, reply, late, fault is Fault.LOST)
    timer = loop.call_later(timeout, hang_up, reply, Code.DEADLINE_EXCEEDED)
    if fault is Fault.CRASH_AFTER and client.mortal:
        client.die()
        await client.moving()
    try:
        data = await reply
    except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
        client.tell(name, error)
        if not served.done() and client.fate.happens(0.5):
            served.cancel()  # the server learns that nobody waits any more
        if client.loop.now < client.standing_until:
            await client.moving()
        raise
    finally:
        timer.cancel()
        server.calls.pop(reply, None)
    client.tell(name)
    if fault is Fault.PAUSE_AFTER and client.mortal:
        client.stand_still(client.fate.pause())
    if loop.now < client.standing_until:
        await client.moving()
    return data


def _serve(
    server: Process,
    answer: Callable[[], Awaitable[bytes]],
    reply: asyncio.Future[bytes],
    late: float = 0,
    lost: bool = False,
) -> asyncio.Task[None]:
    """Answers a call in the server's process."""
    loop, fate = server.loop, server.fate

    async def serve() -> None:
        if delay := late + fate.delay():
            await loop.sleep(delay)
        if loop.now < server.standing_until:
            await server.moving()
        try:
            data = await answer()
        except SkirmishError as error:
            if not reply.done():
                reply.set_exception(rpc_error(error.code, error.message))
            return
        except Exception as error:
            server.world.referee.blame(f"{server.name} answered INTERNAL: {error!r}", error)
            hang_up(reply, Code.INTERNAL)
            return
        if loop.now < server.standing_until:
            await server.moving()
        if delay := fate.delay():
            await loop.sleep(delay)
        if lost:
            hang_up(reply)
        elif not reply.done():
            reply.set_result(data)

    return loop.create_task(serve(), context=server.context)
