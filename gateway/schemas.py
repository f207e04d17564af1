"""JSON Schemas of the contracts' messages, with the contracts' comments: what printing prints and reading reads."""

from collections.abc import Callable
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.contracts import comment

Json = dict[str, Any]

_WELL_KNOWN: dict[str, Json] = {
    Timestamp.DESCRIPTOR.full_name: {"type": "string", "format": "date-time"},
    Duration.DESCRIPTOR.full_name: {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    FieldMask.DESCRIPTOR.full_name: {"type": "string", "pattern": "^[A-Za-z0-9_.*,]*$"},
    AnyMessage.DESCRIPTOR.full_name: {"$ref": "#/components/schemas/ErrorDetail"},  # there are no others
}
_LEAVES: dict[int, Json] = {
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.CPPTYPE_UINT32: {"type": "integer", "format": "uint32"},
    FieldDescriptor.CPPTYPE_INT64: {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"},
    FieldDescriptor.CPPTYPE_UINT64: {"type": "string", "format": "uint64", "pattern": "^[0-9]+$"},
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.CPPTYPE_STRING: {"type": "string"},
}


class Schemas:
    """The schemas of messages and enums, each made when it is first referred to.

    Attributes:
        made: The schemas by name.
    """

    def __init__(self) -> None:
        self.made: dict[str, Json] = {}

    def of_response(self, message: Descriptor) -> Json:
        """Returns a reference to a message as it is answered. Fields without presence are always there."""
        name = _short_name(message)
        if name not in self.made:
            fields = {field.name: self.of_field(field, self.of_response) for field in message.fields}
            required = [field.name for field in message.fields if not field.has_presence]
            self.made[name] = _object(message, fields) | ({"required": required} if required else {})
        return _refer(name)

    def of_request(self, message: Descriptor, without: frozenset[str] = frozenset()) -> Json:
        """Returns a reference to a message as it is taken. Any field may be left out, and no unknown one be there.

        Args:
            message: The message.
            without: Fields that stand elsewhere.
        """
        name = _short_name(message)
        name = name if name.endswith("Request") else f"{name}Input"
        if name not in self.made:
            taken = [field for field in message.fields if field.name not in without]
            fields = {field.name: self.of_field(field, self.of_request) | _default(field) for field in taken}
            self.made[name] = _object(message, fields) | {"additionalProperties": False}
        return _refer(name)

    def of_field(self, field: FieldDescriptor, of_message: Callable[[Descriptor], Json]) -> Json:
        """Returns the schema of a field with its comment.

        Args:
            field: The field.
            of_message: Refers to messages: ``of_response`` or ``of_request``.
        """
        if field.message_type and field.message_type.GetOptions().map_entry:
            values = field.message_type.fields_by_name["value"]
            schema: Json = {"type": "object", "additionalProperties": self._of_value(values, of_message)}
        elif field.is_repeated:
            schema = {"type": "array", "items": self._of_value(field, of_message)}
        else:
            schema = self._of_value(field, of_message)
        told = comment(field)
        return {**schema, "description": told} if told else schema

    def _of_value(self, field: FieldDescriptor, of_message: Callable[[Descriptor], Json]) -> Json:
        if field.enum_type:
            return self._of_enum(field.enum_type)
        if field.message_type:
            return _WELL_KNOWN.get(field.message_type.full_name) or of_message(field.message_type)
        if field.cpp_type not in _LEAVES or field.type == FieldDescriptor.TYPE_BYTES:
            raise ValueError(f"{field.full_name}: its type is not in the contracts, so it has no schema")
        return _LEAVES[field.cpp_type]

    def _of_enum(self, enum: EnumDescriptor) -> Json:
        name = _short_name(enum)
        if name not in self.made:
            values = "\n".join(f"- `{value.name}`: {comment(value)}" for value in enum.values)
            told = f"{comment(enum)}\n\n{values}"
            self.made[name] = {"type": "string", "enum": [value.name for value in enum.values], "description": told}
        return _refer(name)


def resolve(schema: Json, document: Json) -> Json:
    """Returns a schema of an OpenAPI document, or what it refers to."""
    if "$ref" not in schema:
        return schema
    made: Json = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return made


def _default(field: FieldDescriptor) -> Json:
    """Returns what a number is when it is left out, which for one with presence is up to the service."""
    is_number = not (field.is_repeated or field.enum_type or field.message_type) and field.type != field.TYPE_STRING
    if field.has_presence or not is_number:
        return {}
    is_long = field.cpp_type in (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)
    return {"default": str(field.default_value) if is_long else field.default_value}


def _object(message: Descriptor, fields: Json) -> Json:
    told = comment(message)
    return {"type": "object", **({"description": told} if told else {}), "properties": fields}


def _short_name(element: Descriptor | EnumDescriptor) -> str:
    """Returns a name without its package, as "Battle.State". Our packages have no two alike."""
    return element.full_name.removeprefix(f"{element.file.package}.")


def _refer(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
