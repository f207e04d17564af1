"""The edge of every server: request ids, error translation, masking and the limit of calls at once.

It is the outermost interceptor, so nothing that goes wrong inside reaches a caller in its own words.
"""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from services.common import logs
from services.common.errors import InvalidArgument, ResourceExhausted, SkirmishError, Unavailable, Violation, to_status

REQUEST_ID_HEADER = "x-request-id"
"""The metadata key of a caller's own request id, for logs; it comes back in the trailing metadata."""

_UNLIMITED = ("/grpc.health.", "/grpc.reflection.")

Context = grpc.aio.ServicerContext[Any, Any]

log = logs.get(__name__)


class Boundary(grpc.aio.ServerInterceptor):
    """Turns what handlers raise into statuses with details, and refuses calls beyond a limit.

    Health and reflection are exempt from the limit: a server that is busy is still alive. So are streams, which may
    stay open for hours; services that have them limit them by themselves.

    Args:
        max_concurrent_rpcs: How many calls may run at once.
    """

    def __init__(self, max_concurrent_rpcs: int) -> None:
        self._limit = max_concurrent_rpcs
        self._running = 0

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        call: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(call)
        if handler is None or call.method.startswith(_UNLIMITED):
            return handler
        make = grpc.unary_unary_rpc_method_handler
        behavior = self._answer(handler.unary_unary, call)
        if handler.response_streaming:
            make = grpc.unary_stream_rpc_method_handler
            behavior = self._stream(handler.unary_stream, call)
        return make(behavior, _decoder(handler.request_deserializer), handler.response_serializer)

    def _answer(self, method: Any, call: grpc.HandlerCallDetails) -> Any:
        async def answer(request: Any, context: Context) -> Any:
            request_id = _begin(call, context)
            try:
                with self._room():
                    return await method(_decoded(request), context)
            except Exception as error:
                await _abort(error, call, context, request_id)

        return answer

    def _stream(self, method: Any, call: grpc.HandlerCallDetails) -> Any:
        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            request_id = _begin(call, context)
            try:
                async with aclosing(method(_decoded(request), context)) as responses:
                    async for response in responses:
                        yield response
            except Exception as error:
                await _abort(error, call, context, request_id)

        return stream

    @contextmanager
    def _room(self) -> Iterator[None]:
        if self._running >= self._limit:
            # A new one each time: one that is raised again and again keeps the frames of every call it has refused.
            raise ResourceExhausted("too many calls at once; try again shortly", "TOO_MANY_CALLS", retry_delay=0.2)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1


def _decoder(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Returns what decodes requests, and gives an error in place of one that can't be decoded.

    If it raised that, gRPC would answer UNKNOWN, with the words of Python, before any handler is asked.
    """

    def decode_or_refuse(encoded: bytes) -> Any:
        try:
            return decode(encoded)
        except DecodeError:
            told = "must be a protobuf message of the method's request type, with texts in UTF-8"
            return InvalidArgument([Violation("request", told)], "UNDECODABLE_REQUEST")

    return decode_or_refuse


def _decoded(request: Any) -> Any:
    if isinstance(request, InvalidArgument):
        raise request
    return request


def _begin(call: grpc.HandlerCallDetails, context: Context) -> str:
    """Gives the call its request id: the caller's own, or a new one. Log lines carry it, and so does the answer."""
    metadata = dict(call.invocation_metadata or ())
    request_id = str(metadata.get(REQUEST_ID_HEADER, ""))[:64] or secrets.token_hex(16)
    context.set_trailing_metadata(((REQUEST_ID_HEADER, request_id),))
    structlog.contextvars.bind_contextvars(request_id=request_id)
    return request_id


async def _abort(error: Exception, call: grpc.HandlerCallDetails, context: Context, request_id: str) -> None:
    """Ends the call with the status of an error; an unexpected one is logged and masked."""
    if isinstance(error, grpc.aio.AbortError):  # the handler chose a status itself
        raise error
    if isinstance(error, Unavailable) and error.__cause__:
        log.warning("unavailable", method=call.method, problem=error.message, cause=repr(error.__cause__))
    elif isinstance(error, SkirmishError):
        log.debug("refused", method=call.method, code=error.code.name, problem=error.message)
    else:
        incident = secrets.token_hex(16)
        log.error("unexpected error", method=call.method, incident=incident, exc_info=error)
        error = SkirmishError(f"internal error; the log knows it as {incident}", "INTERNAL", incident=incident)
        error.code = grpc.StatusCode.INTERNAL
    status = rpc_status.to_status(to_status(error))
    metadata = (*status.trailing_metadata, (REQUEST_ID_HEADER, request_id))  # an abort forgets what was set before
    await context.abort(status.code, status.details, metadata)
