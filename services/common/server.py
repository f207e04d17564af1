"""Builds and runs a gRPC server: health, reflection, the boundary, background work, signals and a graceful end."""

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import _async as health_async
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common import logs, reflection
from services.common.boundary import Boundary
from services.common.settings import ServerSettings, ServiceSettings

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
CHECK_INTERVAL = 2.0
"""Seconds between two looks at what the server depends on."""
CHECK_TIMEOUT = 10.0
"""Seconds that such a look may take. Long, so that a busy server is not taken for a dead one."""
LAST_WORD = 0.1
"""Seconds that a watcher of health gets to hear that the server stops."""
CANCEL_INTERVAL = 1.0
"""Seconds after which background work that goes on is cancelled again: the ``wait_for`` of Python 3.11, through which
the Redis client writes, may lose a cancellation."""

GARBAGE = 50_000
"""How many new objects there are before Python looks for cycles among them. Batches make thousands that hold no cycle,
and at its default of 700 it would look through all of them again and again: a fifth of a worker's time."""

Check = Callable[[], Awaitable[object]]

log = logs.get(__name__)


class _Health(health_async.HealthServicer):
    """Ends its own streams when the server stops, so that nobody who watches health holds up the shutdown."""

    def __init__(self) -> None:
        super().__init__()
        self._stopping = asyncio.Event()

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:
        watching = asyncio.ensure_future(super().Watch(request, context))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((watching, stopping), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((watching,), timeout=LAST_WORD)
        finally:
            watching.cancel()
            stopping.cancel()

    async def stop(self) -> None:
        """Tells every watcher NOT_SERVING, for good, and ends their streams."""
        await self.enter_graceful_shutdown()
        self._stopping.set()


class Server:
    """A gRPC server that is wired but not yet serving.

    Health knows the empty name, every service added, ``liveness`` and ``readiness``. All but ``liveness`` follow the
    readiness checks, and all are NOT_SERVING from the moment the server is told to stop.

    Args:
        settings: Limits and the grace of the shutdown.
        address: Where to listen, as "127.0.0.1:50051"; port 0 lets the system choose.
    """

    def __init__(self, settings: ServerSettings, address: str) -> None:
        self._settings = settings
        self._address = address
        self._health = _Health()
        self._names = ["", "readiness"]
        self._checks: dict[str, Check] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._work: list[tuple[Coroutine[Any, Any, None], Callable[[], object] | None]] = []
        self._draining: list[tuple[asyncio.Task[None], Callable[[], object]]] = []
        self._before_stop: list[Callable[[], object]] = []
        self._stopped = asyncio.Event()
        self._failure: BaseException | None = None
        self.port = 0
        age = int(settings.max_connection_age * 1000)
        self.grpc = grpc.aio.server(
            interceptors=[Boundary(settings.max_concurrent_rpcs)],
            options=[
                ("grpc.so_reuseport", 0),  # else a second server on the port starts without a word
                ("grpc.max_receive_message_length", settings.max_message_bytes),
                ("grpc.max_send_message_length", settings.max_message_bytes),
                ("grpc.max_connection_age_ms", age),
                ("grpc.max_connection_age_grace_ms", age),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ],
        )

    def add(self, descriptor: ServiceDescriptor, register: Callable[[Any, Any], None], servicer: object) -> None:
        """Adds a service: its descriptor, the generated ``add_…_to_server`` and its servicer."""
        register(servicer, self.grpc)
        self._names.append(descriptor.full_name)

    def depends_on(self, name: str, check: Check) -> None:
        """Adds a readiness check: a coroutine function that raises when what it looks at is out of reach."""
        self._checks[name] = check

    def run_beside(self, work: Coroutine[Any, Any, None], stop: Callable[[], object] | None = None) -> None:
        """Runs a coroutine as long as the server does. When it fails, the server stops and says so.

        Args:
            work: What to run. It is cancelled once all calls have ended.
            stop: What makes it end by itself, for work that has something in hand; it gets the grace for that.
        """
        self._work.append((work, stop))

    def before_stop(self, callback: Callable[[], object]) -> None:
        """Calls back when the server is told to stop, before running calls are waited for: end own streams here."""
        self._before_stop.append(callback)

    async def start(self) -> None:
        """Binds the port and serves; health says SERVING once every check has passed.

        Raises:
            SystemExit: The address can't be had.
        """
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.grpc)
        reflection.add_to_server(
            [*self._names[2:], health_pb2.DESCRIPTOR.services_by_name["Health"].full_name], self.grpc
        )
        for name in self._names:
            await self._health.set(name, NOT_SERVING)
        await self._health.set("liveness", SERVING)
        try:
            self.port = self.grpc.add_insecure_port(self._address)
        except RuntimeError:
            for work, _ in self._work:
                work.close()  # it was never begun, and Python would complain of that below our own sentence
            sys.exit(f"Can't listen on {self._address}: it is in use, or not an address of this machine.")
        await self.grpc.start()
        for work, stop in [*self._work, (self._keep_ready(), None)]:
            task = asyncio.create_task(work)
            task.add_done_callback(self._on_task_end)
            self._tasks.append(task)
            if stop:
                self._draining.append((task, stop))
        log.info("listening", address=self._address, port=self.port)

    async def wait(self) -> None:
        """Waits until ``stop`` is called or background work fails; raises what it failed with."""
        await self._stopped.wait()
        if self._failure:
            raise self._failure

    async def stop(self) -> None:
        """Says NOT_SERVING, lets running calls end within the grace, then ends background work."""
        await self._health.stop()
        for callback in self._before_stop:
            callback()
        for _, stop in self._draining:
            stop()
        await self.grpc.stop(self._settings.shutdown_grace)
        if self._draining:
            await asyncio.wait([task for task, _ in self._draining], timeout=self._settings.shutdown_grace)
        while running := [task for task in self._tasks if not task.done()]:
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=CANCEL_INTERVAL)
        self._stopped.set()

    async def _keep_ready(self) -> None:
        ready: bool | None = None
        while True:
            problems = {}
            for name, check in self._checks.items():
                try:
                    async with asyncio.timeout(CHECK_TIMEOUT):
                        await check()
                except Exception as error:
                    problems[name] = repr(error)
            if ready is not (not problems):
                ready = not problems
                for name in self._names:
                    await self._health.set(name, SERVING if ready else NOT_SERVING)
                (log.info if ready else log.error)("serving" if ready else "not serving", **problems)
            await asyncio.sleep(CHECK_INTERVAL if ready else CHECK_INTERVAL / 10)

    def _on_task_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            log.error("background work failed", exc_info=error)
            self._failure = error
            self._stopped.set()


Build = Callable[[Any], AbstractAsyncContextManager[Server]]
"""Wires a server from its settings, and closes what it opened when the context ends."""


@asynccontextmanager
async def running(build: Build, settings: ServiceSettings) -> AsyncIterator[Server]:
    """Builds a server and serves until the context ends."""
    async with build(settings) as server:
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


async def serve(build: Build, settings: ServiceSettings) -> None:
    """Serves until SIGTERM or SIGINT, then ends gracefully. For a process that does nothing else."""
    gc.freeze()  # what was imported stays, so there is no need to look through that, either
    gc.set_threshold(GARBAGE)
    with stop_signals() as told_to_stop:
        async with running(build, settings) as server:
            ends = [asyncio.create_task(told_to_stop.wait()), asyncio.create_task(server.wait())]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
            if not told_to_stop.is_set():
                await server.wait()
            log.info("stopping")
    log.info("stopped")


@contextlib.contextmanager
def stop_signals() -> Any:
    """Gives an event that SIGTERM and SIGINT set, instead of ending the process."""
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    try:
        yield told_to_stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
