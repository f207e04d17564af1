"""The HTTP protocol of the server, with the bounds that uvicorn leaves out and its refusals in our form."""

import asyncio
from typing import Any

import grpc
import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.boundary import request_id
from gateway.errors import HttpError, to_response
from services.common.boundary import REQUEST_ID_HEADER


class Parser(httptools.HttpRequestParser):
    """The parser of a connection. It passes over a client's wish to go on in another protocol, as HTTP allows.

    Java's client has that wish with its first request, whatever that is. httptools would end the request at its head,
    so that its body would be lost, or even be taken for the next request.

    Args:
        protocol: Takes what is parsed.
    """

    def __init__(self, protocol: "Protocol") -> None:
        super().__init__(protocol)
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        self._protocol = protocol

    def feed_data(self, data: Any) -> None:
        """Parses what has come."""
        rest = memoryview(data)
        while True:
            try:
                super().feed_data(rest)
                return
            except httptools.HttpParserUpgrade as wish:
                rest = rest[wish.args[0] :]
            super().feed_data(self._protocol.head_without_upgrade())


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 by httptools, with bounds that uvicorn has not, or for its other protocol alone.

    A request's head must be complete within ``timeout_keep_alive`` seconds and ``h11_max_incomplete_event_size`` bytes,
    a body that is answered without being read must end within as many seconds, and a client that takes nothing of an
    answer for as long is dropped. Otherwise it could keep connections for nothing, or fill the memory.

    A request finds its connection, for what ASGI has no words for, in its state.

    Attributes:
        stopping: Set when the server is told to stop. What has no end of its own, ends then.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parser = Parser(self)
        self.stopping = asyncio.Event()
        self._in_head = False
        self._head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._refused = False
        self._reader_deadline: asyncio.TimerHandle | None = None

    def drop(self) -> None:
        """Closes the connection, and forgets what the client has not taken."""
        self.transport.abort()

    def head_without_upgrade(self) -> bytes:
        """Returns the head that was read last, without its Upgrade."""
        version = self.parser.get_http_version().encode()
        headers = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        return b"%b %b HTTP/%b\r\n%b\r\n" % (self.parser.get_method(), self.url, version, b"".join(headers))

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
        if self._in_head and not self._refused:
            self._limit_head(self._head_bytes)

    def on_headers_complete(self) -> None:
        if self._wishes_another_protocol:
            return
        self._end_wait()
        self._limit_head(len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers))
        if self._refused:
            raise ValueError  # nothing after it is parsed
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._wishes_another_protocol:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:
            self._limit_wait()  # a body that nobody reads may take as long to pass by

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
        """Refuses what is not HTTP, unless something else has been found wrong with it."""
        if not self._refused:
            told = "this is not a valid HTTP request"
            self._refuse(HttpError(400, grpc.StatusCode.INVALID_ARGUMENT, told, "NOT_HTTP"))

    @property
    def _wishes_another_protocol(self) -> bool:
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

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
        self._in_head = True
        self._head_bytes = 0
        self._limit_wait()

    def _limit_head(self, size: int) -> None:
        most = self.config.h11_max_incomplete_event_size
        if most and size > most:
            told = f"the request line and headers must be {most:,} bytes or less"
            self._refuse(HttpError(431, grpc.StatusCode.INVALID_ARGUMENT, told, "HEAD_TOO_LARGE"))

    def _limit_wait(self) -> None:
        self._end_wait()
        self._deadline = self.loop.call_later(self.timeout_keep_alive, self.transport.close)

    def _end_wait(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, error: HttpError) -> None:
        self._refused = True
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
        self._limit_wait()
