"""Server-sent events: streaming RPCs for browsers.

    data: {"battle_id": …, "state": "SETTLED", …}       a message

    event: end                                          there is nothing more to come
    data: {}

    event: error                                        the stream failed, as AIP-193 tells it
    data: {"error": {"code": 503, …}}

A stream that just closes has not ended: the gateway stops, or has had it open for long. A browser connects anew by
itself, after the time that the first line gives it. Messages have no ids, so nothing is resumed: see docs/http.md.
"""

import asyncio
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.answers import NEVER
from gateway.bodies import read_body
from gateway.calls import Limit, left
from gateway.errors import HttpError, from_call, the_gateway_stops, to_response, too_slow
from gateway.routes import Binding
from gateway.settings import Settings
from gateway.transcoding import Transcoder
from services.common.boundary import REQUEST_ID_HEADER

CONNECT_ANEW = b"retry: 1000\n\n"
"""Tells a browser how many milliseconds to wait before it connects anew."""
HEARTBEAT = b":\n\n"
END = b"event: end\ndata: {}\n\n"
BEHIND_METADATA = 0.1
"""Seconds that a service's refusal may come after its metadata; both are on their way together."""
SAME_MESSAGES = 128
"""How many messages are kept printed, for all who watch the same."""
LAST_WORD = 1.0
"""Seconds that a client gets to take the end of its stream."""

_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", NEVER.encode()),
    (b"x-accel-buffering", b"no"),  # asks proxies to pass on every message at once
]

_Call = grpc.aio.UnaryStreamCall[Message, bytes]


class StreamCall:
    """The endpoint of a streaming RPC.

    The call is cancelled when the client leaves, the gateway stops, or the stream has been open for its lifetime. For a
    client that reads slowly no more waits here than a connection's buffer takes; the rest waits at the service, which
    knows how much it wants to keep.

    Args:
        service: The name of the service, as in SERVICES.
        binding: The RPC and its route.
        settings: Timeouts and limits.
        limit: Counts the streams of all endpoints.
    """

    def __init__(self, service: str, binding: Binding, settings: Settings, limit: Limit) -> None:
        self._service = service
        self._method = binding.full_method
        self._transcoder = Transcoder(binding)
        self._settings = settings
        self._limit = limit
        read = GetMessageClass(binding.rpc.output_type).FromString

        @lru_cache(SAME_MESSAGES)  # all who watch the same get the same bytes at about the same time
        def print_message(message: bytes) -> bytes:
            return f"data: {self._transcoder.response(read(message))}\n\n".encode()

        self._print = print_message

    async def __call__(self, request: Request) -> ASGIApp:
        body = await read_body(request, self._transcoder.takes_body, self._settings)
        if not _accepts_events(request.headers.get("accept", "")):
            told = "this is a stream of server-sent events; accept text/event-stream"
            raise HttpError(406, grpc.StatusCode.INVALID_ARGUMENT, told, "NOT_ACCEPTABLE")
        query = request.scope["query_string"].decode("latin-1")
        return partial(self._run, self._transcoder.request(request.scope["path_values"], query, body))

    async def _run(self, message: Message, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["state"]
        method = state["channels"][self._service].unary_stream(self._method, type(message).SerializeToString)
        lifetime = self._settings.stream_lifetime
        with self._limit:
            call = method(
                message,
                timeout=lifetime + self._settings.timeout,
                metadata=((REQUEST_ID_HEADER, state["request_id"]),),
            )
            stream = _Stream(self._service, call, self._print, self._settings, scope["method"] == "HEAD", send)
            telling = asyncio.create_task(stream.tell())
            leaving = asyncio.create_task(left(receive))
            stopping = asyncio.create_task(state["connection"].stopping.wait())
            ends = (telling, leaving, stopping)
            try:
                await asyncio.wait(ends, timeout=lifetime, return_when=asyncio.FIRST_COMPLETED)
                if telling.done():
                    telling.result()
                elif not leaving.done():
                    await _cancel(telling)
                    if not stream.has_begun:
                        raise the_gateway_stops() if stopping.done() else too_slow(self._service)
                    try:
                        async with asyncio.timeout(LAST_WORD):
                            await stream.write(CONNECT_ANEW, more=False)
                    except TimeoutError:
                        state["connection"].drop()
                        await leaving
            finally:
                call.cancel()
                await _cancel(*ends, stream.reading)


class _Stream:
    """What one client is told.

    Attributes:
        has_begun: Whether the status is out, so that an error must be an event.
        reading: Reads the next message.
    """

    def __init__(
        self,
        service: str,
        call: _Call,
        print_message: Callable[[bytes], bytes],
        settings: Settings,
        head: bool,
        send: Send,
    ) -> None:
        self._service = service
        self._call = call
        self._print = print_message
        self._settings = settings
        self._head = head
        self._send = send
        self.has_begun = False
        self.reading = asyncio.create_task(call.read())

    async def tell(self) -> None:
        """Sends all messages, and how it ended.

        Raises:
            Exception: The call failed before anything was sent.
        """
        try:
            await self._open()
            await self._send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            self.has_begun = True
            await self.write(CONNECT_ANEW, more=not self._head)
            if self._head:
                return
            while (message := await self._next()) is not grpc.aio.EOF:
                await self.write(self._print(message))
            await self.write(END, more=False)
        except Exception as error:
            problem = from_call(error, self._service) if isinstance(error, grpc.aio.AioRpcError) else error
            if not self.has_begun:
                raise problem from None
            await self.write(b"event: error\ndata: %b\n\n" % bytes(to_response(problem).body), more=False)

    async def write(self, text: bytes, more: bool = True) -> None:
        """Sends a part of the body, once the client has taken enough of what it got before."""
        await self._send({"type": "http.response.body", "body": text, "more_body": more})

    async def _open(self) -> None:
        """Waits until the service has taken the call, or refused it."""
        try:
            async with asyncio.timeout(self._settings.timeout):
                await self._call.initial_metadata()
        except TimeoutError:
            raise too_slow(self._service) from None
        await asyncio.wait((self.reading,), timeout=BEHIND_METADATA)
        if self.reading.done():
            self.reading.result()

    async def _next(self) -> Any:
        """Returns the next message, EOF after the last one. Breaks silence with heartbeats."""
        while not (await asyncio.wait((self.reading,), timeout=self._settings.stream_heartbeat))[0]:
            await self.write(HEARTBEAT)
        message = self.reading.result()
        if message is not grpc.aio.EOF:
            self.reading = asyncio.create_task(self._call.read())
        return message


async def _cancel(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _accepts_events(accept: str) -> bool:
    kinds = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return not accept or not kinds.isdisjoint(("text/event-stream", "text/*", "*/*"))
