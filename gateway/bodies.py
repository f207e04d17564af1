"""Bodies of requests: JSON or none, bounded in size and time."""

import asyncio

import grpc
from starlette.requests import Request

from gateway.errors import HttpError
from gateway.settings import Settings


async def read_body(request: Request, wanted: bool, settings: Settings) -> bytes:
    """Reads the body of a request, within bounds of size and time.

    Args:
        request: The request.
        wanted: Whether the request may have a body. A body that nobody reads is refused rather than passed over, since
            its sender meant something by it.
        settings: The bounds.

    Raises:
        HttpError: The body is not wanted, not JSON by its headers, too large or too slow.
        ClientDisconnect: The client left.
    """
    if not wanted:
        for name, value in request.scope["headers"]:
            if name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
                raise _refused(400, f"{request.method} takes no body here", "UNEXPECTED_BODY")
        return b""
    headers = request.headers
    kind = headers.get("content-type")
    if (kind is not None and not _is_json(kind)) or headers.get("content-encoding", "identity") != "identity":
        raise _wrong_kind()
    too_large = _refused(413, f"the body must be {settings.max_body_bytes:,} bytes or less", "BODY_TOO_LARGE")
    if int(headers.get("content-length", 0)) > settings.max_body_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(settings.timeout):
            async for chunk in request.stream():
                body += chunk
                if len(body) > settings.max_body_bytes:
                    raise too_large
    except TimeoutError:
        code = grpc.StatusCode.DEADLINE_EXCEEDED
        raise HttpError(408, code, "the body did not come in time", "BODY_TOO_SLOW", {"connection": "close"}) from None
    if body and kind is None:
        raise _wrong_kind()
    return bytes(body)


def _is_json(content_type: str) -> bool:
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    return kind == "application/json" and not {p for p in parameters if p} - {"charset=utf-8", 'charset="utf-8"'}


def _wrong_kind() -> HttpError:
    told = "the body must be JSON in UTF-8 with no content encoding, sent with Content-Type: application/json"
    return _refused(415, told, "UNSUPPORTED_MEDIA_TYPE")


def _refused(http_status: int, message: str, reason: str) -> HttpError:
    return HttpError(http_status, grpc.StatusCode.INVALID_ARGUMENT, message, reason)
