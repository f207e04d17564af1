"""The HTTP protocol of the server, with the bounds that uvicorn leaves out and its refusals in our form."""

import asyncio
from typing import Any

import grpc
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.boundary import request_id
from gateway.errors import HttpError, to_response
from services.common.boundary import REQUEST_ID_HEADER


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 by httptools, with bounds on a request's head, which uvicorn has for its other protocol alone.

    The head must be complete within ``timeout_keep_alive`` seconds and ``h11_max_incomplete_event_size`` bytes.
    Otherwise a client could keep connections for nothing, or fill the memory with headers.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._head_deadline: asyncio.TimerHandle | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        self._head_bytes += len(data)
        limit = self.config.h11_max_incomplete_event_size
        if self._head_deadline and limit and self._head_bytes > limit:
            told = f"the request line and headers must be {limit:,} bytes or less"
            self._refuse(HttpError(431, grpc.StatusCode.INVALID_ARGUMENT, told, "HEAD_TOO_LARGE"))

    def on_headers_complete(self) -> None:
        self._end_wait()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_wait()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuses what is not HTTP."""
        self._refuse(HttpError(400, grpc.StatusCode.INVALID_ARGUMENT, "this is not a valid HTTP request", "NOT_HTTP"))

    def _await_head(self) -> None:
        self._end_wait()
        self._head_bytes = 0
        self._head_deadline = self.loop.call_later(self.timeout_keep_alive, self.transport.close)

    def _end_wait(self) -> None:
        if self._head_deadline:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _refuse(self, error: HttpError) -> None:
        response = to_response(error)
        response.headers["connection"] = "close"
        response.headers[REQUEST_ID_HEADER] = request_id([])
        head = [b"%s: %s\r\n" % header for header in [*self.server_state.default_headers, *response.raw_headers]]
        self.transport.write(b"".join([STATUS_LINE[response.status_code], *head, b"\r\n", bytes(response.body)]))
        if self.cycle and not self.cycle.response_complete:
            self.transport.close()
            return
        # Closed at once, a connection with unread data is reset, and the client may lose the answer. So the client gets
        # until the deadline to close it, and what it sends until then is passed over.
        self.transport.write_eof()
        self._refused = True
        self._await_head()
