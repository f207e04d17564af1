"""Errors as HTTP clients see them (AIP-193).

    {"error": {"code": 404, "message": "no such player: …", "status": "NOT_FOUND", "details": [{"@type": …}, …]}}

``code`` is the HTTP status, ``status`` the gRPC code, and ``details`` are those of the gRPC status. What HTTP has a
status of its own for and gRPC has not, gets the gRPC code that comes nearest.
"""

import uuid
from collections.abc import Mapping

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from starlette.responses import Response

from gateway.answers import NEVER
from gateway.printing import printer, to_json
from services.common import logs
from services.common.errors import SkirmishError, Unavailable, to_status

HTTP_STATUS = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 500,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}
"""The mapping of google/rpc/code.proto."""

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_print_detail = printer(Any.DESCRIPTOR)

log = logs.get(__name__)


class HttpError(SkirmishError):
    """A refusal with an HTTP status of its own.

    Args:
        http_status: The HTTP status.
        code: The gRPC code that comes nearest.
        message: A sentence for people.
        reason: What a program tells the failure by, in UPPER_SNAKE_CASE.
        headers: Headers of the answer.
        metadata: Further facts for programs.
    """

    def __init__(
        self,
        http_status: int,
        code: grpc.StatusCode,
        message: str,
        reason: str,
        headers: Mapping[str, str] | None = None,
        **metadata: str,
    ) -> None:
        super().__init__(message, reason, **metadata)
        self.http_status = http_status
        self.code = code
        self.headers = dict(headers or {})


class UpstreamError(Exception):
    """A service's own refusal, passed on as it is."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status


def from_call(error: grpc.aio.AioRpcError, service: str) -> Exception:
    """Returns what to raise when a call to a service failed.

    A status with details is the service's own word. One without was made by gRPC on the way, and its text, which may
    name addresses, is for the log.
    """
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
    except ValueError:  # the call failed in another way than the service meant it to
        status = None
    if status and status.details:
        return UpstreamError(status)
    log.warning("call failed", upstream=service, code=error.code().name, problem=error.details())
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return Unavailable(f"the {service} service does not answer; try again shortly", service=service)
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return too_slow(service)
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return HttpError(501, error.code(), f"the {service} service does not offer this", "UNIMPLEMENTED")
    return error


def too_slow(service: str) -> HttpError:
    """Returns what to raise when a service did not answer in time."""
    told = f"the {service} service did not answer in time"
    return HttpError(504, grpc.StatusCode.DEADLINE_EXCEEDED, told, "DEADLINE_EXCEEDED")


def the_gateway_stops() -> Unavailable:
    """Returns what to raise when a request can't be answered any more, since the process ends."""
    return Unavailable("the gateway is stopping; try again", "STOPPING")


def to_response(error: Exception) -> Response:
    """Returns the answer for an error; one that nobody foresaw is logged and masked."""
    if not isinstance(error, UpstreamError | SkirmishError):
        incident = uuid.uuid4().hex
        log.error("unexpected error", incident=incident, exc_info=error)
        told = f"internal error; the log knows it as {incident}"
        error = HttpError(500, grpc.StatusCode.INTERNAL, told, "INTERNAL", incident=incident)
    status = error.status if isinstance(error, UpstreamError) else to_status(error)
    code = _CODES[status.code]
    http_status, headers = HTTP_STATUS[code], {"cache-control": NEVER}
    if isinstance(error, HttpError):
        http_status = error.http_status
        headers |= error.headers
    if delay := _retry_delay(status.details):
        headers["retry-after"] = str(delay)
    details = ",".join(map(_print_detail, status.details))
    told = f'"code":{http_status},"message":{to_json(status.message)},"status":"{code.name}","details":[{details}]'
    return Response(f'{{"error":{{{told}}}}}', http_status, headers, "application/json")


def _retry_delay(details: list[Message]) -> int | None:
    """Returns the whole seconds of a RetryInfo, at least 1."""
    info = error_details_pb2.RetryInfo()
    for detail in details:
        if detail.Unpack(info):  # type: ignore[attr-defined]
            seconds: int = info.retry_delay.seconds + (info.retry_delay.nanos > 0)
            return max(1, seconds)
    return None
