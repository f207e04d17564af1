"""gRPC between processes of one simulation: real stubs, real servicers, real messages, and a wire of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

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

    def unary_unary(self, path: str, **serializers: Any) -> _Unary:
        return _Unary(self, path, **serializers)

    def unary_stream(self, path: str, **serializers: Any) -> Callable[..., _Stream]:
        return lambda request, timeout: _Stream(self, path, request, timeout, **serializers)


class _Unary:
    """A method with one answer."""

    def __init__(
        self,
        channel: Channel,
        path: str,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
        _registered_method: bool,
    ) -> None:
        self._channel = channel
        self._path = path
        self._name = path.rpartition("/")[2]
        self._serialize = request_serializer
        self._deserialize = response_deserializer

    async def __call__(self, request: Any, timeout: float) -> Any:
        data = self._serialize(request)
        client = self._channel.process
        fate = client.fate
        if client.loop.now < client.standing_until:
            await client.moving()
        fault = fate.draw()
        if fault is not None and await client.suffer_before(fault, self._name):
            raise rpc_error(Code.UNAVAILABLE, "connection refused")
        server = self._channel.pick()
        if server is None:
            await client.loop.sleep(0.02)
            raise rpc_error(Code.UNAVAILABLE, "nobody listens")
        handler = server.handlers[self._path]

        async def answer() -> bytes:
            response: bytes = handler.response_serializer(
                await handler.unary_unary(handler.request_deserializer(data), None)
            )
            return response

        if fault is Fault.TWICE:
            _serve(server, answer, client.loop.create_future(), fate.uniform(0, 0.5))
        late = fate.uniform(0.01, 12) if fault is Fault.LATE else 0.0
        reply = await _ask(client, server, answer, self._name, timeout, fault, late)
        return self._deserialize(reply)


class _Stream:
    """A call with many answers, one asked for after the other."""

    def __init__(
        self,
        channel: Channel,
        path: str,
        request: Any,
        timeout: float,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
        _registered_method: bool,
    ) -> None:
        self._channel = channel
        self._path = path
        self._name = path.rpartition("/")[2]
        self._data = request_serializer(request)
        self._timeout = timeout
        self._deserialize = response_deserializer
        self._server: Process | None = None
        self._answers: Any
        self._serializer: Callable[[Any], bytes]

    async def read(self) -> Any:
        """Returns the next answer, grpc.aio.EOF at the end."""
        client = self._channel.process
        if client.loop.now < client.standing_until:
            await client.moving()
        fault = client.fate.draw()
        if fault is not None and await client.suffer_before(fault, self._name):
            raise rpc_error(Code.UNAVAILABLE, "connection refused")
        if self._server is None:
            self._server = self._channel.pick()
            if self._server is None:
                raise rpc_error(Code.UNAVAILABLE, "nobody listens")
            handler = self._server.handlers[self._path]
            self._serializer = handler.response_serializer
            self._answers = handler.unary_stream(handler.request_deserializer(self._data), None)
            client.world.streams.append(self._answers)

        async def answer() -> bytes:
            async for response in self._answers:
                return self._serializer(response)
            return _END

        reply = await _ask(client, self._server, answer, self._name, self._timeout, fault, 0)
        return grpc.aio.EOF if reply == _END else self._deserialize(reply)

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
