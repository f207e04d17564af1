"""What the contracts say in words: the comments on their elements, which Python's own descriptors leave out."""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    EnumValueDescriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

Element = Descriptor | EnumDescriptor | EnumValueDescriptor | FieldDescriptor | MethodDescriptor | ServiceDescriptor
_Path = tuple[int, ...]


def comment(element: Element) -> str:
    """Returns the comment above an element of our contracts, "" for others: paragraphs of a line each, and empty lines
    between."""
    if isinstance(element, EnumValueDescriptor):
        return _comments().get(f"{element.type.full_name}.{element.name}", "")
    return _comments().get(element.full_name, "")


@cache
def _comments() -> dict[str, str]:
    """Reads the comments that the build of the stubs has put beside them.

    Raises:
        FileNotFoundError: The stubs are older than this code. ``make protos`` builds them.
    """
    described = FileDescriptorSet.FromString((files("skirmish") / "contracts.binpb").read_bytes())
    comments = {}
    for file in described.file:
        if not file.package.startswith("skirmish."):
            continue
        told = {tuple(place.path): _unfold(place.leading_comments) for place in file.source_code_info.location}
        for path, name in _elements(file):
            comments[name] = told.get(path, "")
    return comments


def _unfold(text: str) -> str:
    paragraphs = "\n".join(line.strip() for line in text.strip().splitlines()).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split("\n")) for paragraph in paragraphs)


def _elements(file: FileDescriptorProto) -> Iterator[tuple[_Path, str]]:
    """Yields each element's path, as source_code_info has it, and its full name."""
    for index, message in enumerate(file.message_type):
        yield from _message(message, (FileDescriptorProto.MESSAGE_TYPE_FIELD_NUMBER, index), file.package)
    for index, enum in enumerate(file.enum_type):
        yield from _enum(enum, (FileDescriptorProto.ENUM_TYPE_FIELD_NUMBER, index), file.package)
    for index, service in enumerate(file.service):
        path, name = (FileDescriptorProto.SERVICE_FIELD_NUMBER, index), f"{file.package}.{service.name}"
        yield path, name
        for number, method in enumerate(service.method):
            yield (*path, ServiceDescriptorProto.METHOD_FIELD_NUMBER, number), f"{name}.{method.name}"


def _message(message: DescriptorProto, path: _Path, parent: str) -> Iterator[tuple[_Path, str]]:
    name = f"{parent}.{message.name}"
    yield path, name
    for index, field in enumerate(message.field):
        yield (*path, DescriptorProto.FIELD_FIELD_NUMBER, index), f"{name}.{field.name}"
    for index, nested in enumerate(message.nested_type):
        yield from _message(nested, (*path, DescriptorProto.NESTED_TYPE_FIELD_NUMBER, index), name)
    for index, enum in enumerate(message.enum_type):
        yield from _enum(enum, (*path, DescriptorProto.ENUM_TYPE_FIELD_NUMBER, index), name)


def _enum(enum: EnumDescriptorProto, path: _Path, parent: str) -> Iterator[tuple[_Path, str]]:
    name = f"{parent}.{enum.name}"
    yield path, name
    for index, value in enumerate(enum.value):
        yield (*path, EnumDescriptorProto.VALUE_FIELD_NUMBER, index), f"{name}.{value.name}"
