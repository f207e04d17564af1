"""The endpoints of RPCs: an HTTP request in, a gRPC call, an HTTP response out."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from google.protobuf.message_factory import GetMessageClass
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.bodies import read_body
from gateway.errors import from_call
from gateway.routes import Binding
from gateway.settings import Settings
from gateway.transcoding import Transcoder
from services.common.boundary import REQUEST_ID_HEADER
from services.common.errors import ResourceExhausted

_BUSY = ResourceExhausted("too many requests at once; try again shortly", "TOO_MANY_REQUESTS", retry_delay=1.0)


class Limit:
    """Counts what runs at once.

    Args:
        most: How many may.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._running = 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Counts one more while the context lasts.

        Raises:
            ResourceExhausted: There are too many.
        """
        if self._running >= self._most:
            raise _BUSY
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1


class UnaryCall:
    """The endpoint of a unary RPC.

    Nothing of the HTTP request's headers reaches the service but the request id. A client that leaves cancels the call.

    Args:
        service: The name of the service, as in SERVICES.
        binding: The RPC and its route.
        settings: Timeout and limits.
        limit: Counts the requests of all endpoints.
    """

    def __init__(self, service: str, binding: Binding, settings: Settings, limit: Limit) -> None:
        self._service = service
        self._method = binding.full_method
        self._transcoder = Transcoder(binding)
        self._read_response = GetMessageClass(binding.rpc.output_type).FromString
        self._settings = settings
        self._limit = limit

    async def __call__(self, request: Request) -> Response:
        with self._limit.hold():
            try:
                body = await read_body(request, self._transcoder.takes_body, self._settings)
            except ClientDisconnect:
                return _LEFT
            return await self._call(request, body)

    async def _call(self, request: Request, body: bytes) -> Response:
        query = request.scope["query_string"].decode("latin-1")
        message = self._transcoder.request(request.scope["path_values"], query, body)
        channel: grpc.aio.Channel = request.state.channels[self._service]
        method = channel.unary_unary(self._method, type(message).SerializeToString, self._read_response)
        metadata = ((REQUEST_ID_HEADER, request.state.request_id),)
        call = method(message, timeout=self._settings.timeout, metadata=metadata)
        leaving = asyncio.create_task(_cancel_when_left(request, call))
        try:
            response = await call
        except grpc.aio.AioRpcError as error:
            raise from_call(error, self._service) from None
        except asyncio.CancelledError:
            if leaving.done():
                return _LEFT
            raise
        finally:
            leaving.cancel()
        return Response(self._transcoder.response(response), media_type="application/json")


_LEFT = Response(status_code=499)
"""For the log alone: nobody is there to read it."""


async def _cancel_when_left(request: Request, call: grpc.aio.Call) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    call.cancel()
