"""The HTTP protocol of the server, with the bounds that uvicorn leaves out and its refusals in our form."""

import asyncio
from typing import Any

import grpc
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.boundary import request_id
from gateway.errors import HttpError, to_response
from services.common.boundary import REQUEST_ID_HEADER


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 by httptools, with bounds that uvicorn has not, or for its other protocol alone.

    A request's head must be complete within ``timeout_keep_alive`` seconds and ``h11_max_incomplete_event_size`` bytes,
    and a client that takes nothing of an answer for as many seconds is dropped. Otherwise it could keep connections for
    nothing, or fill the memory.

    A request finds its connection, for what ASGI has no words for, in its state.

    Attributes:
        stopping: Set when the server is told to stop. What has no end of its own, ends then.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stopping = asyncio.Event()
        self._head_bytes = 0
        self._head_deadline: asyncio.TimerHandle | None = None
        self._refused = False
        self._reader_deadline: asyncio.TimerHandle | None = None

    def drop(self) -> None:
        """Closes the connection, and forgets what the client has not taken."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["connection"] = self
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
        self._end_wait_for_reader()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        self.stopping.set()
        super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._end_wait_for_reader()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuses what is not HTTP."""
        self._refuse(HttpError(400, grpc.StatusCode.INVALID_ARGUMENT, "this is not a valid HTTP request", "NOT_HTTP"))

    def _await_reader(self, untaken: int) -> None:
        def look() -> None:
            still_untaken = self.transport.get_write_buffer_size()
            if still_untaken < untaken:
                self._await_reader(still_untaken)
            else:
                self.drop()

        self._reader_deadline = self.loop.call_later(self.timeout_keep_alive, look)

    def _end_wait_for_reader(self) -> None:
        if self._reader_deadline:
            self._reader_deadline.cancel()
            self._reader_deadline = None

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
