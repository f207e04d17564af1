"""HTTP requests to protobuf requests, and protobuf responses to JSON: one plan for each RPC, made at the start.

Where a request's fields come from, by google/api/http.proto:

- the path binds the fields that its template names;
- a body ``"*"`` holds all others; a body that names a field holds that field; without one, a body is refused;
- query parameters hold what neither of the two does.

A field that the path binds may come in the body or the query too, when it says the same: a resource can be sent back
as it was got. An empty body is an empty object.
"""

from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway.errors import HttpError
from gateway.printing import printer
from gateway.reading import JsonObject, parse_json, parse_query, percent_decode, reader
from gateway.routes import Binding
from services.common import clock
from services.common.validation import Violations


class Transcoder:
    """The plan of one RPC.

    Attributes:
        response: Prints the protobuf response as JSON.

    Raises:
        ValueError: The binding and the messages do not fit each other.
    """

    def __init__(self, binding: Binding) -> None:
        request = binding.rpc.input_type
        self._new = GetMessageClass(request)
        self.response = printer(binding.rpc.output_type)
        self._reader = reader(request)
        self._body = binding.body
        self._body_field = self._reader.field(binding.body)
        if self._body not in ("", "*") and (self._body_field is None or self._body_field.reader is None):
            raise ValueError(f"{binding.rpc.full_name}: its body must be a message of the request")
        self._variables = []
        for path in binding.template.variables:
            fields = self._reader.find(path)
            if not fields or fields[-1].repeated or fields[-1].reader:
                raise ValueError(f"{binding.rpc.full_name}: {path} can't be bound by a path")
            self._variables.append((path, fields))
        self._has_request_id = "request_id" in request.fields_by_name
        self._with_request_ids = [
            field.name
            for field in request.fields
            if field.is_repeated and field.message_type and "request_id" in field.message_type.fields_by_name
        ]

    @property
    def takes_body(self) -> bool:
        """Whether the request has a body."""
        return self._body != ""

    def request(self, path_values: tuple[str, ...], query: str, body: bytes) -> Message:
        """Makes the protobuf request.

        Args:
            path_values: The texts of the path's variables, still percent-encoded.
            query: What follows the question mark.
            body: The body, empty for none.

        Raises:
            InvalidArgument: Fields are wrong.
            HttpError: The body is not a JSON object.
        """
        message = self._new()
        with Violations() as wrong:
            if body:
                self._read_body(message, body, wrong)
            if query:
                self._read_query(message, query, wrong)
            self._read_path(message, path_values, wrong)
        self._fill_in_request_ids(message)
        return message

    def _read_body(self, message: Message, body: bytes, wrong: Violations) -> None:
        try:
            value = parse_json(body)
        except ValueError as error:
            raise _wrong_body(f"the body is not JSON: {error}") from None
        if self._body_field:
            self._body_field.read(message, value, self._body_field.name, wrong)
        elif isinstance(value, JsonObject):
            self._reader.read(message, value, "", wrong)
        else:
            raise _wrong_body("the body must be a JSON object")

    def _read_query(self, message: Message, query: str, wrong: Violations) -> None:
        allowed = []
        for name, text in parse_query(query, wrong):
            first = self._reader.field(name.partition(".")[0])
            if self._body == "*" or (first and first is self._body_field):
                wrong.add(name, "belongs into the body, not into the query")
            else:
                allowed.append((name, text))
        self._reader.read_texts(message, allowed, wrong)

    def _read_path(self, message: Message, values: tuple[str, ...], wrong: Violations) -> None:
        """Sets the fields that the path binds, after all others, to see whether those say something else."""
        for (path, (*parents, field)), encoded in zip(self._variables, values, strict=True):
            holder: Any = message
            for parent in parents:
                holder = getattr(holder, parent.name)
            before = getattr(holder, field.name)
            try:
                field.read_text(holder, percent_decode(encoded), path, wrong)
            except ValueError as error:
                wrong.add(path, str(error))
            if before and before != getattr(holder, field.name):
                wrong.add(path, "must be the same as in the path, or be left out")

    def _fill_in_request_ids(self, message: Any) -> None:
        """Names calls that the client did not name (AIP-4235): the channel may send them twice, which must be safe."""
        holders = [message] if self._has_request_id else []
        for name in self._with_request_ids:
            holders += getattr(message, name)
        for holder in holders:
            holder.request_id = holder.request_id or clock.uuid7()


def _wrong_body(message: str) -> HttpError:
    return HttpError(400, grpc.StatusCode.INVALID_ARGUMENT, message, "INVALID_BODY")
