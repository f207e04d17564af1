"""The routes: read out of the contracts, and matched against paths.

A contract gives a unary or streaming RPC its route in a ``google.api.http`` annotation, as

    patch: "/v1/players/{player.player_id}"
    body: "player"

The braces hold the path of a request field. Such a variable matches one segment, which may not hold a ``:``, since that
begins a verb, as in ``/v1/players/{player_id}:grantResources``. It is percent-decoded once, after matching. A path that
ends in a slash is another path. What else google/api/http.proto knows is refused at the start, not passed over.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import grpc
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from gateway.errors import HttpError
from services.common.errors import NotFound

Endpoint = Callable[[Request], Awaitable[ASGIApp]]
"""Returns what answers a request."""

KEPT_PATHS, KEPT_LENGTH = 4096, 256
"""How many paths, and up to which length, are kept with their resources: those of boards are asked for all the time."""

_VARIABLE = re.compile(r"\{([a-z][a-z0-9_.]*)\}")
_TEMPLATE = re.compile(rf"(/([A-Za-z0-9._~-]+|{_VARIABLE.pattern}))+(:[A-Za-z]+)?")


@dataclass(frozen=True)
class Template:
    """A path template.

    Attributes:
        text: As the contract gives it.
        shape: The text without the names of its variables, as "/v1/players/{}". Two templates of one shape match the
            same paths.
        variables: The paths of the request fields that it binds, in order.
    """

    text: str
    shape: str
    variables: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Reads a template.

        Raises:
            ValueError: It holds more than literal segments, variables of one segment and a verb at its end.
        """
        if not _TEMPLATE.fullmatch(text):
            raise ValueError(f"{text}: want literal segments, {{variables}} of one segment and at most one :verb")
        return cls(text, _VARIABLE.sub("{}", text), tuple(_VARIABLE.findall(text)))


@dataclass(frozen=True)
class Binding:
    """The route of an RPC.

    Attributes:
        rpc: The RPC.
        method: The HTTP method, in upper case.
        template: The path.
        body: The request field that the body holds, "*" for the whole request less what the path binds, "" for none.
    """

    rpc: MethodDescriptor
    method: str
    template: Template
    body: str

    @property
    def full_method(self) -> str:
        """The RPC as gRPC names it, as "/skirmish.player.v1.PlayerService/GetPlayer"."""
        return f"/{self.rpc.containing_service.full_name}/{self.rpc.name}"


def bindings(service: ServiceDescriptor) -> Iterator[Binding]:
    """Reads the routes of a service; RPCs without an annotation have none.

    Raises:
        ValueError: An annotation says something that the gateway does not know.
    """
    for rpc in service.methods:
        options = rpc.GetOptions()
        if not options.HasExtension(annotations_pb2.http):
            continue
        rule = options.Extensions[annotations_pb2.http]
        kind = rule.WhichOneof("pattern")
        if kind == "custom" or rule.response_body or rule.additional_bindings:
            raise ValueError(f"{rpc.full_name}: want one route, of a standard method and with the whole response")
        yield Binding(rpc, kind.upper(), Template.parse(getattr(rule, kind)), rule.body)


class Resource:
    """All that paths of one shape answer to. HEAD is answered as GET, OPTIONS with the methods there are.

    The texts of a path's variables reach the endpoint, still percent-encoded, as ``request.scope["path_values"]``.

    Args:
        shape: As in Template, or a path as it is.
        endpoints: The endpoints by HTTP method.
    """

    def __init__(self, shape: str, endpoints: Mapping[str, Endpoint]) -> None:
        self.shape = shape
        self._pattern = re.compile("([^/:]+)".join(map(re.escape, shape.split("{}"))))
        self._endpoints = dict(endpoints)
        if "GET" in self._endpoints:
            self._endpoints["HEAD"] = self._endpoints["GET"]
        self._allow = ", ".join(sorted([*self._endpoints, "OPTIONS"]))

    def match(self, path: str) -> tuple[str, ...] | None:
        """Returns the texts of the variables of a path that has the shape."""
        found = self._pattern.fullmatch(path)
        return found.groups() if found else None

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request.

        Raises:
            HttpError: The method is not allowed.
        """
        method = scope["method"]
        if endpoint := self._endpoints.get(method):
            response: ASGIApp = await endpoint(Request(scope, receive, send))
        elif method == "OPTIONS":
            response = Response(status_code=204, headers={"allow": self._allow})
        else:
            raise HttpError(
                405,
                grpc.StatusCode.UNIMPLEMENTED,
                f"{method} is not allowed here; allowed: {self._allow}",
                "METHOD_NOT_ALLOWED",
                {"allow": self._allow},
            )
        await response(scope, receive, send)


def resources(endpoints: Mapping[tuple[str, str], Endpoint]) -> list[Resource]:
    """Groups endpoints, given by shape and HTTP method, into resources; a literal segment goes before a variable."""
    by_shape: dict[str, dict[str, Endpoint]] = {}
    for (shape, method), endpoint in endpoints.items():
        by_shape.setdefault(shape, {})[method] = endpoint
    first_literals = sorted(by_shape, key=lambda shape: shape.replace("{}", "\uffff"))
    return [Resource(shape, by_shape[shape]) for shape in first_literals]


class Table(Router):
    """The application that has the resource of a path answer.

    Args:
        resources: The resources. Of two that match, the first one is taken.
        lifespan: As in Starlette's Router.
    """

    def __init__(self, resources: Iterable[Resource], lifespan: Lifespan[Any] | None = None) -> None:
        super().__init__(lifespan=lifespan)
        self._resources = list(resources)
        self._look_for_again = lru_cache(KEPT_PATHS)(self._look_for)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request, or the lifespan of the application.

        Raises:
            NotFound: No resource has the path.
        """
        if scope["type"] == "lifespan":
            await self.lifespan(scope, receive, send)
            return
        raw_path = scope["raw_path"]
        find = self._look_for_again if len(raw_path) <= KEPT_LENGTH else self._look_for
        resource, scope["path_values"] = find(raw_path)
        await resource.answer(scope, receive, send)

    def _look_for(self, raw_path: bytes) -> tuple[Resource, tuple[str, ...]]:
        path = raw_path.decode("latin-1")
        for resource in self._resources:
            values = resource.match(path)
            if values is not None:
                return resource, values
        raise NotFound("path", path)
