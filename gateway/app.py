"""The application: every route of the contracts, the heartbeat, and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

from gateway.boundary import Boundary
from gateway.calls import Limit, UnaryCall
from gateway.health import Heartbeat
from gateway.routes import Endpoint, bindings, resources
from gateway.settings import Settings
from gateway.upstreams import SERVICES, Channels, open_channels
from services.common.errors import NotFound


class State(TypedDict):
    """What every request finds in ``request.state``."""

    channels: Channels


def create_app(settings: Settings) -> Starlette:
    """Makes the application. It opens its channels when it is started, not before.

    Raises:
        ValueError: A contract asks for something that the gateway does not know.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[State]:
        async with open_channels(settings) as channels:
            yield {"channels": channels}

    limit = Limit(settings.max_concurrent_requests)
    endpoints: dict[tuple[str, str], Endpoint] = {("/heartbeat", "GET"): Heartbeat(settings.health_timeout)}
    for name, service in SERVICES.items():
        for binding in bindings(service):
            if not binding.rpc.server_streaming:
                endpoints[binding.template.shape, binding.method] = UnaryCall(name, binding, settings, limit)
    app = Starlette(routes=resources(endpoints), middleware=[Middleware(Boundary)], lifespan=lifespan)
    app.router.default = _not_found
    return app


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotFound("path", scope["path"])
