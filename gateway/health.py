"""The heartbeat: the health of every service, asked when it is asked for."""

import asyncio

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from starlette.requests import Request
from starlette.responses import Response

from gateway.printing import to_json
from gateway.upstreams import SERVICES

SERVING = "SERVING"


class Heartbeat:
    """Answers 200 when every service says SERVING, 503 otherwise.

        {"status": "NOT_SERVING", "services": {"player": "SERVING", "battle": "UNAVAILABLE", "leaderboard": "SERVING"}}

    A service's status is what the gRPC health protocol gives for it, or the gRPC code with which it could not be asked.

    Args:
        timeout: Seconds that a service gets to tell.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    async def __call__(self, request: Request) -> Response:
        statuses = await asyncio.gather(*(self._ask(request.state.channels[name], name) for name in SERVICES))
        well = all(status == SERVING for status in statuses)
        body = {"status": SERVING if well else "NOT_SERVING", "services": dict(zip(SERVICES, statuses, strict=True))}
        return Response(to_json(body), 200 if well else 503, {"cache-control": "no-store"}, "application/json")

    async def _ask(self, channel: grpc.aio.Channel, name: str) -> str:
        # By its full name, so that another service at a mistaken address is not taken for it.
        request = health_pb2.HealthCheckRequest(service=SERVICES[name].full_name)
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=self._timeout)  # type: ignore[attr-defined]
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
