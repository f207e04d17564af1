"""Prints protobuf messages as JSON, by printers compiled once from their descriptors.

The form is protobuf's JSON mapping with two choices: fields are named as the contract names them (``player_id``), and
fields without presence are always printed, so 64-bit integers come as strings and a ``0`` is not left out. It is what
``json_format.MessageToDict`` gives with these choices, several times faster. Enums come by name, an unknown one by
number; a message, ``optional`` or ``oneof`` field that is not set is left out.
"""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import Any as Value

from google.protobuf import any_pb2, duration_pb2, json_format, timestamp_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

Printer = Callable[[Value], Value]
"""Turns a message, or a field's value, into what json.dumps takes."""

_INT64 = (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)
_AS_IT_IS = (
    FieldDescriptor.CPPTYPE_BOOL,
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_STRING,
    FieldDescriptor.CPPTYPE_UINT32,
)


def to_json(value: Value) -> bytes:
    """Returns JSON in UTF-8, without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@cache
def printer(descriptor: Descriptor) -> Printer:
    """Compiles the printer of a message type.

    Raises:
        ValueError: It has a field of a type that the contracts don't use: a map, bytes, a floating point number, or
            another of the well-known types.
    """
    if descriptor.full_name in _WELL_KNOWN:
        return _WELL_KNOWN[descriptor.full_name]
    if descriptor.file.package == "google.protobuf" and descriptor.fields:  # it has a form of its own
        raise ValueError(f"{descriptor.full_name} is not in the contracts, so it can't be printed")
    names = tuple(field.name for field in descriptor.fields)
    converted = [(field.name, convert) for field in descriptor.fields if (convert := _converter(field))]
    optional = [field.name for field in descriptor.fields if field.has_presence]
    # One attrgetter reads all fields at once; it gives a tuple only for two names and more, hence the doubled one.
    values = attrgetter(*names, names[0]) if names else lambda _: ()

    def print_message(message: Value) -> Value:
        printed = dict(zip(names, values(message), strict=False))
        for name in optional:
            if not message.HasField(name):
                del printed[name]
        for name, convert in converted:
            if name in printed:
                printed[name] = convert(printed[name])
        return printed

    return print_message


def _converter(field: FieldDescriptor) -> Printer | None:
    """Returns what turns a field's value into JSON, None where it is JSON as it is."""
    if field.message_type is not None:
        if field.message_type.GetOptions().map_entry:
            raise ValueError(f"{field.full_name}: maps are not in the contracts, so they can't be printed")
        convert: Printer | None = printer(field.message_type)
    elif field.enum_type is not None:
        names = {value.number: value.name for value in field.enum_type.values}
        convert = lambda number: names.get(number, number)  # noqa: E731
    elif field.cpp_type in _INT64:
        convert = str
    elif field.cpp_type in _AS_IT_IS and field.type != FieldDescriptor.TYPE_BYTES:
        convert = None
    else:
        raise ValueError(f"{field.full_name}: its type is not in the contracts, so it can't be printed")
    if not field.is_repeated:
        return convert
    if convert is None:
        return list
    each = convert
    return lambda values: [each(value) for value in values]


def _print_time(time: timestamp_pb2.Timestamp) -> str:
    """Prints with 0, 3, 6 or 9 digits of a second, as few as do."""
    text = datetime.fromtimestamp(time.seconds, UTC).isoformat()[:19]
    nanos = time.nanos
    if not nanos:
        return f"{text}Z"
    if not nanos % 1_000_000:
        return f"{text}.{nanos // 1_000_000:03}Z"
    return f"{text}.{nanos // 1000:06}Z" if not nanos % 1000 else f"{text}.{nanos:09}Z"


def _print_any(value: any_pb2.Any) -> dict[str, Value]:
    try:
        printed: dict[str, Value] = json_format.MessageToDict(
            value, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
    except TypeError:  # a type that this process has no descriptor of
        return {"@type": value.type_url, "value": base64.b64encode(value.value).decode()}
    return printed


_WELL_KNOWN: dict[str, Printer] = {
    timestamp_pb2.Timestamp.DESCRIPTOR.full_name: _print_time,
    duration_pb2.Duration.DESCRIPTOR.full_name: duration_pb2.Duration.ToJsonString,
    any_pb2.Any.DESCRIPTOR.full_name: _print_any,
}
