"""The edge of the gateway: request ids, and errors of every kind told in one form."""

import asyncio
import re
import secrets
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import the_gateway_stops, to_response
from services.common import logs
from services.common.boundary import REQUEST_ID_HEADER

_HEADER = REQUEST_ID_HEADER.encode()
_SANE = re.compile(rb"[!-~]{1,64}")

log = logs.get(__name__)


def request_id(headers: list[tuple[bytes, bytes]]) -> str:
    """Returns the request id that a client gave, up to 64 visible ASCII characters, or else a new one."""
    for name, value in headers:
        if name == _HEADER and _SANE.fullmatch(value):
            return value.decode()
    return secrets.token_hex(16)


class Boundary:
    """Gives each request an id, which every answer carries, and turns what is raised inside into an answer.

    Args:
        app: What is inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        scope["state"]["request_id"] = name = request_id(scope["headers"])
        structlog.contextvars.bind_contextvars(request_id=name)
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (_HEADER, name.encode())]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except (Exception, asyncio.CancelledError) as error:
            if status:  # half an answer is out: the server can only close the connection
                raise
            if isinstance(error, asyncio.CancelledError):  # the grace of the shutdown is over
                error = the_gateway_stops()
            await to_response(error)(scope, receive, answer)
        finally:
            took = round((time.perf_counter() - began) * 1000, 1)
            log.debug("answered", method=scope["method"], path=scope["path"], status=status, milliseconds=took)
