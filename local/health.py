"""How the processes of this machine are."""

import asyncio
import http.client

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from redis.exceptions import RedisError

from local.processes import Process
from services.common import channels, redis

SERVING = "SERVING"
TIMEOUT = 2.0


async def ask(process: Process) -> str:
    """Asks a process for its health, by its public door. Returns SERVING, or in a few words what it is instead."""
    answer = {"grpc": _ask_grpc, "http": _ask_http, "redis": _ask_redis}[process.protocol]
    try:
        async with asyncio.timeout(TIMEOUT):
            return await answer(process.client_address)
    except TimeoutError:
        return "no answer in time"
    except (OSError, http.client.HTTPException, RedisError):
        return "no answer"


async def _ask_grpc(address: str) -> str:
    async with channels.open_channel(address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]
        try:
            answer = await check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            return "no answer" if error.code() is grpc.StatusCode.UNAVAILABLE else error.code().name
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


async def _ask_http(address: str) -> str:
    def get() -> int:
        connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
        try:
            connection.request("GET", "/heartbeat")
            return connection.getresponse().status
        finally:
            connection.close()

    status = await asyncio.to_thread(get)
    return SERVING if status == http.HTTPStatus.OK else f"HTTP {status}"


async def _ask_redis(address: str) -> str:
    client = redis.connect(f"redis://{address}")
    try:
        await client.ping()
    finally:
        await client.aclose()
    return SERVING
