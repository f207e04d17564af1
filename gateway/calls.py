"""The endpoints of unary RPCs: an HTTP request in, a gRPC call, an HTTP response out."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive

from gateway.answers import FOREVER, IF_UNCHANGED, Answer
from gateway.bodies import read_body
from gateway.errors import from_call
from gateway.routes import Binding
from gateway.settings import Settings
from gateway.shared import Shared
from gateway.transcoding import Transcoder
from services.common.boundary import REQUEST_ID_HEADER
from services.common.errors import ResourceExhausted
from skirmish.battle.v1 import battle_pb2

FINAL: dict[str, Callable[[Any], bool]] = {
    "skirmish.battle.v1.BattleService.GetBattle": lambda battle: battle.state != battle_pb2.Battle.QUEUED,
    "skirmish.battle.v1.BattleService.GetBattleReport": lambda _: True,
}
"""Tells of responses whether they will ever be others, which contracts say in words alone. By RPC; none of the rest."""
SHARED = "skirmish.leaderboard.v1.LeaderboardService"
"""The service whose answers are shared by all who ask the same: boards have many readers."""


class Limit:
    """Counts what runs at once: it is a context, held as long as something runs, and refuses what is too much.

    Args:
        most: How many may.
        error: What is raised by a context too many.
    """

    def __init__(self, most: int, error: ResourceExhausted) -> None:
        self._most = most
        self._error = error
        self._running = 0

    def __enter__(self) -> None:
        if self._running >= self._most:
            raise self._error
        self._running += 1

    def __exit__(self, *_: object) -> None:
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
        self._is_final = FINAL.get(binding.rpc.full_name, lambda _: False)
        self._settings = settings
        self._limit = limit

    async def __call__(self, request: Request) -> ASGIApp:
        with self._limit:
            try:
                body = await read_body(request, self._transcoder.takes_body, self._settings)
            except ClientDisconnect:
                return _LEFT
            call = self._begin(request, body)
            leaving = asyncio.create_task(_cancel_when_left(request.receive, call))
            try:
                response = await self._end(call)
            except asyncio.CancelledError:
                if leaving.done():
                    return _LEFT
                raise
            finally:
                leaving.cancel()
        printed = self._transcoder.response(response).encode()
        return Answer(printed, cache_control=FOREVER, etag="strong") if self._is_final(response) else Answer(printed)

    def _begin(self, request: Request, body: bytes) -> "grpc.aio.UnaryUnaryCall[Message, Message]":
        query = request.scope["query_string"].decode("latin-1")
        message = self._transcoder.request(request.scope["path_values"], query, body)
        channel: grpc.aio.Channel = request.state.channels[self._service]
        method = channel.unary_unary(self._method, type(message).SerializeToString, self._read_response)
        metadata = ((REQUEST_ID_HEADER, request.state.request_id),)
        return method(message, timeout=self._settings.timeout, metadata=metadata)

    async def _end(self, call: "grpc.aio.UnaryUnaryCall[Message, Message]") -> Message:
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise from_call(error, self._service) from None


class SharedCall(UnaryCall):
    """The endpoint of a unary RPC that only reads, and that many call with the very same request at the same time.

    All of them get one answer; see Shared for how old it may be.
    """

    def __init__(self, service: str, binding: Binding, settings: Settings, limit: Limit) -> None:
        super().__init__(service, binding, settings, limit)
        self._answers = Shared[Answer](settings.share_boards)

    async def __call__(self, request: Request) -> ASGIApp:
        with self._limit:
            await read_body(request, wanted=False, settings=self._settings)
            asked = (request.scope["raw_path"], request.scope["query_string"])
            return await self._answers.get(asked, lambda: self._ask(request))

    async def _ask(self, request: Request) -> Answer:
        response = await self._end(self._begin(request, b""))
        return Answer(self._transcoder.response(response).encode(), cache_control=IF_UNCHANGED, etag="weak")


def is_shared(binding: Binding) -> bool:
    """Tells whether an RPC's answers are shared."""
    return binding.rpc.containing_service.full_name == SHARED and binding.method == "GET"


_LEFT = Response(status_code=499)
"""For the log alone: nobody is there to read it."""


async def left(receive: Receive) -> None:
    """Waits until a client leaves, once its body was read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancel_when_left(receive: Receive, call: grpc.aio.Call) -> None:
    await left(receive)
    call.cancel()
