"""A TCP proxy between a service and its neighbours, which can be told to be slow, swallow replies, and hang up."""

import asyncio
import contextlib
import itertools
from collections.abc import Sequence


class Proxy:
    """Hands each connection to the next of several servers that takes it, as a load balancer does.

    What is wrong with it at the moment is set from outside: ``delay`` in seconds for every piece of a reply, and
    ``swallows``, whether replies get lost. Connections whose replies were swallowed are of no more use; ``cut`` them.

    Args:
        port: Where it listens.
        servers: The ports of the servers.
    """

    def __init__(self, port: int, servers: Sequence[int]) -> None:
        self.address = f"127.0.0.1:{port}"
        self.delay = 0.0
        self.swallows = False
        self._port = port
        self._servers = list(servers)
        self._turns = itertools.count()
        self._writers: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listens."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)

    async def stop(self) -> None:
        """Stops listening and hangs up on everybody."""
        if self._server:
            self._server.close()
            self.cut()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await self._server.wait_closed()

    def cut(self) -> None:
        """Hangs up on everybody, in the middle of whatever is said."""
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        self._writers.add(writer)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            self._connections.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = next(self._turns)
        for index in range(len(self._servers)):
            port = self._servers[(first + index) % len(self._servers)]
            with contextlib.suppress(OSError):
                server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
                break
        else:
            return
        self._writers.add(server_writer)
        pumps = [
            asyncio.create_task(self._pump(reader, server_writer, replies=False)),
            asyncio.create_task(self._pump(server_reader, writer, replies=True)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._writers.discard(server_writer)
            server_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, replies: bool) -> None:
        while data := await reader.read(1 << 16):
            if replies and self.delay:
                await asyncio.sleep(self.delay)
            if replies and self.swallows:
                continue
            writer.write(data)
            await writer.drain()
