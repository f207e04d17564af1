"""Real gRPC servers of the three public services, whose answers a test decides, and a gateway in front of them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway.server import running as running_gateway
from gateway.settings import Settings
from gateway.upstreams import SERVICES
from services.common.server import Server
from services.common.settings import ServerSettings
from skirmish.battle.v1 import battle_pb2_grpc
from skirmish.leaderboard.v1 import leaderboard_pb2_grpc
from skirmish.player.v1 import player_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]
Answer = Callable[[Any, Context], Awaitable[Message]]
Stream = Callable[[Any, Context], AsyncIterator[Message]]

_REGISTER: dict[str, tuple[type, Callable[[Any, Any], None]]] = {
    "player": (player_pb2_grpc.PlayerServiceServicer, player_pb2_grpc.add_PlayerServiceServicer_to_server),
    "battle": (battle_pb2_grpc.BattleServiceServicer, battle_pb2_grpc.add_BattleServiceServicer_to_server),
    "leaderboard": (
        leaderboard_pb2_grpc.LeaderboardServiceServicer,
        leaderboard_pb2_grpc.add_LeaderboardServiceServicer_to_server,
    ),
}


@dataclass(frozen=True)
class Received:
    """A call as it reached a service."""

    rpc: str
    request: Any
    metadata: dict[str, Any]
    time_remaining: float


@dataclass
class Upstreams:
    """What the services answer, by the name of the RPC (an empty response unless told, or no message of a stream), and
    what reached them."""

    answers: dict[str, Answer] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    servers: dict[str, Server] = field(default_factory=dict)

    def answer(self, rpc: str, response: Message | Exception) -> None:
        """Lets an RPC answer with a response, or fail with an error."""

        async def answer(_: Any, __: Context) -> Message:
            if isinstance(response, Exception):
                raise response
            return response

        self.answers[rpc] = answer

    def forget(self) -> None:
        """Makes it as new."""
        self.answers.clear()
        self.streams.clear()
        self.received.clear()

    def addresses(self) -> dict[str, str]:
        """The settings by which a gateway finds the services."""
        return {f"{name}_address": f"127.0.0.1:{server.port}" for name, server in self.servers.items()}

    def behavior(self, rpc: MethodDescriptor) -> Any:
        """Returns the method of a servicer."""
        response = GetMessageClass(rpc.output_type)

        def note(request: Any, context: Context) -> None:
            metadata = dict(context.invocation_metadata() or ())
            remaining = context.time_remaining() or 0.0
            self.received.append(Received(rpc.name, request, metadata, remaining))

        async def behave(_: Any, request: Any, context: Context) -> Message:
            note(request, context)
            answer = self.answers.get(rpc.name)
            return await answer(request, context) if answer else response()

        async def stream(_: Any, request: Any, context: Context) -> AsyncIterator[Message]:
            note(request, context)
            if rpc.name in self.streams:
                async for message in self.streams[rpc.name](request, context):
                    yield message

        return stream if rpc.server_streaming else behave


@asynccontextmanager
async def running_upstreams() -> AsyncIterator[Upstreams]:
    """Runs the three servers."""
    upstreams = Upstreams()
    async with AsyncExitStack() as stack:
        for name, descriptor in SERVICES.items():
            base, register = _REGISTER[name]
            methods = {rpc.name: upstreams.behavior(rpc) for rpc in descriptor.methods}
            server = Server(ServerSettings(shutdown_grace=0), "127.0.0.1:0")
            server.add(descriptor, register, type(f"Steered{base.__name__}", (base,), methods)())
            await server.start()
            stack.push_async_callback(server.stop)
            upstreams.servers[name] = server
        yield upstreams


@asynccontextmanager
async def gateway_client(**settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Runs a gateway on a free port, and gives a client of it."""
    settings = {"address": "127.0.0.1:0", **settings}
    async with (
        running_gateway(Settings(**settings)) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        yield client
