"""Runs the application under uvicorn, in one process or in several that share the port."""

import asyncio
import contextlib
import math
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator

import uvicorn
import uvloop
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from gateway.app import create_app
from gateway.browsers import HEADERS
from gateway.protocol import Protocol
from gateway.settings import Settings
from services.common import logs, settings
from services.common.server import stop_signals

log = logs.get(__name__)


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers, since ours are those of every other service."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Processes(Multiprocess):
    """uvicorn's supervisor of processes. It stops listening when it is told to stop.

    Otherwise clients could go on connecting to a port that nobody serves any more, and wait for nothing.
    """

    def terminate_all(self) -> None:
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


@contextlib.asynccontextmanager
async def running(gateway: Settings) -> AsyncIterator[int]:
    """Serves in this process until the context ends, and gives the port. Requests are taken from the beginning."""
    with contextlib.closing(_listen(gateway.address)) as listener:
        server = Server(_configuration(gateway, lambda: create_app(gateway)))
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


def serve(gateway: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then end gracefully."""
    if gateway.processes == 1:
        uvloop.run(_serve(gateway))
    else:
        # The processes read their settings themselves, and one that dies is started again.
        configuration = _configuration(gateway, "gateway.server:create_app_of_process")
        Processes(configuration, [_listen(gateway.address)]).run()
    log.info("stopped")


def create_app_of_process() -> ASGIApp:
    """Makes the application of one of several processes, which has its settings from the environment alone."""
    gateway = settings.load(Settings)
    logs.set_up(gateway, "gateway")
    return create_app(gateway)


async def _serve(gateway: Settings) -> None:
    with stop_signals() as told_to_stop:
        async with running(gateway):
            await told_to_stop.wait()
            log.info("stopping")


def _listen(address: str) -> socket.socket:
    """Returns a socket that listens at an address, as "127.0.0.1:8080".

    Raises:
        SystemExit: The address can't be had.
    """
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host.strip("[]"), int(port)), family=family, backlog=2048)
    except (OSError, OverflowError):
        sys.exit(f"Can't listen on {address}: it is in use, or not an address of this machine.")
    log.info("listening", address=address, port=listener.getsockname()[1])
    return listener


def _configuration(gateway: Settings, app: str | Callable[[], ASGIApp]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=True,
        workers=gateway.processes,
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning" if gateway.processes == 1 else "info",  # several: it tells of one that died
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=list(HEADERS.items()),
        timeout_keep_alive=gateway.idle_timeout,
        h11_max_incomplete_event_size=gateway.max_head_bytes,
        timeout_graceful_shutdown=math.ceil(gateway.shutdown_grace),
    )
