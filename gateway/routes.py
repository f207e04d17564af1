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

import grpc
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import HttpError

Endpoint = Callable[[Request], Awaitable[ASGIApp]]
"""Returns what answers a request."""

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


class Resource(BaseRoute):
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

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tells whether the path has the shape; the method is looked at later, so that 405 can say what is allowed."""
        found = self._pattern.fullmatch(scope["raw_path"].decode("latin-1"))
        return (Match.FULL, {"path_values": found.groups()}) if found else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
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


class Table(BaseRoute):
    """Finds the resource of a path among many.

    Args:
        resources: The resources; of two that match, the first one is taken.
    """

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._literal: dict[bytes, Resource] = {}
        self._others = []
        for resource in resources:
            if "{}" in resource.shape:
                self._others.append(resource)
            else:
                self._literal[resource.shape.encode()] = resource

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tells whether there is a resource."""
        if resource := self._literal.get(scope["raw_path"]):
            return Match.FULL, {"resource": resource, "path_values": ()}
        for resource in self._others:
            found, more = resource.matches(scope)
            if found is Match.FULL:
                return found, {"resource": resource, **more}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Has the resource answer."""
        await scope["resource"].handle(scope, receive, send)
