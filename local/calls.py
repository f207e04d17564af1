"""Calls of the public API that are made again where the server says that this will help."""

import asyncio
import time
from typing import Any

import grpc
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

TIMEOUT = 30.0
"""Seconds that a call may take, and that it is made again for."""
PAUSE = 0.2


async def call(method: Any, request: Any) -> Any:
    """Calls a method, again while the service is away or asks to wait. Only for calls that may be made twice."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            return await method(request, timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            away = error.code() is grpc.StatusCode.UNAVAILABLE
            pause = PAUSE if away else retry_delay(_status(error))
            if pause is None or time.monotonic() + pause > deadline:
                raise
        await asyncio.sleep(pause)


def _status(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    as_call: Any = error  # it has what from_call asks of a synchronous call, but not its type
    return rpc_status.from_call(as_call)


def retry_delay(status: status_pb2.Status | None) -> float | None:
    """Returns after how many seconds a refused call makes sense again; None for never."""
    if status and status.code == code_pb2.RESOURCE_EXHAUSTED:
        info = error_details_pb2.RetryInfo()
        for detail in status.details:
            if detail.Unpack(info):
                return float(info.retry_delay.ToMilliseconds() / 1000)
    return None
