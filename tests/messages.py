"""Messages of any type, for tests that hold for all of them."""

from typing import Any

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    timestamp_pb2,
    wrappers_pb2,  # noqa: F401
)
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from hypothesis import strategies as st

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_DETAILS = [
    error_details_pb2.ErrorInfo(reason="BUSY", domain="skirmish", metadata={"a": "b"}),
    error_details_pb2.BadRequest(field_violations=[{"field": "name", "description": "is required"}]),
    error_details_pb2.RetryInfo(retry_delay={"seconds": 1, "nanos": 500_000_000}),
]
_LEAVES: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, (1 << 32) - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, (1 << 64) - 1),
    FieldDescriptor.CPPTYPE_STRING: _TEXTS,
}


def _any(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


_WELL_KNOWN: dict[str, st.SearchStrategy[Any]] = {
    "google.protobuf.Timestamp": st.builds(
        timestamp_pb2.Timestamp,
        seconds=st.integers(-62_135_596_800, 253_402_300_799),
        nanos=st.sampled_from([0, 1, 1000, 999_000_000, 123_456_000, 999_999_999]),
    ),
    "google.protobuf.Duration": st.builds(
        duration_pb2.Duration,
        seconds=st.integers(0, 315_576_000_000),
        nanos=st.sampled_from([0, 1, 1000, 999_000_000, 123_456_000, 999_999_999]),
    ),
    "google.protobuf.FieldMask": st.builds(
        field_mask_pb2.FieldMask, paths=st.lists(st.sampled_from(["luck", "hit_points", "a.b_c"]), max_size=3)
    ),
    "google.protobuf.Any": st.sampled_from([_any(detail) for detail in _DETAILS]),
}


def messages(descriptor: Descriptor, known_enums: bool = False) -> st.SearchStrategy[Message]:
    """Makes messages of a type, with any of their fields set.

    Args:
        descriptor: The type.
        known_enums: Whether enums have only values that the contract names.
    """
    if descriptor.full_name in _WELL_KNOWN:
        return _WELL_KNOWN[descriptor.full_name]

    def one(field: FieldDescriptor) -> st.SearchStrategy[Any]:
        if field.message_type is not None:
            return messages(field.message_type, known_enums)
        if field.enum_type is not None:
            return st.sampled_from([value.number for value in field.enum_type.values] + [99] * (not known_enums))
        return _LEAVES[field.cpp_type]

    def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
        return st.lists(one(field), max_size=3) if field.is_repeated else st.none() | one(field)

    # Of a oneof's fields the last one given stays, which is as good as any.
    fields = {field.name: values(field) for field in descriptor.fields}
    return st.builds(GetMessageClass(descriptor), **fields)


def _everything() -> Descriptor:
    types = descriptor_pb2.FieldDescriptorProto
    one, many = types.LABEL_OPTIONAL, types.LABEL_REPEATED
    leaves = {
        "bool": (one, types.TYPE_BOOL, None),
        "int64": (one, types.TYPE_INT64, None),
        "uint32": (one, types.TYPE_UINT32, None),
        "fixed64": (one, types.TYPE_FIXED64, None),
        "string": (one, types.TYPE_STRING, None),
        "kind": (one, types.TYPE_ENUM, ".tests.Kind"),
        "size": (one, types.TYPE_MESSAGE, ".google.protobuf.Int32Value"),
        "sure": (one, types.TYPE_MESSAGE, ".google.protobuf.BoolValue"),
        "time": (one, types.TYPE_MESSAGE, ".google.protobuf.Timestamp"),
        "wait": (one, types.TYPE_MESSAGE, ".google.protobuf.Duration"),
        "mask": (one, types.TYPE_MESSAGE, ".google.protobuf.FieldMask"),
        "strings": (many, types.TYPE_STRING, None),
        "sizes": (many, types.TYPE_INT32, None),
        "kinds": (many, types.TYPE_ENUM, ".tests.Kind"),
    }
    children = {
        "child": (one, types.TYPE_MESSAGE, ".tests.Child"),
        "children": (many, types.TYPE_MESSAGE, ".tests.Child"),
    }
    file = descriptor_pb2.FileDescriptorProto(
        name="tests/everything.proto",
        package="tests",
        syntax="proto3",
        dependency=[f"google/protobuf/{name}.proto" for name in ("wrappers", "timestamp", "duration", "field_mask")],
    )
    kind = file.enum_type.add(name="Kind")
    for name, number in (("NONE", 0), ("BIG", 7)):
        kind.value.add(name=name, number=number)
    for message, fields in {"Child": leaves, "Everything": leaves | children}.items():
        numbered = [
            types(name=name, number=number, label=label, type=kind, type_name=type_name)
            for number, (name, (label, kind, type_name)) in enumerate(fields.items(), 1)
        ]
        file.message_type.append(descriptor_pb2.DescriptorProto(name=message, field=numbered))
    descriptor_pool.Default().Add(file)
    return descriptor_pool.Default().FindMessageTypeByName("tests.Everything")


EVERYTHING = _everything()
"""A message type with fields of every type that requests may have, also of those that the contracts have not yet."""
