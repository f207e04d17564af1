"""The HTTP API as an OpenAPI 3.1 document: routes, messages and words all from the contracts.

Requests are told in their canonical form. What the gateway takes beyond that is in docs/http.md.
"""

import re
from http import HTTPStatus
from typing import Any

from google.rpc import error_details_pb2

from gateway.calls import FINAL, is_shared
from gateway.contracts import comment
from gateway.errors import HTTP_STATUS
from gateway.routes import Binding, bindings
from gateway.schemas import Json, Schemas
from gateway.upstreams import SERVICES

DESCRIPTION = """\
The battle back end for games, over HTTP and JSON. Every route is one call of a gRPC service.

In answers, fields without a value of their own are `0`, `""`, `false` or `[]`; optional ones, messages and times are \
left out when they are not set. 64-bit integers are strings, enums are names, times are RFC 3339. In requests, what is \
unknown, given twice or of the wrong type is an error, and `null` is not set.

Every error has the same form and tells all that is wrong at once. Tell errors apart by the `reason` of the ErrorInfo, \
the first of the details. `X-Request-Id`, up to 64 visible ASCII characters, comes back with every answer and is in \
the logs of the services.\
"""
EVENTS = """\
This is a stream of server-sent events. Each message is an unnamed event whose data is JSON. A stream that ended for \
good closes with an event `end`, one that failed with an event `error` whose data is an error. One that just closes is \
to be opened anew. Nothing is resumed then, so a `Last-Event-ID` changes nothing.\
"""
ERRORS = {
    400: "The request is wrong, and a BadRequest names every field to blame; or it can't be done as things are now.",
    404: "There is no such thing.",
    406: "The client does not take an event stream.",
    408: "The body did not come in time.",
    409: "Its name or id is taken.",
    413: "The body is too large.",
    415: "The body is not JSON by its headers.",
    429: "A limit is reached. Try again after the time that it tells.",
    500: "A defect. The log knows it by the `incident` in the ErrorInfo's metadata.",
    503: "A service, or what it needs, does not answer. The same request may be sent again.",
    504: "A service did not answer in time. Whether the call took effect is not known.",
}
DETAILS = {
    error_details_pb2.ErrorInfo.DESCRIPTOR: "What a program tells an error by. It comes first.",
    error_details_pb2.BadRequest.DESCRIPTOR: "The fields that are wrong, each by its path in the request.",
    error_details_pb2.ResourceInfo.DESCRIPTOR: "What there is not.",
    error_details_pb2.RetryInfo.DESCRIPTOR: "After which time another try makes sense.",
}
"""The details that errors have."""

_GATEWAY = {"name": "Gateway", "description": "The gateway itself."}
_CODES = {code.name: status for code, status in HTTP_STATUS.items()}


