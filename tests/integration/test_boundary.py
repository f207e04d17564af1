"""What the boundary keeps from handlers and from callers, through a real server."""

import asyncio
import gc
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from services.common.errors import ResourceExhausted
from services.common.server import Server, running
from services.common.settings import ServerSettings
from skirmish.battle.v1 import battle_pb2, battle_pb2_grpc

SERVICE = battle_pb2.DESCRIPTOR.services_by_name["BattleService"]


class Slow(battle_pb2_grpc.BattleServiceServicer):
    """Answers GetBattle when it is told to."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()

    async def GetBattle(self, request: Any, context: Any) -> battle_pb2.Battle:
        self.entered.set()
        await self.go_on.wait()
        return battle_pb2.Battle()


@pytest.fixture
def slow() -> Slow:
    return Slow()  # type: ignore[abstract]  # what the tests don't call is UNIMPLEMENTED


@pytest.fixture
async def channel(slow: Slow) -> AsyncIterator[grpc.aio.Channel]:
    @asynccontextmanager
    async def build(settings: ServerSettings) -> AsyncIterator[Server]:
        made = Server(settings, "127.0.0.1:0")
        made.add(SERVICE, battle_pb2_grpc.add_BattleServiceServicer_to_server, slow)
        yield made

    async with (
        running(build, ServerSettings(max_concurrent_rpcs=1, shutdown_grace=1)) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as opened,
    ):
        yield opened


@pytest.mark.parametrize("method", ["GetBattle", "WatchBattle"])
@pytest.mark.parametrize("request_", [b"\x0a\x05ab", b"\x0a\x01\xff", b"\xff" * 20], ids=["cut", "not-utf-8", "varint"])
async def test_bytes_that_are_no_message_are_refused_in_our_words(
    channel: grpc.aio.Channel, method: str, request_: bytes
) -> None:
    name = f"/{SERVICE.full_name}/{method}"
    opened: Any = channel
    if method == "GetBattle":
        call = opened.unary_unary(name)(request_)
    else:
        call = anext(aiter(opened.unary_stream(name)(request_)))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    status = rpc_status.from_call(refused.value)  # type: ignore[arg-type]
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (refused.value.code().name, info.reason) == ("INVALID_ARGUMENT", "UNDECODABLE_REQUEST")
    assert "DecodeError" not in str(refused.value.details())


async def test_calls_refused_for_their_number_leave_nothing_behind(channel: grpc.aio.Channel, slow: Slow) -> None:
    call: Any = channel.unary_unary(f"/{SERVICE.full_name}/GetBattle")
    running_call = asyncio.ensure_future(call(b""))
    await slow.entered.wait()
    for _ in range(20):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(b"")
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    slow.go_on.set()
    await running_call
    gc.collect()
    errors = [error for error in gc.get_objects() if isinstance(error, ResourceExhausted)]
    frames = sum(len(list(traceback.walk_tb(error.__traceback__))) for error in errors)
    assert frames < 20, "the errors hold on to the calls that were refused"
