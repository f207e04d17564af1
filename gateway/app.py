"""The application: every route of the contracts, what describes them, the heartbeat and the page, and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from starlette.routing import Router
from starlette.types import ASGIApp

from gateway import static
from gateway.boundary import Boundary
from gateway.browsers import CrossOrigin
from gateway.calls import Limit, SharedCall, UnaryCall, is_shared
from gateway.health import Heartbeat
from gateway.routes import Endpoint, Table, bindings, resources
from gateway.settings import Settings
from gateway.streams import StreamCall
from gateway.upstreams import SERVICES, Channels, open_channels
from services.common.errors import ResourceExhausted

_TOO_MANY_REQUESTS = ResourceExhausted(
    "too many requests at once; try again shortly", "TOO_MANY_REQUESTS", retry_delay=1.0
)
_TOO_MANY_STREAMS = ResourceExhausted("too many streams are open; try again later", "TOO_MANY_STREAMS", retry_delay=5.0)


class State(TypedDict):
    """What every request finds in ``request.state``, beside its connection and its request id."""

    channels: Channels


def create_app(settings: Settings) -> ASGIApp:
    """Makes the application. It opens its channels when it is started, not before.

    Raises:
        ValueError: A contract asks for something that the gateway does not know.
    """

    @asynccontextmanager
    async def lifespan(_: Router) -> AsyncIterator[State]:
        async with open_channels(settings) as channels:
            yield {"channels": channels}

    requests = Limit(settings.max_concurrent_requests, _TOO_MANY_REQUESTS)
    streams = Limit(settings.max_streams, _TOO_MANY_STREAMS)
    endpoints: dict[tuple[str, str], Endpoint] = dict(static.endpoints())
    endpoints["/heartbeat", "GET"] = Heartbeat(settings.health_timeout)
    for name, service in SERVICES.items():
        for binding in bindings(service):
            endpoint: Endpoint
            if binding.rpc.server_streaming:
                endpoint = StreamCall(name, binding, settings, streams)
            elif is_shared(binding):
                endpoint = SharedCall(name, binding, settings, requests)
            else:
                endpoint = UnaryCall(name, binding, settings, requests)
            endpoints[binding.template.shape, binding.method] = endpoint
    app = Boundary(Table(resources(endpoints), lifespan))
    if not settings.cors_origins:
        return app
    return CrossOrigin(app, settings.cors_origins.replace(" ", "").split(","))