def document() -> Json:
    """Returns the document.

    Raises:
        ValueError: A contract has something that the document can't tell.
    """
    schemas = Schemas()
    paths: dict[str, Json] = {}
    for service in SERVICES.values():
        for binding in bindings(service):
            paths.setdefault(_path(binding), {})[binding.method.lower()] = _operation(binding, schemas)
    paths["/heartbeat"] = {"get": _heartbeat()}
    tags = [{"name": service.name, "description": comment(service)} for service in SERVICES.values()]
    return {
        "openapi": "3.1.0",
        "info": {"title": "Skirmish", "version": "v1", "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [*tags, _GATEWAY],
        "paths": paths,
        "components": {
            "schemas": schemas.made | _errors(),
            "responses": {_phrase(status): _error(status) for status in ERRORS},
        },
        "security": [],
    }


def _path(binding: Binding) -> str:
    """Returns the template with the last names of its variables, since OpenAPI wants one path for all methods."""
    return re.sub(r"\{[^}]*\.", "{", binding.template.text)


def _operation(binding: Binding, schemas: Schemas) -> Json:
    rpc = binding.rpc
    told = comment(rpc)
    operation: Json = {
        "operationId": rpc.name,
        "tags": [rpc.containing_service.name],
        "summary": re.split(r"\.\s|\.$", told)[0],
        "description": f"{told}\n\n{EVENTS}" if rpc.server_streaming else told,
    }
    if parameters := [*_path_parameters(binding, schemas), *_query_parameters(binding, schemas)]:
        operation["parameters"] = parameters
    if binding.body:
        operation["requestBody"] = {"content": {"application/json": {"schema": _body(binding, schemas)}}}
    operation["responses"] = _success(binding, schemas) | {
        str(status): {"$ref": f"#/components/responses/{_phrase(status)}"} for status in _failures(binding)
    }
    return operation


def _path_parameters(binding: Binding, schemas: Schemas) -> list[Json]:
    parameters = []
    for variable in binding.template.variables:
        *parents, name = variable.split(".")
        message: Any = binding.rpc.input_type
        for parent in parents:
            message = message.fields_by_name[parent].message_type
        schema = schemas.of_field(message.fields_by_name[name], schemas.of_request)
        told = schema.pop("description")
        parameters.append(
            {"name": name, "in": "path", "required": True, "description": told, "schema": {**schema, "minLength": 1}}
        )
    return parameters


def _query_parameters(binding: Binding, schemas: Schemas) -> list[Json]:
    parameters = []
    for field in binding.rpc.input_type.fields:
        if binding.body in ("*", field.name) or field.name in binding.template.variables:
            continue
        schema = schemas.of_field(field, schemas.of_request)
        told = schema.pop("description")
        parameters.append({"name": field.name, "in": "query", "description": told, "schema": schema})
    return parameters


def _body(binding: Binding, schemas: Schemas) -> Json:
    message: Any = binding.rpc.input_type
    if binding.body != "*":
        return schemas.of_request(message.fields_by_name[binding.body].message_type)
    return schemas.of_request(message, without=frozenset(binding.template.variables))


def _success(binding: Binding, schemas: Schemas) -> Json:
    schema = schemas.of_response(binding.rpc.output_type)
    if binding.rpc.server_streaming:
        events = {"text/event-stream": {"schema": _event(schema)}}
        return {"200": {"description": "The events.", "content": events}}
    responses: Json = {"200": {"description": "Done.", "content": {"application/json": {"schema": schema}}}}
    if is_shared(binding) or binding.rpc.full_name in FINAL:
        responses["304"] = {"description": "It is still what `If-None-Match` names."}
    return responses


def _event(message: Json) -> Json:
    """Returns the schema of one event of a stream, which is what a document before OpenAPI 3.2 tells of a stream."""

    def named(name: str, data: Json) -> Json:
        return {"type": "object", "required": ["data"], "properties": {"event": {"const": name}, "data": data}}

    def json(schema: Json) -> Json:
        return {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}

    error = {"$ref": "#/components/schemas/Error"}
    return {"anyOf": [named("message", json(message)), named("end", {"const": "{}"}), named("error", json(error))]}


def _failures(binding: Binding) -> list[int]:
    """Returns the HTTP statuses of the failures that an RPC may have: those that its comment names, and the general."""
    told = {_CODES[word] for word in re.findall(r"\b[A-Z_]{5,}\b", comment(binding.rpc)) if word in _CODES}
    names_a_thing = any(variable.endswith("_id") for variable in binding.template.variables)
    return sorted(
        {
            *told,
            *(400, 429, 500, 503, 504),
            *((404,) if names_a_thing else ()),
            *((408, 413, 415) if binding.body else ()),
            *((406,) if binding.rpc.server_streaming else ()),
        }
    )


def _errors() -> Json:
    """Returns the schemas of errors (AIP-193)."""
    made = Schemas()
    for message, told in DETAILS.items():
        made.of_response(message)
        schema = made.made[message.name]
        schema["description"] = told
        schema["properties"] = {"@type": {"const": f"type.googleapis.com/{message.full_name}"}, **schema["properties"]}
        schema["required"] = ["@type", *schema.get("required", ())]
    return made.made | {
        "ErrorDetail": {
            "description": "A fact about an error, for programs.",
            "anyOf": [{"$ref": f"#/components/schemas/{message.name}"} for message in DETAILS],
        },
        "Error": {
            "type": "object",
            "description": "An error, in the form of AIP-193.",
            "required": ["error"],
            "properties": {
                "error": {
                    "type": "object",
                    "required": ["code", "message", "status", "details"],
                    "properties": {
                        "code": {"type": "integer", "description": "The HTTP status."},
                        "message": {"type": "string", "description": "A sentence for people."},
                        "status": {"type": "string", "description": "The gRPC code.", "enum": sorted(_CODES)},
                        "details": {
                            "type": "array",
                            "description": "The facts, the ErrorInfo first.",
                            "items": {"$ref": "#/components/schemas/ErrorDetail"},
                        },
                    },
                }
            },
        },
    }


def _error(status: int) -> Json:
    response: Json = {
        "x-status": status,
        "description": ERRORS[status],
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    if status == 429:
        told = "After how many seconds to try again."
        response["headers"] = {"Retry-After": {"description": told, "required": True, "schema": {"type": "integer"}}}
    return response


def _phrase(status: int) -> str:
    return re.sub("[^A-Za-z]", "", HTTPStatus(status).phrase)


def _heartbeat() -> Json:
    statuses = {"type": "string", "enum": ["SERVING", "NOT_SERVING"]}
    services = {name: {"type": "string"} for name in SERVICES}
    schema = {
        "type": "object",
        "required": ["status", "services"],
        "properties": {
            "status": statuses,
            "services": {"type": "object", "required": list(services), "properties": services},
        },
    }
    content = {"application/json": {"schema": schema}}
    return {
        "operationId": "Heartbeat",
        "tags": [_GATEWAY["name"]],
        "summary": "Tells the health of every service",
        "description": "Tells the health of every service. One that can't be asked has the gRPC code of that as its "
        "status, as UNAVAILABLE.",
        "responses": {
            "200": {"description": "Every service is SERVING.", "content": content},
            "503": {"description": "Not every service is.", "content": content},
        },
    }
