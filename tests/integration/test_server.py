"""What every server has: health, reflection, the boundary, limits and a graceful end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_status import rpc_status

from services.common import reflection
from services.common.boundary import REQUEST_ID_HEADER
from services.common.server import Server, running
from services.common.settings import ServerSettings
from skirmish.battle.v1 import battle_pb2, battle_pb2_grpc

NAME = "skirmish.battle.v1.BattleService"
Status = health_pb2.HealthCheckResponse
Request = battle_pb2.GetBattleRequest


class Steered(battle_pb2_grpc.BattleServiceServicer):
    """A service that does what the test wants."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended = asyncio.Event()
        self.healthy = True
        self.running = 0

    async def check(self) -> None:
        if not self.healthy:
            raise ConnectionError

    async def GetBattle(self, request: Any, context: Any) -> battle_pb2.Battle:
        raise RuntimeError("the password is swordfish")

    async def GetBattleReport(self, request: Any, context: Any) -> battle_pb2.BattleReport:
        self.running += 1
        self.entered.set()
        await self.go_on.wait()
        return battle_pb2.BattleReport(battle_id="done")

    async def WatchBattles(self, request: Any, context: Any) -> AsyncIterator[battle_pb2.Battle]:
        yield battle_pb2.Battle()
        await self.ended.wait()


@pytest.fixture
def steered() -> Steered:
    return Steered()  # type: ignore[abstract]  # what the tests don't call is UNIMPLEMENTED


@pytest.fixture
async def server(steered: Steered) -> AsyncIterator[Server]:
    @asynccontextmanager
    async def build(settings: ServerSettings) -> AsyncIterator[Server]:
        made = Server(settings, "127.0.0.1:0")
        service = battle_pb2.DESCRIPTOR.services_by_name["BattleService"]
        made.add(service, battle_pb2_grpc.add_BattleServiceServicer_to_server, steered)
        made.depends_on("it", steered.check)
        made.before_stop(steered.ended.set)
        yield made

    async with running(build, ServerSettings(max_concurrent_rpcs=2, shutdown_grace=5)) as made:
        yield made


@pytest.fixture
async def channel(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


@pytest.fixture
def battles(channel: grpc.aio.Channel) -> Any:
    return battle_pb2_grpc.BattleServiceStub(channel)


@pytest.fixture
def health(channel: grpc.aio.Channel) -> Any:
    return health_pb2_grpc.HealthStub(channel)


async def until(health: Any, status: int, service: str = "") -> None:
    """Waits until a service says a status."""
    async with asyncio.timeout(10):
        async for answer in health.Watch(health_pb2.HealthCheckRequest(service=service)):
            if answer.status == status:
                return


def error_info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info


@pytest.mark.parametrize("name", ["", NAME, "readiness", "liveness"])
async def test_health_knows_every_name(health: Any, name: str) -> None:
    await until(health, Status.SERVING, name)
    answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
    assert answer.status == Status.SERVING


async def test_an_unknown_name_is_not_found(health: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await health.Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_readiness_follows_what_the_server_depends_on_and_liveness_does_not(
    health: Any, steered: Steered
) -> None:
    await until(health, Status.SERVING)
    steered.healthy = False
    await until(health, Status.NOT_SERVING, NAME)
    assert (await health.Check(health_pb2.HealthCheckRequest(service="liveness"))).status == Status.SERVING
    steered.healthy = True
    await until(health, Status.SERVING, NAME)


@pytest.mark.parametrize("version", reflection.NAMES)
async def test_reflection_lists_and_describes_every_service(channel: grpc.aio.Channel, version: str) -> None:
    call: Any = channel.stream_stream(
        f"/{version}/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        *(
            reflection_pb2.ServerReflectionRequest(file_containing_symbol=name)
            for name in (NAME, f"{NAME}.SubmitBattle", "skirmish.battle.v1.Battle.winner_id", f"{NAME}.Nothing")
        ),
    ]
    listed, *described, unknown = [answer async for answer in call(iter(requests))]
    names = {service.name for service in listed.list_services_response.service}
    assert names == {NAME, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    for answer in described:
        assert len(answer.file_descriptor_response.file_descriptor_proto) > 3
    assert unknown.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_an_unexpected_error_is_masked_with_an_id_that_is_in_the_log(
    battles: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await battles.GetBattle(Request())
    assert failed.value.code() is grpc.StatusCode.INTERNAL
    assert "swordfish" not in str(failed.value)
    info = error_info(failed.value)
    assert info.metadata["incident"] in str(failed.value.details())


async def test_a_request_id_comes_back_and_is_made_where_there_is_none(battles: Any) -> None:
    call = battles.GetBattle(Request(), metadata=((REQUEST_ID_HEADER, "mine"),))
    assert dict(await call.trailing_metadata())[REQUEST_ID_HEADER] == "mine"
    call = battles.GetBattle(Request())
    assert len(dict(await call.trailing_metadata())[REQUEST_ID_HEADER]) == 32


async def test_calls_beyond_the_limit_are_refused_with_a_delay_but_health_is_not(
    battles: Any, health: Any, steered: Steered
) -> None:
    await until(health, Status.SERVING)
    running_calls = [asyncio.ensure_future(battles.GetBattleReport(Request())) for _ in range(2)]
    async with asyncio.timeout(10):
        while steered.running < 2:
            await asyncio.sleep(0)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await battles.GetBattle(Request())
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error_info(refused.value).reason == "TOO_MANY_CALLS"
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == Status.SERVING
    steered.go_on.set()
    assert [report.battle_id for report in await asyncio.gather(*running_calls)] == ["done", "done"]


async def test_a_stop_lets_calls_end_closes_streams_and_says_not_serving(
    server: Server, battles: Any, health: Any, steered: Steered
) -> None:
    await until(health, Status.SERVING)

    async def listen() -> list[int]:
        return [answer.status async for answer in health.Watch(health_pb2.HealthCheckRequest())]

    listening = asyncio.create_task(listen())
    stream = aiter(battles.WatchBattles(battle_pb2.WatchBattlesRequest()))
    await anext(stream)
    call = asyncio.ensure_future(battles.GetBattleReport(Request()))
    await steered.entered.wait()
    stopping = asyncio.create_task(server.stop())
    with pytest.raises(StopAsyncIteration):  # ended properly, not broken off
        await anext(stream)
    steered.go_on.set()
    assert (await call).battle_id == "done"
    assert await listening == [Status.SERVING, Status.NOT_SERVING]
    await stopping


async def test_a_stop_ends_background_work_that_loses_a_cancellation() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        with suppress(asyncio.CancelledError):
            begun.set()
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    @asynccontextmanager
    async def build(settings: ServerSettings) -> AsyncIterator[Server]:
        wired = Server(settings, "127.0.0.1:0")
        wired.run_beside(work())
        yield wired

    async with asyncio.timeout(20), running(build, ServerSettings(shutdown_grace=0)):
        await begun.wait()


async def test_two_servers_do_not_share_a_port(server: Server) -> None:
    with pytest.raises(SystemExit, match="in use"):
        await Server(ServerSettings(), f"127.0.0.1:{server.port}").start()


async def test_a_message_beyond_the_limit_is_refused(battles: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await battles.GetBattle(Request(battle_id="x" * (5 << 20)))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
